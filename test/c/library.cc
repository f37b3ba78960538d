// library.cc: a library that is loaded and unloaded while the program runs, and allocates at every occasion.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

// Where the program counts: set by library_attach(), incremented by whatever runs late.
int *counter;

void count() {
  if (counter != nullptr) ++*counter;
}

struct Registry {
  std::vector<std::string> names;
  Registry() {
    for (int i = 0; i < 500; i++) names.push_back(std::string(static_cast<size_t>(i), 'a'));
  }
  ~Registry() {
    names.push_back("last");
    for (size_t i = 0; i < 500; i++)
      if (names[i].size() != i) std::abort();
    count();
  }
};

Registry registry;

struct PerThread {
  std::string text = std::string(3000, 't');
  ~PerThread() {
    text += std::string(3000, 'u');
    if (text.size() != 6000) std::abort();
    count();
  }
};

thread_local PerThread perThread;

void atExit() {
  std::free(std::malloc(100000));
  count();
}

} // namespace

extern "C" {

__attribute__((visibility("default"))) void library_attach(int *program_counter) { counter = program_counter; }

__attribute__((visibility("default"))) void library_register() { std::atexit(atExit); }

// Uses this library's thread-local object, whose destructor runs at the thread's end.
__attribute__((visibility("default"))) size_t library_use_thread() { return perThread.text.size(); }

// A block of this library, which outlives it.
__attribute__((visibility("default"))) void *library_block(size_t size, int byte) {
  void *block = std::malloc(size);
  if (block != nullptr) std::memset(block, byte, size);
  return block;
}

__attribute__((visibility("default"))) void library_free(void *block) { std::free(block); }
}
