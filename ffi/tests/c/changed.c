/*
 * Reads an accepted test vector with each of its bytes changed: `changed HOME FILE`. HOME is what the program `case-home` makes for it. Prints
 * the verdicts as `tests/vectors/changed` has them. A roster is read where this interface reads one: in the home.
 *
 * It is linked with `--wrap=clock_gettime`, so that the time is that of the case.
 */

#define _POSIX_C_SOURCE 200809L

#include "case.h"

#include <stdbool.h>
#include <time.h>

/* When the messages of all cases were sealed. */
enum { SEALED = 1800000000 };

static time_t time_of_day = SEALED;

int __real_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time) {
  if (clock != CLOCK_REALTIME) return __real_clock_gettime(clock, time);
  *time = (struct timespec){.tv_sec = time_of_day};
  return 0;
}

/* Reads bytes in the place of the case's own. */
struct reader {
  const char *home;
  char roster[4096]; /* where the home's is */
  sealwire_endpoint *endpoint;
};
typedef sealwire_result (*read_function)(const struct reader *reader, const uint8_t *data, size_t size);

static sealwire_result endpoint_of(const char *home, sealwire_endpoint **endpoint) {
  sealwire_builder *builder;
  if (sealwire_builder_new(&builder) != SEALWIRE_RESULT_OK) fail(home, "cannot begin");
  sealwire_result result = sealwire_endpoint_new_with_home(builder, home, "unused", endpoint);
  sealwire_builder_free(builder);
  return result;
}

static sealwire_result read_envelope(const struct reader *reader, const uint8_t *data, size_t size) {
  sealwire_message *message = NULL;
  sealwire_result result = sealwire_endpoint_open(reader->endpoint, data, size, &message);
  if ((result == SEALWIRE_RESULT_OK) != (message != NULL)) fail(reader->home, "a message and a refusal");
  if (message != NULL) sealwire_message_free(message);
  return result;
}

static sealwire_result read_certificate(const struct reader *reader, const uint8_t *data, size_t size) {
  char address[SEALWIRE_ADDRESS_SIZE] = "";
  sealwire_result result = sealwire_endpoint_introduce(reader->endpoint, data, size, address, sizeof address);
  if ((result == SEALWIRE_RESULT_OK) != (*address != '\0')) fail(reader->home, "an address and a refusal");
  return result;
}

static sealwire_result read_roster(const struct reader *reader, const uint8_t *data, size_t size) {
  sealwire_endpoint *endpoint;
  FILE *file = fopen(reader->roster, "wb");
  if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) fail(reader->roster, "cannot be written");
  sealwire_result result = endpoint_of(reader->home, &endpoint);
  if (result == SEALWIRE_RESULT_OK) sealwire_endpoint_free(endpoint);
  return result;
}

/* `not-authentic` for `not authentic`. */
static void print_verdict(sealwire_result result) {
  sealwire_text name;
  if (sealwire_result_name(result, &name) != SEALWIRE_RESULT_OK) fail("a result", "has no name");
  for (size_t i = 0; i < name.size; i++) putchar(name.data[i] == ' ' ? '-' : name.data[i]);
}

/* A line for each run of bytes that get the same verdict when they are changed. */
static void print_verdicts(struct vector *vector, const struct reader *reader, read_function read, uint8_t mask) {
  struct bytes bytes = vector->read;
  sealwire_result run = SEALWIRE_RESULT_OK;
  size_t first = 0;
  printf("xor: %02x\n", mask);
  for (size_t at = 0; at <= bytes.size; at++) {
    sealwire_result result = SEALWIRE_RESULT_OK;
    if (at < bytes.size) {
      bytes.data[at] ^= mask;
      result = read(reader, bytes.data, bytes.size);
      bytes.data[at] ^= mask;
      if (result == SEALWIRE_RESULT_OK) fail(vector->file, "a changed byte was not noticed");
    }
    if (at > 0 && result != run) {
      print_verdict(run);
      printf(": %zu-%zu\n", first, at - 1);
      first = at;
    }
    run = result;
  }
}

/* The reader of the case as it is when `read` is its turn. */
static void make_ready(const struct vector *vector, struct reader *reader) {
  char agent[SEALWIRE_ADDRESS_SIZE] = "";
  if (endpoint_of(reader->home, &reader->endpoint) != SEALWIRE_RESULT_OK) fail(reader->home, "cannot be opened");
  memcpy(agent, vector->reader, strcspn(vector->reader, "@"));
  if (*agent != '\0' && sealwire_endpoint_host(reader->endpoint, agent, agent, sizeof agent) != SEALWIRE_RESULT_OK) fail(agent, "not hosted");
  for (size_t i = 0; i < vector->befores; i++) {
    if (read_envelope(reader, vector->before[i].data, vector->before[i].size) != SEALWIRE_RESULT_OK) fail(vector->file, "before: refused");
  }
  time_of_day = (time_t)vector->now;
}

int main(int argc, char **argv) {
  if (argc != 3) fail(*argv, "changed HOME FILE");
  struct vector vector = vector_in(argv[2]);
  struct reader reader = {.home = argv[1]};
  snprintf(reader.roster, sizeof reader.roster, "%s/roster.cbor", reader.home);
  make_ready(&vector, &reader);
  bool is_roster = strcmp(vector.structure, "roster") == 0;
  read_function read = is_roster ? read_roster : strcmp(vector.structure, "certificate") == 0 ? read_certificate : read_envelope;
  print_verdicts(&vector, &reader, read, 0x01);
  print_verdicts(&vector, &reader, read, 0x80);
  /* After all that, the genuine one is accepted. The roster of a case need not list the node of this home. */
  if (!is_roster && read(&reader, vector.read.data, vector.read.size) != SEALWIRE_RESULT_OK) fail(vector.file, "the genuine one was refused");
  sealwire_endpoint_free(reader.endpoint);
  vector_free(&vector);
  return 0;
}
