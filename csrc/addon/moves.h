/* moves.h: ArrayBuffers over native memory, and whether JavaScript has moved their memory to another.
 *
 * ArrayBuffer.prototype.transfer() detaches one ArrayBuffer and gives its memory to another, which postMessage may carry to a
 * thread that outlives this one. Node calls the finalizer of the first all the same when the environment ends. Whoever makes an
 * ArrayBuffer over native memory therefore has it watched, and asks before it frees the memory in a finalizer.
 *
 * Owner:     the environment's thread.
 * Invariant: M1  once JavaScript can run no more, and before Node detaches the ArrayBuffers that are left, each watched one
 *                is looked at: Node turns the event loop in between, to close its own handles. */
#ifndef BM_ADDON_MOVES_H
#define BM_ADDON_MOVES_H

#include <node_api.h>

class MoveWatch;

/* An ArrayBuffer that is watched; its maker keeps this beside what it knows of the memory. */
struct Watched {
  MoveWatch *watch = nullptr; /* NULL if it is not watched */
  napi_ref buffer = nullptr;  /* weak */
  Watched *next = nullptr;
  Watched *previous = nullptr;
  /* Set when the environment ends: another ArrayBuffer may have the memory, and nobody will say when it is gone. */
  bool moved = false;
};

/* Detach an ArrayBuffer. False if it cannot be: the program has marked it with markAsUntransferable(), which from Node 23 on gives
 * it a key that only Node has, and Node-API ends the process when it is asked to detach such a one. */
bool detachBuffer(napi_env env, napi_value buffer);
/* Whether that can happen. */
bool mayRefuseToDetach(napi_env env);

class MoveWatch {
public:
  explicit MoveWatch(napi_env env);
  MoveWatch(const MoveWatch &) = delete;
  MoveWatch &operator=(const MoveWatch &) = delete;

  /* Requires: `buffer` is not detached. */
  void begin(Watched &watched, napi_value buffer);
  /* The memory is the maker's again, since it has detached the ArrayBuffer itself, or the finalizer was called. */
  static void end(Watched &watched);

  /* ArrayBuffer.prototype.transfer(), where it is how ArrayBuffers are to be detached. */
  napi_ref transfer = nullptr;

private:
  struct Turn; /* what the event loop calls */
  void lookIfEnding();

  napi_env env_;
  bool can_move_;
  Turn *turn_ = nullptr;
  Watched list_; /* its own neighbour if the list is empty */
};

#endif
