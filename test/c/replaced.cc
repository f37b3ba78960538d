// replaced.cc: a program that replaces some of C++'s operators and leaves the rest to the C++ library.
//
// REPLACE says which. What replaces new takes more than it was asked for and puts the block behind a header, so that no size of
// the program's is the block's, and what deletes it must find the header. The program ends with 0 if every
// block went back the way it came, and says how many did.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#define NOTHING 0
#define NEW_AND_DELETE 1
#define DELETE_ALONE 2
#define NEW_ALONE 3
#define ARRAYS 4
#define ALIGNED 5
#define EVERY_SIZED 6

static int made, dropped;

// What the program cannot foretell; a multiple of the strictest alignment here.
enum : std::size_t { HEADER = 256 };

[[maybe_unused]] static void *take(std::size_t size) {
  char *block = static_cast<char *>(std::malloc(size + HEADER));
  if (block == nullptr) std::abort();
  made++;
  std::memcpy(block, "replaced", 8);
  return block + HEADER;
}

[[maybe_unused]] static void giveBack(void *address) {
  if (address == nullptr) return;
  char *block = static_cast<char *>(address) - HEADER;
  if (std::memcmp(block, "replaced", 8) != 0) std::abort();
  dropped++;
  std::free(block);
}

#if REPLACE == NEW_AND_DELETE || REPLACE == EVERY_SIZED
void *operator new(std::size_t size) { return take(size); }
void operator delete(void *block) noexcept { giveBack(block); }
#endif
#if REPLACE == EVERY_SIZED
void operator delete(void *block, std::size_t) noexcept { giveBack(block); }
#endif
#if REPLACE == DELETE_ALONE
void operator delete(void *block) noexcept {
  if (block != nullptr) dropped++;
  std::free(block);
}
#endif
#if REPLACE == NEW_ALONE
void *operator new(std::size_t size) {
  made++;
  return std::malloc(size + 1000);
}
#endif
#if REPLACE == ARRAYS
void *operator new[](std::size_t size) { return take(size); }
void operator delete[](void *block) noexcept { giveBack(block); }
#endif
#if REPLACE == ALIGNED
void *operator new(std::size_t size, std::align_val_t alignment) {
  made++;
  return std::aligned_alloc(static_cast<std::size_t>(alignment), size + 4096);
}
void operator delete(void *block, std::align_val_t) noexcept {
  if (block != nullptr) dropped++;
  std::free(block);
}
#endif

namespace {

struct Plain {
  char bytes[200];
};
struct Named {
  std::string name = std::string(100, 'n');
};
struct alignas(64) Wide {
  char bytes[320];
};
struct Base {
  virtual ~Base() = default;
};
struct Derived : Base {
  char bytes[500];
};

// Compiled so that every delete says the size.
void useAll() {
  for (int i = 0; i < 100; i++) {
    delete new Plain;
    delete[] new Named[5];
    std::unique_ptr<Base> base(new Derived);
    std::vector<std::string> texts;
    for (int j = 0; j < 50; j++) texts.push_back(std::string(static_cast<std::size_t>(j), 't'));
    std::unique_ptr<Wide> wide(new Wide);
    std::unique_ptr<Wide[]> wides(new Wide[3]);
    ::operator delete(::operator new(40), std::size_t{40});
    ::operator delete[](::operator new[](40), std::size_t{40});
    ::operator delete(::operator new(40, std::nothrow), std::size_t{40});
  }
}

}  // namespace

// The same for a library.
extern "C" __attribute__((visibility("default"))) int replaced_use() {
  useAll();
  return made == dropped && made > 0 ? made : -1;
}

#ifndef REPLACED_LIBRARY
int main(int count, char **) {
  useAll();
  std::printf("%d made, %d deleted\n", made, dropped);
  if (count > 1) ::operator delete(::operator new(40), std::size_t{1000}); // a wrong size
  return 0;
}
#endif
