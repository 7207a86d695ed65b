#ifndef INLAY_COMPLETION_COMPLETION_INL_HPP_
#define INLAY_COMPLETION_COMPLETION_INL_HPP_

#include <cstring>

#include "inlay/completion/completion.hpp"
#include "inlay/completion/emulation-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/system.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() >= end.size() && slice(text, text.size() - end.size()) == end;
}
inline bool starts_with(std::string_view text, std::string_view start) noexcept {
  return slice(text, 0, start.size()) == start;
}
// Whether a window that was read of what stands behind the cursor still is that.
inline bool is_window(std::string_view rest, std::string_view window, bool whole) noexcept {
  return whole ? rest == window : starts_with(rest, window);
}
inline bool is_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}

// Makes a model write given bytes first, whichever tokens it cuts them into, and then what has a
// form.
class Spelling {
 public:
  static constexpr size_t kMaxBytes = 512;

  explicit Spelling(const Allocator& allocator) noexcept : form(allocator), by_byte_(allocator) {}

  FimForm form;

  // Sorts the vocabulary's tokens by their first byte. Errors: out_of_memory.
  INLAY_COLD Status create(const Tokenizer& tokenizer) noexcept {
    tokenizer_ = &tokenizer;
    if (!by_byte_.resize(tokenizer.size())) return Error(ErrorCode::out_of_memory);
    uint32_t next[256] = {};
    for (const bool place : {false, true}) {
      for (uint32_t b = 0, sum = 0; place && b < 256; ++b) {
        first_[b] = sum;
        sum += next[b];
        next[b] = first_[b];
        first_[b + 1] = sum;
      }
      for (uint32_t t = 0; t < tokenizer.size(); ++t) {
        char piece[kMaxPiece];
        const size_t n = tokenizer.piece(static_cast<Token>(t), piece);
        if (n == 0 || n > kMaxPiece) continue;
        uint32_t& at = next[static_cast<uint8_t>(piece[0])];
        if (place) by_byte_[at] = static_cast<Token>(t);
        ++at;
      }
    }
    return {};
  }

  // At most kMaxBytes.
  void set(std::string_view bytes) noexcept {
    std::memcpy(bytes_, bytes.data(), bytes.size());
    left_ = {bytes_, bytes.size()};
    astray_ = false;
  }
  // Whether anything may follow.
  bool done() const noexcept { return left_.empty() && form.any(); }
  Constraint constraint() noexcept {
    Constraint c;
    c.mask = [](void* self, Span<uint64_t> allowed) {
      return static_cast<Spelling*>(self)->mask(allowed);
    };
    c.allows = [](void* self, Token token) {
      Spelling& s = *static_cast<Spelling*>(self);
      return s.left_.empty() ? s.form.any() || s.form.allows(token) : s.fits(token);
    };
    c.accept = [](void* self, Token token) { static_cast<Spelling*>(self)->accept(token); };
    c.user = this;
    return c;
  }

 private:
  static constexpr size_t kMaxPiece = 128;

  // Whether the token is a part of the bytes, or begins with them.
  bool fits(Token token) const noexcept {
    char piece[kMaxPiece];
    const size_t n = tokenizer_->piece(token, piece);
    if (n == 0 || n > kMaxPiece) return false;
    const size_t common = n < left_.size() ? n : left_.size();
    return std::memcmp(piece, left_.data(), common) == 0;
  }
  bool mask(Span<uint64_t> allowed) noexcept {
    if (astray_) return false;
    if (left_.empty() && !form.any()) return form.mask(allowed);
    if (left_.empty()) {
      for (uint64_t& word : allowed) word = ~uint64_t{0};
      return true;
    }
    const uint8_t byte = static_cast<uint8_t>(left_[0]);
    for (uint32_t i = first_[byte]; i < first_[byte + 1]; ++i) {
      const auto id = static_cast<uint32_t>(by_byte_[i]);
      if (fits(by_byte_[i])) allowed[id / 64] |= uint64_t{1} << id % 64;
    }
    return true;
  }
  void accept(Token token) noexcept {
    if (left_.empty()) {
      astray_ = astray_ || !(form.any() || form.accept(token));
      return;
    }
    char piece[kMaxPiece];
    const size_t n = tokenizer_->piece(token, piece), spelled = n < left_.size() ? n : left_.size();
    left_ = slice(left_, spelled);
    const std::string_view more(piece + spelled, n - spelled);
    if (!more.empty() && !form.any() && !form.accept(more)) astray_ = true;
  }

  const Tokenizer* tokenizer_ = nullptr;
  Array<Token> by_byte_;
  uint32_t first_[257] = {};
  char bytes_[kMaxBytes];
  std::string_view left_;  // of them, those that are still to be written
  bool astray_ = false;    // a token that spelled the last of them went on as the form does not
};

// A text that was written, and where it belongs.
struct Answer {
  explicit Answer(const Allocator& allocator) noexcept
      : before(allocator), after(allocator), text(allocator), ends(allocator), odds(allocator) {}
  [[nodiscard]] bool reserve(size_t window, size_t behind, size_t bytes, size_t tokens) noexcept {
    return before.reserve(window) && after.reserve(behind) && text.reserve(bytes) &&
           ends.reserve(tokens) && odds.reserve(tokens);
  }
  void clear() noexcept {
    before.clear();
    after.clear();
    text.clear();
    ends.clear();
    odds.clear();
    written = 0;
    ended = true;
    used = false;
  }
  // How many bytes of the text stand in `document` before the cursor, or -1 if this is no answer to
  // it.
  ptrdiff_t agrees(const Document& document) const noexcept {
    const std::string_view all = document.text;
    if (!used || !is_window(slice(all, document.cursor), view(after), after_whole)) return -1;
    const std::string_view head = slice(all, 0, document.cursor);
    const size_t most = text.size() < head.size() ? text.size() : head.size();
    // Who deletes a part of what stood there does not want it back.
    for (size_t n = most + 1; n-- > healed;) {
      if (ends_with(head, slice(view(text), 0, n)) &&
          ends_with(slice(head, 0, head.size() - n), view(before))) {
        return static_cast<ptrdiff_t>(n);
      }
    }
    return -1;
  }

  bool used = false;
  String before, after;      // what stands around it: windows of the document
  bool after_whole = false;  // `after` is all that stands behind it
  String text;               // all that is written, from a healed word on, which is there at once
  size_t written = 0;        // bytes of it that the model has written
  Array<uint32_t> ends;      // of tokens in it
  Array<float> odds;         // their probabilities
  size_t healed = 0;         // bytes at the front of the text that stood before the cursor at first
  size_t origin = 0;         // where `before` begins in the document
  bool ended = true;         // the model has nothing to add
};

struct CompletionImpl {
  CompletionImpl(const Model& m, Session&& s, const CompletionOptions& o) noexcept
      : model(m),
        session(std::move(s)),
        options(o),
        spelling(m.host().allocator),
        repository(m.host().allocator),
        files(m.host().allocator),
        fixed(m.host().allocator),
        prefix(m.host().allocator),
        suffix(m.host().allocator),
        path(m.host().allocator),
        scratch(m.host().allocator),
        line(m.host().allocator),
        answers{Answer(m.host().allocator), Answer(m.host().allocator)} {}
  ~CompletionImpl() {
    for (File& file : files) destroy(&file);
    if (has_drafts) drafts.drafts.~Drafts();
  }

  struct File {
    String* path;
    String* text;
    int32_t priority;
  };
  void destroy(File* file) noexcept {
    detail::destroy(model.host().allocator, file->path);
    detail::destroy(model.host().allocator, file->text);
  }

  Status prepare(const Document& document, Answer* answer) noexcept;
  bool find_anchor(const Document& document, size_t* anchor) const noexcept;
  Status move_anchor(const Document& document, size_t most, size_t* anchor) noexcept;
  Status open() noexcept;
  Status update(const Document& document) noexcept;
  void take_piece() noexcept;
  Trimmed trim(const Answer& answer, size_t from) noexcept;
  size_t tokens_behind(const Answer& answer, size_t from) const noexcept;
  bool refresh() noexcept;
  bool wants_more() noexcept;
  Status predict() noexcept;
  Step step(uint64_t deadline_us, bool predicts) noexcept;

  Model model;
  Session session;
  CompletionOptions options;
  FimLayout layout;
  uint32_t context = 0, middle_tokens = 0;
  size_t window = 0;  // bytes of a window of the document at most
  Spelling spelling;
  String repository;
  Array<File> files;

  // The prompt but for what stands between the anchor and the cursor.
  Array<Token> fixed;         // [context]; a prompt is made behind the first n_fixed
  size_t n_fixed = 0;         // 0: none
  String prefix, suffix;      // the windows that are in it
  bool suffix_whole = false;  // `suffix` is all that stands behind the cursor
  String path;
  size_t prefix_begin = 0;  // in the document of the last update
  size_t document_bytes = 0;

  String scratch;  // the text of a document that is expected
  String line;     // the cursor's, up to it
  Answer answers[2];
  Answer* shown = &answers[0];
  Answer* next = &answers[1];  // what follows if `shown` is accepted
  Answer* live = nullptr;      // the one that the session writes
  size_t typed = 0;            // bytes of shown->text that stand before the cursor
  Suggestion suggestion;
  bool wanted = false;
  uint64_t n_read = 0, n_prompts = 0;
  Status status;
  bool has_drafts = false;
  union Guesses {
    Guesses() noexcept {}
    ~Guesses() {}
    Drafts drafts;
  } drafts;
};

inline constexpr size_t kMiddleBytes = 2048;  // from the anchor to the cursor

// Where the document is read up to by the prompt that is there, at or above the cursor.
inline bool CompletionImpl::find_anchor(const Document& document, size_t* anchor) const noexcept {
  if (n_fixed == 0 || document.path != view(path)) return false;
  const std::string_view all = document.text;
  if (!is_window(slice(all, document.cursor), view(suffix), suffix_whole)) return false;
  const size_t least = document.cursor > kMiddleBytes ? document.cursor - kMiddleBytes : 0;
  if (prefix_begin == 0) {  // nothing may stand before the window
    *anchor = prefix.size();
    return *anchor >= least && *anchor <= document.cursor && starts_with(all, view(prefix));
  }
  for (size_t at = document.cursor + 1; at-- > least;) {
    if (ends_with(slice(all, 0, at), view(prefix))) {
      *anchor = at;
      return true;
    }
  }
  return false;
}

// Makes a prompt anew, with the start of the cursor's line as anchor, at most `most` bytes above
// the cursor: it begins where the one before did, if that still fits.
inline Status CompletionImpl::move_anchor(const Document& document, size_t most,
                                          size_t* anchor) noexcept {
  const std::string_view all = document.text;
  size_t at = document.cursor;
  while (at > 0 && document.cursor - at < most && all[at - 1] != '\n') --at;
  while (at < document.cursor && (static_cast<uint8_t>(all[at]) & 0xc0) == 0x80) ++at;
  *anchor = at;

  FimText text;
  text.path = document.path;
  text.suffix = slice(all, document.cursor);
  text.repository = view(repository);
  Array<FimFile> others(model.host().allocator);
  for (const File& file : files) {
    if (view(*file.path) == document.path) continue;
    FimFile other;
    other.path = view(*file.path);
    other.text = view(*file.text);
    if (!others.push_back(other)) return Error(ErrorCode::out_of_memory);
  }
  text.files = others.span();
  FimBudget budget = options.budget;
  if (others.empty()) budget.files = 0;

  // The start of the window that was read, where an edit may have moved it.
  const size_t moved = prefix_begin + document.text.size() - document_bytes;
  size_t begin = at;
  for (const size_t candidate : {prefix_begin, moved}) {
    const size_t same = prefix.size() < 64 ? prefix.size() : 64;
    if (n_fixed != 0 && candidate + same <= at && same > 0 &&
        slice(all, candidate, same) == slice(view(prefix), 0, same)) {
      begin = candidate;
      break;
    }
  }
  const Span<Token> room(fixed.data(), fixed.size());
  const auto write = [&]() -> Result<FimPrompt> {
    text.prefix = slice(all, begin, at - begin);
    return detail::fim_prompt(model.tokenizer(), model.host().allocator, layout, text, budget,
                              room);
  };
  // Much above the window, or almost at its start, another one sees more.
  const bool keeps = begin < at && (begin == 0 || (at - begin) > prefix.size() / 4);
  Result<FimPrompt> prompt = Error(ErrorCode::io, "");
  if (keeps) prompt = write();
  if (!keeps || !prompt || prompt->prefix_bytes < at - begin) {
    // Room is left for what is typed below.
    begin = 0;
    budget.prefix -= budget.prefix / 4;
    prompt = write();
    if (!prompt) return prompt.error();
    begin = at - prompt->prefix_bytes;
  }
  n_fixed = prompt->tokens;
  prefix_begin = begin;
  document_bytes = all.size();
  prefix.clear();
  suffix.clear();
  const std::string_view head = slice(all, begin, at - begin);
  const std::string_view tail = slice(all, document.cursor, prompt->suffix_bytes);
  suffix_whole = document.cursor + tail.size() == all.size();
  bool has_room =
      prefix.append(head.data(), head.size()) && suffix.append(tail.data(), tail.size());
  if (has_room && document.path != view(path)) {
    path.clear();
    has_room = path.append(document.path.data(), document.path.size());
  }
  if (has_room) return {};
  n_fixed = 0;
  return Error(ErrorCode::out_of_memory);
}

// Sets the session on writing at the document's cursor.
inline Status CompletionImpl::prepare(const Document& document, Answer* answer) noexcept {
  answer->clear();
  live = nullptr;
  const std::string_view all = document.text;
  const Tokenizer& tokenizer = model.tokenizer();
  size_t anchor = 0, n = 0;
  bool found = find_anchor(document, &anchor);
  // Every byte may become a token, or more if it is no UTF-8.
  for (size_t most = middle_tokens;; most = found ? most : most / 2, found = false) {
    if (!found) INLAY_TRY(move_anchor(document, most, &anchor));
    const std::string_view middle = slice(all, anchor, document.cursor - anchor);
    TokenizeOptions plain;
    plain.add_special = plain.parse_special = false;
    const Span<Token> room(fixed.data() + n_fixed, fixed.size() - n_fixed);
    const Result<size_t> count = middle.empty() ? size_t{0} : tokenizer.encode(middle, room, plain);
    if (!count) return count.error();
    n = *count;
    if (n <= middle_tokens) break;
  }

  // Healing: back to the start of the last word, and at least one token.
  size_t healed = 0;
  if (options.heal) {
    for (uint32_t i = 0; i < 4 && n > 0; ++i) {
      char piece[Spelling::kMaxBytes / 4];
      const size_t size = tokenizer.piece(fixed[n_fixed + n - 1], piece);
      if (size == 0 || size > sizeof piece || healed + size > document.cursor - anchor) break;
      const size_t from = document.cursor - healed - size;
      if (slice(all, from, size) != std::string_view(piece, size)) break;
      healed += size;
      --n;
      if (from == 0 || !is_word(piece[0]) || !is_word(all[from - 1])) break;
    }
  }
  const size_t cut = document.cursor - healed;
  const size_t first = cut > window ? cut - window : 0;
  answer->after_whole = suffix_whole;
  if (!answer->before.append(all.data() + first, cut - first) ||
      !answer->after.append(suffix.data(), suffix.size()) ||
      !answer->text.append(all.data() + cut, healed)) {
    answer->clear();
    return Error(ErrorCode::out_of_memory);
  }
  answer->origin = first;
  session.constrain(nullptr);
  INLAY_TRY(session.prompt({fixed.data(), n_fixed + n}));
  ++n_prompts;
  n_read += n_fixed + n - session.reused();
  spelling.set(slice(all, cut, healed));
  if (layout.chat) {
    FimText text;
    text.prefix = slice(all, anchor, document.cursor - anchor);
    text.suffix = slice(all, document.cursor);
    INLAY_TRY(spelling.form.begin(text, options.trim.max_lines));
  }
  const Constraint constraint = spelling.constraint();
  if (!spelling.done()) session.constrain(&constraint);
  answer->used = true;
  answer->ended = false;
  answer->healed = healed;
  live = answer;
  return {};
}

inline void CompletionImpl::take_piece() noexcept {
  if (spelling.done()) session.constrain(nullptr);
  Answer& a = *live;
  const std::string_view piece = session.piece().text;
  // What is spelled is there already.
  const std::string_view fresh = slice(piece, a.text.size() - a.written);
  a.written += piece.size();
  if (a.text.size() + fresh.size() > a.text.capacity() || a.ends.size() == a.ends.capacity() ||
      !a.text.append(fresh.data(), fresh.size()) ||
      !a.ends.push_back(static_cast<uint32_t>(a.written)) ||
      !a.odds.push_back(session.probability())) {
    a.ended = true;
  }
}

// What of an answer is worth showing behind its first `from` bytes.
inline Trimmed CompletionImpl::trim(const Answer& answer, size_t from) noexcept {
  const std::string_view head = last_line(view(answer.before)),
                         typed_there = slice(view(answer.text), 0, from);
  line.clear();
  if (!line.append(head.data(), head.size()) ||
      !line.append(typed_there.data(), typed_there.size())) {
    return {};
  }
  return trim_completion(slice(view(answer.text), from), view(line), view(answer.after),
                         options.trim);
}

inline size_t CompletionImpl::tokens_behind(const Answer& answer, size_t from) const noexcept {
  size_t n = 0;
  while (n < answer.ends.size() && answer.ends[answer.ends.size() - 1 - n] > from) ++n;
  return n;
}

// Makes the suggestion of what is there. True if its text is another one than before.
inline bool CompletionImpl::refresh() noexcept {
  const Answer& a = *shown;
  const Trimmed trimmed = trim(a, typed);
  const size_t before = suggestion.text.size(), size = wanted ? trimmed.size : 0;
  const size_t behind = tokens_behind(a, typed);
  suggestion = Suggestion();
  suggestion.text = slice(view(a.text), typed, size);
  suggestion.complete =
      !a.used || a.ended || live != &a || trimmed.final || behind >= options.max_tokens;
  if (size > 0) {
    const size_t first = a.ends.size() - behind;
    size_t last = first;
    while (last < a.ends.size() && (last == first || a.ends[last - 1] < typed + size)) ++last;
    suggestion.token_probabilities = a.odds.span().subspan(first, last - first);
    suggestion.probability = 1;
    for (const float p : suggestion.token_probabilities) {
      if (p < suggestion.probability) suggestion.probability = p;
    }
  }
  return size != before;
}

// Begins on what comes if the suggestion is accepted.
inline Status CompletionImpl::predict() noexcept {
  const Answer& a = *shown;
  const std::string_view text = slice(view(a.text), 0, typed + suggestion.text.size());
  scratch.clear();
  if (!scratch.append(a.before.data(), a.before.size()) ||
      !scratch.append(text.data(), text.size()) ||
      !scratch.append(a.after.data(), a.after.size())) {
    return Error(ErrorCode::out_of_memory);
  }
  Document expected;
  expected.path = view(path);
  expected.text = view(scratch);
  expected.cursor = a.before.size() + text.size();
  // The document that is expected begins where the answer's window does.
  const size_t bytes = document_bytes;
  prefix_begin -= a.origin;
  document_bytes = scratch.size();
  const Status begun = prepare(expected, next);
  prefix_begin += a.origin;
  document_bytes = bytes + suggestion.text.size();
  next->origin += a.origin;
  return begun;
}

// Whether the session has something to write on.
inline bool CompletionImpl::wants_more() noexcept {
  if (live == nullptr || live->ended) return false;
  if (!wanted) return live->ends.empty();  // the prompt has been read when there is a token
  if (live == shown) return !suggestion.complete;
  return tokens_behind(*next, next->healed) < options.max_tokens &&
         !trim(*next, next->healed).final;
}

// `predicts`: also what comes after the suggestion.
inline Step CompletionImpl::step(uint64_t deadline_us, bool predicts) noexcept {
  for (;;) {
    if (!wants_more()) {
      if (!wanted || !predicts || next->used || live != shown || suggestion.text.empty()) {
        return Step::done;
      }
      status = predict();
      if (!status) {
        next->clear();
        return Step::failed;
      }
    }
    const uint64_t now = now_us(model.host().clock);
    const uint64_t left = deadline_us > now ? deadline_us - now : 0;
    switch (session.step(left < UINT32_MAX ? static_cast<uint32_t>(left) : UINT32_MAX)) {
      case Step::more:
        return Step::more;
      case Step::failed:
        status = session.status();
        live->ended = true;
        live = nullptr;
        return Step::failed;
      case Step::done:
        if (session.stop_reason() == StopReason::cancelled) return Step::done;
        live->ended = true;
        refresh();
        continue;
      case Step::piece:
        take_piece();
        break;
    }
    if (live == shown && refresh()) return Step::piece;
    if (now_us(model.host().clock) >= deadline_us) return Step::more;
  }
}

inline Status CompletionImpl::update(const Document& document) noexcept {
  if (document.path == view(path)) {
    const ptrdiff_t in_shown = shown->agrees(document);
    if (in_shown >= 0) {
      typed = static_cast<size_t>(in_shown);
      refresh();
      // At the place that it was made for, no text is an answer too.
      const bool is_there = typed == shown->healed && n_fixed != 0;
      const bool has_more = trim(*shown, typed).size > 0;
      if (is_there || has_more || (live == shown && !suggestion.complete)) {
        return {};
      }
    }
    const ptrdiff_t in_next = next->agrees(document);
    if (in_next >= 0) {
      Answer* const accepted = next;
      next = shown;
      shown = accepted;
      next->clear();
      typed = static_cast<size_t>(in_next);
      refresh();
      if (trim(*shown, typed).size > 0 || live == shown) return {};
    }
  }
  next->clear();
  const Status prepared = prepare(document, shown);
  typed = shown->healed;
  refresh();
  return prepared;
}

inline Status check_budget(const CompletionOptions& options, const FimLayout& layout,
                           uint32_t context, uint32_t middle, FimBudget* budget) noexcept {
  // Marks and the file's own header.
  const uint64_t marks = uint64_t{layout.mark_tokens} + 74;
  const uint64_t used = marks + middle + 2 * uint64_t{options.max_tokens};
  if (options.max_tokens == 0 || used + 64 > context) {
    return Error(ErrorCode::bad_argument, "option max_tokens: ")
           << options.max_tokens << " leaves no room for a prompt in a context of " << context;
  }
  const uint32_t room = context - static_cast<uint32_t>(used);
  const auto share = [](uint32_t set, uint32_t most, uint32_t part) {
    return set != 0 ? set : most < part ? most : part;
  };
  budget->files = share(budget->files, 1024, room / 4);
  budget->suffix = share(budget->suffix, 384, room / 4);
  budget->prefix = share(budget->prefix, 1024, room / 2);
  if (uint64_t{budget->files} + budget->suffix + budget->prefix > room) {
    return Error(ErrorCode::bad_argument, "option budget: ")
           << budget->prefix << ", " << budget->suffix << " and " << budget->files
           << " tokens, but the context of " << context << " has room for " << room;
  }
  return {};
}

inline Status CompletionImpl::open() noexcept {
  window = 8 * size_t{options.budget.prefix} + kMiddleBytes;
  const size_t after = 8 * size_t{options.budget.suffix};
  const size_t tokens = 2 * size_t{options.max_tokens} + 16;
  const size_t bytes = Spelling::kMaxBytes + 32 * tokens;
  const bool has_room =
      fixed.resize(context + kFimMarkTokens + Tokenizer::max_tokens(kMiddleBytes)) &&
      prefix.reserve(window) && suffix.reserve(after) && path.reserve(256) &&
      repository.append(options.repository.data(), options.repository.size()) &&
      scratch.reserve(window + bytes + after) && line.reserve(window + bytes) &&
      answers[0].reserve(window, after, bytes, tokens) &&
      answers[1].reserve(window, after, bytes, tokens);
  if (!has_room) return Error(ErrorCode::out_of_memory);
  INLAY_TRY(spelling.create(model.tokenizer()));
  if (layout.chat) INLAY_TRY(spelling.form.open(model.tokenizer(), model.host()));
  if (options.drafts.least_match == 0 && options.drafts.model == nullptr) return {};
  Result<Drafts> guesses = Drafts::create(model, options.drafts);
  if (!guesses) return guesses.error();
  new (&drafts.drafts) Drafts(std::move(*guesses));
  has_drafts = true;
  const Drafter drafter = drafts.drafts.drafter();
  session.speculate(&drafter);
  return {};
}

}  // namespace detail

INLAY_COLD Result<Completion> Completion::create(const Model& model,
                                                 const CompletionOptions& given) noexcept {
  constexpr uint32_t kDefaultContext = 4096;
  constexpr uint32_t kReuse = 32;
  CompletionOptions options = given;
  SessionOptions& s = options.session;
  const uint32_t trained = model.shape().context;
  if (s.context == 0) s.context = trained < kDefaultContext ? trained : kDefaultContext;
  Result<FimLayout> layout =
      detail::fim_layout(model.tokenizer(), model.file(), model.host().allocator, options.order);
  if (!layout) return layout.error();
  uint32_t middle = s.context / 8;
  middle = middle < 16 ? 16 : middle > 512 ? 512 : middle;
  INLAY_TRY(detail::check_budget(given, *layout, s.context, middle, &options.budget));
  s.max_tokens = 2 * options.max_tokens;
  s.stop = Span<const std::string_view>(&layout->stop, layout->stop.empty() ? 0 : 1);
  if (!s.sampling.temperature.is_set()) s.sampling.temperature = 0;
  if (s.reuse == 0 && model.shape().shifts) s.reuse = kReuse;
  Result<Session> session = Session::create(model, s);
  if (!session) return session.error();
  s.stop = {};
  detail::CompletionImpl* const impl = detail::create<detail::CompletionImpl>(
      model.host().allocator, model, std::move(*session), options);
  if (impl == nullptr) return Error(ErrorCode::out_of_memory);
  Completion completion(impl);
  impl->layout = std::move(*layout);
  impl->context = s.context;
  impl->middle_tokens = middle;
  INLAY_TRY(impl->open());
  impl->options.repository = {};
  return completion;
}

Completion::Completion(Completion&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Completion& Completion::operator=(Completion&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
INLAY_COLD Completion::~Completion() {
  if (impl_ == nullptr) return;
  const Model keep = impl_->model;
  detail::destroy(keep.host().allocator, impl_);
}

Status Completion::set_file(std::string_view path, std::string_view text,
                            int32_t priority) noexcept {
  detail::CompletionImpl& c = *impl_;
  const Allocator& allocator = c.model.host().allocator;
  // No more of it can be in a prompt.
  const size_t most = 8 * size_t{c.options.budget.files};
  text = detail::slice(text, 0, most);
  detail::CompletionImpl::File fresh = {detail::create<detail::String>(allocator, allocator),
                                        detail::create<detail::String>(allocator, allocator),
                                        priority};
  bool done = fresh.path != nullptr && fresh.text != nullptr &&
              fresh.path->append(path.data(), path.size()) &&
              fresh.text->append(text.data(), text.size());
  size_t old = 0;
  while (old < c.files.size() && view(*c.files[old].path) != path) ++old;
  const bool known = old < c.files.size() && c.files[old].priority == priority;
  if (done && known) {
    std::swap(c.files[old], fresh);
  } else if (done) {
    remove_file(path);
    done = c.files.push_back(fresh);
    // By priority, of equals the first that came first.
    for (size_t i = c.files.size() - 1; done && i > 0 && c.files[i - 1].priority < priority; --i) {
      std::swap(c.files[i], c.files[i - 1]);
    }
    if (done) fresh = {};
  }
  c.destroy(&fresh);
  c.n_fixed = 0;
  return done ? Status() : Status(Error(ErrorCode::out_of_memory));
}

void Completion::remove_file(std::string_view path) noexcept {
  detail::CompletionImpl& c = *impl_;
  for (size_t i = 0; i < c.files.size(); ++i) {
    if (view(*c.files[i].path) != path) continue;
    c.destroy(&c.files[i]);
    for (size_t j = i + 1; j < c.files.size(); ++j) c.files[j - 1] = c.files[j];
    c.files.pop_back();
    c.n_fixed = 0;
    return;
  }
}

Status Completion::update(const Document& document, bool wanted) noexcept {
  detail::CompletionImpl& c = *impl_;
  if (document.cursor > document.text.size()) {
    return Error(ErrorCode::bad_argument, "the cursor is at byte ")
           << uint64_t{document.cursor} << " of " << uint64_t{document.text.size()};
  }
  c.wanted = wanted;
  return c.status = c.update(document);
}

Step Completion::step(uint32_t budget_us) noexcept {
  return impl_->step(detail::deadline_after(impl_->model.host().clock, budget_us),
                     impl_->options.predict);
}
Step Completion::run(uint32_t budget_us) noexcept {
  detail::CompletionImpl& c = *impl_;
  const uint64_t deadline = detail::deadline_after(c.model.host().clock, budget_us);
  while (c.wanted && !c.suggestion.complete) {
    const Step step = c.step(deadline, false);
    if (step != Step::piece) return step;
    if (detail::now_us(c.model.host().clock) >= deadline) break;
  }
  return c.suggestion.complete ? Step::done : Step::more;
}
void Completion::cancel() noexcept { impl_->session.cancel(); }
const Suggestion& Completion::suggestion() const noexcept { return impl_->suggestion; }
const Status& Completion::status() const noexcept { return impl_->status; }
const FimLayout& Completion::layout() const noexcept { return impl_->layout; }
uint64_t Completion::tokens_read() const noexcept { return impl_->n_read; }
uint64_t Completion::prompts() const noexcept { return impl_->n_prompts; }

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_COMPLETION_INL_HPP_
