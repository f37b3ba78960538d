/* shadow.h: what the program believes that it holds, and what it wrote there. */
#ifndef FUZZ_SHADOW_H
#define FUZZ_SHADOW_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCKS = 64, HERDS = 8, HERD_MAX = 512 };

struct shadow {
  unsigned char *address; /* NULL for none */
  size_t size;            /* as asked for */
  size_t alignment;
  uint64_t seed;
};

/* Many blocks of one size: what fills and empties slots. */
struct herd {
  unsigned char *blocks[HERD_MAX]; /* NULL where one was freed */
  size_t size;
  uint64_t seed;
};

extern struct shadow shadows[BLOCKS];
extern struct herd herds[HERDS];

/* End the program with the reason: a bug was found. */
_Noreturn void bug(const char *reason, const void *address);

/* Something was handed out: it must be aligned, usable, and no part of what is held already. Fills it. */
void shadow_hold(struct shadow *shadow, void *address, size_t size, size_t alignment);
/* What was written there still is. */
void shadow_verify(const struct shadow *shadow);
/* The first bytes of it are what they were, now that they lie at `moved`, where `size` bytes are. */
void shadow_verify_head(const struct shadow *shadow, const void *moved, size_t size);
/* The first `size` bytes are zero, as far as they are looked at. */
void shadow_is_zero(const void *address, size_t size);
void herd_hold(struct herd *herd, unsigned at, void *address);
void herd_verify(const struct herd *herd, unsigned at);
/* The size of what is held at exactly this address; 0 for nothing. */
size_t shadow_held_at(const void *address);
uint64_t shadow_count(void);

#endif
