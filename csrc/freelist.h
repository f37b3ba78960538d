/* freelist.h: the free blocks of whole slots, one list per level. See freelist.c. */
#ifndef BM_FREELIST_H
#define BM_FREELIST_H

#include "heap.h"

void freelist_push(struct slot *slot);
void freelist_remove(struct slot *slot);
/* A smallest free block of at least 2^order bytes, a low one, taken off its list; NULL if none. */
struct slot *freelist_pop(unsigned order);

/* A doubly linked list of slots, in order; used by arenas for each class. */
struct slot_list {
  uint32_t first, last; /* slot numbers, 0 for none */
};
void slot_list_append(struct slot_list *list, struct slot *slot);
void slot_list_remove(struct slot_list *list, struct slot *slot);
/* 1 if the slot's neighbours, or the list's ends, know it. */
int slot_list_has(const struct slot_list *list, const struct slot *slot);

#endif
