// LFM2's short convolution: output( c * conv(b * x) ) with b, c and x from one input.
#ifndef INLAY_ARCH_BLOCKS_SHORT_CONV_INL_HPP_
#define INLAY_ARCH_BLOCKS_SHORT_CONV_INL_HPP_

#include "inlay/arch/blocks/recurrent-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// attn = k * conv(q * v), which is left in v.
struct ShortConvWork {
  uint32_t layer;
  const float* weight;  // [n_embd][kernel]
  bool quantize;
};

namespace phase {

inline void short_conv(const void* work, void* state, uint32_t task, void*) noexcept {
  const ShortConvWork& w = work_of<ShortConvWork>(work);
  const State& s = state_of(state);
  const RowTasks::Range range = conv_tasks(s).task(task);
  const uint32_t n = range.end - range.begin;
  const auto multiply_rows = [&](Buffer by, Buffer inout) {
    for (uint32_t i = 0; i < s.n; ++i) {
      s.kernels->mul(s.row(by, i) + range.begin, n, s.row(inout, i) + range.begin);
    }
  };
  multiply_rows(Buffer::q, Buffer::v);
  recurrent_kernels(*s.kernels)
      .conv1d(conv_of(s, w.layer, Buffer::v, Buffer::attn, w.weight, nullptr), range.begin,
              range.end);
  multiply_rows(Buffer::k, Buffer::attn);
  if (w.quantize) quantize_columns(s, Buffer::attn, s.hparams->n_embd, 0, s.n, range);
}

}  // namespace phase
}  // namespace detail

namespace arch {

struct ShortConvMixer {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    keys.read("shortconv.l_cache", 1, detail::kMaxConvKernel, true, &h->recurrent.conv_kernel);
    h->recurrent.conv_channels = h->n_embd;
    detail::keep_state(keys, 0, h);
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const uint32_t n = w.h.n_embd;
    const Weight& in = w.tensors.matrix("shortconv.in_proj", uint64_t{3} * n, n);
    w.plan.matmul(w.in, {{&w.tensors.rows(in, 0, n), nullptr, Buffer::q},
                         {&w.tensors.rows(in, n, n), nullptr, Buffer::k},
                         {&w.tensors.rows(in, uint64_t{2} * n, n), nullptr, Buffer::v}});
    const float* weight = w.tensors.vector("shortconv.conv", w.h.recurrent.conv_kernel,
                                           Presence::required, ".weight", n);
    ShortConvWork* work =
        w.plan.append(phase::count_conv, phase::short_conv, ShortConvWork{w.layer, weight, false});
    if (work == nullptr) return;
    w.plan.wrote(Buffer::attn, n, &work->quantize);
    w.finish(Buffer::attn, w.tensors.matrix("shortconv.out_proj", n, n), nullptr);
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_SHORT_CONV_INL_HPP_
