#ifndef INLAY_MODEL_MODEL_IMPL_HPP_
#define INLAY_MODEL_MODEL_IMPL_HPP_

#include <atomic>

#include "inlay/arch/phases.hpp"
#include "inlay/arch/registry-inl.hpp"
#include "inlay/arch/weights.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/meter.hpp"
#include "inlay/core/system.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/model/model.hpp"
#include "inlay/model/sampling.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// What a Model shares: the file, what was bound from it, and the plans to run it. Constant once
// open() has returned.
struct ModelImpl {
  ModelImpl(Meter* counts, const Host& h, Gguf&& gguf, Tokenizer&& tokens) noexcept
      : meter(counts),
        host(h),
        file(std::move(gguf)),
        tokenizer(std::move(tokens)),
        weights(h.allocator),
        layers(h.allocator),
        converted(h.allocator),
        packed(h.allocator),
        rope_frequencies(h.allocator),
        slopes(h.allocator),
        ignored_keys(h.allocator),
        works(h.allocator),
        layer_plan(h.allocator),
        head_plan(h.allocator),
        embedding_plan(h.allocator) {}

  std::atomic<uint32_t> references{1};
  Meter* meter;  // all memory goes through it; it outlives this
  Host host;     // with the meter's allocator
  ModelMemory memory;
  bool plan_only = false;
  Gguf file;
  Tokenizer tokenizer;
  const Facts* architecture = nullptr;
  const Kernels* kernels = nullptr;
  Reading reading;
  Hyper hparams;
  ModelShape shape;
  Sampling sampling;  // what the file recommends
  WeightMode weight_mode = WeightMode::mapped;
  Array<Weight> weights;     // what phases point to
  Array<LayerHyper> layers;  // of Hyper
  Needs needs;               // of a session's plans
  Needs embedding_needs;     // of an embedder's
  Array<float> converted;    // vectors that the file has as f16 or bf16
  Array<uint8_t> packed;     // packed weights, in memory of its capacity
#if INLAY_HAS_FILES
  FileMapping packed_file;  // or the cache file that has them
#endif
  Array<float> rope_frequencies;  // of Hyper::rope
  Array<float> slopes;            // of Hyper
  Array<std::string_view> ignored_keys;
  Array<uint8_t> works;         // what phases point to
  Array<Phase> layer_plan;      // tokens to x
  Array<Phase> head_plan;       // rows of x to logits; empty if it cannot write
  Array<Phase> embedding_plan;  // x to embeddings or scores
};

// Something is to be made of the model.
INLAY_COLD inline Status check_opened(const ModelImpl& m) noexcept {
  if (!m.plan_only) return {};
  return Error(ErrorCode::bad_argument, "the model was opened to plan only: it has no weights");
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_MODEL_MODEL_IMPL_HPP_
