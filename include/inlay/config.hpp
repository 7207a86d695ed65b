// Every macro that a user may define, with its default. None of them changes the layout of a public
// type: they act in the one file that defines INLAY_IMPLEMENTATION, apart from INLAY_NAMESPACE and
// INLAY_ASSERT.
//
// - INLAY_IMPLEMENTATION: define it in exactly one .cpp before including the header; the engine is
//   compiled there.
// - INLAY_NAMESPACE (inlay): the outer namespace; rename it to keep two copies apart.
// - INLAY_ASSERT(condition, text) (nothing): what to do when the caller breaks a documented rule.
// - INLAY_ARCHITECTURES (all): the architecture structs to compile in, see arch/registry.hpp.
// - INLAY_TYPES (all): the tensor types to compute with besides f32, as in `f16, q4_k, q6_k`; the
//   names are those of TensorType.
// - INLAY_VOCABULARIES (all): the kinds of vocabularies to compile in, of sentence_piece,
//   byte_pairs, word_pieces (BERT), unigrams (T5), longest_match (RWKV).
// - INLAY_TARGETS (all but INLAY_AVX3): mask of SIMD targets to compile besides the baseline, see
//   kernels/targets.hpp; a sub-target (INLAY_AVX2_VNNI) only with the target that it adds to.
// - INLAY_WITH_GRAMMAR, INLAY_WITH_CHAT, INLAY_WITH_COMPLETION, INLAY_WITH_C (off): the parts that
//   not every program needs: text of a given form, chat templates, code completion, the C
//   interface. INLAY_WITH_ALL: all of them. They are always declared, and defined if asked for.
//   Completion tells models without FIM tokens what to do only if grammars and chat are there.
// - INLAY_C_EXPORT: a shared library that is made of this file exports the functions of inlay.h.
// - INLAY_SELF ("inlay.hpp"): the name by which the header can include itself, if you renamed it.
// - INLAY_NO_THREADS: no worker threads; sessions run on the calling thread or on the host's jobs.
// - INLAY_NO_FILES: no file access; models come from memory or from the host's read function.
#ifndef INLAY_CONFIG_HPP_
#define INLAY_CONFIG_HPP_

#define INLAY_VERSION_MAJOR 0
#define INLAY_VERSION_MINOR 1
#define INLAY_VERSION_PATCH 0
#define INLAY_VERSION "0.1.0"

#ifndef INLAY_NAMESPACE
#  define INLAY_NAMESPACE inlay
#endif

// The ABI namespace carries the version, so that two versions of inlay can be linked into one
// program.
#define INLAY_ABI v0_1

#if defined(__GNUC__) && !defined(_WIN32)
#  define INLAY_HIDDEN __attribute__((visibility("hidden")))
#else
#  define INLAY_HIDDEN
#endif

// Errors, and what runs only when a model is opened: out of the way of what runs often, compiled
// once and for size. That took a tenth off the time to compile the library.
#if defined(__GNUC__)
#  define INLAY_COLD __attribute__((noinline, cold))
#elif defined(_MSC_VER)
#  define INLAY_COLD __declspec(noinline)
#else
#  define INLAY_COLD
#endif

#define INLAY_BEGIN_NAMESPACE              \
  namespace INLAY_NAMESPACE INLAY_HIDDEN { \
  inline namespace INLAY_ABI {
#define INLAY_END_NAMESPACE \
  }                         \
  }

#ifndef INLAY_ASSERT
#  define INLAY_ASSERT(condition, text) ((void)0)
#endif

#endif  // INLAY_CONFIG_HPP_
