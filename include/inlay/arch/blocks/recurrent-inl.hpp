// What recurrent mixers share: which layers are recurrent, how a layer is cut into tasks, the
// causal convolution. The state of a layer is [kernel - 1][channels] inputs of its convolution and,
// from the next cache line on, what its scan carries from token to token.
#ifndef INLAY_ARCH_BLOCKS_RECURRENT_INL_HPP_
#define INLAY_ARCH_BLOCKS_RECURRENT_INL_HPP_

#include "inlay/arch/block.hpp"
#include "inlay/arch/phases-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// State of the convolution, in floats.
constexpr uint64_t conv_state_floats(const Hyper::Recurrent& r) noexcept {
  return round_up(size_t{r.conv_kernel - 1} * r.conv_channels, kAlignment / sizeof(float));
}

// State of a scan whose heads have rows of `lanes` floats.
constexpr uint64_t head_state_floats(uint64_t heads, uint32_t rows, uint32_t lanes) noexcept {
  return heads * rows * state_floats(1, lanes);
}

// Layers without KV heads are recurrent: their convolution's state is followed by `scan_floats`.
inline void keep_state(Keys& keys, uint64_t scan_floats, Hyper* h) noexcept {
  constexpr uint64_t kMost = uint64_t{1} << 28;
  if (!keys.status()) return;
  const uint64_t floats = conv_state_floats(h->recurrent) + scan_floats;
  if (floats > kMost) {
    return keys.fail(Error(ErrorCode::corrupt, "architecture ")
                     << keys.architecture() << ": a layer's state of " << floats
                     << " floats is out of range");
  }
  for (LayerHyper& layer : h->layers) {
    if (layer.n_kv_heads == 0) layer.state_floats = static_cast<uint32_t>(floats);
  }
}

// The ssm keys. Mamba's time_step_rank is a width of its own, other mixers' is their heads.
inline void read_ssm(Keys& keys, bool grouped, Hyper::Recurrent* r) noexcept {
  keys.read("ssm.conv_kernel", 1, kMaxConvKernel, true, &r->conv_kernel);
  keys.read("ssm.inner_size", 1, kMaxWidth, true, &r->inner);
  keys.read("ssm.state_size", 1, kMaxWidth, true, &r->d_state);
  keys.read("ssm.time_step_rank", 1, kMaxWidth, true, &r->n_heads);
  if (grouped) keys.read("ssm.group_count", 1, kMaxWidth, true, &r->n_groups);
}

// `divisor` of `of` must be a whole number.
inline void must_divide(Keys& keys, std::string_view divisor, uint32_t by, std::string_view of,
                        uint32_t number) noexcept {
  if (!keys.status() || number % by == 0) return;
  keys.fail(Error(ErrorCode::corrupt, "key ") << keys.architecture() << "." << divisor << ": " << by
                                              << " does not divide the " << number << " of " << of);
}

// A width that follows from several keys, the last of which is `key`.
inline void must_fit(Keys& keys, std::string_view key, uint64_t width) noexcept {
  if (!keys.status() || width <= kMaxWidth) return;
  keys.fail(Error(ErrorCode::corrupt, "key ")
            << keys.architecture() << "." << key << ": a width of " << width << " is out of range");
}

// Channels or heads of a layer, cut into tasks; each goes over all tokens of the batch. They do not
// depend on one another, so the results are the same bits however they are cut.
class PartTasks {
 public:
  using Range = phase::RowTasks::Range;
  // `work`: values that one part computes with for one token, of `n`. Parts of a task are a
  // multiple of `multiple`.
  PartTasks(uint32_t parts, size_t work, uint32_t multiple, uint32_t n, const State& s) noexcept
      : parts_(parts) {
    constexpr size_t kWork = size_t{1} << 18;  // 50 to 200 microseconds
    const size_t fit = kWork / (work * n), share = div_up(parts, size_t{4} * s.workers);
    const size_t step = div_up(fit < share ? fit : share, multiple) * multiple;
    step_ = static_cast<uint32_t>(step < multiple ? multiple : step);
  }
  uint32_t count() const noexcept { return static_cast<uint32_t>(div_up(parts_, step_)); }
  Range task(uint32_t index) const noexcept {
    const uint32_t begin = index * step_, left = parts_ - begin;
    return {begin, begin + (left < step_ ? left : step_)};
  }

 private:
  uint32_t parts_, step_;
};

// A scan goes over the tokens in order, so that the task of one head would be as long as the batch.
// So it is written as several phases, each of which goes over some of the tokens.
class ScanSlice {
 public:
  static constexpr uint32_t kCount = 8;
  // `work`: values that the smallest task computes with for one token.
  ScanSlice(const State& s, uint32_t index, size_t work) noexcept {
    constexpr size_t kWork = size_t{3} << 18;  // 100 to 200 microseconds
    const size_t fit = kWork / work, least = div_up(s.n, size_t{kCount});
    const size_t tokens = round_up(fit > least ? fit : least, kQuantizeStep);
    const size_t from = index * tokens, to = from + tokens;
    begin_ = from < s.n ? static_cast<uint32_t>(from) : s.n;
    end_ = to < s.n ? static_cast<uint32_t>(to) : s.n;
  }
  uint32_t begin() const noexcept { return begin_; }
  uint32_t end() const noexcept { return end_; }
  uint32_t size() const noexcept { return end_ - begin_; }

 private:
  uint32_t begin_, end_;
};

// Appends the phases of a scan. `scan` has a member `slice`, and `first`, that of the first phase:
// what is returned, and what the flags of all of them are read from.
template <class T>
T* write_scan(PlanWriter& plan, PlanWriter::CountFn count, PlanWriter::RunFn run,
              const T& scan) noexcept {
  T* first = nullptr;
  for (uint32_t i = 0; i < ScanSlice::kCount; ++i) {
    T* slice = plan.append(count, run, scan);
    if (slice == nullptr) return nullptr;
    if (i == 0) first = slice;
    slice->slice = i;
    slice->first = first;
  }
  return first;
}

// silu of the convolution of a buffer's first channels, in place.
struct ConvWork {
  uint32_t layer;
  Buffer buffer;
  const float *weight, *bias;  // [channels][kernel]; [channels] or null
  bool quantize;
};

namespace phase {

inline Conv1d conv_of(const State& s, uint32_t layer, Buffer in, Buffer out, const float* weight,
                      const float* bias) noexcept {
  const Hyper::Recurrent& r = s.hparams->recurrent;
  Conv1d c;
  c.x = s.row(in, 0);
  c.x_stride = s.width(in);
  c.weight = weight;
  c.bias = bias;
  c.state = s.recurrent[layer];
  c.out = s.row(out, 0);
  c.out_stride = s.width(out);
  c.n = s.n;
  c.channels = r.conv_channels;
  c.kernel = r.conv_kernel;
  c.silu = false;
  return c;
}
inline PartTasks conv_tasks(const State& s) noexcept {
  constexpr size_t kActivation = 8;  // work beside the products
  const Hyper::Recurrent& r = s.hparams->recurrent;
  return {r.conv_channels, r.conv_kernel + kActivation, kQuantizeBlock, s.n, s};
}
inline float* scan_state(const State& s, uint32_t layer) noexcept {
  return s.recurrent[layer] + conv_state_floats(s.hparams->recurrent);
}

// Quantizes columns of rows of `buffer`, for the matmul that follows.
inline void quantize_columns(const State& s, Buffer buffer, uint32_t width, uint32_t begin,
                             uint32_t end, RowTasks::Range columns) noexcept {
  s.kernels->quantize(s.quantize_of(buffer, width, s.n), begin, end, columns.begin, columns.end);
}

inline uint32_t count_conv(const void*, const void* state) noexcept {
  return conv_tasks(state_of(state)).count();
}
inline void conv(const void* work, void* state, uint32_t task, void*) noexcept {
  const ConvWork& w = work_of<ConvWork>(work);
  const State& s = state_of(state);
  const RowTasks::Range range = conv_tasks(s).task(task);
  Conv1d c = conv_of(s, w.layer, w.buffer, w.buffer, w.weight, w.bias);
  c.silu = true;
  recurrent_kernels(*s.kernels).conv1d(c, range.begin, range.end);
  if (w.quantize) quantize_columns(s, w.buffer, s.hparams->recurrent.conv_channels, 0, s.n, range);
}

}  // namespace phase

// ssm_conv1d on `buffer`.
inline void write_conv(BlockWriter& w, Buffer buffer, arch::Presence bias) noexcept {
  const Hyper::Recurrent& r = w.h.recurrent;
  const float* weight = w.tensors.vector("ssm_conv1d", r.conv_kernel, arch::Presence::required,
                                         ".weight", r.conv_channels);
  const ConvWork work = {w.layer, buffer, weight,
                         w.tensors.bias("ssm_conv1d", r.conv_channels, bias), false};
  ConvWork* kept = w.plan.append(phase::count_conv, phase::conv, work);
  if (kept != nullptr) w.plan.wrote(buffer, r.conv_channels, &kept->quantize);
}

}  // namespace detail

namespace arch {

// Layers without KV heads are recurrent, the others are attention.
template <class Recurrent, class Attention>
struct HybridMixer {
  static constexpr uint32_t kLeastHeads = 0;
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts& facts,
                              detail::Hyper* h) noexcept {
    Attention::read(keys, facts, h);
    Recurrent::read(keys, facts, h);
    for (detail::LayerHyper& layer : h->layers) {
      if (layer.n_kv_heads == 0) layer.n_heads = 0;
    }
  }
  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    w.shape().n_kv_heads == 0 ? Recurrent::write(w) : Attention::write(w);
  }
};

// All layers are, whatever the file says of heads.
template <class Recurrent>
struct RecurrentMixer {
  static constexpr uint32_t kLeastHeads = 0;
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts& facts,
                              detail::Hyper* h) noexcept {
    for (detail::LayerHyper& layer : h->layers) layer.n_heads = layer.n_kv_heads = 0;
    Recurrent::read(keys, facts, h);
  }
  INLAY_COLD static void write(detail::BlockWriter& w) noexcept { Recurrent::write(w); }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_RECURRENT_INL_HPP_
