/*
 * An agent in C that talks to another over a Unix socket. sockets.py is the same in Python, and either talks to either.
 *
 *   sockets HOME NODE answer NAME SOCKET              waits at SOCKET and answers one question, in capitals
 *   sockets HOME NODE ask NAME PEER SOCKET QUESTION   asks PEER, such as `writer@pi2`, at SOCKET and prints the answer
 *
 * What crosses the socket: each side's certificate, then the question, then the answer, the latter two sealed. Before each stands its length in
 * four bytes, big-endian. Anyone may read and change all of it, and learns and achieves nothing but that it fails. (This is the least that carries
 * envelopes. Nodes, which send again what was lost, speak what docs/SPEC.md calls "Stream transport".)
 */

#define _POSIX_C_SOURCE 200809L

#include <sealwire.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Questions and answers of this example are short; whoever announces more is not heard. */
enum { MOST = 1024 * 1024 };

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void check(sealwire_result result) {
  char message[512] = "";
  if (result == SEALWIRE_RESULT_OK) return;
  sealwire_error_message(message, sizeof message);
  fail(message);
}

static void write_all(int connection, const uint8_t *data, size_t size) {
  while (size > 0) {
    ssize_t written = send(connection, data, size, MSG_NOSIGNAL);
    if (written <= 0) fail("the peer hung up");
    data += written;
    size -= (size_t)written;
  }
}

static void read_all(int connection, uint8_t *data, size_t size) {
  while (size > 0) {
    ssize_t got = recv(connection, data, size, 0);
    if (got <= 0) fail("the peer hung up");
    data += got;
    size -= (size_t)got;
  }
}

static void send_frame(int connection, sealwire_bytes bytes) {
  if (bytes.size > MOST) fail("too long to be sent");
  uint8_t length[4] = {0, (uint8_t)(bytes.size >> 16), (uint8_t)(bytes.size >> 8), (uint8_t)bytes.size};
  write_all(connection, length, sizeof length);
  write_all(connection, bytes.data, bytes.size);
}

/* What was sent, in memory that the caller frees. */
static uint8_t *receive_frame(int connection, size_t *size) {
  uint8_t length[4];
  read_all(connection, length, sizeof length);
  *size = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
  if (*size > MOST) fail("the peer announces too much");
  uint8_t *data = malloc(*size + 1);
  if (data == NULL) fail("out of memory");
  read_all(connection, data, *size);
  return data;
}

/* Gives the other side our agent's certificate and takes its own; writes whose it is. */
static void introduce(int connection, const sealwire_endpoint *endpoint, const char *agent, char *peer) {
  sealwire_certificate *certificate;
  sealwire_bytes bytes;
  size_t size;
  check(sealwire_endpoint_certificate(endpoint, agent, &certificate));
  check(sealwire_certificate_bytes(certificate, &bytes));
  send_frame(connection, bytes);
  check(sealwire_certificate_free(certificate));
  uint8_t *theirs = receive_frame(connection, &size);
  check(sealwire_endpoint_introduce(endpoint, theirs, size, peer, SEALWIRE_ADDRESS_SIZE));
  free(theirs);
}

/* Seals a draft, sends it, and writes how it is named: 16 bytes of signer, 16 of id. */
static void send_sealed(int connection, const sealwire_endpoint *endpoint, const char *from, const char *to, sealwire_draft *draft, uint8_t name[32]) {
  const sealwire_header *header;
  sealwire_bytes wire, signer, id;
  sealwire_sealed *sealed;
  check(sealwire_endpoint_seal(endpoint, from, to, draft, &sealed));
  check(sealwire_sealed_envelope(sealed, &wire));
  send_frame(connection, wire);
  check(sealwire_sealed_header(sealed, &header));
  check(sealwire_header_signer(header, &signer));
  check(sealwire_header_id(header, &id));
  memcpy(name, signer.data, 16);
  memcpy(name + 16, id.data, 16);
  check(sealwire_sealed_free(sealed));
  check(sealwire_draft_free(draft));
}

/* Opens what comes, which must be from `peer`: any agent of the domain may write to this one. */
static sealwire_message *receive_sealed(int connection, const sealwire_endpoint *endpoint, const char *peer) {
  const sealwire_header *header;
  sealwire_message *message;
  sealwire_text from;
  size_t size;
  uint8_t *wire = receive_frame(connection, &size);
  check(sealwire_endpoint_open(endpoint, wire, size, &message));
  free(wire);
  check(sealwire_message_header(message, &header));
  check(sealwire_header_from(header, &from));
  if (from.size != strlen(peer) || memcmp(from.data, peer, from.size) != 0) fail("somebody else wrote this");
  return message;
}

static void ask(int connection, const sealwire_endpoint *endpoint, const char *agent, const char *wanted, const char *question) {
  char peer[SEALWIRE_ADDRESS_SIZE];
  const sealwire_header *header;
  sealwire_message_ref answers;
  sealwire_draft *draft;
  sealwire_bytes body;
  uint8_t asked[32];
  introduce(connection, endpoint, agent, peer);
  if (strcmp(peer, wanted) != 0) fail("another agent is at this socket");
  check(sealwire_draft_new("task", (const uint8_t *)question, strlen(question), &draft));
  send_sealed(connection, endpoint, agent, peer, draft, asked);

  sealwire_message *message = receive_sealed(connection, endpoint, peer);
  check(sealwire_message_header(message, &header));
  check(sealwire_header_answers(header, &answers));
  if (memcmp(answers.signer.data, asked, 16) != 0 || memcmp(answers.id.data, asked + 16, 16) != 0) fail("the answer is to another question");
  check(sealwire_message_body(message, &body));
  printf("%.*s\n", (int)body.size, (const char *)body.data);
  check(sealwire_message_free(message));
}

static void answer(int connection, const sealwire_endpoint *endpoint, const char *agent) {
  char peer[SEALWIRE_ADDRESS_SIZE];
  const sealwire_header *header;
  sealwire_bytes body, signer, id;
  sealwire_draft *draft;
  uint8_t unused[32];
  introduce(connection, endpoint, agent, peer);
  sealwire_message *message = receive_sealed(connection, endpoint, peer);
  check(sealwire_message_header(message, &header));
  check(sealwire_message_body(message, &body));
  check(sealwire_header_signer(header, &signer));
  check(sealwire_header_id(header, &id));
  uint8_t *text = malloc(body.size + 1);
  if (text == NULL) fail("out of memory");
  for (size_t i = 0; i < body.size; i++) text[i] = (uint8_t)toupper(body.data[i]);
  check(sealwire_draft_new("result", text, body.size, &draft));
  check(sealwire_draft_set_answers(draft, signer.data, signer.size, id.data, id.size));
  send_sealed(connection, endpoint, agent, peer, draft, unused);
  free(text);
  check(sealwire_message_free(message));
}

static int connected(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int connection = socket(AF_UNIX, SOCK_STREAM, 0);
  if (strlen(path) >= sizeof address.sun_path) fail("the socket's path is too long");
  strcpy(address.sun_path, path);
  if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0) fail("nobody is at this socket");
  return connection;
}

static int accepted(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (strlen(path) >= sizeof address.sun_path) fail("the socket's path is too long");
  strcpy(address.sun_path, path);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0) fail("cannot listen there");
  int connection = accept(listener, NULL, NULL);
  if (connection < 0) fail("nobody came");
  close(listener);
  unlink(path);
  return connection;
}

int main(int argc, char **argv) {
  const char *verb = argc > 3 ? argv[3] : "";
  int asks = strcmp(verb, "ask") == 0, answers = strcmp(verb, "answer") == 0;
  if (!(asks && argc == 8) && !(answers && argc == 6)) {
    fprintf(stderr, "usage: sockets HOME NODE answer NAME SOCKET | ask NAME PEER SOCKET QUESTION\n");
    return 2;
  }
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  char agent[SEALWIRE_ADDRESS_SIZE];
  check(sealwire_builder_new(&builder));
  check(sealwire_endpoint_new_with_home(builder, argv[1], argv[2], &endpoint));
  check(sealwire_builder_free(builder));
  check(sealwire_endpoint_host(endpoint, argv[4], agent, sizeof agent));
  int connection = asks ? connected(argv[6]) : accepted(argv[5]);
  if (asks) {
    ask(connection, endpoint, agent, argv[5], argv[7]);
  } else {
    answer(connection, endpoint, agent);
  }
  close(connection);
  check(sealwire_endpoint_free(endpoint));
  return 0;
}
