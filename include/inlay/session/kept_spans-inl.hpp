#ifndef INLAY_SESSION_KEPT_SPANS_INL_HPP_
#define INLAY_SESSION_KEPT_SPANS_INL_HPP_

#include <cmath>
#include <cstring>

#include "inlay/session/kept_spans.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// A polynomial of the block's tokens, so that it can roll.
inline constexpr uint32_t kRollFactor = 0x01000193u;

inline uint32_t KeptSpans::hash_of(Span<const Token> text, uint32_t begin) const noexcept {
  uint32_t hash = 0;
  for (uint32_t i = begin; i < begin + block(); ++i) {
    hash = hash * kRollFactor + static_cast<uint32_t>(text[i]) + 1;
  }
  return hash;
}

INLAY_COLD inline void KeptSpans::collect(Span<const Token> old_text, Span<const Token> new_text,
                                          uint32_t same, Runs* runs) noexcept {
  const uint32_t n_old = static_cast<uint32_t>(old_text.size()),
                 n_new = static_cast<uint32_t>(new_text.size()), length = block();
  if (n_old < same + length || n_new < same + length) return;
  const uint32_t slots = static_cast<uint32_t>(hash_slots((n_old - same) / length + 1));
  std::memset(table_, 0, slots * sizeof *table_);
  for (uint32_t at = same; at + length <= n_old; at += length) {
    uint32_t slot = mix_hash(hash_of(old_text, at));
    for (uint32_t probe = 0; probe < kMostProbes; ++probe, ++slot) {
      if (table_[slot & (slots - 1)] != 0) continue;
      table_[slot & (slots - 1)] = at + 1;
      break;
    }
  }
  uint32_t power = 1;  // of the token that leaves the block
  for (uint32_t i = 1; i < length; ++i) power *= kRollFactor;
  const auto equal = [&](uint32_t from, uint32_t to) {
    return old_text[from] == new_text[to] && old_text[from] >= 0;
  };
  uint32_t hash = hash_of(new_text, same);
  for (uint32_t at = same;; ++at) {
    uint32_t slot = mix_hash(hash);
    for (uint32_t probe = 0; probe < kMostProbes && runs->n < kMostRuns; ++probe, ++slot) {
      if (table_[slot & (slots - 1)] == 0) break;
      Run run{table_[slot & (slots - 1)] - 1, at, 0};
      bool known = false;  // as part of a longer one
      for (uint32_t i = 0; i < runs->n && !known; ++i) {
        const Run& r = runs->run[i];
        known = r.from - r.to == run.from - run.to && run.to >= r.to && run.to < r.to + r.n;
      }
      if (known) continue;
      while (run.from + run.n < n_old && run.to + run.n < n_new &&
             equal(run.from + run.n, run.to + run.n)) {
        ++run.n;
      }
      if (run.n < length) continue;  // only their hashes are equal
      while (run.from > same && run.to > same && equal(run.from - 1, run.to - 1)) {
        --run.from;
        --run.to;
        ++run.n;
      }
      if (run.n >= least_) runs->run[runs->n++] = run;
    }
    if (at + length >= n_new) break;
    hash = (hash - (static_cast<uint32_t>(new_text[at]) + 1) * power) * kRollFactor +
           static_cast<uint32_t>(new_text[at + length]) + 1;
  }
}

// The chain of runs that keeps most tokens. One that overlaps the one before it loses its front.
INLAY_COLD inline void KeptSpans::choose(const Runs& runs) noexcept {
  struct Link {
    uint32_t tokens, cut, before, length;
  } link[kMostRuns];
  uint32_t order[kMostRuns];  // by their ends
  const auto end = [&](uint32_t i) { return runs.run[i].to + runs.run[i].n; };
  for (uint32_t i = 0; i < runs.n; ++i) {
    uint32_t at = i;
    for (; at > 0 && end(order[at - 1]) > end(i); --at) order[at] = order[at - 1];
    order[at] = i;
  }
  uint32_t best = kMostRuns;
  for (uint32_t i = 0; i < runs.n; ++i) {
    const Run& run = runs.run[order[i]];
    link[i] = {run.n, 0, kMostRuns, 1};
    for (uint32_t j = 0; j < i; ++j) {
      const Run& before = runs.run[order[j]];
      uint32_t cut = 0;
      if (before.to + before.n > run.to) cut = before.to + before.n - run.to;
      if (before.from + before.n > run.from + cut) cut = before.from + before.n - run.from;
      if (cut + least_ > run.n || link[j].length == kMost) continue;
      const uint32_t tokens = link[j].tokens + run.n - cut;
      if (tokens > link[i].tokens) link[i] = {tokens, cut, j, link[j].length + 1};
    }
    if (best == kMostRuns || link[i].tokens > link[best].tokens) best = i;
  }
  n_ = best == kMostRuns ? 0 : link[best].length;
  for (uint32_t i = n_; i-- > 0; best = link[best].before) {
    const Run& run = runs.run[order[best]];
    const uint32_t cut = link[best].cut;
    spans_[i] = {run.to + cut, run.to + run.n, run.from + cut, run.to == run.from};
  }
}

INLAY_COLD inline void KeptSpans::find(Span<const Token> old_text, Span<const Token> new_text,
                                       uint32_t same) noexcept {
  Runs runs;
  collect(old_text, new_text, same, &runs);
  choose(runs);
  moved_ = 0;
  // The last token is read, whatever was kept: its logits are what comes next.
  if (n_ > 0 && spans_[n_ - 1].end == new_text.size() &&
      --spans_[n_ - 1].end == spans_[n_ - 1].begin) {
    --n_;
  }
}

// Which span is to move next; n_ if none is.
inline uint32_t KeptSpans::current() const noexcept {
  for (uint32_t i = n_; i-- > 0;) {
    if (!spans_[i].moved && spans_[i].from < spans_[i].begin) return i;
  }
  uint32_t i = 0;
  while (i < n_ && spans_[i].moved) ++i;
  return i;
}

inline KeptSpans::Move KeptSpans::next_move() const noexcept {
  const uint32_t i = current();
  if (i == n_) return {0, 0, 0};
  const Kept& span = spans_[i];
  const uint32_t left = span.size() - moved_;
  const uint32_t n = left < kPositionsAtOnce ? left : kPositionsAtOnce;
  const uint32_t at = span.from < span.begin ? left - n : moved_;
  return {span.from + at, span.begin + at, n};
}

inline void KeptSpans::finish_move() noexcept {
  Kept& span = spans_[current()];
  moved_ += next_move().n;
  if (moved_ < span.size()) return;
  span.moved = true;
  moved_ = 0;
}

inline uint32_t KeptSpans::pass(uint32_t position) noexcept {
  while (n_ > 0 && spans_[0].begin == position) {
    position = spans_[0].end;
    --n_;
    for (uint32_t i = 0; i < n_; ++i) spans_[i] = spans_[i + 1];
  }
  return position;
}

// ---- moving positions in the cache ----

inline uint32_t Shift::count(const void*, const void* state) noexcept {
  return static_cast<const Shift*>(state)->state->hparams->n_layers;
}

// Those of one layer. A position's K is rotated by what the way is long; where it came from, it was
// rotated by its own place.
inline void Shift::run(const void*, void* shift, uint32_t layer_index, void* scratch) noexcept {
  const State& s = *static_cast<const Shift*>(shift)->state;
  const KeptSpans::Move m = static_cast<const Shift*>(shift)->move;
  const arch::Rope pairing = static_cast<const Shift*>(shift)->rope;
  const Hyper& h = *s.hparams;
  const LayerHyper& layer = h.layers[layer_index];
  if (layer.kv_layer != layer_index || layer.n_kv_heads == 0) return;
  float* k = static_cast<float*>(scratch);
  float* v = k + round_up(layer.head_k, 16);
  float* rope = v + round_up(layer.head_v, 16);
  const bool rotates = layer.rope != kNoRope && pairing != arch::Rope::none;
  const uint32_t rot = rotates ? h.rope[layer.rope].n_rot : 0;
  const double way = static_cast<double>(m.to) - static_cast<double>(m.from);
  for (uint32_t i = 0; i < rot / 2; ++i) {
    const double angle = double{s.rope_frequencies[layer.rope][i]} * way;
    rope[2 * i] = static_cast<float>(std::cos(angle));
    rope[2 * i + 1] = static_cast<float>(std::sin(angle));
  }
  // Latent attention rotates the end of a head, all others its beginning.
  float* rotated = k + (h.latent.kv_rank > 0 ? layer.head_k - rot : 0);
  const RopePairs pairs = pairing == arch::Rope::adjacent ? RopePairs::adjacent : RopePairs::halves;
  for (uint32_t head = 0; head < layer.n_kv_heads; ++head) {
    const KvView kv = kv_head(s.kv[layer_index], head);
    for (uint32_t i = 0; i < m.n; ++i) {
      const uint32_t at = m.to > m.from ? m.n - 1 - i : i;
      load_kv(kv, m.from + at, k, v);
      if (rot > 0) s.kernels->rope(rotated, 1, layer.head_k, rot, pairs, rope);
      s.kernels->store_kv(kv, m.to + at, k, v);
    }
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_KEPT_SPANS_INL_HPP_
