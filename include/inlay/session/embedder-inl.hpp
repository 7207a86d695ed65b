#ifndef INLAY_SESSION_EMBEDDER_INL_HPP_
#define INLAY_SESSION_EMBEDDER_INL_HPP_

#include <cstring>

#include "inlay/arch/embedding-inl.hpp"
#include "inlay/session/embedder.hpp"
#include "inlay/session/session-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct EmbedderImpl {
  explicit EmbedderImpl(const Model& m) noexcept : model(m) {}

  Model model;
  const ModelImpl* impl = nullptr;
  uint8_t* memory = nullptr;  // everything below that is a pointer lies here
  size_t memory_bytes = 0;

  uint32_t context = 0, threads = 1;
  uint32_t slots = 0;      // positions in the KV cache
  uint32_t max_texts = 1;  // in a batch
  State state;
  std::atomic<bool> cancelled{false};
  Executor executor;
  Token* tokens = nullptr;      // [context]
  BatchText* texts = nullptr;   // [max_texts]
  uint32_t* text_of = nullptr;  // [context]
  float* recurrent = nullptr;   // of all layers
  size_t recurrent_bytes = 0;
  std::string_view rank_template;  // the file's
  char* text = nullptr;            // [text_bytes] room to fill it in
  size_t text_bytes = 0;

  enum class Stage : uint8_t { idle, layers, pooling, ready } stage = Stage::idle;
};

inline MemoryPlan lay_out_embedder(const ModelImpl& m, uint8_t* base, EmbedderImpl* e,
                                   uint8_t** scratch) noexcept {
  const Hyper& h = m.hparams;
  Arena arena(base);
  MemoryPlan plan;

  // Texts are read in one batch, so no layer's K and V are needed after it: one place serves all,
  // unless layers read those of others.
  KvView* views = arena.take<KvView>(h.n_layers);
  float** states = arena.take<float*>(h.n_layers);
  const uint64_t before_cache = arena.used();
  bool shared = true;
  size_t k_bytes = 0, v_bytes = 0;
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    const LayerHyper& layer = h.layers[i];
    shared = shared && layer.kv_layer == i;
    const size_t k = kv_bytes(KvFormat::f32, layer.head_k, e->slots) * layer.n_kv_heads;
    const size_t v = kv_bytes(KvFormat::f32, layer.head_v, e->slots) * layer.n_kv_heads;
    k_bytes = k > k_bytes ? k : k_bytes;
    v_bytes = v > v_bytes ? v : v_bytes;
  }
  uint8_t *k = nullptr, *v = nullptr;
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    const LayerHyper& layer = h.layers[i];
    if (i == 0 || !shared) {
      k = arena.take<uint8_t>(k_bytes);
      v = arena.take<uint8_t>(v_bytes);
    }
    if (base == nullptr) continue;
    views[i] = {KvFormat::f32,
                &e->memory,
                static_cast<size_t>(k - base),
                static_cast<size_t>(v - base),
                layer.n_kv_heads,
                layer.head_k,
                layer.head_v,
                e->slots};
  }
  const uint64_t before_states = arena.used();
  e->recurrent = arena.take<float>(0);
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    float* state = arena.take<float>(h.layers[i].state_floats);
    if (base != nullptr) states[i] = state;
  }
  plan.recurrent_state = arena.used() - before_states;
  e->recurrent_bytes = saturated(plan.recurrent_state);
  e->state.kv = views;
  e->state.recurrent = states;
  plan.kv_cache = arena.used() - before_cache;

  lay_out_activations(h, m.embedding_needs, e->context, e->context, /*logits=*/0, &arena,
                      &e->state);
  plan.activations = arena.used() - plan.kv_cache;

  *scratch = arena.take<uint8_t>(phase_scratch_bytes(h, m.embedding_needs) * e->threads);
  e->tokens = arena.take<Token>(e->context);
  e->text_of = arena.take<uint32_t>(e->context);
  e->texts = arena.take<BatchText>(e->max_texts);
  e->text = arena.take<char>(e->text_bytes);
  plan.other = arena.used() - plan.kv_cache - plan.activations + sizeof(EmbedderImpl);
  return plan;
}

inline Status check_options(const ModelImpl& m, const EmbedderOptions& options,
                            EmbedderImpl* e) noexcept {
  constexpr uint32_t kDefaultContext = 2048;
  const Hyper& h = m.hparams;
  e->impl = &m;
  uint32_t most = most_positions(h);
  if (h.max_context > 0 && h.max_context < most) most = h.max_context;
  e->context = options.context;
  if (e->context == 0) {
    e->context = h.n_context < kDefaultContext ? h.n_context : kDefaultContext;
    e->context = e->context < most ? e->context : most;
  }
  if (e->context > most) {
    return Error(ErrorCode::bad_argument, "option context: expected 0 to ") << most;
  }
  INLAY_TRY(check_threads(m, options.threads, &e->threads));
  e->state.workers = e->threads;
  e->state.invariant = true;

  // Texts of the length of a panel fill the context with half of the slots; shorter ones use up the
  // slots first. Recurrent state is that of one text.
  constexpr uint32_t kPanel = static_cast<uint32_t>(kKvPanel);
  const uint32_t panels = static_cast<uint32_t>(div_up(e->context, kKvPanel));
  const bool recurrent = h.most([](const LayerHyper& layer) { return layer.state_floats; }) > 0;
  e->max_texts = recurrent ? 1 : 2 * panels;
  e->slots = (recurrent ? 1 : 2) * panels * kPanel;

  const MetadataValue* value = m.file.find("tokenizer.chat_template.rerank");
  constexpr size_t kBytesPerToken = 16;  // of a text that fills the context: few have more than 5
  if (h.scores > 0 && value != nullptr && value->as_string(&e->rank_template)) {
    e->text_bytes = e->rank_template.size() + size_t{e->context} * kBytesPerToken;
  }
  return {};
}

inline Status open_embedder(EmbedderImpl* e) noexcept {
  const ModelImpl& m = *e->impl;
  uint8_t* scratch = nullptr;
  const MemoryPlan plan = lay_out_embedder(m, nullptr, e, &scratch);
  e->memory_bytes = saturated(plan.total() - sizeof(EmbedderImpl));
  e->memory = static_cast<uint8_t*>(allocate(m.host.allocator, e->memory_bytes));
  if (e->memory == nullptr) {
    return Error(ErrorCode::out_of_memory, "an embedder needs ")
           << plan.total() << " bytes: " << plan.activations << " for the activations of "
           << e->context << " tokens";
  }
  lay_out_embedder(m, e->memory, e, &scratch);
  set_model(m, m.embedding_needs, e->context, &e->state);
  e->state.texts = e->texts;
  e->state.text_of = e->text_of;
  e->state.tokens = e->tokens;
  return e->executor.start(e->threads, m.host.jobs, m.host.clock, scratch,
                           phase_scratch_bytes(m.hparams, m.embedding_needs));
}

// ---- what is read ----

inline uint32_t row_width(const EmbedderImpl& e) noexcept {
  return e.state.scores ? e.impl->hparams.scores : e.impl->hparams.embedding;
}

// Writes the template with both texts in their places.
inline Result<std::string_view> fill_rank_template(EmbedderImpl* e, std::string_view query,
                                                   std::string_view document) noexcept {
  std::string_view left = e->rank_template;
  size_t n = 0;
  while (!left.empty()) {
    const auto starts = [&](std::string_view name) { return slice(left, 0, name.size()) == name; };
    std::string_view part = slice(left, 0, 1);
    size_t skip = 1;
    if (starts("{query}")) {
      part = query;
      skip = sizeof "{query}" - 1;
    } else if (starts("{document}")) {
      part = document;
      skip = sizeof "{document}" - 1;
    }
    if (part.size() > e->text_bytes - n) return Error(ErrorCode::bad_argument);
    std::memcpy(e->text + n, part.data(), part.size());
    n += part.size();
    left.remove_prefix(skip);
  }
  return std::string_view(e->text, n);
}

// Query and document as one text, as llama.cpp's server makes it: by the file's template, or
// [BOS] query [EOS] [SEP] document [EOS], each where the vocabulary adds it.
inline Result<size_t> write_pair(EmbedderImpl* e, std::string_view query, std::string_view document,
                                 Span<Token> out) noexcept {
  const Tokenizer& tokenizer = e->impl->tokenizer;
  TokenizeOptions plain;
  plain.add_special = false;
  if (!e->rank_template.empty()) {
    const Result<std::string_view> text = fill_rank_template(e, query, document);
    if (!text) return text.error();
    return tokenizer.encode(*text, out, plain);
  }
  plain.parse_special = false;
  const SpecialTokens& special = tokenizer.special();
  const Token eos = special.eos != kNoToken ? special.eos : special.separator;
  size_t n = 0;
  bool full = false;
  const auto put = [&](bool wanted, Token token) {
    if (!wanted || token == kNoToken) return;
    full = full || n == out.size();
    if (!full) out[n++] = token;
  };
  put(tokenizer.adds_bos(), special.bos);
  for (const bool is_document : {false, true}) {
    const std::string_view text = is_document ? document : query;
    const Result<size_t> count = tokenizer.encode(text, out.subspan(n), plain);
    if (!count) return count.error();
    n += *count;
    put(tokenizer.adds_eos(), eos);
    if (!is_document) put(tokenizer.adds_separator(), special.separator);
  }
  if (full) return Error(ErrorCode::bad_argument);
  return n;
}

// What is read: texts, tokens, or pairs of a query and a document.
struct TextSource {
  enum class Kind : uint8_t { texts, tokens, pairs } kind;
  Span<const std::string_view> texts;  // or documents
  Span<const Span<const Token>> tokens;
  std::string_view query;
  TokenizeOptions tokenize;

  size_t size() const noexcept { return kind == Kind::tokens ? tokens.size() : texts.size(); }
  // Writes the tokens of text `i` and returns their number. The error bad_argument means too little
  // room, as the tokenizer's does.
  Result<size_t> write(EmbedderImpl* e, size_t i, Span<Token> room) const noexcept {
    if (kind == Kind::pairs) return write_pair(e, query, texts[i], room);
    if (kind == Kind::texts) return e->impl->tokenizer.encode(texts[i], room, tokenize);
    const Span<const Token> text = tokens[i];
    if (text.size() > room.size()) return Error(ErrorCode::bad_argument);
    for (size_t t = 0; t < text.size(); ++t) room[t] = text[t];
    return text.size();
  }
};

// Starts on texts from number `from` on, and returns how many of them.
inline Result<size_t> start_texts(EmbedderImpl* e, const TextSource& source, size_t from,
                                  const EmbedOptions& options) noexcept {
  const size_t count = source.size();
  const Hyper& h = e->impl->hparams;
  State& s = e->state;
  e->executor.settle();
  e->stage = EmbedderImpl::Stage::idle;
  s.pooling = options.pooling == Pooling::of_file ? h.pooling : options.pooling;
  s.scores = s.pooling == Pooling::rank;
  s.unit_length = options.normalize;
  if (s.pooling > Pooling::rank) {
    return Error(ErrorCode::bad_argument, "option pooling: expected one of those that have names");
  }
  if (s.scores && h.scores == 0) {
    return Error(ErrorCode::bad_argument, "the model has no classifier: it gives no scores");
  }
  if (from >= count) return Error(ErrorCode::bad_argument, "there are no texts");

  uint32_t n = 0, slot = 0, texts = 0;
  for (; from + texts < count && texts < e->max_texts; ++texts) {
    const uint64_t index = from + texts;
    const Result<size_t> written =
        source.write(e, from + texts, Span<Token>(e->tokens + n, e->context - n));
    if (!written && written.error().code() != ErrorCode::bad_argument) {
      return e->impl->meter->explain(written.error());
    }
    const uint32_t length = written ? static_cast<uint32_t>(*written) : 0;
    const uint32_t end = static_cast<uint32_t>(round_up(slot + length, kKvPanel));
    if (!written || end > e->slots) {
      if (texts > 0) break;
      return Error(ErrorCode::context_full, "text ")
             << index << " has more tokens than the context of " << e->context;
    }
    if (length == 0) return Error(ErrorCode::bad_argument, "text ") << index << " has no tokens";
    for (uint32_t i = n; i < n + length; ++i) {
      if (e->tokens[i] < 0 || static_cast<uint32_t>(e->tokens[i]) >= h.n_vocab) {
        return Error(ErrorCode::bad_argument, "text ")
               << index << ": token " << i - n << " is " << e->tokens[i] << ", the vocabulary has "
               << h.n_vocab;
      }
      e->text_of[i] = texts;
    }
    e->texts[texts] = {n, length, slot};
    n += length;
    slot = end;
  }
  s.n = n;
  s.n_texts = texts;
  s.head_n = s.pooling == Pooling::none ? n : texts;
  if (s.scores) s.pooling = h.scored;
  if (e->recurrent_bytes > 0) std::memset(e->recurrent, 0, e->recurrent_bytes);
  e->stage = EmbedderImpl::Stage::layers;
  e->executor.open(e->impl->layer_plan.span(), &s, &e->cancelled);
  return size_t{texts};
}

inline TextSource source_of(Span<const std::string_view> texts,
                            const EmbedOptions& options) noexcept {
  return {TextSource::Kind::texts, texts, {}, {}, options.tokenize};
}
inline TextSource source_of(Span<const Span<const Token>> texts, const EmbedOptions&) noexcept {
  return {TextSource::Kind::tokens, {}, texts, {}, {}};
}
inline TextSource pairs_of(std::string_view query,
                           Span<const std::string_view> documents) noexcept {
  return {TextSource::Kind::pairs, documents, {}, query, {}};
}
inline EmbedOptions ranking() noexcept {
  EmbedOptions options;
  options.pooling = Pooling::rank;
  return options;
}

// ---- running ----

inline Executor::Outcome run_embedder(EmbedderImpl* e, uint64_t deadline_us) noexcept {
  using Stage = EmbedderImpl::Stage;
  Executor::Outcome outcome = e->executor.run(deadline_us);
  if (outcome == Executor::Outcome::finished && e->stage == Stage::layers) {
    e->stage = Stage::pooling;
    e->executor.open(e->impl->embedding_plan.span(), &e->state, &e->cancelled);
    outcome = e->executor.run(deadline_us);
  }
  if (outcome == Executor::Outcome::finished) e->stage = Stage::ready;
  if (outcome == Executor::Outcome::cancelled) {
    e->stage = Stage::idle;
    e->cancelled.store(false, std::memory_order_relaxed);
  }
  return outcome;
}

inline Result<size_t> embed_texts(EmbedderImpl* e, const TextSource& source, Span<float> out,
                                  const EmbedOptions& options) noexcept {
  size_t rows = 0;
  for (size_t from = 0; from < source.size();) {
    const Result<size_t> taken = start_texts(e, source, from, options);
    if (!taken) return taken.error();
    const size_t width = row_width(*e), n = e->state.head_n;
    if (n > out.size() / width - rows) {
      e->stage = EmbedderImpl::Stage::idle;
      return Error(ErrorCode::bad_argument, "room for ")
             << uint64_t{out.size()} << " floats: expected some for " << uint64_t{rows + n}
             << " rows of " << uint64_t{width} << " at least";
    }
    if (run_embedder(e, 0) != Executor::Outcome::finished) {
      return Error(ErrorCode::cancelled, "cancelled after ") << uint64_t{from} << " texts";
    }
    const Buffer buffer = e->state.scores ? kScores : kEmbeddings;
    for (size_t i = 0; i < n; ++i) {
      std::memcpy(out.data() + (rows + i) * width, e->state.row(buffer, i), width * sizeof(float));
    }
    rows += n;
    from += *taken;
  }
  return rows;
}

}  // namespace detail

Result<Embedder> Embedder::create(const Model& model, const EmbedderOptions& options) noexcept {
  const detail::ModelImpl& m = *model.impl_;
  INLAY_TRY(detail::check_opened(m));
  detail::EmbedderImpl* e = detail::create<detail::EmbedderImpl>(m.host.allocator, model);
  if (e == nullptr) return m.meter->explain(Error(ErrorCode::out_of_memory));
  Status status = detail::check_options(m, options, e);
  if (status) status = detail::open_embedder(e);
  if (!status) {
    detail::close(e);
    return m.meter->explain(status.error());
  }
  return Embedder(e);
}

Result<MemoryPlan> Embedder::plan(const Model& model, const EmbedderOptions& options) noexcept {
  detail::EmbedderImpl e(model);
  INLAY_TRY(detail::check_options(*model.impl_, options, &e));
  uint8_t* scratch = nullptr;
  return detail::lay_out_embedder(*model.impl_, nullptr, &e, &scratch);
}

Embedder::Embedder(Embedder&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Embedder& Embedder::operator=(Embedder&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Embedder::~Embedder() { detail::close(impl_); }

Result<size_t> Embedder::embed(Span<const std::string_view> texts, Span<float> out,
                               const EmbedOptions& options) noexcept {
  return detail::embed_texts(impl_, detail::source_of(texts, options), out, options);
}

Result<size_t> Embedder::embed(Span<const Span<const Token>> texts, Span<float> out,
                               const EmbedOptions& options) noexcept {
  return detail::embed_texts(impl_, detail::source_of(texts, options), out, options);
}

Result<size_t> Embedder::embed(std::string_view text, Span<float> out,
                               const EmbedOptions& options) noexcept {
  return embed(Span<const std::string_view>(&text, 1), out, options);
}

Result<size_t> Embedder::rank(std::string_view query, Span<const std::string_view> documents,
                              Span<float> out) noexcept {
  return detail::embed_texts(impl_, detail::pairs_of(query, documents), out, detail::ranking());
}

Result<size_t> Embedder::start(Span<const std::string_view> texts,
                               const EmbedOptions& options) noexcept {
  return detail::start_texts(impl_, detail::source_of(texts, options), 0, options);
}

Result<size_t> Embedder::start(Span<const Span<const Token>> texts,
                               const EmbedOptions& options) noexcept {
  return detail::start_texts(impl_, detail::source_of(texts, options), 0, options);
}

Result<size_t> Embedder::start_ranking(std::string_view query,
                                       Span<const std::string_view> documents) noexcept {
  return detail::start_texts(impl_, detail::pairs_of(query, documents), 0, detail::ranking());
}

Step Embedder::step(uint32_t budget_us) noexcept {
  using Stage = detail::EmbedderImpl::Stage;
  if (impl_->stage == Stage::idle) return Step::failed;
  if (impl_->stage == Stage::ready) return Step::done;
  switch (detail::run_embedder(impl_, detail::deadline_after(impl_->impl->host.clock, budget_us))) {
    case detail::Executor::Outcome::finished:
      return Step::done;
    case detail::Executor::Outcome::budget_spent:
      return Step::more;
    case detail::Executor::Outcome::cancelled:
      break;
  }
  return Step::failed;
}

size_t Embedder::rows() const noexcept {
  return impl_->stage == detail::EmbedderImpl::Stage::ready ? impl_->state.head_n : 0;
}

Span<const float> Embedder::row(size_t index) const noexcept {
  if (index >= rows()) return {};
  const detail::Buffer buffer = impl_->state.scores ? detail::kScores : detail::kEmbeddings;
  return {impl_->state.row(buffer, index), detail::row_width(*impl_)};
}

void Embedder::cancel() noexcept { impl_->cancelled.store(true, std::memory_order_relaxed); }

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_EMBEDDER_INL_HPP_
