// The engine: compiled in the one file that defines INLAY_IMPLEMENTATION. This is the spine, the
// only file that includes itself: once for each SIMD target. The order below is the table of
// contents.
//
// How one header dispatches over SIMD targets
//   hwy/foreach_target.h includes this file again for every target but the baseline, with
//   HWY_TARGET set; each such pass compiles the kernels once more, in their own namespace
//   (inlay::detail::N_AVX2 ...) and behind a pragma that names the instruction set, so no -m flag is
//   needed. Then this pass goes on and compiles them for the baseline, and after them all that is
//   not SIMD. A sub-target (kernels/targets.hpp) is one more pass, inside the pass of the target of
//   Highway, or of the sub-target, that it adds an instruction to. Each target leaves a constexpr
//   table of function pointers, kKernels; kernels/dispatch-inl.hpp asks the CPU and picks one per
//   model. Highway's own dispatch (HWY_EXPORT) is not used: it keeps a global, can abort, and needs
//   two symbols of its library.
#if defined(INLAY_IMPLEMENTATION) && !defined(INLAY_IMPLEMENTED_)

// clang-format off: here the order of includes has a meaning.

// ---- once, before the first target: what all of them share, every system header among it ----------
#ifndef INLAY_IMPLEMENTATION_SHARED_
#define INLAY_IMPLEMENTATION_SHARED_
// Here and not in config.hpp, which may have been included before without it.
#ifdef INLAY_WITH_ALL
#define INLAY_WITH_GRAMMAR
#define INLAY_WITH_CHAT
#define INLAY_WITH_COMPLETION
#define INLAY_WITH_C
#endif
#include "inlay/kernels/targets.hpp"
#include "inlay/kernels/shared.hpp"
#include "inlay/kernels/attention.hpp"
// Highway's per-target headers are compiled with hidden visibility: what they include comes before.
#include <hwy/base.h>
#include <hwy/targets.h>
#if HWY_ARCH_X86
#include <immintrin.h>
#endif
#endif

// ---- for each target ------------------------------------------------------------------------------
#ifndef INLAY_SUB_TARGET
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inlay/implementation.hpp"
#include <hwy/foreach_target.h>
#if defined(__GNUC__) && !defined(_WIN32)
#pragma GCC visibility push(hidden)  // what the compiler does not inline of Highway is not exported
#endif
#include <hwy/highway.h>
#if defined(__GNUC__) && !defined(_WIN32)
#pragma GCC visibility pop
#endif
// SSE2 has kernels only in a build that has no other target: they were an eighth of the engine, for
// processors of before 2011.
#undef INLAY_HAS_KERNELS
#if HWY_TARGET == HWY_SSE2 && HWY_TARGETS != HWY_SSE2
#define INLAY_HAS_KERNELS 0
#else
#define INLAY_HAS_KERNELS 1
#endif
// GCC takes 11 seconds for them otherwise: byte lookups are emulated.
#if defined(__GNUC__) && !defined(__clang__) && HWY_TARGET == HWY_SSE2
#pragma GCC push_options
#pragma GCC optimize("Os")
#endif
#if INLAY_HAS_KERNELS
// What a sub-target's instruction has no part in: its target's code serves both. A sub-target's
// function of the same name as one of its target must not be called with a type from here: it would
// be looked up in both.
#include "inlay/kernels/elementwise-inl.hpp"
#include "inlay/kernels/attention-inl.hpp"
#include "inlay/kernels/recurrent-inl.hpp"
#include "inlay/kernels/decode-inl.hpp"
#include "inlay/kernels/streams-inl.hpp"
#include "inlay/kernels/superblock_rows-inl.hpp"
#include "inlay/kernels/tile_decode-inl.hpp"
#include "inlay/kernels/grids-inl.hpp"
#if INLAY_HAS_AVX2_VNNI && HWY_TARGET == HWY_AVX2
#define INLAY_SUB_TARGET INLAY_AVX2_VNNI
#include "inlay/implementation.hpp"
#undef INLAY_SUB_TARGET
#elif INLAY_HAS_NEON_DOT && (HWY_TARGET & HWY_ALL_NEON)
#define INLAY_SUB_TARGET INLAY_NEON_DOT
#include "inlay/implementation.hpp"
#undef INLAY_SUB_TARGET
#endif
#endif
#endif

#if INLAY_HAS_KERNELS
#include "inlay/kernels/sub_target-inl.hpp"
#if INLAY_SUB_TARGET != INLAY_NEON_I8MM  // of which dotprod's serve, but for tiles
#include "inlay/kernels/dot-inl.hpp"
#include "inlay/kernels/rows-inl.hpp"
#include "inlay/kernels/grid_rows-inl.hpp"
#include "inlay/kernels/tiles-inl.hpp"
#include "inlay/kernels/panels-inl.hpp"
#if INLAY_HAS_NEON_I8MM && INLAY_DOT_NEON
#pragma push_macro("INLAY_SUB_TARGET")
#undef INLAY_SUB_TARGET
#define INLAY_SUB_TARGET INLAY_NEON_I8MM
#include "inlay/implementation.hpp"
#pragma pop_macro("INLAY_SUB_TARGET")
#endif
#endif
#include "inlay/kernels/paired_tiles-inl.hpp"
#include "inlay/kernels/quantize-inl.hpp"
#include "inlay/kernels/matmul-inl.hpp"
#include "inlay/kernels/amx-inl.hpp"
#endif
#include "inlay/kernels/table-inl.hpp"
#ifdef INLAY_SUB_TARGET
#pragma pop_macro("HWY_NAMESPACE")
#pragma pop_macro("HWY_TARGET_STR")
#pragma pop_macro("HWY_ATTR")
#pragma pop_macro("HWY_BEFORE_NAMESPACE")
#pragma pop_macro("HWY_AFTER_NAMESPACE")
#endif

#if defined(__GNUC__) && !defined(__clang__) && HWY_TARGET == HWY_SSE2
#pragma GCC pop_options
#endif

// ---- once, after the last target ------------------------------------------------------------------
#if HWY_ONCE && !defined(INLAY_SUB_TARGET)
#define INLAY_IMPLEMENTED_
#include "inlay/core/memory-inl.hpp"
#include "inlay/core/meter.hpp"
#include "inlay/core/system-inl.hpp"
#include "inlay/gguf/gguf-inl.hpp"
#include "inlay/tensor/dequantize-inl.hpp"
#include "inlay/kernels/dispatch-inl.hpp"
#include "inlay/kernels/sizes-inl.hpp"
#include "inlay/kernels/pack-inl.hpp"
#include "inlay/text/unicode-inl.hpp"
#include "inlay/text/regex-inl.hpp"
#include "inlay/text/pre_tokenizer-inl.hpp"
#include "inlay/text/vocabulary-inl.hpp"
#include "inlay/text/special_splitter-inl.hpp"
#include "inlay/text/byte_pair_encoder-inl.hpp"
#include "inlay/text/sentence_piece_encoder-inl.hpp"
#include "inlay/text/token_trie-inl.hpp"
#include "inlay/text/word_piece_encoder-inl.hpp"
#include "inlay/text/unigram_encoder-inl.hpp"
#include "inlay/text/longest_match_encoder-inl.hpp"
#include "inlay/text/tokenizer-inl.hpp"
#include "inlay/text/decimal.hpp"
#if defined(INLAY_WITH_GRAMMAR) || defined(INLAY_WITH_CHAT)
#include "inlay/text/decimal-inl.hpp"
#include "inlay/text/json-inl.hpp"
#endif
#ifdef INLAY_WITH_GRAMMAR
#include "inlay/grammar/expression-inl.hpp"
#include "inlay/grammar/automaton-inl.hpp"
#include "inlay/grammar/machine-inl.hpp"
#include "inlay/grammar/gbnf-inl.hpp"
#include "inlay/grammar/pattern-inl.hpp"
#include "inlay/grammar/language-inl.hpp"
#include "inlay/grammar/json_number-inl.hpp"
#include "inlay/grammar/json_references-inl.hpp"
#include "inlay/grammar/json_schema-inl.hpp"
#include "inlay/grammar/vocabulary_trie-inl.hpp"
#include "inlay/grammar/grammar-inl.hpp"
#include "inlay/grammar/matcher-inl.hpp"
#endif
#ifdef INLAY_WITH_CHAT
#include "inlay/chat/value-inl.hpp"
#include "inlay/chat/jinja-inl.hpp"
#include "inlay/chat/chat_template-inl.hpp"
#include "inlay/chat/output_parser-inl.hpp"
#include "inlay/chat/tool_grammar-inl.hpp"
#endif
#include "inlay/plan/plan-inl.hpp"
#include "inlay/arch/weights-inl.hpp"
#include "inlay/arch/phases-inl.hpp"
#include "inlay/arch/decoder-inl.hpp"
#include "inlay/arch/embedding-inl.hpp"
#include "inlay/arch/blocks/attention-inl.hpp"
#include "inlay/arch/blocks/feed_forward-inl.hpp"
#include "inlay/arch/blocks/experts-inl.hpp"
#include "inlay/arch/blocks/gemma4-inl.hpp"
#include "inlay/arch/blocks/latent-inl.hpp"
#include "inlay/arch/blocks/recurrent-inl.hpp"
#include "inlay/arch/blocks/short_conv-inl.hpp"
#include "inlay/arch/blocks/mamba-inl.hpp"
#include "inlay/arch/blocks/delta-inl.hpp"
#include "inlay/arch/metadata-inl.hpp"
#include "inlay/arch/registry-inl.hpp"
#include "inlay/model/hyper-inl.hpp"
#include "inlay/model/sampling-inl.hpp"
#include "inlay/model/packing-inl.hpp"
#include "inlay/model/model-inl.hpp"
#include "inlay/session/sampler-inl.hpp"
#include "inlay/session/logprobs-inl.hpp"
#include "inlay/session/session-inl.hpp"
#include "inlay/session/state-inl.hpp"
#include "inlay/session/embedder-inl.hpp"
#ifdef INLAY_WITH_GRAMMAR
#include "inlay/session/fill-inl.hpp"
#endif
#ifdef INLAY_WITH_COMPLETION
#include "inlay/completion/choose-inl.hpp"
#include "inlay/completion/drafts-inl.hpp"
#include "inlay/completion/fim-inl.hpp"
#include "inlay/completion/trim-inl.hpp"
#include "inlay/completion/emulation-inl.hpp"
#include "inlay/completion/completion-inl.hpp"
#endif
#ifdef INLAY_WITH_C
#include "inlay/c/handles-inl.hpp"
#include "inlay/c/model-inl.hpp"
#include "inlay/c/session-inl.hpp"
#include "inlay/c/embedder-inl.hpp"
#ifdef INLAY_WITH_GRAMMAR
#include "inlay/c/grammar-inl.hpp"
#endif
#ifdef INLAY_WITH_CHAT
#include "inlay/c/chat-inl.hpp"
#endif
#ifdef INLAY_WITH_COMPLETION
#include "inlay/c/completion-inl.hpp"
#endif
#endif
#endif  // HWY_ONCE

#endif  // INLAY_IMPLEMENTATION && !INLAY_IMPLEMENTED_
