/* fatal.c: what happens after a caller's bug: one fixed line, then abort().
 * Cost: allocates nothing and takes no lock, so it may be called from anywhere. */
#include "fatal.h"

#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

COLD _Noreturn void fatal(const char *fault, const void *address) {
  char line[96];
  char digits[16];
  size_t length = 0;
  static const char prefix[] = "buddymalloc: ";
  memcpy(line, prefix, sizeof prefix - 1);
  length = sizeof prefix - 1;
  size_t words = strlen(fault);
  memcpy(line + length, fault, words);
  length += words;
  memcpy(line + length, ": 0x", 4);
  length += 4;
  size_t count = 0;
  for (uintptr_t rest = (uintptr_t)address; rest != 0 || count == 0; rest >>= 4)
    digits[count++] = "0123456789abcdef"[rest & 15];
  while (count > 0) line[length++] = digits[--count];
  line[length++] = '\n';
  ssize_t written = write(STDERR_FILENO, line, length);
  (void)written;
  abort();
}
