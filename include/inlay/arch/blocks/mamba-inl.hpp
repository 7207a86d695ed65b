// Mamba's selective state spaces. The first kind has a state for each channel, with steps, inputs
// and outputs chosen by a small product of the channels; the second has heads of channels that
// share a step, and takes all of it from the layer's input.
#ifndef INLAY_ARCH_BLOCKS_MAMBA_INL_HPP_
#define INLAY_ARCH_BLOCKS_MAMBA_INL_HPP_

#include "inlay/arch/blocks/recurrent-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Norms without weights of dt, b and c, which lie together in v.
struct MambaNormsWork {
  float epsilon;
};

// attn = scan of x (in q) * silu(z), with z in k; b and c lie together in a row of `bc`, at b_at.
struct MambaScanWork {
  uint32_t layer;
  Buffer dt, bc;
  uint32_t b_at;
  const float *dt_bias, *a, *d;
  bool gate;  // here, not in the norm that follows
  bool quantize;
  const MambaScanWork* first;
  uint32_t slice;
};

// attn = norm( attn * silu(k) ), of each group.
struct MambaGateWork {
  NormWeights norm;  // [groups][inner / groups], or none
  bool quantize;
};

namespace phase {

inline void mamba_norms(const void* work, void* state, uint32_t task, void*) noexcept {
  const State& s = state_of(state);
  const Hyper::Recurrent& r = s.hparams->recurrent;
  const float epsilon = work_of<MambaNormsWork>(work).epsilon;
  for_rows(s.n, task, [&](uint32_t i) {
    float* x = s.row(Buffer::v, i);
    for (const uint32_t n : {r.n_heads, r.d_state, r.d_state}) {
      s.kernels->rms_norm(x, nullptr, n, epsilon, x);
      x += n;
    }
  });
}

// Of the first kind channels, of the second heads.
struct MambaParts {
  uint32_t count, multiple;  // of a task's
  size_t work;               // of one, for a token
};
inline MambaParts mamba_parts(const MambaScanWork& w, const Hyper::Recurrent& r) noexcept {
  constexpr size_t kExp = 4;  // an exponential beside the products
  if (w.gate) return {r.inner, kQuantizeBlock, size_t{r.d_state} * kExp};
  return {r.n_heads, 1, size_t{r.d_state} * (r.inner / r.n_heads)};
}
inline ScanSlice mamba_slice(const MambaScanWork& w, const State& s) noexcept {
  const MambaParts parts = mamba_parts(w, s.hparams->recurrent);
  return {s, w.slice, parts.multiple * parts.work};
}
inline PartTasks mamba_tasks(const MambaScanWork& w, const ScanSlice& slice,
                             const State& s) noexcept {
  const MambaParts parts = mamba_parts(w, s.hparams->recurrent);
  return {parts.count, parts.work, parts.multiple, slice.size(), s};
}
inline uint32_t count_mamba_scan(const void* work, const void* state) noexcept {
  const MambaScanWork& w = work_of<MambaScanWork>(work);
  const State& s = state_of(state);
  const ScanSlice slice = mamba_slice(w, s);
  return slice.size() == 0 ? 0 : mamba_tasks(w, slice, s).count();
}
inline void mamba_scan(const void* work, void* state, uint32_t task, void*) noexcept {
  const MambaScanWork& w = work_of<MambaScanWork>(work);
  const State& s = state_of(state);
  const Hyper::Recurrent& r = s.hparams->recurrent;
  const ScanSlice slice = mamba_slice(w, s);
  SsmScan scan;
  scan.x = s.row(Buffer::q, slice.begin());
  scan.x_stride = s.width(Buffer::q);
  scan.dt = s.row(w.dt, slice.begin());
  scan.dt_stride = s.width(w.dt);
  scan.dt_bias = w.dt_bias;
  scan.b = s.row(w.bc, slice.begin()) + w.b_at;
  scan.c = scan.b + size_t{r.n_groups} * r.d_state;
  scan.bc_stride = s.width(w.bc);
  scan.a = w.a;
  scan.d = w.d;
  scan.state = scan_state(s, w.layer);
  scan.out = s.row(Buffer::attn, slice.begin());
  scan.out_stride = s.width(Buffer::attn);
  scan.n = slice.size();
  scan.n_heads = w.gate ? r.inner : r.n_heads;
  scan.n_groups = r.n_groups;
  scan.head_dim = r.inner / scan.n_heads;
  scan.d_state = r.d_state;
  scan.a_per_state = w.gate;
  const RowTasks::Range range = mamba_tasks(w, slice, s).task(task);
  recurrent_kernels(*s.kernels).ssm_scan(scan, range.begin, range.end);
  for (uint32_t i = slice.begin(); w.gate && i < slice.end(); ++i) {
    float* y = s.row(Buffer::attn, i) + range.begin;
    s.kernels->activate(Activation::silu, s.row(Buffer::k, i) + range.begin, y,
                        range.end - range.begin, y);
  }
  if (w.first->quantize) {
    quantize_columns(s, Buffer::attn, r.inner, slice.begin(), slice.end(), range);
  }
}

inline void mamba_gate(const void* work, void* state, uint32_t task, void*) noexcept {
  const MambaGateWork& w = work_of<MambaGateWork>(work);
  const State& s = state_of(state);
  const Hyper::Recurrent& r = s.hparams->recurrent;
  const uint32_t group = r.inner / r.n_groups;
  for_rows(s.n, task, [&](uint32_t i) {
    float* y = s.row(Buffer::attn, i);
    s.kernels->activate(Activation::silu, s.row(Buffer::k, i), y, r.inner, y);
    for (uint32_t at = 0; w.norm.weight != nullptr && at < r.inner; at += group) {
      s.kernels->rms_norm(y + at, w.norm.weight + at, group, w.norm.epsilon, y + at);
    }
  });
  if (w.quantize) quantize_rows(s, Buffer::attn, r.inner, s.n, task);
}

}  // namespace phase
}  // namespace detail

namespace arch {

struct MambaMixer {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    detail::Hyper::Recurrent& r = h->recurrent;
    detail::read_ssm(keys, /*grouped=*/false, &r);
    keys.read("ssm.dt_b_c_rms", &r.dt_b_c_norms);
    r.n_groups = 1;
    r.conv_channels = r.inner;
    detail::keep_state(keys, uint64_t{r.inner} * r.d_state, h);
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const Hyper::Recurrent& r = w.h.recurrent;
    const uint32_t n = w.h.n_embd, inner = r.inner, rank = r.n_heads;
    const Weight& in = w.tensors.matrix("ssm_in", uint64_t{2} * inner, n);
    w.plan.matmul(w.in, {{&w.tensors.rows(in, 0, inner), nullptr, Buffer::q},
                         {&w.tensors.rows(in, inner, inner), nullptr, Buffer::k}});
    write_conv(w, Buffer::q, Presence::required);

    const uint64_t chosen = uint64_t{rank} + uint64_t{2} * r.d_state;
    w.plan.matmul(Buffer::q, {{&w.tensors.matrix("ssm_x", chosen, inner), nullptr, Buffer::v}});
    if (r.dt_b_c_norms) {
      w.plan.append(phase::count_rows, phase::mamba_norms, MambaNormsWork{w.h.norm_epsilon});
      w.plan.wrote(Buffer::v, static_cast<uint32_t>(chosen));
    }
    w.plan.matmul(Buffer::v, {{&w.tensors.matrix("ssm_dt", inner, rank), nullptr, Buffer::up}});

    MambaScanWork scan = {};
    scan.layer = w.layer;
    scan.dt = Buffer::up;
    scan.bc = Buffer::v;
    scan.b_at = rank;
    scan.dt_bias = w.tensors.bias("ssm_dt", inner, Presence::required);
    scan.a = w.tensors.vector("ssm_a", r.d_state, Presence::required, "", inner);
    scan.d = w.tensors.vector("ssm_d", inner, Presence::required, "");
    scan.gate = true;
    MambaScanWork* kept = write_scan(w.plan, phase::count_mamba_scan, phase::mamba_scan, scan);
    if (kept == nullptr) return;
    w.plan.wrote(Buffer::attn, inner, &kept->quantize);
    w.finish(Buffer::attn, w.tensors.matrix("ssm_out", n, inner), nullptr);
  }
};

struct Mamba2Mixer {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    detail::Hyper::Recurrent& r = h->recurrent;
    detail::read_ssm(keys, /*grouped=*/true, &r);
    detail::must_divide(keys, "ssm.time_step_rank", r.n_heads, "ssm.inner_size", r.inner);
    detail::must_divide(keys, "ssm.group_count", r.n_groups, "ssm.time_step_rank", r.n_heads);
    const uint64_t channels = r.inner + uint64_t{2} * r.n_groups * r.d_state;
    detail::must_fit(keys, "ssm.state_size", channels);
    if (!keys.status()) return;
    r.conv_channels = static_cast<uint32_t>(channels);
    const uint32_t head = r.inner / r.n_heads;
    detail::keep_state(keys, detail::head_state_floats(r.n_heads, r.d_state, head), h);
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const Hyper::Recurrent& r = w.h.recurrent;
    const uint32_t n = w.h.n_embd, inner = r.inner, heads = r.n_heads, channels = r.conv_channels;
    const Weight& in = w.tensors.matrix("ssm_in", uint64_t{inner} + channels + heads, n);
    w.plan.matmul(w.in, {{&w.tensors.rows(in, 0, inner), nullptr, Buffer::k},
                         {&w.tensors.rows(in, inner, channels), nullptr, Buffer::q},
                         {&w.tensors.rows(in, inner + channels, heads), nullptr, Buffer::v}});
    write_conv(w, Buffer::q, Presence::required);

    MambaScanWork scan = {};
    scan.layer = w.layer;
    scan.dt = Buffer::v;
    scan.bc = Buffer::q;
    scan.b_at = inner;
    scan.dt_bias = w.tensors.bias("ssm_dt", heads, Presence::required);
    scan.a = w.tensors.vector("ssm_a", 1, Presence::required, "", heads);
    scan.d = w.tensors.vector("ssm_d", 1, Presence::required, "", heads);
    write_scan(w.plan, phase::count_mamba_scan, phase::mamba_scan, scan);

    MambaGateWork gate = {};
    gate.norm.epsilon = w.h.norm_epsilon;
    gate.norm.weight =
        w.tensors.vector("ssm_norm", inner / r.n_groups, Presence::optional, ".weight", r.n_groups);
    MambaGateWork* kept = w.plan.append(phase::count_rows, phase::mamba_gate, gate);
    if (kept == nullptr) return;
    w.plan.wrote(Buffer::attn, inner, &kept->quantize);
    w.finish(Buffer::attn, w.tensors.matrix("ssm_out", n, inner), nullptr);
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_MAMBA_INL_HPP_
