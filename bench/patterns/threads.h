/* threads.h: start a number of threads on one function and wait for them. */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <pthread.h>
#include <stddef.h>

#define THREADS_MAX 64

void threads_start(pthread_t *threads, size_t count, void *(*body)(void *), void *arguments,
                   size_t argument_size);
void threads_join(pthread_t *threads, size_t count);

/* Start `count` threads, each with its own element of `arguments`, and wait for all. */
void threads_run(size_t count, void *(*body)(void *), void *arguments, size_t argument_size);

#endif
