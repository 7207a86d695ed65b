// Texts to vectors that can be compared, and to scores.
#ifndef INLAY_SESSION_EMBEDDER_HPP_
#define INLAY_SESSION_EMBEDDER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/model/model.hpp"
#include "inlay/session/session.hpp"
#include "inlay/text/tokenizer.hpp"

INLAY_BEGIN_NAMESPACE

struct EmbedderOptions {
  // Most tokens of one text, and of all texts that are read at once; 0: what the model was trained
  // for, at most 2048. A text is read at once.
  uint32_t context = 0;
  // The caller's own included; the rest are the host's (Host::jobs) or the embedder's. Of the
  // embedder's, no more than CPUs that the process may use.
  uint32_t threads = 1;
};

struct EmbedOptions {
  // What a row is made of. Pooling::none: every token has a row. Pooling::rank: scores of the
  // model's classifier.
  Pooling pooling = Pooling::of_file;
  // To length 1, so that the cosine of two embeddings is their product. Scores never are.
  bool normalize = true;
  TokenizeOptions tokenize;
};

namespace detail {
struct EmbedderImpl;
}

// Reads texts, each from its beginning, and keeps nothing of them. Works with encoders (BERT and
// others, which cannot write) and with any other model. Used by one thread at a time; any number of
// embedders and sessions may share a model. All memory is taken by create(): what runs a model
// allocates nothing after it, only the tokenizer does, as in Session::prompt. Move only.
//
// A text's numbers do not depend on the texts that are read with it, nor on the number of threads,
// to the bit. Short texts that are read together are read faster: give many at once.
class Embedder {
 public:
  // Errors: out_of_memory, bad_argument (names the option and its range).
  static Result<Embedder> create(const Model& model, const EmbedderOptions& options = {}) noexcept;
  // What create() would take, without taking it.
  static Result<MemoryPlan> plan(const Model& model, const EmbedderOptions& options = {}) noexcept;

  Embedder(Embedder&&) noexcept;
  Embedder& operator=(Embedder&&) noexcept;
  ~Embedder();

  // ---- all at once ----
  // Writes a row for each text to `out`, one after another, and returns their number. A row has
  // ModelShape::embedding floats, with Pooling::rank ModelShape::scores. With Pooling::none all
  // rows of the first text are followed by those of the second. Errors: context_full (the index of
  // a text that is too long), bad_argument (`out` is too small, a text has no
  // tokens, a token is outside the vocabulary, the model has no classifier), cancelled,
  // unsupported (the model has no vocabulary). After an error `out` may have the rows of some
  // texts.
  Result<size_t> embed(Span<const std::string_view> texts, Span<float> out,
                       const EmbedOptions& options = {}) noexcept;
  Result<size_t> embed(Span<const Span<const Token>> texts, Span<float> out,
                       const EmbedOptions& options = {}) noexcept;
  Result<size_t> embed(std::string_view text, Span<float> out,
                       const EmbedOptions& options = {}) noexcept;
  // How well each document answers the query: a row of ModelShape::scores for each, of which the
  // first counts. Both texts are put into the model's template for this (chat_template.rerank) or
  // else between its special tokens. Errors: as above.
  Result<size_t> rank(std::string_view query, Span<const std::string_view> documents,
                      Span<float> out) noexcept;

  // ---- in slices ----
  // Takes as many of the first texts as are read at once, at least one, and returns their number.
  // Computes nothing yet; ends what was under way. Errors: as above.
  Result<size_t> start(Span<const std::string_view> texts,
                       const EmbedOptions& options = {}) noexcept;
  Result<size_t> start(Span<const Span<const Token>> texts,
                       const EmbedOptions& options = {}) noexcept;
  Result<size_t> start_ranking(std::string_view query,
                               Span<const std::string_view> documents) noexcept;
  // Works for about `budget_us` microseconds: never longer than one ticket more (see
  // plan/plan.hpp). Step::done: the rows are ready; Step::more: call again; Step::failed:
  // cancelled, or nothing was started.
  Step step(uint32_t budget_us) noexcept;
  // After Step::done: one for each text or, with Pooling::none, for each token. Valid until the
  // next call of a non-const member.
  size_t rows() const noexcept;
  Span<const float> row(size_t index) const noexcept;

  // From any thread: the work that is under way, or else the next, ends after at most one ticket
  // and fails.
  void cancel() noexcept;

 private:
  explicit Embedder(detail::EmbedderImpl* impl) noexcept : impl_(impl) {}
  detail::EmbedderImpl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_EMBEDDER_HPP_
