/* replaced_host.c: a C program that loads a C++ library, which replaces operators for itself alone. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments) {
  void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  int (*use)(void);
  void *found = dlsym(library, "replaced_use");
  memcpy(&use, &found, sizeof use);
  printf("%d made and deleted\n", use());
  return 0;
}
