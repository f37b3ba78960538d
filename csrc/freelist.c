/* freelist.c: the lists that free memory waits on.
 *
 * Owner:     heap.blocks: heap.lock. A slot_list: the arena that it is part of.
 * Invariant: F1  bit l of heap.nonempty is set if and only if heap.blocks[l] is not 0.
 *            F2  every block on heap.blocks[l] has kind SLOT_FREE and order l + SLOT_ORDER.
 *            F3  `next` and `prev` of neighbours agree; the ends are 0.
 * Cost:      every function is O(1); a pop looks at up to LOWEST_OF blocks. */
#include "freelist.h"

/* Of so many blocks that fit the lowest is taken, which leaves what lies above to be merged (docs/adr/0014). */
#define LOWEST_OF 8u

void freelist_push(struct slot *slot) {
  unsigned level = slot->order - SLOT_ORDER;
  uint32_t number = slot_number(slot);
  uint32_t head = heap.blocks[level];
  slot->next = head;
  slot->prev = 0;
  if (head != 0) slot_at(head)->prev = number;
  heap.blocks[level] = number;
  heap.nonempty |= 1u << level;
}

void freelist_remove(struct slot *slot) {
  unsigned level = slot->order - SLOT_ORDER;
  if (slot->next != 0) slot_at(slot->next)->prev = slot->prev;
  if (slot->prev != 0)
    slot_at(slot->prev)->next = slot->next;
  else if ((heap.blocks[level] = slot->next) == 0)
    heap.nonempty &= ~(1u << level);
  slot->next = slot->prev = 0;
}

struct slot *freelist_pop(unsigned order) {
  uint32_t levels = heap.nonempty >> (order - SLOT_ORDER) << (order - SLOT_ORDER);
  if (levels == 0) return NULL;
  uint32_t lowest = heap.blocks[__builtin_ctz(levels)];
  unsigned left = LOWEST_OF;
  for (uint32_t number = lowest; number != 0 && left > 0; number = slot_at(number)->next, left--)
    if (number < lowest) lowest = number;
  struct slot *slot = slot_at(lowest);
  freelist_remove(slot);
  return slot;
}

void slot_list_append(struct slot_list *list, struct slot *slot) {
  uint32_t number = slot_number(slot);
  slot->next = 0;
  slot->prev = list->last;
  if (list->last != 0)
    slot_at(list->last)->next = number;
  else
    list->first = number;
  list->last = number;
}

void slot_list_remove(struct slot_list *list, struct slot *slot) {
  if (slot->prev != 0)
    slot_at(slot->prev)->next = slot->next;
  else
    list->first = slot->next;
  if (slot->next != 0)
    slot_at(slot->next)->prev = slot->prev;
  else
    list->last = slot->prev;
  slot->next = slot->prev = 0;
}

int slot_list_has(const struct slot_list *list, const struct slot *slot) {
  uint32_t number = slot_number(slot);
  if (slot->prev != 0 ? slot_at(slot->prev)->next != number : list->first != number) return 0;
  return slot->next != 0 ? slot_at(slot->next)->prev == number : list->last == number;
}
