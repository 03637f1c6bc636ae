/* A test vector of the format, read as docs/SPEC.md says, for programs of one file. What is wrong ends the program. */

#ifndef CASE_H
#define CASE_H

#include "sealwire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Over the longest line of a case, and over the most `before` of one. */
enum { LONGEST = 256 * 1024, MOST_BEFORE = 8 };

struct bytes {
  uint8_t *data;
  size_t size;
};

struct vector {
  const char *file;
  char expect[32], structure[32], reader[SEALWIRE_ADDRESS_SIZE];
  long long now;
  struct bytes before[MOST_BEFORE];
  size_t befores;
  struct bytes read; /* the line that is named as the structure is; no data if there is none */
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

static void read_line(struct vector *vector, const char *line) {
  sscanf(line, "expect: %31s", vector->expect);
  sscanf(line, "structure: %31s", vector->structure);
  sscanf(line, "reader: %129s", vector->reader);
  sscanf(line, "now: %lld", &vector->now);
  if (strncmp(line, "before: ", 8) == 0) {
    if (vector->befores == MOST_BEFORE) fail(vector->file, "too many `before`");
    vector->before[vector->befores++] = from_hex(vector->file, line + 8);
  }
  size_t length = strlen(vector->structure);
  if (length > 0 && strncmp(line, vector->structure, length) == 0 && strncmp(line + length, ": ", 2) == 0)
    vector->read = from_hex(vector->file, line + length + 2);
}

static struct vector vector_in(const char *file) {
  struct vector vector = {.file = file};
  char *line = malloc(LONGEST);
  FILE *text = fopen(file, "r");
  if (line == NULL || text == NULL) fail(file, "cannot be opened");
  while (fgets(line, LONGEST, text) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    read_line(&vector, line);
  }
  fclose(text);
  free(line);
  return vector;
}

static void vector_free(struct vector *vector) {
  for (size_t i = 0; i < vector->befores; i++) free(vector->before[i].data);
  free(vector->read.data);
}

#endif
