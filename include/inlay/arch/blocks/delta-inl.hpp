// The gated delta rule, and the attention that stands beside it, whose output has a gate too
// (Qwen3.5).
#ifndef INLAY_ARCH_BLOCKS_DELTA_INL_HPP_
#define INLAY_ARCH_BLOCKS_DELTA_INL_HPP_

#include "inlay/arch/blocks/attention-inl.hpp"
#include "inlay/arch/blocks/recurrent-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Per token: norms of the heads of q and k, which lie in q; and from the projections in v and up
// what the rule takes for each head, in a row of `up`: the logarithm of what is kept, [n_heads],
// and the share that is learned, [n_heads].
struct DeltaGatesWork {
  const float *dt_bias, *a;  // [n_heads]
  float epsilon;
};

// attn = norm(the rule's output) * silu(k), of each head.
struct DeltaRuleWork {
  uint32_t layer;
  NormWeights norm;  // [d_state]
  bool quantize;
  const DeltaRuleWork* first;
  uint32_t slice;
};

// Rows of `up` are [n_heads][2][head_k]: q, and what is to be its gate.
struct SplitGateWork {
  uint32_t layer;
};
// attn *= sigmoid(gate).
struct OutputGateWork {
  uint32_t layer;
  bool quantize;
};

namespace phase {

inline void delta_gates(const void* work, void* state, uint32_t task, void*) noexcept {
  const DeltaGatesWork& w = work_of<DeltaGatesWork>(work);
  const State& s = state_of(state);
  const Hyper::Recurrent& r = s.hparams->recurrent;
  const RecurrentKernels& recurrent = recurrent_kernels(*s.kernels);
  for_rows(s.n, task, [&](uint32_t i) {
    float* x = s.row(Buffer::q, i);
    for (uint32_t head = 0; head < 2 * r.n_groups; ++head, x += r.d_state) {
      recurrent.l2_norm(x, r.d_state, w.epsilon, x);
    }
    const float* beta = s.row(Buffer::v, i);
    float* gate = s.row(Buffer::up, i);
    s.kernels->activate(Activation::sigmoid, beta, nullptr, r.n_heads, gate + r.n_heads);
    s.kernels->add(w.dt_bias, r.n_heads, gate);
    s.kernels->activate(Activation::softplus, gate, w.a, r.n_heads, gate);
  });
}

// Heads of a task at least: whole blocks of quantized values.
inline uint32_t delta_heads(const DeltaRuleWork& w, const Hyper::Recurrent& r) noexcept {
  uint32_t heads = 1;
  while (w.first->quantize && heads * r.d_state % kQuantizeBlock != 0) heads *= 2;
  return heads;
}
inline ScanSlice delta_slice(const DeltaRuleWork& w, const State& s) noexcept {
  const Hyper::Recurrent& r = s.hparams->recurrent;
  return {s, w.slice, size_t{delta_heads(w, r)} * r.d_state * r.d_state};
}
inline PartTasks delta_tasks(const DeltaRuleWork& w, const ScanSlice& slice,
                             const State& s) noexcept {
  const Hyper::Recurrent& r = s.hparams->recurrent;
  return {r.n_heads, size_t{r.d_state} * r.d_state, delta_heads(w, r), slice.size(), s};
}
inline uint32_t count_delta_rule(const void* work, const void* state) noexcept {
  const DeltaRuleWork& w = work_of<DeltaRuleWork>(work);
  const State& s = state_of(state);
  const ScanSlice slice = delta_slice(w, s);
  return slice.size() == 0 ? 0 : delta_tasks(w, slice, s).count();
}
inline void delta_rule(const void* work, void* state, uint32_t task, void*) noexcept {
  const DeltaRuleWork& w = work_of<DeltaRuleWork>(work);
  const State& s = state_of(state);
  const Hyper::Recurrent& r = s.hparams->recurrent;
  const ScanSlice slice = delta_slice(w, s);
  DeltaRule rule;
  rule.q = s.row(Buffer::q, slice.begin());
  rule.k = rule.q + size_t{r.n_groups} * r.d_state;
  rule.qk_stride = rule.v_stride = s.width(Buffer::q);
  rule.v = rule.k + size_t{r.n_groups} * r.d_state;
  rule.gate = s.row(Buffer::up, slice.begin());
  rule.beta = rule.gate + r.n_heads;
  rule.gate_stride = s.width(Buffer::up);
  rule.state = scan_state(s, w.layer);
  rule.out = s.row(Buffer::attn, slice.begin());
  rule.out_stride = s.width(Buffer::attn);
  rule.n = slice.size();
  rule.n_heads = r.n_heads;
  rule.n_k_heads = r.n_groups;
  rule.head_k = rule.head_v = r.d_state;
  rule.grouped = false;
  rule.scale = 1.0f / std::sqrt(static_cast<float>(r.d_state));
  const RowTasks::Range heads = delta_tasks(w, slice, s).task(task);
  recurrent_kernels(*s.kernels).delta_rule(rule, heads.begin, heads.end);
  for (uint32_t i = slice.begin(); i < slice.end(); ++i) {
    for (uint32_t head = heads.begin; head < heads.end; ++head) {
      const size_t at = size_t{head} * r.d_state;
      float* y = s.row(Buffer::attn, i) + at;
      normalize(s, w.norm, y, r.d_state, y);
      s.kernels->activate(Activation::silu, s.row(Buffer::k, i) + at, y, r.d_state, y);
    }
  }
  if (!w.first->quantize) return;
  quantize_columns(s, Buffer::attn, r.inner, slice.begin(), slice.end(),
                   {heads.begin * r.d_state, heads.end * r.d_state});
}

inline void split_gate(const void* work, void* state, uint32_t task, void*) noexcept {
  const State& s = state_of(state);
  const LayerHyper& layer = s.hparams->layers[work_of<SplitGateWork>(work).layer];
  for_rows(s.n, task, [&](uint32_t i) {
    const float* both = s.row(Buffer::up, i);
    float *q = s.row(Buffer::q, i), *gate = s.row(Buffer::gate, i);
    for (uint32_t head = 0; head < layer.n_heads; ++head) {
      for (float* half : {q, gate}) {
        std::memcpy(half + size_t{head} * layer.head_k, both, layer.head_k * sizeof(float));
        both += layer.head_k;
      }
    }
  });
}

inline void output_gate(const void* work, void* state, uint32_t task, void*) noexcept {
  const OutputGateWork& w = work_of<OutputGateWork>(work);
  const State& s = state_of(state);
  const uint32_t n = s.hparams->layers[w.layer].attn_size();
  for_rows(s.n, task, [&](uint32_t i) {
    float* attn = s.row(Buffer::attn, i);
    s.kernels->activate(Activation::sigmoid, s.row(Buffer::gate, i), attn, n, attn);
  });
  if (w.quantize) quantize_rows(s, Buffer::attn, n, s.n, task);
}

}  // namespace phase
}  // namespace detail

namespace arch {

struct DeltaMixer {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    using namespace detail;
    Hyper::Recurrent& r = h->recurrent;
    read_ssm(keys, /*grouped=*/true, &r);
    must_divide(keys, "ssm.group_count", r.n_groups, "ssm.time_step_rank", r.n_heads);
    const uint64_t inner = uint64_t{r.n_heads} * r.d_state;
    if (keys.status() && inner != r.inner) {
      return keys.fail(Error(ErrorCode::corrupt, "key ")
                       << keys.architecture() << ".ssm.inner_size: expected " << inner
                       << ", ssm.time_step_rank times ssm.state_size");
    }
    const uint64_t channels = inner + uint64_t{2} * r.n_groups * r.d_state;
    must_fit(keys, "ssm.state_size", channels);
    r.conv_channels = static_cast<uint32_t>(channels);

    uint32_t interval = 4;
    keys.read("full_attention_interval", 1, kMaxLayers, false, &interval);
    const auto set = [&](uint32_t i, uint32_t recurrent) {
      if (recurrent != 0) h->layers[i].n_heads = h->layers[i].n_kv_heads = 0;
    };
    if (keys.has("attention.recurrent_layers")) {
      keys.read_layers("attention.recurrent_layers", 0, 1, false, h->n_layers, set);
    } else {
      for (uint32_t i = 0; i < h->n_layers; ++i) set(i, (i + 1) % interval != 0);
    }
    keep_state(keys, head_state_floats(r.n_heads, r.d_state, r.d_state), h);
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const Hyper::Recurrent& r = w.h.recurrent;
    const uint32_t n = w.h.n_embd, heads = r.n_heads;
    w.plan.matmul(w.in, {{&w.tensors.matrix("attn_qkv", r.conv_channels, n), nullptr, Buffer::q},
                         {&w.tensors.matrix("attn_gate", r.inner, n), nullptr, Buffer::k},
                         {&w.tensors.matrix("ssm_beta", heads, n), nullptr, Buffer::v},
                         {&w.tensors.matrix("ssm_alpha", heads, n), nullptr, Buffer::up}});
    write_conv(w, Buffer::q, Presence::absent);
    DeltaGatesWork gates = {};
    gates.dt_bias = w.tensors.bias("ssm_dt", heads, Presence::required);
    gates.a = w.tensors.vector("ssm_a", heads, Presence::required, "");
    gates.epsilon = w.h.norm_epsilon;
    w.plan.append(phase::count_rows, phase::delta_gates, gates);
    w.plan.wrote(Buffer::up, 2 * heads);

    DeltaRuleWork rule = {};
    rule.layer = w.layer;
    rule.norm.weight = w.tensors.vector("ssm_norm", r.d_state);
    rule.norm.epsilon = w.h.norm_epsilon;
    DeltaRuleWork* kept = write_scan(w.plan, phase::count_delta_rule, phase::delta_rule, rule);
    if (kept == nullptr) return;
    w.plan.wrote(Buffer::attn, r.inner, &kept->quantize);
    w.finish(Buffer::attn, w.tensors.matrix("ssm_out", n, r.inner), nullptr);
  }
};

// Attention whose q projection has, for each head, the rows of q and then those of a gate.
struct GatedAttentionMixer {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    for (const detail::LayerHyper& layer : h->layers) {
      if (!keys.status() || layer.head_k == layer.head_v) continue;
      keys.fail(Error(ErrorCode::corrupt, "key ")
                << keys.architecture() << ".attention.value_length: expected " << layer.head_k
                << ", as attention.key_length: a head's gate is as long as both");
    }
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const LayerHyper& layer = w.shape();
    const uint32_t n = w.h.n_embd;
    w.plan.matmul(
        w.in, {{&w.tensors.matrix("attn_q", uint64_t{2} * layer.q_size(), n), nullptr, Buffer::up},
               {&w.tensors.matrix("attn_k", layer.k_size(), n), nullptr, Buffer::k},
               {&w.tensors.matrix("attn_v", layer.v_size(), n), nullptr, Buffer::v}});
    w.plan.append(phase::count_rows, phase::split_gate, SplitGateWork{w.layer});
    w.plan.wrote(Buffer::q, layer.q_size());
    w.plan.wrote(Buffer::gate, layer.q_size());
    AttentionMixer::attend(w);
    OutputGateWork* gate =
        w.plan.append(phase::count_rows, phase::output_gate, OutputGateWork{w.layer, false});
    if (gate == nullptr) return;
    w.plan.wrote(Buffer::attn, layer.attn_size(), &gate->quantize);
    w.finish(Buffer::attn, w.tensors.matrix("attn_output", n, layer.attn_size()), nullptr);
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_DELTA_INL_HPP_
