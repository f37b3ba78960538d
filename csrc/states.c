/* states.c: the state bytes of slots that have more blocks than their bookkeeping has room for.
 *
 * They lie close together, apart from the blocks: in a slot of their own they would keep a page of it in memory, and
 * hold a few blocks' room, however little of it is used. What was given back waits for a slot of its class.
 *
 * Owner:     heap.lock.
 * Cost:      O(1); a system call for every 64 KiB; bytes are cleared when they are used again. */
#include "states.h"

#include "os.h"

#include <string.h>

#define BATCH_BYTES ((size_t)64 << 10)

/* A free array begins with the address of the next. */
struct free_states {
  struct free_states *next;
};
static struct free_states *given[CLASS_COUNT];
static uint8_t *unused, *unused_end; /* mapped, and never used */

/* One byte a block, and one for the remainder of the slot; in whole cache lines, which slots of two threads must not share. */
static size_t bytes_of(unsigned class) {
  const struct block_class *shape = &block_classes[class];
  size_t bytes = shape->capacity + (size_t)(shape->capacity * shape->size < 1u << SLOT_ORDER);
  return (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

uint8_t *states_take(unsigned class) {
  size_t bytes = bytes_of(class);
  struct free_states *states = given[class];
  if (states != NULL) {
    given[class] = states->next;
    return memset(states, BLOCK_FREE, bytes);
  }
  if ((size_t)(unused_end - unused) < bytes) {
    uint8_t *batch = os_map(BATCH_BYTES);
    if (batch == NULL) return NULL;
    unused = batch;
    unused_end = batch + BATCH_BYTES;
  }
  unused += bytes;
  return unused - bytes;
}

void states_give(unsigned class, uint8_t *states) {
  struct free_states *array = (struct free_states *)(void *)states;
  array->next = given[class];
  given[class] = array;
}
