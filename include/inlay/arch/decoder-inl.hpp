// A decoder, written as phases: the residual stream and the norms. What is between two norms is in
// blocks/.
#ifndef INLAY_ARCH_DECODER_INL_HPP_
#define INLAY_ARCH_DECODER_INL_HPP_

#include "inlay/arch/block.hpp"
#include "inlay/arch/phases-inl.hpp"
#include "inlay/arch/weights-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// One part of a layer, between its norms.
inline void write_branch(BlockWriter& w, void (*write)(BlockWriter&), std::string_view norm,
                         std::string_view post_norm) noexcept {
  using arch::Residual;
  const uint32_t n_embd = w.h.n_embd;
  const Residual residual = w.h.residual;
  const bool normalized = residual == Residual::sandwich || residual == Residual::post;
  const bool embedding_is_normalized =
      w.layer == 0 && w.facts.embedding_norm && !w.tensors.has(norm);
  w.in = residual == Residual::post || residual == Residual::after || embedding_is_normalized
             ? Buffer::x
             : Buffer::norm;
  w.out = !normalized && w.h.residual_scale == 1.0f ? Buffer::x : Buffer::branch;
  if (w.in == Buffer::norm) w.plan.norm(w.norm(norm, n_embd), Buffer::x, Buffer::norm, n_embd);
  write(w);
  if (normalized) {
    const NormWeights post = w.norm(post_norm, n_embd);
    w.plan.add(Buffer::branch, &post, w.h.residual_scale, n_embd);
  } else if (w.out == Buffer::branch) {
    w.plan.add(Buffer::branch, nullptr, w.h.residual_scale, n_embd);
  }
  if (residual == Residual::after) {
    w.plan.norm(w.norm(post_norm, n_embd), Buffer::x, Buffer::x, n_embd);
  }
}

// Attention and feed-forward read the same x, with one norm or with two. The feed-forward comes
// first: then the norm's values need not be kept while attention runs.
inline void write_parallel_layer(BlockWriter& w) noexcept {
  const uint32_t n_embd = w.h.n_embd;
  const Facts& f = w.facts;
  const bool two = w.tensors.has(f.mixer_norm) && w.tensors.has(f.feed_forward_norm);
  const std::string_view only =
      w.tensors.has(f.feed_forward_norm) ? f.feed_forward_norm : f.mixer_norm;
  w.in = Buffer::norm;
  w.out = Buffer::branch;
  w.plan.norm(w.norm(only, n_embd), Buffer::x, Buffer::norm, n_embd);
  f.write_feed_forward(w);
  if (two) w.plan.norm(w.norm(f.mixer_norm, n_embd), Buffer::x, Buffer::norm, n_embd);
  w.out = Buffer::x;
  f.write_mixer(w);
  w.plan.add(Buffer::branch, nullptr, w.h.residual_scale, n_embd);
}

inline bool is_parallel(BlockWriter& w) noexcept {
  return w.h.residual == arch::Residual::parallel ||
         (w.h.residual == arch::Residual::by_norms && !w.tensors.has(w.facts.feed_forward_norm));
}

inline constexpr size_t kMaxWorkBytesPerLayer = 8192;

// The phases that turn tokens into x: before the layers, and those of layer w.layer.
INLAY_COLD inline void write_before_layers(BlockWriter& w) noexcept {
  using arch::Presence;
  Binder& tensors = w.tensors;
  const Facts& facts = w.facts;
  const Hyper& h = w.h;
  const Presence types = facts.token_types ? Presence::optional : Presence::absent;
  const Weight& table = tensors.table("token_embd", h.n_vocab, h.n_embd);
  const Weight& position =
      tensors.table("position_embd", h.n_context, h.n_embd, facts.position_embedding);
  const Weight& type =
      tensors.table("token_types", tensors.rows_of("token_types"), h.n_embd, types);
  if (!tensors.status()) return;
  w.plan.embed({&table, type ? &type : nullptr, position ? &position : nullptr});
  if (facts.embedding_norm) {
    w.plan.norm(w.norm("token_embd_norm", h.n_embd), Buffer::x, Buffer::x, h.n_embd);
  }
  facts.write_before_layers(w);
}

INLAY_COLD inline void write_layer(BlockWriter& w) noexcept {
  const Facts& facts = w.facts;
  w.tensors.enter_layer(w.layer);
  if (is_parallel(w)) {
    write_parallel_layer(w);
  } else {
    write_branch(w, facts.write_mixer, facts.mixer_norm, facts.mixer_post_norm);
    if (facts.write_feed_forward != nullptr) {
      write_branch(w, facts.write_feed_forward, facts.feed_forward_norm,
                   facts.feed_forward_post_norm);
    }
  }
  facts.write_layer_end(w);
  w.tensors.leave_layers();
}

// The norm after the last layer, which may have one of its own.
inline NormWeights output_norm(Binder& tensors, PlanWriter& plan, const Facts& facts,
                               const Hyper& h) noexcept {
  const bool has_own = h.residual == arch::Residual::after;
  return BlockWriter{tensors, plan, facts, h}.norm(
      facts.output_norm, h.n_embd, has_own ? arch::Presence::absent : arch::Presence::required);
}

// The phases that turn rows of x into logits. Without `output`, the embedding is the output matrix
// too.
inline void write_head(Binder& tensors, PlanWriter& plan, const NormWeights& norm,
                       const Hyper& h) noexcept {
  const Weight& own = tensors.matrix("output", h.n_vocab, h.n_embd, arch::Presence::optional);
  const float* bias = tensors.bias("output", h.n_vocab);
  const Weight& output = own ? own : tensors.tied("token_embd");
  if (tensors.status()) plan.head(norm, {&output, bias}, h.n_embd);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_DECODER_INL_HPP_
