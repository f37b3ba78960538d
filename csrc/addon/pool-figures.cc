/* pool-figures.cc: what a pool has, in figures and block by block. */
#include "pool-door.h"

#include <utility>
#include <vector>

namespace pools {

napi_value stats(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  struct pool_stats figures;
  pool_stats(call.door->pool, &figures);
  const std::pair<const char *, uint64_t> rows[] = {
      {"limit", figures.limit},
      {"mappedBytes", figures.mapped_bytes},
      {"metadataBytes", figures.meta_bytes},
      {"doomedBytes", figures.doomed_bytes},
      {"stranded", figures.stranded},
      {"usedBytes", figures.used_bytes},
      {"usedBlocks", figures.used_blocks},
      {"stockedBytes", figures.stocked_bytes},
      {"stockedBlocks", figures.stocked_blocks},
      {"regions", figures.regions},
      {"threads", figures.holders},
      {"handedOver", figures.transit_blocks},
      {"shared", figures.shared_blocks},
      {"waiting", figures.waiting},
      {"purgedBytes", figures.purged_bytes},
      {"resets", figures.epoch},
      {"forgotten", call.door->forgotten},
  };
  const Napi::Object result = Napi::Object::New(env);
  for (const auto &row : rows) define(env, result, row.first, Napi::Number::New(env, static_cast<double>(row.second)));
  return result;
}

static napi_value arrayOf(napi_env env, const std::vector<double> &values) {
  void *memory = nullptr;
  napi_value buffer = nullptr;
  napi_value result = nullptr;
  if (napi_create_arraybuffer(env, values.size() * sizeof(double), &memory, &buffer) != napi_ok) return nullptr;
  if (!values.empty()) std::memcpy(memory, values.data(), values.size() * sizeof(double));
  napi_create_typedarray(env, napi_float64_array, values.size(), buffer, 0, &result);
  return result;
}

struct Numbers {
  std::vector<double> values;
  const struct holder *holder;
};

napi_value blocks(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  Numbers numbers{{}, call.door->holder};
  pool_walk(
      call.door->pool,
      [](const struct pool_block *block, void *context) {
        Numbers *all = static_cast<Numbers *>(context);
        const int owner = block->owner == OWNER_NOBODY           ? 0
                          : block->owner == all->holder->number ? 1
                          : block->owner == OWNER_SHARED         ? 3
                                                                 : 2;
        all->values.insert(all->values.end(), {static_cast<double>(block->place), static_cast<double>(block->bytes),
                                               static_cast<double>(owner), static_cast<double>(block->stocked)});
      },
      &numbers);
  return arrayOf(env, numbers.values);
}

napi_value regions(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  Numbers numbers{{}, nullptr};
  pool_walk_regions(
      call.door->pool,
      [](const struct region *region, void *context) {
        Numbers *all = static_cast<Numbers *>(context);
        all->values.insert(all->values.end(),
                           {static_cast<double>(region->number), static_cast<double>(region->bytes),
                            static_cast<double>(region->used_bytes), static_cast<double>(region->used_blocks),
                            static_cast<double>(region->alone)});
      },
      &numbers);
  return arrayOf(env, numbers.values);
}

napi_value check(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return call.integer(call.gone() ? 0 : pool_check(call.door->pool));
}

} // namespace pools
