/* block-table.h: the native blocks that the JavaScript of one environment (the main thread, or one worker) holds.
 *
 * Owner:     the environment's thread; nothing here is shared with another. What is shared is in handover.cc.
 * Invariant: T1  a block is in `blocks_` if and only if its memory is allocated and belongs to this environment.
 *            T2  an entry lives until the finalizer of its ArrayBuffer has run; its memory may go earlier.
 *            T3  memory that JavaScript has moved to another ArrayBuffer is not freed when the environment ends. */
#ifndef BM_ADDON_BLOCK_TABLE_H
#define BM_ADDON_BLOCK_TABLE_H

#include <napi.h>

#include <cstdint>
#include <unordered_map>

#include "moves.h"

class BlockTable {
public:
  /* A native block and the ArrayBuffer over it. */
  struct Entry {
    BlockTable *table;
    void *memory; /* NULL once it was freed, resized or handed over */
    size_t size;  /* bytes requested, the ArrayBuffer's byteLength */
    Watched watched;
  };

  /* What the garbage collector and the event loop have left to do; see roomForMore(). */
  struct Counters {
    uint64_t live = 0;      /* blocks in `blocks_` */
    uint64_t liveBytes = 0; /* bytes requested for them */
    uint64_t forgotten = 0; /* blocks ever freed because the garbage collector found them */
    uint64_t waiting = 0;   /* entries whose memory is gone and whose finalizer has not run */
    uint64_t onHeap = 0;    /* blocks ever served by JavaScript's own memory */
  };

  explicit BlockTable(napi_env env);
  ~BlockTable();
  BlockTable(const BlockTable &) = delete;
  BlockTable &operator=(const BlockTable &) = delete;

  /* Make an ArrayBuffer over `memory`, which the table owns from here on, also on failure.
   * Returns NULL with an exception pending; or without one for a block of no bytes, which must come from JavaScript's own
   * memory. */
  napi_value wrap(void *memory, size_t size);
  /* The block that begins at `memory`, or NULL. */
  Entry *find(void *memory) const;
  /* Take `entry` out and return its memory, which the caller owns from here on. */
  void *release(Entry *entry);
  /* False while so many finalizers are waiting for the event loop that one block more should not be a native one. */
  bool roomForMore(size_t size);
  /* The environment ends: give everything back. */
  void close();

  Counters &counters() { return counters_; }
  /* Blocks of environments that ended, in the whole process, whose memory JavaScript had moved: allocated for good. */
  static uint64_t stranded();
  MoveWatch &moves() { return moves_; }
  Napi::FunctionReference &errorClass() { return error_class_; }
  Napi::FunctionReference &onBacklog() { return on_backlog_; }
  void turned();

  /* Whether this runtime has ArrayBuffers over its own memory alone, as Electron does; written by tests too. */
  bool externalForbidden;

private:
  static void finalize(napi_env env, void *memory, void *hint);
  void drop(Entry *entry);

  napi_env env_;
  MoveWatch moves_;
  std::unordered_map<void *, Entry *> blocks_;
  Counters counters_;
  Napi::FunctionReference error_class_;
  Napi::FunctionReference on_backlog_;
  uint64_t entries_ = 0;            /* entries alive: blocks_ and those that wait */
  uint64_t made_since_turn_ = 0;    /* entries made since the event loop last turned, as far as we know */
  uint64_t bytes_until_look_ = 0;   /* bytes to hand out before the next look at V8's figure */
  bool turn_requested_ = false;
  bool crowded_ = false;            /* the last look found too many bytes waiting */
  bool closed_ = false;
};

/* The table of the calling environment. */
BlockTable &tableOf(Napi::Env env);

#endif
