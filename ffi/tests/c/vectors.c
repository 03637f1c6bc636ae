/*
 * Reads the test vectors of the format: `vectors FILE…`. What needs the keys of a case is left to other readers, for this interface takes no
 * keys. Checked is that the outside of an envelope and the form of a certificate get the verdict the file expects, and that each byte changed
 * in one that is accepted does no harm.
 */

#include "sealwire.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Over the longest line of a case. */
enum { LONGEST = 256 * 1024 };

struct bytes {
  uint8_t *data;
  size_t size;
};

static void fail(const char *file, const char *what) {
  fprintf(stderr, "%s: %s\n", file, what);
  exit(1);
}

/* Digits, and after a `+` how many zero bytes follow. */
static struct bytes from_hex(const char *file, const char *text) {
  size_t digits = strcspn(text, "+"), zeros = text[digits] == '+' ? strtoul(text + digits + 1, NULL, 10) : 0;
  struct bytes bytes = {calloc(1, digits / 2 + zeros + 1), digits / 2 + zeros};
  if (bytes.data == NULL) fail(file, "out of memory");
  for (size_t i = 0; i < digits / 2; i++) {
    unsigned value;
    if (sscanf(text + 2 * i, "%2x", &value) != 1) fail(file, "not hexadecimal");
    bytes.data[i] = (uint8_t)value;
  }
  return bytes;
}

static sealwire_result read_envelope(const struct bytes *wire) {
  sealwire_envelope *envelope = NULL;
  sealwire_result result = sealwire_envelope_new(wire->data, wire->size, &envelope);
  if (result == SEALWIRE_RESULT_OK) sealwire_envelope_free(envelope);
  return result;
}

static bool opens(const sealwire_endpoint *endpoint, const struct bytes *wire) {
  sealwire_message *message = NULL;
  bool opened = sealwire_endpoint_open(endpoint, wire->data, wire->size, &message) == SEALWIRE_RESULT_OK;
  return opened || message != NULL;
}

static void envelope_case(const char *file, const sealwire_endpoint *endpoint, const char *expect, struct bytes *wire) {
  sealwire_result expected = strcmp(expect, "malformed") == 0   ? SEALWIRE_RESULT_MALFORMED
                             : strcmp(expect, "too-large") == 0 ? SEALWIRE_RESULT_TOO_LARGE
                                                                : SEALWIRE_RESULT_OK;
  if (read_envelope(wire) != expected) fail(file, "the outside of the envelope gets another verdict");
  if (opens(endpoint, wire)) fail(file, "an envelope for another was opened");
  if (strcmp(expect, "accepted") != 0) return;
  for (size_t at = 0; at < wire->size; at++) {
    wire->data[at] ^= 1;
    sealwire_result changed = read_envelope(wire);
    if (changed != SEALWIRE_RESULT_OK && changed != SEALWIRE_RESULT_MALFORMED) fail(file, "a changed byte gets a verdict that cannot be");
    if (opens(endpoint, wire)) fail(file, "a changed envelope was opened");
    wire->data[at] ^= 1;
  }
}

static void certificate_case(const char *file, const sealwire_endpoint *endpoint, const char *expect, const struct bytes *certificate) {
  char address[SEALWIRE_ADDRESS_SIZE] = "";
  sealwire_result result = sealwire_endpoint_introduce(endpoint, certificate->data, certificate->size, address, sizeof address);
  if (strcmp(expect, "malformed") == 0 && result != SEALWIRE_RESULT_MALFORMED) fail(file, "the certificate gets another verdict");
  if (result == SEALWIRE_RESULT_OK || *address != '\0') fail(file, "a certificate of another domain was taken");
}

/* Returns whether the case is of a structure that is read here. */
static bool one_case(const char *file, const sealwire_endpoint *endpoint, char *line) {
  char expect[32] = "", structure[32] = "";
  bool checked = false;
  FILE *text = fopen(file, "r");
  if (text == NULL) fail(file, "cannot be opened");
  struct bytes last = {NULL, 0};
  while (fgets(line, LONGEST, text) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    sscanf(line, "expect: %31s", expect);
    sscanf(line, "structure: %31s", structure);
    size_t length = strlen(structure);
    if (length > 0 && strncmp(line, structure, length) == 0 && strncmp(line + length, ": ", 2) == 0) {
      free(last.data);
      last = from_hex(file, line + length + 2);
    }
  }
  fclose(text);
  if (last.data != NULL && strcmp(structure, "envelope") == 0) {
    envelope_case(file, endpoint, expect, &last);
    checked = true;
  } else if (last.data != NULL && strcmp(structure, "certificate") == 0) {
    certificate_case(file, endpoint, expect, &last);
    checked = true;
  }
  free(last.data);
  return checked;
}

int main(int argc, char **argv) {
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  char *line = malloc(LONGEST);
  int checked = 0;
  if (line == NULL || sealwire_builder_new(&builder) != SEALWIRE_RESULT_OK) fail(*argv, "cannot begin");
  if (sealwire_endpoint_new(builder, "local", &endpoint) != SEALWIRE_RESULT_OK) fail(*argv, "no endpoint");
  for (int i = 1; i < argc; i++) checked += one_case(argv[i], endpoint, line);
  printf("%d\n", checked);
  free(line);
  sealwire_endpoint_free(endpoint);
  sealwire_builder_free(builder);
  return 0;
}
