/* common.h: what every pattern shares: the parameters, the clock, the random
 * numbers, the memory in use, and the line of JSON that a pattern prints.
 *
 * Everything here works without malloc, so that a pattern measures its own calls
 * of the allocator and no others. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB 1024ul
#define MIB (1024ul * KIB)
#define GIB (1024ul * MIB)

/* A pattern: `run` does its work with the parameters given on the command line. */
struct pattern {
  const char *name;
  const char *what;
  void (*run)(void);
};

extern const struct pattern single_patterns[];
extern const struct pattern large_patterns[];
extern const struct pattern thread_patterns[];
extern const struct pattern wander_patterns[];
extern const struct pattern memory_patterns[];
extern const struct pattern latency_patterns[];
extern const struct pattern growth_patterns[];

/* The command line's `key=value`, or `fallback`; values take the suffixes K, M, G. */
size_t param(const char *key, size_t fallback);
void params_init(int count, char *const *words);

/* A count of operations, multiplied by the parameter scale_percent. */
size_t scaled(size_t count);

uint64_t clock_ns(void); /* the time that passes */
uint64_t cpu_ns(void);   /* processor time of all threads of this process */

/* xorshift64*: quick, and the same sequence in every run. */
struct rng {
  uint64_t state;
};
struct rng rng_of(uint64_t seed);
uint64_t rng_next(struct rng *rng);

/* A number from 0 to limit - 1, limit below 2^32. */
static inline size_t rng_below(struct rng *rng, size_t limit) {
  return (size_t)(((rng_next(rng) >> 32) * limit) >> 32);
}

/* A size from low to high: every doubling is as likely as any other. */
size_t rng_size_log(struct rng *rng, size_t low, size_t high);

/* Zeroed memory straight from the system, for the pattern's own tables. */
void *table_map(size_t bytes);
void table_unmap(void *table, size_t bytes);

/* malloc that ends the program when it fails, and writes the block's first bytes. */
void *take(size_t size);
/* Write one byte in every page of the block. */
void touch(void *block, size_t size);

size_t rss_bytes(void);      /* resident memory now */
size_t rss_peak_bytes(void); /* the most that it ever was */
void sleep_ms(unsigned milliseconds);

/* The fields of the one line of JSON; main() opens and closes it. */
void out_number(const char *key, double value);
void out_bytes(const char *key, size_t value);
void out_series(const char *key, const double *values, size_t count);

/* Write the line to standard output. */
void out_flush(void);

/* Report operations and their cost in processor time, from `start_cpu_ns` to now. */
void out_cost(size_t operations, uint64_t start_cpu_ns);

_Noreturn void die(const char *why);

#endif
