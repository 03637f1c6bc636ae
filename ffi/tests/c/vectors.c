/*
 * Reads the test vectors of the format: `vectors FILE…`, without the keys of a case. Checked is that the outside of an envelope and the form of a
 * certificate get the verdict the file expects. `changed.c` reads the accepted ones with their keys.
 */

#include "case.h"

#include <stdbool.h>

static sealwire_result read_envelope(const struct bytes *wire) {
  sealwire_envelope *envelope = NULL;
  sealwire_result result = sealwire_envelope_new(wire->data, wire->size, &envelope);
  if (result == SEALWIRE_RESULT_OK) sealwire_envelope_free(envelope);
  return result;
}

static void envelope_case(const struct vector *vector, const sealwire_endpoint *endpoint) {
  sealwire_result expected = strcmp(vector->expect, "malformed") == 0   ? SEALWIRE_RESULT_MALFORMED
                             : strcmp(vector->expect, "too-large") == 0 ? SEALWIRE_RESULT_TOO_LARGE
                                                                        : SEALWIRE_RESULT_OK;
  sealwire_message *message = NULL;
  if (read_envelope(&vector->read) != expected) fail(vector->file, "the outside of the envelope gets another verdict");
  sealwire_result result = sealwire_endpoint_open(endpoint, vector->read.data, vector->read.size, &message);
  if (result == SEALWIRE_RESULT_OK || message != NULL) fail(vector->file, "an envelope for another was opened");
}

static void certificate_case(const struct vector *vector, const sealwire_endpoint *endpoint) {
  char address[SEALWIRE_ADDRESS_SIZE] = "";
  sealwire_result result = sealwire_endpoint_introduce(endpoint, vector->read.data, vector->read.size, address, sizeof address);
  bool malformed = strcmp(vector->expect, "malformed") == 0;
  if (malformed && result != SEALWIRE_RESULT_MALFORMED) fail(vector->file, "the certificate gets another verdict");
  if (result == SEALWIRE_RESULT_OK || *address != '\0') fail(vector->file, "a certificate of another domain was taken");
}

/* Returns whether the case is of a structure that is read here. */
static bool one_case(const char *file, const sealwire_endpoint *endpoint) {
  struct vector vector = vector_in(file);
  bool is_envelope = strcmp(vector.structure, "envelope") == 0, is_certificate = strcmp(vector.structure, "certificate") == 0;
  bool checked = vector.read.data != NULL && (is_envelope || is_certificate);
  if (checked) (is_envelope ? envelope_case : certificate_case)(&vector, endpoint);
  vector_free(&vector);
  return checked;
}

int main(int argc, char **argv) {
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  int checked = 0;
  if (sealwire_builder_new(&builder) != SEALWIRE_RESULT_OK) fail(*argv, "cannot begin");
  if (sealwire_endpoint_new(builder, "local", &endpoint) != SEALWIRE_RESULT_OK) fail(*argv, "no endpoint");
  for (int i = 1; i < argc; i++) checked += one_case(argv[i], endpoint);
  printf("%d\n", checked);
  sealwire_endpoint_free(endpoint);
  sealwire_builder_free(builder);
  return 0;
}
