/* moves.cc: ArrayBuffers over native memory, and whether JavaScript has moved their memory to another. */
#include "moves.h"

#include <uv.h>

#include "block-table.h"

namespace {

/* Node 21 is the first that can move memory without being asked to by a flag of V8. */
constexpr uint32_t kFirstThatMoves = 21;
/* The first in which ArrayBuffers may have a key. */
constexpr uint32_t kFirstWithKeys = 23;

uint32_t majorVersion(napi_env env) {
  const napi_node_version *version = nullptr;
  return napi_get_node_version(env, &version) == napi_ok ? version->major : kFirstWithKeys;
}

/* Whether this JavaScript has ArrayBuffer.prototype.transfer(). */
bool hasTransfer(napi_env env) {
  if (majorVersion(env) >= kFirstThatMoves) return true;
  napi_value global = nullptr;
  napi_value constructor = nullptr;
  napi_value prototype = nullptr;
  bool has = true;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_get_named_property(env, global, "ArrayBuffer", &constructor) == napi_ok &&
      napi_get_named_property(env, constructor, "prototype", &prototype) == napi_ok)
    napi_has_named_property(env, prototype, "transfer", &has);
  return has;
}

/* Node-API refuses to compare anything once it refuses to run JavaScript. */
bool isEnding(napi_env env) {
  napi_value undefined = nullptr;
  bool same = false;
  napi_get_undefined(env, &undefined);
  return napi_strict_equals(env, undefined, undefined, &same) != napi_ok;
}

} // namespace

/* A handle that libuv calls in each turn of the event loop and that does not keep it alive. It is closed, which takes a turn,
 * when the environment ends. */
struct MoveWatch::Turn {
  uv_prepare_t handle;
  MoveWatch *watch;
  napi_async_cleanup_hook_handle hook;

  static Turn *start(MoveWatch *watch) {
    uv_loop_t *loop = nullptr;
    if (napi_get_uv_event_loop(watch->env_, &loop) != napi_ok) return nullptr;
    Turn *turn = new Turn{{}, watch, nullptr};
    if (napi_add_async_cleanup_hook(watch->env_, close, turn, &turn->hook) != napi_ok) {
      delete turn;
      return nullptr;
    }
    uv_prepare_init(loop, &turn->handle);
    turn->handle.data = turn;
    uv_prepare_start(&turn->handle, [](uv_prepare_t *handle) { static_cast<Turn *>(handle->data)->watch->lookIfEnding(); });
    uv_unref(reinterpret_cast<uv_handle_t *>(&turn->handle));
    return turn;
  }

  static void close(napi_async_cleanup_hook_handle, void *data) {
    Turn *turn = static_cast<Turn *>(data);
    uv_close(reinterpret_cast<uv_handle_t *>(&turn->handle), [](uv_handle_t *handle) {
      Turn *closed = static_cast<Turn *>(handle->data);
      napi_remove_async_cleanup_hook(closed->hook);
      delete closed;
    });
  }
};

bool mayRefuseToDetach(napi_env env) { return tableOf(env).moves().transfer != nullptr; }

bool detachBuffer(napi_env env, napi_value buffer) {
  const napi_ref reference = tableOf(env).moves().transfer;
  if (reference == nullptr) return napi_detach_arraybuffer(env, buffer) == napi_ok;
  napi_value transfer = nullptr;
  napi_value zero = nullptr;
  bool detached = false;
  napi_get_reference_value(env, reference, &transfer);
  napi_create_uint32(env, 0, &zero);
  if (napi_call_function(env, buffer, transfer, 1, &zero, nullptr) != napi_ok) {
    napi_value exception = nullptr;
    napi_get_and_clear_last_exception(env, &exception);
  }
  return napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok && detached;
}

MoveWatch::MoveWatch(napi_env env) : env_(env), can_move_(hasTransfer(env)) { list_.next = list_.previous = &list_; }

void MoveWatch::begin(Watched &watched, napi_value buffer) {
  if (turn_ == nullptr && can_move_) turn_ = Turn::start(this);
  if (turn_ == nullptr || napi_create_reference(env_, buffer, 0, &watched.buffer) != napi_ok) return;
  watched.watch = this;
  watched.next = list_.next;
  watched.previous = &list_;
  watched.next->previous = list_.next = &watched;
}

void MoveWatch::end(Watched &watched) {
  if (watched.watch == nullptr) return;
  napi_delete_reference(watched.watch->env_, watched.buffer);
  watched.watch = nullptr;
  watched.next->previous = watched.previous;
  watched.previous->next = watched.next;
}

/* An ArrayBuffer that is detached without our doing has given its memory away. Of one that is garbage we cannot know; its
 * memory has come back as a rule, for Node runs the finalizers that are due before it turns the event loop. */
void MoveWatch::lookIfEnding() {
  if (list_.next == &list_) return;
  napi_handle_scope scope = nullptr;
  napi_open_handle_scope(env_, &scope);
  if (isEnding(env_)) {
    while (list_.next != &list_) {
      Watched *watched = list_.next;
      napi_value buffer = nullptr;
      bool detached = true;
      napi_get_reference_value(env_, watched->buffer, &buffer);
      if (buffer != nullptr) napi_is_detached_arraybuffer(env_, buffer, &detached);
      watched->moved = detached;
      end(*watched);
    }
  }
  napi_close_handle_scope(env_, scope);
}
