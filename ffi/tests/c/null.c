/*
 * Every function of the header, with NULL in place of each of its pointers, and with lengths that cannot be. `ffi/tests/c.rs` writes the calls, in
 * `calls.h`: `ENTRY_CALLS` with an `entry`, `REQUEST_CALLS` with a `request`, `OTHER_CALLS` with one object of every other type.
 */

#include "sealwire.h"

#include "calls.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                                                                                                 \
  do {                                                                                                                           \
    if ((call) != SEALWIRE_RESULT_OK) fail(#call);                                                                               \
  } while (0)
#define FAILS(result, call)                                                                                                      \
  do {                                                                                                                           \
    if ((call) != SEALWIRE_RESULT_##result) fail(#result ": " #call);                                                            \
    checked++;                                                                                                                   \
  } while (0)

static int checked;
static const uint8_t sixteen[16] = {1};
/* What outputs point to. No call succeeds, so nothing is written here. */
static alignas(max_align_t) unsigned char output[256];

static void fail(const char *call) {
  fprintf(stderr, "%s\n", call);
  exit(1);
}

static int32_t policy(void *user, const sealwire_request *request) {
  (void)user;
  REQUEST_CALLS
  return SEALWIRE_YES;
}

static int32_t audit(void *user, const sealwire_entry *entry) {
  (void)user;
  ENTRY_CALLS
  return SEALWIRE_YES;
}

int main(int argc, char **argv) {
  if (argc != 2) fail("null HOME");
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  sealwire_certificate *certificate;
  sealwire_draft *draft;
  sealwire_sealed *sealed;
  sealwire_envelope *envelope;
  sealwire_inspector *inspector;
  sealwire_inspected *inspected;
  sealwire_message *message;
  const sealwire_header *header;
  sealwire_bytes wire;
  char address[SEALWIRE_ADDRESS_SIZE];
  OK(sealwire_builder_new(&builder));
  OK(sealwire_builder_set_policy(builder, policy, NULL));
  OK(sealwire_builder_set_audit(builder, audit, NULL));
  OK(sealwire_endpoint_new_with_home(builder, argv[1], "local", &endpoint));
  OK(sealwire_endpoint_host(endpoint, "a", address, sizeof address));
  OK(sealwire_endpoint_certificate(endpoint, address, &certificate));
  OK(sealwire_draft_new("task", sixteen, sizeof sixteen, &draft));
  OK(sealwire_endpoint_seal(endpoint, address, address, draft, &sealed));
  OK(sealwire_sealed_envelope(sealed, &wire));
  OK(sealwire_envelope_new(wire.data, wire.size, &envelope));
  OK(sealwire_inspector_new(argv[1], &inspector));
  OK(sealwire_inspector_inspect(inspector, wire.data, wire.size, &inspected));
  OK(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  OK(sealwire_message_header(message, &header));

  OTHER_CALLS

  for (size_t i = 0; i < sizeof output; i++)
    if (output[i] != 0) fail("a call that failed has written something");
  OK(sealwire_message_free(message));
  OK(sealwire_inspected_free(inspected));
  OK(sealwire_inspector_free(inspector));
  OK(sealwire_envelope_free(envelope));
  OK(sealwire_sealed_free(sealed));
  OK(sealwire_draft_free(draft));
  OK(sealwire_certificate_free(certificate));
  OK(sealwire_endpoint_free(endpoint));
  OK(sealwire_builder_free(builder));
  printf("%d\n", checked);
  return 0;
}
