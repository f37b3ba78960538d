/* block-table.cc: the native blocks that the JavaScript of one environment holds.
 *
 * An ArrayBuffer over native memory carries a finalizer, and Node runs finalizers from its event loop alone: a program that
 * never yields leaves them waiting. free() gives the memory back at once, but the bookkeeping of the finalizer stays, and a
 * block that the garbage collector found stays whole. roomForMore() bounds both. */
#include "block-table.h"

#include <atomic>

#include "buddymalloc.h"

namespace {

/* Entries made before the table asks to be told when the event loop turns: well above what a turn usually makes. */
constexpr uint64_t kAskAfter = 16384;
/* Entries made without a turn of the event loop: at about 300 bytes of bookkeeping each, 75 MiB. */
constexpr uint64_t kMostPerTurn = 262144;
/* Bytes of blocks that are known to be garbage and wait for the event loop. */
constexpr uint64_t kMostBytesWaiting = 64u << 20;
/* Bytes handed out between two looks at V8's figure, which costs about as much as a call. */
constexpr uint64_t kLookEvery = 8u << 20;

/* relaxed: a figure. */
std::atomic<uint64_t> strandedBlocks{0};

} // namespace

BlockTable::BlockTable(napi_env env) : env_(env), moves_(env) {
  static char byte;
  napi_value buffer = nullptr;
  const auto nothing = [](napi_env, void *, void *) {};
  externalForbidden =
      napi_create_external_arraybuffer(env, &byte, 1, nothing, nullptr, &buffer) == napi_no_external_buffers_allowed;
}

BlockTable::~BlockTable() = default;

uint64_t BlockTable::stranded() { return strandedBlocks.load(std::memory_order_relaxed); }

BlockTable &tableOf(Napi::Env env) {
  void *data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<BlockTable *>(data);
}

napi_value BlockTable::wrap(void *memory, size_t size) {
  if (size == 0) {
    /* V8 forgets the address of an ArrayBuffer of no bytes, so it could not be told from another. */
    bm_free(memory);
    return nullptr;
  }
  Entry *entry = new Entry{this, memory, size, {}};
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env_, memory, size, finalize, entry, &buffer);
  if (status != napi_ok) {
    /* Node has not taken the finalizer on. */
    delete entry;
    bm_free(memory);
    return nullptr;
  }
  ++entries_;
  ++counters_.live;
  counters_.liveBytes += size;
  blocks_.emplace(memory, entry);
  moves_.begin(entry->watched, buffer);
  return buffer;
}

BlockTable::Entry *BlockTable::find(void *memory) const {
  const auto found = blocks_.find(memory);
  return found == blocks_.end() ? nullptr : found->second;
}

void *BlockTable::release(Entry *entry) {
  void *memory = entry->memory;
  blocks_.erase(memory);
  MoveWatch::end(entry->watched);
  entry->memory = nullptr;
  --counters_.live;
  counters_.liveBytes -= entry->size;
  ++counters_.waiting;
  return memory;
}

bool BlockTable::roomForMore(size_t size) {
  if (++made_since_turn_ > kAskAfter && !turn_requested_ && !on_backlog_.IsEmpty()) {
    turn_requested_ = true;
    /* Without a look at what becomes of it: a thread that is being terminated calls nothing any more. */
    napi_value undefined = nullptr;
    napi_get_undefined(env_, &undefined);
    napi_call_function(env_, undefined, on_backlog_.Value(), 0, nullptr, nullptr);
  }
  if (made_since_turn_ > kMostPerTurn) return false;
  if (size > bytes_until_look_) {
    /* V8 counts the bytes of every ArrayBuffer that it has not yet found dead. What we hold beyond that figure is
     * garbage that waits for its finalizer. */
    int64_t alive = 0;
    napi_adjust_external_memory(env_, 0, &alive);
    crowded_ = counters_.liveBytes > static_cast<uint64_t>(alive) + kMostBytesWaiting;
    bytes_until_look_ = kLookEvery;
  }
  bytes_until_look_ -= size < bytes_until_look_ ? size : bytes_until_look_;
  return !crowded_;
}

void BlockTable::turned() {
  made_since_turn_ = 0;
  bytes_until_look_ = 0;
  turn_requested_ = false;
  crowded_ = false;
}

void BlockTable::drop(Entry *entry) {
  if (entry->memory != nullptr) {
    void *memory = release(entry);
    if (entry->watched.moved) {
      strandedBlocks.fetch_add(1, std::memory_order_relaxed);
    } else {
      bm_free(memory);
      ++counters_.forgotten;
    }
  }
  --counters_.waiting;
  --entries_;
  delete entry;
  if (closed_ && entries_ == 0) delete this;
}

/* Runs in the environment's thread: from its event loop, or while it is torn down. */
void BlockTable::finalize(napi_env, void *, void *hint) {
  Entry *entry = static_cast<Entry *>(hint);
  entry->table->drop(entry);
}

void BlockTable::close() {
  error_class_.Reset();
  on_backlog_.Reset();
  /* Node has run the finalizer of every block by now; what is left here no ArrayBuffer ever had. */
  while (!blocks_.empty()) bm_free(release(blocks_.begin()->second));
  closed_ = true;
  if (entries_ == 0) delete this;
}
