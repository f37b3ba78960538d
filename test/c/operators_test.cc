// operators_test.cc: every form of C++'s operator new and delete.
//
// In the program with DOOR_STATIC they are libc's: the library adds no operators.
#include "harness.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#ifndef DOOR_STATIC

namespace {

struct Plain {
  char bytes[200];
};
struct alignas(256) Aligned {
  char bytes[700];
};

// Not a constant, so that the compiler cannot see that it is impossible.
volatile std::size_t impossible = std::numeric_limits<std::ptrdiff_t>::max();

}  // namespace

TEST("new and delete work for single objects and arrays, of every size") {
  for (std::size_t size = 1; size < 5000000; size = size * 3 + 1) {
    char *array = new char[size];
    std::memset(array, 1, size);
    delete[] array;
    void *raw = ::operator new(size);
    std::memset(raw, 2, size);
    ::operator delete(raw);
  }
  Plain *one = new Plain;
  delete one;
}

TEST("sized delete accepts the size of new") {
  for (std::size_t size = 1; size < 5000000; size = size * 3 + 1) {
    ::operator delete(::operator new(size), size);
    ::operator delete[](::operator new[](size), size);
  }
}

namespace {

constexpr std::align_val_t lines{64};

void *makeOne(std::size_t size) { return ::operator new(size); }
void *makeArray(std::size_t size) { return ::operator new[](size); }
void *makeQuiet(std::size_t size) { return ::operator new(size, std::nothrow); }
void *makeAligned(std::size_t size) { return ::operator new(size, lines); }
void *makeAlignedArray(std::size_t size) { return ::operator new[](size, lines); }
void dropOne(void *block, std::size_t size) { ::operator delete(block, size); }
void dropArray(void *block, std::size_t size) { ::operator delete[](block, size); }
void dropAligned(void *block, std::size_t size) { ::operator delete(block, size, lines); }
void dropAlignedArray(void *block, std::size_t size) { ::operator delete[](block, size, lines); }

// What each form is to the linker, which finds the library's.
const struct Form {
  const char *symbol;
  void *(*make)(std::size_t);
  void (*drop)(void *, std::size_t);
} forms[] = {{"_ZdlPvm", makeOne, dropOne},
             {"_ZdlPvm", makeQuiet, dropOne},
             {"_ZdaPvm", makeArray, dropArray},
             {"_ZdlPvmSt11align_val_t", makeAligned, dropAligned},
             {"_ZdaPvmSt11align_val_t", makeAlignedArray, dropAlignedArray}};

// Each wrong size is that of another block, also when it is rounded up to a line; of whole slots and mappings, any other.
const std::size_t rightAndWrong[][2] = {
    {100, 64},        {100, 129},      {200, 128},         {1000, 512},        {5000, 4096},       {30000, 16384},
    {100000, 65536},  {100000, 99900}, {100000, 100100},   {1000000, 4},       {3000000, 2999900}, {3000000, 3000100},
    {3000000, 64000}, {200, SIZE_MAX}, {100000, SIZE_MAX}, {3000000, SIZE_MAX}};

}  // namespace

TEST_OURS("every form of sized delete takes the size of new, and no other block's") {
  for (const Form &form : forms) {
    CHECK(dlsym(RTLD_DEFAULT, form.symbol) != nullptr);
    for (auto [right, wrong] : rightAndWrong) {
      void *block = form.make(right);
      CHECK_FATAL("wrong size", block, form.drop(block, wrong));
      form.drop(block, right);
    }
    form.drop(form.make(0), 0);
    form.drop(nullptr, 100);
  }
}

TEST_IF(NEEDS_OURS | NEEDS_EIGHTHS, "sized delete with the size of a shorter object is a wrong size, where a block of the next class down holds it") {
  void *block = ::operator new(200);
  CHECK_FATAL("wrong size", block, ::operator delete(block, 192));
  ::operator delete(block, 193);
}

TEST_IF(NEEDS_OURS | NEEDS_EXACT, "sized delete of what was deleted is a double free, and of what new never gave an invalid pointer") {
  int local = 0;
  for (std::size_t size : {1, 40, 600, 20000, 100000, 3000000}) {
    void *block = ::operator new(size);
    ::operator delete(block, size);
    CHECK_FATAL("double free", block, ::operator delete(block, size));
  }
  CHECK_FATAL("invalid pointer", &local, ::operator delete(&local, sizeof local));
}

TEST("aligned new gives aligned memory, and aligned delete takes it back") {
  for (std::size_t alignment = 8; alignment <= 65536; alignment *= 2)
    for (std::size_t size : {1, 17, 1000, 5000, 100000}) {
      const std::align_val_t align{alignment};
      void *block = ::operator new(size, align);
      CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0);
      ::operator delete(block, align);
      block = ::operator new[](size, align);
      CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0);
      ::operator delete[](block, size, align);
      block = ::operator new(size, align, std::nothrow);
      ::operator delete(block, align, std::nothrow);
    }
  auto *objects = new Aligned[5];
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(objects) % 256, 0);
  delete[] objects;
}

TEST("nothrow new gives nullptr where throwing new throws bad_alloc") {
  CHECK(::operator new(impossible, std::nothrow) == nullptr);
  CHECK(::operator new[](impossible, std::nothrow) == nullptr);
  CHECK(::operator new(impossible, std::align_val_t{64}, std::nothrow) == nullptr);
  ::operator delete(::operator new(100, std::nothrow), std::nothrow);
  ::operator delete[](::operator new[](100, std::nothrow), std::nothrow);
}

TEST("new of more than there is throws bad_alloc, which can be caught") {
  unsigned caught = 0;
  try {
    static_cast<void>(::operator new(impossible));
  } catch (const std::bad_alloc &) {
    caught++;
  }
  try {
    static_cast<void>(::operator new[](impossible));
  } catch (const std::bad_alloc &) {
    caught++;
  }
  try {
    static_cast<void>(::operator new(impossible, std::align_val_t{4096}));
  } catch (const std::bad_alloc &) {
    caught++;
  }
  try {
    std::vector<char> vector(impossible);
    __asm__ volatile("" : : "r"(vector.data()) : "memory"); // else clang leaves the vector out
  } catch (const std::bad_alloc &) {
    caught++;
  }
  CHECK_EQ(caught, 4);
}

static unsigned handled;

TEST("new calls the new-handler until it gives up") {
  std::set_new_handler([] {
    if (++handled == 3) std::set_new_handler(nullptr);
  });
  unsigned caught = 0;
  try {
    static_cast<void>(::operator new(impossible));
  } catch (const std::bad_alloc &) {
    caught++;
  }
  CHECK_EQ(handled, 3);
  CHECK_EQ(caught, 1);
}

TEST("delete of a null pointer does nothing, in every form") {
  void *null = nullptr;
  ::operator delete(null);
  ::operator delete[](null);
  ::operator delete(null, std::size_t{10});
  ::operator delete(null, std::align_val_t{64});
  ::operator delete[](null, std::size_t{64}, std::align_val_t{64});
  ::operator delete(null, std::nothrow);
}

TEST("new gives unique addresses for objects of no bytes") {
  void *first = ::operator new(0);
  void *second = ::operator new(0);
  CHECK(first != second);
  ::operator delete(first);
  ::operator delete(second);
}

// Destroyed when its thread ends, possibly after the allocator's own destructor.
struct LateUser {
  std::string text = std::string(1000, 'x');
  ~LateUser() {
    std::string grown = text + text;
    std::unique_ptr<int[]> numbers(new int[5000]);
    if (grown.size() != 2000) _exit(1);
  }
};

TEST("destructors of thread_local objects can allocate and free") {
  static thread_local LateUser user;
  for (int i = 0; i < 50; i++)
    std::thread([] {
      user.text += "y";
      user.text.pop_back();
    }).join();
  user.text.shrink_to_fit();
}

TEST_OURS("memory of new can be freed with free(), as C++ on malloc allows in practice") {
  std::free(::operator new(100));
  ::operator delete(std::malloc(100));
}

#endif
