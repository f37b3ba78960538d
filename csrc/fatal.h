/* fatal.h: the last line. See fatal.c. */
#ifndef BM_FATAL_H
#define BM_FATAL_H

/* The words for a caller's bug, one each. */
#define FATAL_DOUBLE_FREE "double free"
#define FATAL_INVALID "invalid pointer"
#define FATAL_INTERIOR "interior pointer"
#define FATAL_WRONG_SIZE "wrong size"
/* The hardened build's, with the address of the block. */
#define FATAL_OVERFLOW "buffer overflow"
#define FATAL_UNDERFLOW "buffer underflow"
#define FATAL_WRITE_AFTER_FREE "write after free"

/* Write `buddymalloc: <fault>: 0x<address>` and a newline to standard error and abort. */
_Noreturn void fatal(const char *fault, const void *address);

#endif
