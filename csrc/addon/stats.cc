/* stats.cc: the allocator's figures for JavaScript. */
#include "stats.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "block-table.h"
#include "buddymalloc.h"
#include "errors.h"
#include "objects.h"

Napi::Value mallinfo(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  struct bm_stats stats;
  bm_stats(&stats);
  const BlockTable::Counters &counters = tableOf(env).counters();
  const Napi::Object result = Napi::Object::New(env);
  const auto set = [&](const char *name, uint64_t value) {
    define(env, result, name, Napi::Number::New(env, static_cast<double>(value)));
  };
  set("arenas", stats.arenas);
  set("arenasAbandoned", stats.arenas_abandoned);
  set("allocRequests", stats.alloc_requests);
  set("freeRequests", stats.free_requests);
  set("mmappedRegions", stats.mmapped_regions);
  set("mmappedBytes", stats.mmapped_bytes);
  set("cachedBytes", stats.cached_bytes);
  set("heapBytes", stats.heap_bytes);
  set("sbrkBytes", stats.sbrk_bytes);
  set("allocatedBytes", stats.allocated_bytes);
  set("allocatedBlocks", stats.allocated_blocks);
  set("freeBytes", stats.free_bytes);
  set("freeBlocks", stats.free_blocks);
  set("remoteFrees", stats.remote_frees);
  set("purgedBytes", stats.purged_bytes);
  set("dirtyBytes", stats.dirty_bytes);
  set("threadBlocks", counters.live);
  set("threadBytes", counters.liveBytes);
  set("forgottenBlocks", counters.forgotten);
  set("waitingBlocks", counters.waiting);
  set("fallbackBlocks", counters.onHeap);
  set("strandedBlocks", BlockTable::stranded());
  return result;
}

Napi::Value mallocStats(const Napi::CallbackInfo &info) {
  std::string text(bm_stats_text(nullptr, 0) + 1, '\0');
  /* Other threads may make the text longer meanwhile. */
  for (;;) {
    const size_t length = bm_stats_text(&text[0], text.size());
    const bool whole = length < text.size();
    text.resize(whole ? length : length + 1);
    if (whole) return Napi::String::New(info.Env(), text);
  }
}

Napi::Value mallocInfo(const Napi::CallbackInfo &info) {
  const int fd = memfd_create("malloc_info", MFD_CLOEXEC);
  if (fd < 0 || bm_malloc_info(0, fd) != 0) {
    if (fd >= 0) close(fd);
    throwError(info.Env(), ErrorCode::ERR_OUT_OF_MEMORY, "no memory for the text of mallocInfo()");
    return {};
  }
  std::string text;
  char part[4096];
  lseek(fd, 0, SEEK_SET);
  for (ssize_t count = 0; (count = read(fd, part, sizeof part)) > 0;) text.append(part, static_cast<size_t>(count));
  close(fd);
  return Napi::String::New(info.Env(), text);
}

Napi::Value mallocTrim(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), bm_malloc_trim(0) != 0);
}

Napi::Value mallocCheck(const Napi::CallbackInfo &info) { return Napi::Number::New(info.Env(), bm_check()); }
