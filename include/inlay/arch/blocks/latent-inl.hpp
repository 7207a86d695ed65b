// Multi-head latent attention (DeepSeek V2, arXiv:2405.04434). K and V of all heads are products of
// one short vector for each position, the latent c, beside which one key is rotated for all heads.
//
// The matrices that would expand c are absorbed into q and into what attention gives, so that the
// cache holds c itself: attention is that of one KV head whose K is [c, rotated] and whose V is c.
// Older files have the expanding matrix only: they are computed as ordinary heads.
#ifndef INLAY_ARCH_BLOCKS_LATENT_INL_HPP_
#define INLAY_ARCH_BLOCKS_LATENT_INL_HPP_

#include <cmath>

#include "inlay/arch/block.hpp"
#include "inlay/arch/phases-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct LatentWork {
  uint32_t layer;
  NormWeights norm;  // of c
  bool quantize;     // q feeds quantized weights
};

// A matrix of its own for each head: out[head] = stack[head] * in[head].
struct HeadProductWork {
  const Weight* stack;
  Buffer in, out;
  uint32_t in_stride, out_stride;  // from one head to the next
};

namespace phase {

inline const float* rope_of(const State& s, uint32_t i) noexcept {
  return s.rope + size_t{i} * s.hparams->rope_floats();
}

// The first `k` values of each head, quantized, one head after the other.
inline void quantize_head_rows(const State& s, Buffer in, uint32_t heads, uint32_t stride,
                               uint32_t k, uint32_t task) noexcept {
  const uint32_t begin = task * kRowsPerTask;
  const uint32_t end = begin + kRowsPerTask < s.n ? begin + kRowsPerTask : s.n;
  Quantize q = s.quantize_of(in, k, s.n);
  for (uint32_t head = 0; head < heads; ++head) {
    q.x = s.row(in, 0) + size_t{head} * stride;
    q.xq = s.quantized + head * quantized_bytes(s.n, k);
    s.kernels->quantize(q, begin, end, 0, k);
  }
}

inline void quantize_heads(const void* work, void* state, uint32_t task, void*) noexcept {
  const HeadProductWork& w = work_of<HeadProductWork>(work);
  const State& s = state_of(state);
  quantize_head_rows(s, w.in, w.stack->count, w.in_stride, w.stack->cols, task);
}

inline RowTasks head_product_tasks(const HeadProductWork& w, const State& s) noexcept {
  return tasks_of(*w.stack, s.n, s);
}
inline uint32_t count_head_product(const void* work, const void* state) noexcept {
  const HeadProductWork& w = work_of<HeadProductWork>(work);
  return head_product_tasks(w, state_of(state)).count() * w.stack->count;
}

inline void head_product(const void* work, void* state, uint32_t task, void* scratch) noexcept {
  const HeadProductWork& w = work_of<HeadProductWork>(work);
  const State& s = state_of(state);
  const RowTasks tasks = head_product_tasks(w, s);
  const uint32_t head = task / tasks.count();
  const RowTasks::Range range = tasks.task(task % tasks.count());
  const Weight matrix = w.stack->at(head);
  Matmul m = matmul_of(matrix, s.n, s);
  m.x = s.row(w.in, 0) + size_t{head} * w.in_stride;
  m.x_stride = s.width(w.in);
  m.xq = is_quantized(m.type) ? s.quantized + head * quantized_bytes(s.n, m.k) : nullptr;
  m.out = s.row(w.out, 0) + size_t{head} * w.out_stride;
  m.out_stride = s.width(w.out);
  multiply(s, &m, range, scratch);
}

// Per token: k = [c, rotated] into the cache; what of q is rotated, from `up` to its place.
inline void latent_heads(const void* work, void* state, uint32_t task, void*) noexcept {
  const LatentWork& w = work_of<LatentWork>(work);
  const State& s = state_of(state);
  const LayerHyper& layer = s.hparams->layers[w.layer];
  const LatentHyper& l = s.hparams->latent;
  const uint32_t rot = s.hparams->rope[0].n_rot, plain = l.key - rot;
  for_rows(s.n, task, [&](uint32_t i) {
    const float* rope = rope_of(s, i);
    float* k = s.row(Buffer::k, i);
    normalize(s, w.norm, k, l.kv_rank, k);
    s.kernels->rope(k + l.kv_rank, 1, rot, rot, RopePairs::adjacent, rope);
    s.kernels->store_kv(s.kv[w.layer], s.slot(i), k, k);
    float *q = s.row(Buffer::q, i) + l.kv_rank, *raw = s.row(Buffer::up, i);
    scale_by_position(s, i, size_t{layer.n_heads} * l.key, raw);
    for (uint32_t head = 0; head < layer.n_heads; ++head) {
      std::memcpy(q + size_t{head} * layer.head_k, raw + size_t{head} * l.key + plain,
                  rot * sizeof(float));
    }
    s.kernels->rope(q, layer.n_heads, layer.head_k, rot, RopePairs::adjacent, rope);
  });
  if (w.quantize) quantize_head_rows(s, Buffer::up, layer.n_heads, l.key, plain, task);
}

// Per token: K and V of all heads into the cache, from `gate` (k and v of each head) and the key
// in `up` that is rotated for all.
inline void expanded_heads(const void* work, void* state, uint32_t task, void*) noexcept {
  const LatentWork& w = work_of<LatentWork>(work);
  const State& s = state_of(state);
  const LayerHyper& layer = s.hparams->layers[w.layer];
  const LatentHyper& l = s.hparams->latent;
  const uint32_t rot = s.hparams->rope[0].n_rot, plain = l.key - rot;
  for_rows(s.n, task, [&](uint32_t i) {
    const float* rope = rope_of(s, i);
    s.kernels->rope(s.row(Buffer::q, i) + plain, layer.n_heads, l.key, rot, RopePairs::adjacent,
                    rope);
    scale_by_position(s, i, layer.q_size(), s.row(Buffer::q, i));
    float* rotated = s.row(Buffer::up, i) + l.kv_rank;
    s.kernels->rope(rotated, 1, rot, rot, RopePairs::adjacent, rope);
    const float* from = s.row(Buffer::gate, i);
    float *k = s.row(Buffer::k, i), *v = s.row(Buffer::v, i);
    for (uint32_t head = 0; head < layer.n_heads; ++head) {
      std::memcpy(k, from, plain * sizeof(float));
      std::memcpy(k + plain, rotated, rot * sizeof(float));
      std::memcpy(v, from + plain, l.value * sizeof(float));
      from += plain + l.value;
      k += l.key;
      v += l.value;
    }
    s.kernels->store_kv(s.kv[w.layer], s.slot(i), s.row(Buffer::k, i), s.row(Buffer::v, i));
  });
}

}  // namespace phase
}  // namespace detail

namespace arch {

struct LatentMixer {
  static constexpr uint32_t kLeastHeads = 1;

  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    using namespace detail;
    LatentHyper& l = h->latent;
    const LayerHyper& layer = h->layers[0];
    keys.read("attention.kv_lora_rank", 1, kMaxWidth, true, &l.kv_rank);
    keys.read("attention.q_lora_rank", 0, kMaxWidth, false, &l.q_rank);
    l.absorbed = keys.has("attention.key_length_mla");
    l.key = layer.head_k;
    l.value = layer.head_v;
    keys.read("attention.key_length_mla", 1, kMaxWidth, false, &l.key);
    keys.read("attention.value_length_mla", 1, kMaxWidth, l.absorbed, &l.value);
    if (!keys.status()) return;
    const uint32_t rot = h->rope[0].n_rot;
    const auto fail = [&](std::string_view key, uint64_t expected) {
      keys.fail(Error(ErrorCode::corrupt, "key ")
                << keys.architecture() << "." << key << ": expected " << expected);
    };
    for (const LayerHyper& other : h->layers) {
      const uint32_t kv_heads = l.absorbed ? 1 : layer.n_heads;
      if (other.n_heads != layer.n_heads) return fail("attention.head_count", layer.n_heads);
      if (other.n_kv_heads != kv_heads) return fail("attention.head_count_kv", kv_heads);
    }
    if (rot >= l.key) return fail("rope.dimension_count, below", l.key);
    for (const uint64_t head : {l.key, l.value}) {
      if (head * layer.n_heads > kMaxWidth) {
        return fail("attention.head_count, at most", kMaxWidth / head);
      }
    }
    if (l.absorbed && layer.head_k != uint64_t{l.kv_rank} + rot) {
      return fail("attention.key_length", uint64_t{l.kv_rank} + rot);
    }
    if (l.absorbed && layer.head_v != l.kv_rank) return fail("attention.value_length", l.kv_rank);

    // With this key cos and sin are without YaRN's magnitude. The scores have what is left of it
    // once more (twice, as of q and k), and the key's; with linear scaling they have YaRN's too.
    RopeHyper& rope = h->rope[0];
    float multiplier = 0;
    keys.read("rope.scaling.yarn_log_multiplier", 0.0, 1e6, false, &multiplier);
    const bool scaled = rope.scaling != RopeScaling::none && rope.factor > 1;
    const float octaves = scaled ? std::log(rope.factor) : 0, yarn = 1 + 0.1f * octaves;
    float scale = 1 + multiplier * octaves;
    if (rope.scaling != RopeScaling::yarn) {
      scale *= yarn;
    } else if (multiplier != 0) {
      rope.magnitude /= yarn;
    }
    scale *= rope.magnitude;
    h->attention_scale = scale * scale / std::sqrt(static_cast<float>(l.key));
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const LayerHyper& layer = w.shape();
    const LatentHyper& l = w.h.latent;
    const uint32_t n = w.h.n_embd, heads = layer.n_heads, rot = w.h.rope[0].n_rot;
    const Buffer q = l.absorbed ? Buffer::up : Buffer::q;
    const Buffer kv = l.absorbed ? Buffer::k : Buffer::up;
    const Weight& kv_a = w.tensors.matrix("attn_kv_a_mqa", uint64_t{l.kv_rank} + rot, n);
    if (l.q_rank == 0) {
      const Weight& wq = w.tensors.matrix("attn_q", uint64_t{heads} * l.key, n);
      w.plan.matmul(w.in, {{&wq, nullptr, q}, {&kv_a, nullptr, kv}});
    } else {
      const Weight& q_a = w.tensors.matrix("attn_q_a", l.q_rank, n);
      const Weight& q_b = w.tensors.matrix("attn_q_b", uint64_t{heads} * l.key, l.q_rank);
      w.plan.matmul(w.in, {{&q_a, nullptr, Buffer::gate}, {&kv_a, nullptr, kv}});
      w.plan.norm(w.norm("attn_q_a_norm", l.q_rank), Buffer::gate, Buffer::gate, l.q_rank);
      w.plan.matmul(Buffer::gate, {{&q_b, nullptr, q}});
    }
    LatentWork work = {w.layer, w.norm("attn_kv_a_norm", l.kv_rank), false};
    const Weight& output = w.tensors.matrix("attn_output", n, uint64_t{heads} * l.value);
    l.absorbed ? write_absorbed(w, work) : write_expanded(w, work);
    w.finish(l.absorbed ? Buffer::v : Buffer::attn, output, w.tensors.bias("attn_output", n));
  }

  // Leaves its result in `v`.
  static void write_absorbed(detail::BlockWriter& w, detail::LatentWork work) noexcept {
    using namespace detail;
    const LayerHyper& layer = w.shape();
    const LatentHyper& l = w.h.latent;
    const uint32_t heads = layer.n_heads, plain = l.key - w.h.rope[0].n_rot;
    const Weight& k_b = w.tensors.stack("attn_k_b", heads, l.kv_rank, plain);
    const Weight& v_b = w.tensors.stack("attn_v_b", heads, l.value, l.kv_rank);
    const auto multiply = [&w](const HeadProductWork& product, uint32_t width) {
      w.plan.append(phase::count_head_product, phase::head_product, product);
      w.plan.wrote(product.out, width);
    };
    work.quantize = is_quantized(k_b.type);
    if (work.quantize) w.plan.fills_quantized(heads, plain);
    w.plan.append(phase::count_rows, phase::latent_heads, work);
    multiply({&k_b, Buffer::up, Buffer::q, l.key, layer.head_k}, layer.q_size());
    w.plan.attention(w.layer, nullptr);
    w.plan.needs().widen(Buffer::attn, layer.attn_size());
    const HeadProductWork values = {&v_b, Buffer::attn, Buffer::v, layer.head_v, l.value};
    if (is_quantized(v_b.type)) {
      w.plan.fills_quantized(heads, l.kv_rank);
      w.plan.append(phase::count_rows, phase::quantize_heads, values);
    }
    multiply(values, heads * l.value);
  }

  static void write_expanded(detail::BlockWriter& w, const detail::LatentWork& work) noexcept {
    using namespace detail;
    const LayerHyper& layer = w.shape();
    const LatentHyper& l = w.h.latent;
    const uint32_t rows = layer.n_heads * (l.key - w.h.rope[0].n_rot + l.value);
    const Weight& kv_b = w.tensors.matrix("attn_kv_b", rows, l.kv_rank);
    w.plan.norm(work.norm, Buffer::up, Buffer::up, l.kv_rank);
    w.plan.matmul(Buffer::up, {{&kv_b, nullptr, Buffer::gate}});
    w.plan.append(phase::count_rows, phase::expanded_heads, work);
    w.plan.wrote(Buffer::k, layer.k_size());
    w.plan.wrote(Buffer::v, layer.v_size());
    w.plan.attention(w.layer, nullptr);
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_LATENT_INL_HPP_
