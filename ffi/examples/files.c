/*
 * An agent in C whose messages travel as files.
 *
 *   files HOME NODE certify NAME CERTIFICATE                  hosts NAME and writes its certificate
 *   files HOME NODE seal NAME CERTIFICATE BODY ENVELOPE       seals the file BODY of agent NAME for who is certified
 *   files HOME NODE open NAME ENVELOPE BODY                   opens ENVELOPE for agent NAME and writes its body
 *   files HOME NODE show ENVELOPE                             prints what ENVELOPE holds, without opening it
 */

#include <sealwire.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with what went wrong. */
static void check(sealwire_result result) {
  if (result == SEALWIRE_RESULT_OK) return;
  char message[512] = "";
  sealwire_error_message(message, sizeof message);
  fprintf(stderr, "%s\n", message);
  exit(1);
}

struct contents {
  uint8_t *data;
  size_t size;
};

/* The largest envelope is 16 MiB. */
enum { MOST = 16 * 1024 * 1024 };

static struct contents read_file(const char *path) {
  struct contents contents = {malloc(MOST), 0};
  FILE *file = fopen(path, "rb");
  if (contents.data == NULL || file == NULL) {
    perror(path);
    exit(1);
  }
  contents.size = fread(contents.data, 1, MOST, file);
  if (ferror(file) || fgetc(file) != EOF) {
    fprintf(stderr, "%s: cannot be read, or is over 16 MiB\n", path);
    exit(1);
  }
  fclose(file);
  return contents;
}

static void write_file(const char *path, sealwire_bytes bytes) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes.data, 1, bytes.size, file) != bytes.size || fclose(file) != 0) {
    perror(path);
    exit(1);
  }
}

static void certify(const sealwire_endpoint *endpoint, const char *agent, const char *path) {
  sealwire_certificate *certificate;
  sealwire_bytes bytes;
  check(sealwire_endpoint_certificate(endpoint, agent, &certificate));
  check(sealwire_certificate_bytes(certificate, &bytes));
  write_file(path, bytes);
  check(sealwire_certificate_free(certificate));
}

static void seal(const sealwire_endpoint *endpoint, const char *agent, const char *peer, const char *body, const char *envelope) {
  struct contents certificate = read_file(peer), text = read_file(body);
  char reader[SEALWIRE_ADDRESS_SIZE];
  sealwire_draft *draft;
  sealwire_sealed *sealed;
  sealwire_bytes wire;
  check(sealwire_endpoint_introduce(endpoint, certificate.data, certificate.size, reader, sizeof reader));
  check(sealwire_draft_new("task", text.data, text.size, &draft));
  check(sealwire_draft_add_label(draft, "from-c"));
  check(sealwire_endpoint_seal(endpoint, agent, reader, draft, &sealed));
  check(sealwire_sealed_envelope(sealed, &wire));
  write_file(envelope, wire);
  check(sealwire_sealed_free(sealed));
  check(sealwire_draft_free(draft));
  free(certificate.data);
  free(text.data);
}

static void open_envelope(const sealwire_endpoint *endpoint, const char *envelope, const char *path) {
  struct contents wire = read_file(envelope);
  const sealwire_header *header;
  sealwire_message *message;
  sealwire_text from, kind;
  sealwire_bytes body;
  check(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  check(sealwire_message_header(message, &header));
  check(sealwire_header_from(header, &from));
  check(sealwire_header_kind(header, &kind));
  check(sealwire_message_body(message, &body));
  printf("%.*s from %.*s, %zu bytes\n", (int)kind.size, kind.data, (int)from.size, from.data, body.size);
  write_file(path, body);
  check(sealwire_message_free(message));
  free(wire.data);
}

static void show(const char *home, const char *path) {
  struct contents wire = read_file(path);
  sealwire_inspector *inspector;
  sealwire_inspected *inspected;
  const sealwire_header *header;
  sealwire_objection objection;
  sealwire_text from, to, kind;
  check(sealwire_inspector_new(home, &inspector));
  check(sealwire_inspector_inspect(inspector, wire.data, wire.size, &inspected));
  check(sealwire_inspected_header(inspected, &header));
  check(sealwire_header_from(header, &from));
  check(sealwire_header_to(header, &to));
  check(sealwire_header_kind(header, &kind));
  printf("%.*s from %.*s to %.*s\n", (int)kind.size, kind.data, (int)from.size, from.data, (int)to.size, to.data);
  for (size_t i = 0; sealwire_inspected_objection(inspected, i, &objection) == SEALWIRE_RESULT_OK; i++)
    printf("would be refused: %.*s\n", (int)objection.text.size, objection.text.data);
  check(sealwire_inspected_free(inspected));
  check(sealwire_inspector_free(inspector));
  free(wire.data);
}

int main(int argc, char **argv) {
  const char *verb = argc > 3 ? argv[3] : "";
  int wants = strcmp(verb, "certify") == 0 ? 6 : strcmp(verb, "seal") == 0 ? 8 : strcmp(verb, "open") == 0 ? 7 : strcmp(verb, "show") == 0 ? 5 : 0;
  if (argc != wants) {
    fprintf(stderr, "usage: files HOME NODE certify NAME CERTIFICATE | seal NAME CERTIFICATE BODY ENVELOPE | open NAME ENVELOPE BODY | "
                    "show ENVELOPE\n");
    return 2;
  }
  if (wants == 5) {
    show(argv[1], argv[4]);
    return 0;
  }
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  char agent[SEALWIRE_ADDRESS_SIZE];
  check(sealwire_builder_new(&builder));
  check(sealwire_endpoint_new_with_home(builder, argv[1], argv[2], &endpoint));
  check(sealwire_builder_free(builder));
  check(sealwire_endpoint_host(endpoint, argv[4], agent, sizeof agent));
  switch (*verb) {
    case 'c': certify(endpoint, agent, argv[5]); break;
    case 's': seal(endpoint, agent, argv[5], argv[6], argv[7]); break;
    default: open_envelope(endpoint, argv[5], argv[6]); break;
  }
  check(sealwire_endpoint_free(endpoint));
  return 0;
}
