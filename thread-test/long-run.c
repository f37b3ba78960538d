/* long-run.c: hours of a server's life in seconds: the sizes that it asks for change again and again, its threads free
 * what others allocated, and what it holds is bounded. So must what it has of the system be, to the end. */
#include "scene.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { THREADS = 3, PLACES = 1 << 16, PHASES = 60, LIVE_MIB = 24 };
/* What a phase leaves behind goes back a while after it: on a fast machine some phases' overlap. A run of 60 million
 * steps stays below twice LIVE_MIB. */
enum { MOST_MIB = 5 * LIVE_MIB };

static void *places[PLACES];
static size_t thousands;              /* of steps, in all */
static size_t largest, active, steps; /* of the phase: the largest size, the places in use, the steps of a thread */

static void *work(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 2654435761u + largest;
  for (size_t i = 0; i < steps; i++) {
    void *block = random_below(&state, 8) != 0 ? scene_block(random_size(&state, largest)) : NULL;
    /* acq_rel: the next taker of this place must see the block's contents. */
    block = __atomic_exchange_n(&places[random_below(&state, active)], block, __ATOMIC_ACQ_REL);
    if (block != NULL) scene_block_free(block);
  }
  return NULL;
}

/* MiB of physical memory that the process has. */
static size_t resident(void) {
  char text[64] = {0};
  size_t pages = 0, unused;
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0 && read(file, text, sizeof text - 1) > 0);
  close(file);
  CHECK_EQ(sscanf(text, "%zu %zu", &unused, &pages), 2);
  return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

static void live_phase(size_t phase) {
  pthread_t threads[THREADS];
  largest = (size_t)64 << (phase * 7 % 16);
  size_t mean = largest / 8 + 16; /* or less: each power of two up to the largest is as likely as any other */
  size_t fitting = ((size_t)LIVE_MIB << 20) / mean;
  steps = thousands * 1000 / PHASES / THREADS / (1 + mean / 4096); /* each fills and verifies its block */
  active = fitting < PLACES ? fitting : PLACES;
  for (size_t i = active; i < PLACES; i++) {
    if (places[i] != NULL) scene_block_free(places[i]);
    places[i] = NULL;
  }
  for (size_t i = 0; i < THREADS; i++) threads[i] = scene_start(work, (void *)(phase * THREADS + i + 1));
  for (size_t i = 0; i < THREADS; i++) scene_join(threads[i]);
}

int main(int argc, char **argv) {
  thousands = scene_scale(argc, argv, 3000);
  scene_begin();
  size_t at_start = resident();
  for (size_t phase = 0; phase < PHASES; phase++) {
    live_phase(phase);
    CHECK_LE(resident(), at_start + MOST_MIB);
    if (phase % 10 == 0) scene_check();
  }
  for (size_t i = 0; i < PLACES; i++)
    if (places[i] != NULL) scene_block_free(places[i]);
  return scene_end("long-run");
}
