#ifndef INLAY_KERNELS_SIZES_INL_HPP_
#define INLAY_KERNELS_SIZES_INL_HPP_

#include "inlay/kernels/attention.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

size_t kv_bytes(KvFormat format, uint32_t head_size, uint32_t capacity) noexcept {
  return KvLayout(head_size, capacity).bytes(format);
}

size_t attention_scratch_bytes(uint32_t heads_per_kv_head, uint32_t head_k, uint32_t head_v,
                               uint32_t queries) noexcept {
  const size_t rows = static_cast<size_t>(heads_per_kv_head) * queries;
  return AttentionScratch(nullptr, rows, head_k, head_v).bytes;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_KERNELS_SIZES_INL_HPP_
