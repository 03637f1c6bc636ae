/* Tests of the C interface, one function each. A check that fails says where and ends the program. */

#define _POSIX_C_SOURCE 200809L

#include "sealwire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                                                         \
  do {                                                                                                                           \
    if (!(condition)) {                                                                                                          \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                            \
      exit(1);                                                                                                                   \
    }                                                                                                                            \
  } while (0)

#define OK(call) expect(SEALWIRE_RESULT_OK, (call), __LINE__, #call)
#define FAILS(result, call) expect(SEALWIRE_RESULT_##result, (call), __LINE__, #call)

static void expect(sealwire_result expected, sealwire_result got, int line, const char *call) {
  if (got == expected) return;
  char message[256] = "";
  sealwire_error_message(message, sizeof message);
  fprintf(stderr, "%s:%d: %s: result %d, not %d; last failure: %s\n", __FILE__, line, call, (int)got, (int)expected, message);
  exit(1);
}

static bool is(sealwire_text text, const char *expected) {
  return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

static bool holds(sealwire_bytes bytes, const char *expected) {
  return bytes.size == strlen(expected) && memcmp(bytes.data, expected, bytes.size) == 0;
}

static bool last_message_has(const char *part) {
  char message[256];
  OK(sealwire_error_message(message, sizeof message));
  return strstr(message, part) != NULL;
}

/* What hooks were asked, and how they answer. */
struct world {
  int32_t policy_answer, audit_answer;
  int asked, recorded;
  sealwire_direction direction;
  sealwire_decision decision;
  bool has_header, has_reason;
};

static int32_t policy(void *user, const sealwire_request *request) {
  struct world *world = user;
  const sealwire_header *header;
  sealwire_text kind;
  size_t size;
  OK(sealwire_request_direction(request, &world->direction));
  OK(sealwire_request_header(request, &header));
  OK(sealwire_header_kind(header, &kind));
  OK(sealwire_request_size(request, &size));
  CHECK(is(kind, "result") && size == 11);
  FAILS(ABSENT, sealwire_request_sender_clearance(request, 0, &kind));
  FAILS(ABSENT, sealwire_request_reader_clearance(request, 0, &kind));
  world->asked++;
  return world->policy_answer;
}

static int32_t audit(void *user, const sealwire_entry *entry) {
  struct world *world = user;
  const sealwire_header *header;
  sealwire_text reason;
  uint64_t time;
  OK(sealwire_entry_time(entry, &time));
  CHECK(time > 1700000000);
  OK(sealwire_entry_decision(entry, &world->decision));
  world->has_header = sealwire_entry_header(entry, &header) == SEALWIRE_RESULT_OK;
  world->has_reason = sealwire_entry_reason(entry, &reason) == SEALWIRE_RESULT_OK;
  world->recorded++;
  return world->audit_answer;
}

static sealwire_endpoint *endpoint_in(struct world *world) {
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  OK(sealwire_builder_new(&builder));
  OK(sealwire_builder_set_policy(builder, policy, world));
  OK(sealwire_builder_set_audit(builder, audit, world));
  OK(sealwire_endpoint_new(builder, "local", &endpoint));
  OK(sealwire_builder_free(builder));
  char address[SEALWIRE_ADDRESS_SIZE];
  OK(sealwire_endpoint_host(endpoint, "a", address, sizeof address));
  CHECK(strcmp(address, "a@local") == 0);
  OK(sealwire_endpoint_host(endpoint, "b", address, sizeof address));
  return endpoint;
}

static struct world willing(void) {
  return (struct world){.policy_answer = SEALWIRE_YES, .audit_answer = SEALWIRE_YES};
}

static const uint8_t BODY[] = {'t', 'h', 'e', ' ', 'f', 'i', 'g', 'u', 'r', 'e', 's'};

static sealwire_draft *draft(void) {
  sealwire_draft *draft;
  OK(sealwire_draft_new("result", BODY, sizeof BODY, &draft));
  return draft;
}

static sealwire_sealed *seal(const sealwire_endpoint *endpoint) {
  sealwire_draft *written = draft();
  sealwire_sealed *sealed;
  OK(sealwire_endpoint_seal(endpoint, "a@local", "b@local", written, &sealed));
  OK(sealwire_draft_free(written));
  return sealed;
}

static sealwire_bytes wire_of(const sealwire_sealed *sealed) {
  sealwire_bytes wire;
  OK(sealwire_sealed_envelope(sealed, &wire));
  return wire;
}

static void what_is_sealed_opens_once(void) {
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world);
  sealwire_sealed *sealed = seal(endpoint);
  sealwire_bytes wire = wire_of(sealed), body, signer;
  sealwire_message *message, *untouched = NULL;
  sealwire_form form;

  OK(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  OK(sealwire_message_body(message, &body));
  OK(sealwire_message_signer(message, &signer));
  OK(sealwire_message_form(message, &form));
  CHECK(holds(body, "the figures") && signer.size == 32 && form == SEALWIRE_FORM_OPENING);
  CHECK(world.asked == 2 && world.recorded == 2 && world.direction == SEALWIRE_DIRECTION_OPEN);
  CHECK(world.decision == SEALWIRE_DECISION_ALLOWED && world.has_header && !world.has_reason);

  FAILS(DUPLICATE, sealwire_endpoint_open(endpoint, wire.data, wire.size, &untouched));
  CHECK(untouched == NULL && last_message_has("already opened"));
  CHECK(world.decision == SEALWIRE_DECISION_REFUSED && !world.has_header && world.has_reason);

  OK(sealwire_message_free(message));
  OK(sealwire_sealed_free(sealed));
  OK(sealwire_endpoint_free(endpoint));
}

static void a_header_says_what_the_draft_did(void) {
  static const uint8_t thread[16] = {1}, signer[16] = {2}, id[16] = {3};
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world);
  sealwire_draft *written = draft();
  sealwire_sealed *sealed;
  const sealwire_header *header;
  sealwire_text from, to, label, content_type;
  sealwire_bytes read_thread, own_id, own_signer;
  sealwire_message_ref answers, came_from;
  uint64_t issued, expires;
  size_t labels;

  OK(sealwire_draft_add_label(written, "pii"));
  OK(sealwire_draft_add_label(written, "anonymized"));
  OK(sealwire_draft_set_content_type(written, "text/plain"));
  OK(sealwire_draft_set_lifetime(written, 60));
  OK(sealwire_draft_set_thread(written, thread, sizeof thread));
  OK(sealwire_draft_set_answers(written, signer, sizeof signer, id, sizeof id));
  FAILS(BAD_LENGTH, sealwire_draft_set_thread(written, thread, 15));
  FAILS(BAD_LENGTH, sealwire_draft_set_answers(written, signer, 16, id, 17));
  FAILS(BAD_LENGTH, sealwire_draft_set_came_from(written, signer, 0, id, 16));
  OK(sealwire_endpoint_seal(endpoint, "a@local", "b@local", written, &sealed));

  OK(sealwire_sealed_header(sealed, &header));
  OK(sealwire_header_from(header, &from));
  OK(sealwire_header_to(header, &to));
  OK(sealwire_header_content_type(header, &content_type));
  OK(sealwire_header_thread(header, &read_thread));
  OK(sealwire_header_id(header, &own_id));
  OK(sealwire_header_signer(header, &own_signer));
  OK(sealwire_header_issued(header, &issued));
  OK(sealwire_header_expires(header, &expires));
  OK(sealwire_header_answers(header, &answers));
  FAILS(ABSENT, sealwire_header_came_from(header, &came_from));
  OK(sealwire_header_label_count(header, &labels));
  OK(sealwire_header_label(header, 0, &label));
  CHECK(is(from, "a@local") && is(to, "b@local") && is(content_type, "text/plain") && expires == issued + 60);
  CHECK(labels == 2 && is(label, "anonymized") && own_id.size == 16 && own_signer.size == 16);
  CHECK(memcmp(read_thread.data, thread, 16) == 0 && memcmp(answers.signer.data, signer, 16) == 0 && memcmp(answers.id.data, id, 16) == 0);
  FAILS(ABSENT, sealwire_header_label(header, 2, &label));

  OK(sealwire_sealed_free(sealed));
  OK(sealwire_draft_set_lifetime(written, 0));
  FAILS(INVALID_NAME, sealwire_endpoint_seal(endpoint, "a@local", "b@local", written, &sealed));
  OK(sealwire_draft_free(written));
  OK(sealwire_endpoint_free(endpoint));
}

static void every_changed_byte_is_refused_and_the_genuine_one_opens(void) {
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world);
  sealwire_sealed *sealed = seal(endpoint);
  sealwire_bytes wire = wire_of(sealed);
  sealwire_message *message = NULL;
  uint8_t *forged = malloc(wire.size);
  CHECK(forged != NULL);
  for (size_t at = 0; at < wire.size; at += 7) {
    memcpy(forged, wire.data, wire.size);
    forged[at] ^= 1;
    CHECK(sealwire_endpoint_open(endpoint, forged, wire.size, &message) != SEALWIRE_RESULT_OK && message == NULL);
    CHECK(sealwire_endpoint_open(endpoint, wire.data, at, &message) != SEALWIRE_RESULT_OK && message == NULL);
  }
  free(forged);
  OK(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  OK(sealwire_message_free(message));
  OK(sealwire_sealed_free(sealed));
  OK(sealwire_endpoint_free(endpoint));
}

static void whatever_a_hook_says_but_yes_is_a_no(void) {
  static const int32_t answers[] = {0, 2, -1, INT32_MIN, INT32_MAX};
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world);
  sealwire_sealed *sealed = seal(endpoint), *unsealed = NULL;
  sealwire_bytes wire = wire_of(sealed);
  sealwire_message *message = NULL;
  sealwire_draft *written = draft();
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    world.policy_answer = answers[i];
    FAILS(DENIED, sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
    CHECK(world.decision == SEALWIRE_DECISION_DENIED && world.has_reason);
    FAILS(DENIED, sealwire_endpoint_seal(endpoint, "a@local", "b@local", written, &unsealed));
    world.policy_answer = SEALWIRE_YES;
    world.audit_answer = answers[i];
    FAILS(AUDIT_FAILED, sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
    FAILS(AUDIT_FAILED, sealwire_endpoint_seal(endpoint, "a@local", "b@local", written, &unsealed));
    world.audit_answer = SEALWIRE_YES;
  }
  CHECK(message == NULL && unsealed == NULL);
  OK(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  OK(sealwire_message_free(message));
  OK(sealwire_draft_free(written));
  OK(sealwire_sealed_free(sealed));
  OK(sealwire_endpoint_free(endpoint));
}

static void what_was_looked_into_can_still_be_opened(void) {
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world);
  sealwire_sealed *sealed = seal(endpoint);
  sealwire_bytes wire = wire_of(sealed), body, key;
  sealwire_envelope *envelope;
  sealwire_inspected *inspected;
  sealwire_objection objection;
  sealwire_message *message;
  sealwire_form form;
  size_t objections;

  OK(sealwire_envelope_new(wire.data, wire.size, &envelope));
  OK(sealwire_envelope_form(envelope, &form));
  OK(sealwire_envelope_key(envelope, &key));
  CHECK(form == SEALWIRE_FORM_OPENING && key.size == 16);
  OK(sealwire_envelope_free(envelope));
  FAILS(MALFORMED, sealwire_envelope_new(wire.data, wire.size - 1, &envelope));

  OK(sealwire_endpoint_inspect(endpoint, wire.data, wire.size, &inspected));
  OK(sealwire_inspected_body(inspected, &body));
  OK(sealwire_inspected_objection_count(inspected, &objections));
  CHECK(holds(body, "the figures") && objections == 0);
  FAILS(ABSENT, sealwire_inspected_objection(inspected, 0, &objection));
  OK(sealwire_inspected_free(inspected));

  OK(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  OK(sealwire_endpoint_inspect(endpoint, wire.data, wire.size, &inspected));
  OK(sealwire_inspected_objection(inspected, 0, &objection));
  CHECK(objection.result == SEALWIRE_RESULT_DUPLICATE && objection.text.size > 0);

  OK(sealwire_inspected_free(inspected));
  OK(sealwire_message_free(message));
  OK(sealwire_sealed_free(sealed));
  OK(sealwire_endpoint_free(endpoint));
}

static void a_certificate_of_another_domain_is_refused(void) {
  struct world world = willing();
  sealwire_endpoint *here = endpoint_in(&world), *there = endpoint_in(&world);
  sealwire_certificate *certificate;
  sealwire_bytes bytes;
  char address[SEALWIRE_ADDRESS_SIZE] = "untouched";

  OK(sealwire_endpoint_certificate(there, "a@local", &certificate));
  OK(sealwire_certificate_bytes(certificate, &bytes));
  CHECK(sealwire_endpoint_introduce(here, bytes.data, bytes.size, address, sizeof address) != SEALWIRE_RESULT_OK);
  CHECK(strcmp(address, "untouched") == 0);
  OK(sealwire_endpoint_introduce(there, bytes.data, bytes.size, address, sizeof address));
  CHECK(strcmp(address, "a@local") == 0);
  OK(sealwire_certificate_free(certificate));
  FAILS(UNKNOWN_AGENT, sealwire_endpoint_certificate(here, "nobody@local", &certificate));
  OK(sealwire_endpoint_free(here));
  OK(sealwire_endpoint_free(there));
}

/* NULL and lengths: null.c. Nothing is written to an output of a call that fails. */
static void what_cannot_be_is_an_error(void) {
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world), *made = NULL;
  sealwire_builder *builder;
  sealwire_draft *written = draft();
  sealwire_sealed *sealed = NULL;
  sealwire_message *message = NULL;
  sealwire_inspector *inspector = NULL;
  static const char latin1[] = "caf\xe9";

  OK(sealwire_builder_new(&builder));
  FAILS(NOT_UTF8, sealwire_endpoint_new(builder, latin1, &made));
  FAILS(INVALID_NAME, sealwire_endpoint_new(builder, "Not a name", &made));
  FAILS(HOME_FAILED, sealwire_endpoint_new_with_home(builder, "/dev/null/home", "local", &made));
  FAILS(UNKNOWN_AGENT, sealwire_endpoint_seal(endpoint, "c@local", "b@local", written, &sealed));
  FAILS(INVALID_NAME, sealwire_endpoint_seal(endpoint, "a", "b@local", written, &sealed));
  FAILS(MALFORMED, sealwire_endpoint_open(endpoint, BODY, 0, &message));
  FAILS(MALFORMED, sealwire_endpoint_open(endpoint, BODY, sizeof BODY, &message));
  FAILS(HOME_FAILED, sealwire_inspector_new("/dev/null/home", &inspector));
  FAILS(NULL_POINTER, sealwire_certificate_free(NULL));
  CHECK(last_message_has("`certificate` is NULL"));
  CHECK(made == NULL && sealed == NULL && message == NULL && inspector == NULL);

  OK(sealwire_draft_free(written));
  OK(sealwire_builder_free(builder));
  OK(sealwire_endpoint_free(endpoint));
}

static void errors_have_names_and_words(void) {
  sealwire_text name = {NULL, 0};
  char message[8];
  OK(sealwire_result_name(SEALWIRE_RESULT_NOT_AUTHENTIC, &name));
  CHECK(is(name, "not authentic"));
  FAILS(ABSENT, sealwire_result_name(12345, &name));
  CHECK(is(name, "not authentic"));
  OK(sealwire_error_message(message, sizeof message));
  CHECK(strcmp(message, "the num") == 0);
  OK(sealwire_error_message(message, 1));
  CHECK(message[0] == '\0');
}

/* Opens what it is given, which another thread opens as well; returns how that ended. */
struct opening {
  const sealwire_endpoint *endpoint;
  sealwire_bytes wire;
  sealwire_result result;
};

static void *open_in_thread(void *argument) {
  struct opening *opening = argument;
  sealwire_message *message = NULL;
  char message_so_far[8];
  OK(sealwire_error_message(message_so_far, sizeof message_so_far));
  CHECK(message_so_far[0] == '\0');
  opening->result = sealwire_endpoint_open(opening->endpoint, opening->wire.data, opening->wire.size, &message);
  if (opening->result == SEALWIRE_RESULT_OK) {
    OK(sealwire_message_free(message));
  } else {
    CHECK(message == NULL && last_message_has("already opened"));
  }
  return NULL;
}

static void of_threads_that_open_the_same_one_succeeds(void) {
  enum { THREADS = 4 };
  sealwire_builder *builder;
  sealwire_endpoint *endpoint;
  char address[SEALWIRE_ADDRESS_SIZE];
  pthread_t threads[THREADS];
  struct opening openings[THREADS];
  int opened = 0;
  OK(sealwire_builder_new(&builder));
  OK(sealwire_endpoint_new(builder, "local", &endpoint));
  OK(sealwire_endpoint_host(endpoint, "a", address, sizeof address));
  OK(sealwire_endpoint_host(endpoint, "b", address, sizeof address));
  sealwire_sealed *sealed = seal(endpoint);
  FAILS(NULL_POINTER, sealwire_builder_free(NULL));
  for (int i = 0; i < THREADS; i++) {
    openings[i] = (struct opening){endpoint, wire_of(sealed), SEALWIRE_RESULT_OTHER};
    CHECK(pthread_create(&threads[i], NULL, open_in_thread, &openings[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(openings[i].result == SEALWIRE_RESULT_OK || openings[i].result == SEALWIRE_RESULT_DUPLICATE);
    opened += openings[i].result == SEALWIRE_RESULT_OK;
  }
  CHECK(opened == 1 && last_message_has("`builder` is NULL"));
  OK(sealwire_sealed_free(sealed));
  OK(sealwire_builder_free(builder));
  OK(sealwire_endpoint_free(endpoint));
}

/* Seals and opens until it is told to end. */
struct exchange {
  sealwire_endpoint *endpoint;
  atomic_bool done;
};

static void exchange(sealwire_endpoint *endpoint) {
  sealwire_message *message;
  sealwire_sealed *sealed = seal(endpoint);
  sealwire_bytes wire = wire_of(sealed);
  OK(sealwire_endpoint_open(endpoint, wire.data, wire.size, &message));
  OK(sealwire_message_free(message));
  OK(sealwire_sealed_free(sealed));
}

static void *exchange_in_thread(void *argument) {
  struct exchange *work = argument;
  while (!atomic_load(&work->done)) exchange(work->endpoint);
  return NULL;
}

/* The child would wait for a lock that nobody gives back; the alarm ends it. */
static void a_fork_waits_for_threads_that_are_in_a_call(void) {
  enum { THREADS = 3, FORKS = 50, PATIENCE = 60 };
  sealwire_builder *builder;
  struct exchange work = {.done = false};
  char address[SEALWIRE_ADDRESS_SIZE];
  pthread_t threads[THREADS];
  OK(sealwire_builder_new(&builder));
  OK(sealwire_endpoint_new(builder, "local", &work.endpoint));
  OK(sealwire_endpoint_host(work.endpoint, "a", address, sizeof address));
  OK(sealwire_endpoint_host(work.endpoint, "b", address, sizeof address));
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, exchange_in_thread, &work) == 0);
  for (int i = 0; i < FORKS; i++) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(PATIENCE);
      exchange(work.endpoint);
      _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  atomic_store(&work.done, true);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  OK(sealwire_builder_free(builder));
  OK(sealwire_endpoint_free(work.endpoint));
}

/* A bug on purpose, to see that the tool that runs this finds it. */
static void use_after_free(void) {
  sealwire_sealed *sealed;
  struct world world = willing();
  sealwire_endpoint *endpoint = endpoint_in(&world);
  sealed = seal(endpoint);
  sealwire_bytes wire = wire_of(sealed);
  OK(sealwire_sealed_free(sealed));
  printf("%d\n", wire.data[wire.size / 2]);
  OK(sealwire_endpoint_free(endpoint));
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "use-after-free") == 0) {
    use_after_free();
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "fork") == 0) {
    a_fork_waits_for_threads_that_are_in_a_call();
    return 0;
  }
  what_is_sealed_opens_once();
  a_header_says_what_the_draft_did();
  every_changed_byte_is_refused_and_the_genuine_one_opens();
  whatever_a_hook_says_but_yes_is_a_no();
  what_was_looked_into_can_still_be_opened();
  a_certificate_of_another_domain_is_refused();
  what_cannot_be_is_an_error();
  errors_have_names_and_words();
  of_threads_that_open_the_same_one_succeeds();
  return 0;
}
