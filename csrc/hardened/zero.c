/* zero.c: blocks of no bytes: addresses that cannot be read or written, each handed out once before any is again.
 *
 * Owner:     the atomics below, each on its own.
 * Invariant: Z1  an address's byte in `states` is ZERO_LIVE if and only if it is in the program's hands.
 * Cost:      one or two atomic operations. */
#include "verbs.h"

#include "../fatal.h"
#include "../os.h"

/* Bytes of addresses, and what they are apart. */
#define ZERO_BYTES ((size_t)16 << 20)
#define ZERO_STEP 16u
#define ZERO_COUNT (ZERO_BYTES / ZERO_STEP)

enum { ZERO_NEVER = 0, ZERO_LIVE = 1, ZERO_FREED = 2 };

static uintptr_t first;  /* 0 until there are addresses; set once */
static uint8_t *states;  /* set before `first` */
static size_t turn;      /* the next address to try */

static int zero_init(void) {
  /* acquire, release: who sees the addresses sees their states. */
  if (__atomic_load_n(&first, __ATOMIC_ACQUIRE) != 0) return 1;
  void *addresses = os_reserve(ZERO_BYTES);
  uint8_t *bytes = addresses == NULL ? NULL : os_map(ZERO_COUNT);
  uint8_t *none = NULL;
  if (bytes != NULL && __atomic_compare_exchange_n(&states, &none, bytes, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    __atomic_store_n(&first, (uintptr_t)addresses, __ATOMIC_RELEASE);
    return 1;
  }
  if (addresses != NULL) os_unmap(addresses, ZERO_BYTES);
  if (bytes != NULL) os_unmap(bytes, ZERO_COUNT);
  return __atomic_load_n(&first, __ATOMIC_ACQUIRE) != 0;
}

void *zero_alloc(size_t alignment) {
  if (alignment > OS_PAGE || !zero_init()) return NULL;
  size_t step = alignment <= ZERO_STEP ? 1 : alignment / ZERO_STEP;
  for (size_t tries = 0; tries < ZERO_COUNT / step; tries++) {
    size_t index = __atomic_fetch_add(&turn, step, __ATOMIC_RELAXED) % ZERO_COUNT / step * step;
    uint8_t state = __atomic_load_n(&states[index], __ATOMIC_RELAXED);
    if (state == ZERO_LIVE) continue;
    if (__atomic_compare_exchange_n(&states[index], &state, ZERO_LIVE, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return (void *)(first + index * ZERO_STEP);
  }
  return NULL; /* a million are live */
}

/* The state byte of the address, NULL if it is none of these; fatal if none is live there. */
static uint8_t *find(const void *address) {
  uintptr_t start = __atomic_load_n(&first, __ATOMIC_ACQUIRE);
  size_t offset = (uintptr_t)address - start;
  if (start == 0 || offset >= ZERO_BYTES) return NULL;
  uint8_t *state = &states[offset / ZERO_STEP];
  if (offset % ZERO_STEP != 0) fatal(FATAL_INVALID, address);
  uint8_t now = __atomic_load_n(state, __ATOMIC_RELAXED);
  if (now != ZERO_LIVE) fatal(now == ZERO_FREED ? FATAL_DOUBLE_FREE : FATAL_INVALID, address);
  return state;
}

int zero_is(const void *address) { return find(address) != NULL; }

int zero_free(const void *address) {
  uint8_t *state = find(address);
  if (state == NULL) return 0;
  /* Of two threads one is first. */
  if (__atomic_exchange_n(state, ZERO_FREED, __ATOMIC_RELAXED) != ZERO_LIVE) fatal(FATAL_DOUBLE_FREE, address);
  return 1;
}
