/* main.c: `patterns NAME [key=value ...]` runs one pattern and prints one line of
 * JSON; `patterns` alone lists them. */
#include "common.h"

#include <stdio.h>
#include <string.h>

static const struct pattern *const groups[] = {
    single_patterns, large_patterns,   thread_patterns, wander_patterns,
    memory_patterns, latency_patterns, growth_patterns,
};

static const struct pattern *find(const char *name) {
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    for (const struct pattern *p = groups[i]; p->name != NULL; p++) {
      if (strcmp(p->name, name) == 0) return p;
    }
  }
  return NULL;
}

static int list(void) {
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    for (const struct pattern *p = groups[i]; p->name != NULL; p++) {
      printf("%-16s %s\n", p->name, p->what);
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return list();
  const struct pattern *pattern = find(argv[1]);
  if (pattern == NULL) die("no such pattern");
  params_init(argc - 2, argv + 2);
  pattern->run();
  out_flush();
  return 0;
}
