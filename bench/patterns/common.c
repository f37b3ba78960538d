/* common.c: parameters, clock, random numbers, memory in use, output.
 * Owner:     the main thread, but for the clocks, rng_*, take and touch, which any thread may call.
 * Cost:      no function here calls malloc, except take(). */
#include "common.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096ul

static char *const *param_words;
static int param_count;

/* The line of JSON grows here, since printf to a fresh stdout would call malloc. */
static char line[16384];
static size_t line_length;

void params_init(int count, char *const *words) {
  param_count = count;
  param_words = words;
}

size_t param(const char *key, size_t fallback) {
  size_t key_length = strlen(key);
  for (int i = 0; i < param_count; i++) {
    const char *word = param_words[i];
    if (strncmp(word, key, key_length) != 0 || word[key_length] != '=') continue;
    char *end = NULL;
    size_t value = strtoul(word + key_length + 1, &end, 10);
    if (*end == 'K') value *= KIB;
    if (*end == 'M') value *= MIB;
    if (*end == 'G') value *= GIB;
    return value;
  }
  return fallback;
}

size_t scaled(size_t count) {
  size_t result = count * param("scale_percent", 100) / 100;
  return result > 0 ? result : 1;
}

static uint64_t read_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void) { return read_clock(CLOCK_MONOTONIC); }

uint64_t cpu_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

struct rng rng_of(uint64_t seed) {
  return (struct rng){seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du};
}

uint64_t rng_next(struct rng *rng) {
  uint64_t x = rng->state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  rng->state = x;
  return x * 0x2545F4914F6CDD1Du;
}

size_t rng_size_log(struct rng *rng, size_t low, size_t high) {
  size_t doublings = 0;
  while ((low << (doublings + 1)) <= high) doublings++;
  size_t base = low << (doublings > 0 ? rng_below(rng, doublings) : 0);
  return base + rng_below(rng, base);
}

void *table_map(size_t bytes) {
  void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (table == MAP_FAILED) die("out of memory for the pattern's own table");
  return table;
}

void table_unmap(void *table, size_t bytes) { munmap(table, bytes); }

void *take(size_t size) {
  char *block = malloc(size);
  if (block == NULL) die("malloc failed");
  *(volatile char *)block = 1;
  return block;
}

void touch(void *block, size_t size) {
  volatile char *bytes = block;
  for (size_t i = 0; i < size; i += PAGE_BYTES) bytes[i] = 1;
}

/* Read a small file of /proc into `text`, NUL-terminated. */
static void proc_read(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY);
  ssize_t length = file < 0 ? -1 : read(file, text, size - 1);
  if (length <= 0) die("cannot read /proc/self");
  close(file);
  text[length] = '\0';
}

size_t rss_bytes(void) {
  char text[256];
  proc_read("/proc/self/statm", text, sizeof text);
  char *resident = strchr(text, ' ');
  if (resident == NULL) die("/proc/self/statm has no second field");
  return strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* VmHWM and not ru_maxrss, which begins with the parent's. */
size_t rss_peak_bytes(void) {
  char text[4096];
  proc_read("/proc/self/status", text, sizeof text);
  const char *field = strstr(text, "VmHWM:");
  if (field == NULL) die("/proc/self/status has no VmHWM");
  return strtoul(field + strlen("VmHWM:"), NULL, 10) * KIB;
}

void sleep_ms(unsigned milliseconds) {
  struct timespec left = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0) continue;
}

static void out_text(const char *text, size_t length) {
  if (line_length + length > sizeof line) die("the line of results is too long");
  memcpy(line + line_length, text, length);
  line_length += length;
}

static void out_key(const char *key) {
  char text[128];
  int length = snprintf(text, sizeof text, "%s\"%s\":", line_length > 0 ? "," : "{", key);
  out_text(text, (size_t)length);
}

static void out_value(double value) {
  char text[64];
  out_text(text, (size_t)snprintf(text, sizeof text, "%.9g", value));
}

void out_number(const char *key, double value) {
  out_key(key);
  out_value(value);
}

void out_bytes(const char *key, size_t value) { out_number(key, (double)value); }

void out_series(const char *key, const double *values, size_t count) {
  out_key(key);
  for (size_t i = 0; i < count; i++) {
    out_text(i == 0 ? "[" : ",", 1);
    out_value(values[i]);
  }
  out_text(count == 0 ? "[]" : "]", count == 0 ? 2 : 1);
}

void out_cost(size_t operations, uint64_t start_cpu_ns) {
  double elapsed_ns = (double)(cpu_ns() - start_cpu_ns);
  out_number("operations", (double)operations);
  out_number("ns_per_op", elapsed_ns / (double)operations);
}

void out_flush(void) {
  out_text(line_length > 0 ? "}\n" : "{}\n", line_length > 0 ? 2 : 3);
  for (size_t sent = 0; sent < line_length;) {
    ssize_t step = write(STDOUT_FILENO, line + sent, line_length - sent);
    if (step <= 0) _exit(1);
    sent += (size_t)step;
  }
}

void die(const char *why) {
  static const char name[] = "patterns: ";
  ssize_t sent = write(STDERR_FILENO, name, sizeof name - 1);
  sent += write(STDERR_FILENO, why, strlen(why));
  sent += write(STDERR_FILENO, "\n", 1);
  _exit(sent > 0 ? 1 : 2);
}
