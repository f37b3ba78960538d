/* verbs.h: what the files of the hardened build say of themselves to each other. */
#ifndef BM_HARDENED_VERBS_H
#define BM_HARDENED_VERBS_H

#include "../arena.h"

#include <stddef.h>

/* ---- quarantine.c ---- */
/* Keep a block that was freed and wiped, and give back one that was kept until now. */
void quarantine_put(struct arena *arena, struct block *block, uint32_t size);

/* ---- zero.c ---- */
/* An address of no bytes at a multiple of `alignment`, or NULL. */
void *zero_alloc(size_t alignment);
/* 1 if such a block is live at the address, 0 if the address is none of these; fatal if it was freed, or never
 * handed out. zero_free() frees it besides. */
int zero_is(const void *address);
int zero_free(const void *address);

/* ---- pages.c ---- */
/* A zeroed block of `size` bytes between two guard pages; NULL and ENOMEM without memory. */
void *pages_alloc(size_t size, size_t alignment);
/* The same verbs for these blocks. `slot` is the one the address lies in, NULL if it lies in no chunk; fatal if no such
 * block begins there. pages_resize() returns NULL, with the block as it was, if it cannot stay what it is. */
size_t pages_request(struct slot *slot, const void *address);
void pages_free(struct slot *slot, void *address);
void *pages_resize(struct slot *slot, void *address, size_t size);

#endif
