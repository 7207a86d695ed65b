#ifndef INLAY_COMPLETION_COMPLETION_INL_HPP_
#define INLAY_COMPLETION_COMPLETION_INL_HPP_

#include <atomic>
#include <cstring>

#include "inlay/completion/completion.hpp"
#include "inlay/completion/emulation-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/meter.hpp"
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
    used = provisional = false;
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
  bool provisional = false;  // less text was read for it than there is room for
};

inline constexpr size_t kMiddleBytes = 2048;  // from the anchor to the cursor
// Tokens of the text next to the cursor that are read where there is no time for more, at most; and
// from the anchor to the cursor.
inline constexpr uint32_t kNarrowTokens = 256, kNarrowMiddle = 64;
// Of a prompt that is read while nothing else is to do: an update() may lose a batch of it.
inline constexpr uint32_t kWideBatch = 128;
// A speed of reading is that of so many tokens at once; it is an average of so many, about.
inline constexpr uint64_t kMeasuredTokens = 16, kRememberedTokens = 4096;

// A session and what it reads of a document.
struct Reader {
  Reader(Session&& s, const Allocator& allocator) noexcept
      : session(std::move(s)),
        fixed(allocator),
        prefix(allocator),
        suffix(allocator),
        path(allocator) {}
  // With the budgets set, room for prompts of so many tokens.
  [[nodiscard]] INLAY_COLD bool reserve(size_t tokens) noexcept {
    return fixed.resize(tokens + kFimMarkTokens + Tokenizer::max_tokens(kMiddleBytes)) &&
           prefix.reserve(8 * size_t{budget.prefix} + kMiddleBytes) &&
           suffix.reserve(8 * size_t{budget.suffix}) && path.reserve(256);
  }
  // Tokens of the prompt that must be read; before the first is written.
  uint32_t unread() const noexcept {
    const uint32_t kept = session.reused(), cached = session.cached();
    return static_cast<uint32_t>(session.tokens().size()) - (kept > cached ? kept : cached);
  }

  Session session;
  FimBudget budget;
  // Most tokens of a prompt above the anchor, and between there and the cursor.
  uint32_t fixed_tokens = 0, middle_tokens = 0;

  // The prompt but for what stands between the anchor and the cursor.
  Array<Token> fixed;         // a prompt is made behind the first n_fixed
  size_t n_fixed = 0;         // 0: none
  String prefix, suffix;      // the windows that are in it
  bool suffix_whole = false;  // `suffix` is all that stands behind the cursor
  String path;
  size_t prefix_begin = 0;  // in the document of the last update
  size_t document_bytes = 0;
};

struct CompletionImpl {
  CompletionImpl(const Model& m, Session&& s, const CompletionOptions& o) noexcept
      : model(m),
        options(o),
        wide(std::move(s), m.host().allocator),
        spelling(m.host().allocator),
        repository(m.host().allocator),
        files(m.host().allocator),
        scratch(m.host().allocator),
        line(m.host().allocator),
        answers{Answer(m.host().allocator), Answer(m.host().allocator)} {}
  ~CompletionImpl() {
    detail::destroy(model.host().allocator, narrow);
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

  bool find_anchor(const Reader& reader, const Document& document, size_t* anchor) const noexcept;
  Status move_anchor(Reader* reader, const Document& document, size_t most,
                     size_t* anchor) noexcept;
  Status set_prompt(Reader* reader, const Document& document, size_t* healed) noexcept;
  uint64_t tokens_in_time() const noexcept;
  Status choose_reader(const Document& document, size_t* healed) noexcept;
  Status prepare(const Document& document, Answer* answer, bool in_time) noexcept;
  Status open(const SessionOptions& session) noexcept;
  Status open_narrow(const SessionOptions& session) noexcept;
  Step step_session(uint64_t deadline_us) noexcept;
  Status update(const Document& document) noexcept;
  void take_piece() noexcept;
  Trimmed trim(const Answer& answer, size_t from) noexcept;
  size_t tokens_behind(const Answer& answer, size_t from) const noexcept;
  bool refresh() noexcept;
  bool wants_more() noexcept;
  Status write_next(size_t behind) noexcept;
  bool take_over() noexcept;
  Step step(uint64_t deadline_us, bool predicts) noexcept;

  Model model;
  CompletionOptions options;
  FimLayout layout;
  Reader wide;
  Reader* narrow = nullptr;  // reads what stands next to the cursor, where `wide` would take long
  std::atomic<Reader*> writer{&wide};  // of `live`
  std::atomic<bool> cancelled{false};
  uint64_t read_us = 0, read_tokens = 0;  // how long it took to read prompts
  uint64_t waited_us = 0;                 // for a batch that is not read yet
  bool measures = false;                  // all tokens that are cached from now on are read
  size_t window = 0;                      // bytes of a window of the document at most
  Spelling spelling;
  String repository;
  Array<File> files;

  String scratch;  // the text of a document that is expected
  String line;     // the cursor's, up to it
  Answer answers[2];
  Answer* shown = &answers[0];
  Answer* next = &answers[1];  // what follows if `shown` is accepted, or replaces it
  Answer* live = nullptr;      // the one that is being written
  size_t typed = 0;            // bytes of shown->text that stand before the cursor
  Suggestion suggestion;
  bool written = true;  // nothing will be added to what is shown, but another may replace it
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

// Where the document is read up to by the prompt that is there, at or above the cursor.
inline bool CompletionImpl::find_anchor(const Reader& reader, const Document& document,
                                        size_t* anchor) const noexcept {
  if (reader.n_fixed == 0 || document.path != view(reader.path)) return false;
  const std::string_view all = document.text;
  if (!is_window(slice(all, document.cursor), view(reader.suffix), reader.suffix_whole))
    return false;
  const size_t least = document.cursor > kMiddleBytes ? document.cursor - kMiddleBytes : 0;
  if (reader.prefix_begin == 0) {  // nothing may stand before the window
    *anchor = reader.prefix.size();
    return *anchor >= least && *anchor <= document.cursor && starts_with(all, view(reader.prefix));
  }
  for (size_t at = document.cursor + 1; at-- > least;) {
    if (ends_with(slice(all, 0, at), view(reader.prefix))) {
      *anchor = at;
      return true;
    }
  }
  return false;
}

// Makes a prompt anew, with the start of the cursor's line as anchor, at most `most` bytes above
// the cursor: it begins where the one before did, if that still fits.
inline Status CompletionImpl::move_anchor(Reader* reader, const Document& document, size_t most,
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
  FimBudget budget = reader->budget;
  if (others.empty()) budget.files = 0;

  // The start of the window that was read, where an edit may have moved it.
  const size_t moved = reader->prefix_begin + document.text.size() - reader->document_bytes;
  size_t begin = at;
  for (const size_t candidate : {reader->prefix_begin, moved}) {
    const size_t same = reader->prefix.size() < 64 ? reader->prefix.size() : 64;
    if (reader->n_fixed != 0 && candidate + same <= at && same > 0 &&
        slice(all, candidate, same) == slice(view(reader->prefix), 0, same)) {
      begin = candidate;
      break;
    }
  }
  const Span<Token> room(reader->fixed.data(), reader->fixed.size());
  const auto write = [&]() -> Result<FimPrompt> {
    text.prefix = slice(all, begin, at - begin);
    for (;;) {
      Result<FimPrompt> made =
          detail::fim_prompt(model.tokenizer(), model.host().allocator, layout, text, budget, room);
      if (!made || made->tokens <= reader->fixed_tokens || budget.prefix == 0) return made;
      // Names of files may be cut into a token for each byte.
      budget.prefix /= 2;
      budget.suffix /= 2;
      budget.files /= 2;
    }
  };
  // Much above the window, or almost at its start, another one sees more.
  const bool keeps = begin < at && (begin == 0 || (at - begin) > reader->prefix.size() / 4);
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
  reader->n_fixed = prompt->tokens;
  reader->prefix_begin = begin;
  reader->document_bytes = all.size();
  reader->prefix.clear();
  reader->suffix.clear();
  const std::string_view head = slice(all, begin, at - begin);
  const std::string_view tail = slice(all, document.cursor, prompt->suffix_bytes);
  reader->suffix_whole = document.cursor + tail.size() == all.size();
  bool has_room = reader->prefix.append(head.data(), head.size()) &&
                  reader->suffix.append(tail.data(), tail.size());
  if (has_room && document.path != view(reader->path)) {
    reader->path.clear();
    has_room = reader->path.append(document.path.data(), document.path.size());
  }
  if (has_room) return {};
  reader->n_fixed = 0;
  return Error(ErrorCode::out_of_memory);
}

// Gives the reader's session the prompt for the document's cursor. `healed`: bytes before it that
// the model is to write anew.
inline Status CompletionImpl::set_prompt(Reader* reader, const Document& document,
                                         size_t* healed) noexcept {
  const std::string_view all = document.text;
  const Tokenizer& tokenizer = model.tokenizer();
  size_t anchor = 0, n = 0;
  bool found = find_anchor(*reader, document, &anchor);
  // Every byte may become a token, or more if it is no UTF-8.
  for (size_t most = reader->middle_tokens;; most = found ? most : most / 2, found = false) {
    if (!found) INLAY_TRY(move_anchor(reader, document, most, &anchor));
    const std::string_view middle = slice(all, anchor, document.cursor - anchor);
    TokenizeOptions plain;
    plain.add_special = plain.parse_special = false;
    const Span<Token> room(reader->fixed.data() + reader->n_fixed,
                           reader->fixed.size() - reader->n_fixed);
    const Result<size_t> count = middle.empty() ? size_t{0} : tokenizer.encode(middle, room, plain);
    if (!count) return count.error();
    n = *count;
    if (n <= reader->middle_tokens) break;
  }

  // Healing: back to the start of the last word, and at least one token.
  *healed = 0;
  for (uint32_t i = 0; options.heal && i < 4 && n > 0; ++i) {
    char piece[Spelling::kMaxBytes / 4];
    const size_t size = tokenizer.piece(reader->fixed[reader->n_fixed + n - 1], piece);
    if (size == 0 || size > sizeof piece || *healed + size > document.cursor - anchor) break;
    const size_t from = document.cursor - *healed - size;
    if (slice(all, from, size) != std::string_view(piece, size)) break;
    *healed += size;
    --n;
    if (from == 0 || !is_word(piece[0]) || !is_word(all[from - 1])) break;
  }
  reader->session.constrain(nullptr);
  return reader->session.prompt({reader->fixed.data(), reader->n_fixed + n});
}

// Tokens that can be read while somebody waits for the first text: that is written in a third of
// the time.
inline uint64_t CompletionImpl::tokens_in_time() const noexcept {
  return narrow == nullptr ? UINT64_MAX
                           : uint64_t{options.first_us} * read_tokens / read_us / 3 * 2;
}

// The reader whose prompt there is time to read, and its prompt.
inline Status CompletionImpl::choose_reader(const Document& document, size_t* healed) noexcept {
  const uint64_t most = tokens_in_time();
  if (wide.unread() <= most) return {};
  const uint32_t fit = most < kNarrowTokens / 4 ? kNarrowTokens / 4
                       : most < kNarrowTokens   ? static_cast<uint32_t>(most)
                                                : kNarrowTokens;
  narrow->budget.suffix = fit / 4;
  narrow->budget.prefix = fit - fit / 4;
  size_t narrow_healed = 0;
  INLAY_TRY(set_prompt(narrow, document, &narrow_healed));
  if (narrow->unread() > wide.unread() / 2) return {};
  *healed = narrow_healed;
  writer = narrow;
  return {};
}

// Begins an answer at the document's cursor; `in_time`: from less text, if all takes too long.
inline Status CompletionImpl::prepare(const Document& document, Answer* answer,
                                      bool in_time) noexcept {
  answer->clear();
  live = nullptr;
  writer = &wide;
  // A batch of its would keep the other from a workspace that both have.
  if (narrow != nullptr && options.session.workspace_of != nullptr) {
    narrow->session.truncate(narrow->session.cached());
  }
  size_t healed = 0;
  INLAY_TRY(set_prompt(&wide, document, &healed));
  if (in_time) INLAY_TRY(choose_reader(document, &healed));
  Reader& reader = *writer;
  ++n_prompts;
  n_read += reader.unread();
  waited_us = 0;
  // What is only moved in the cache takes no time worth speaking of.
  measures = reader.session.reused() == reader.session.cached();

  const std::string_view all = document.text;
  const size_t cut = document.cursor - healed;
  const size_t first = cut > window ? cut - window : 0;
  answer->after_whole = wide.suffix_whole;
  if (!answer->before.append(all.data() + first, cut - first) ||
      !answer->after.append(wide.suffix.data(), wide.suffix.size()) ||
      !answer->text.append(all.data() + cut, healed)) {
    answer->clear();
    return Error(ErrorCode::out_of_memory);
  }
  spelling.set(slice(all, cut, healed));
  if (layout.chat) {
    FimText text;
    text.prefix = slice(all, 0, document.cursor);
    text.suffix = slice(all, document.cursor);
    INLAY_TRY(spelling.form.begin(text, options.trim.max_lines));
  }
  const Constraint constraint = spelling.constraint();
  if (!spelling.done()) reader.session.constrain(&constraint);
  answer->origin = first;
  answer->used = true;
  answer->ended = false;
  answer->healed = healed;
  answer->provisional = &reader == narrow;
  live = answer;
  return {};
}

inline void CompletionImpl::take_piece() noexcept {
  Session& session = writer.load()->session;
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

// Makes the suggestion of what is there. True if somebody may want to show it now.
inline bool CompletionImpl::refresh() noexcept {
  const Answer& a = *shown;
  const Trimmed trimmed = trim(a, typed);
  const size_t before = suggestion.text.size(), size = wanted ? trimmed.size : 0;
  const bool was_preliminary = suggestion.preliminary;
  const size_t behind = tokens_behind(a, typed);
  suggestion = Suggestion();
  suggestion.text = slice(view(a.text), typed, size);
  written = !a.used || a.ended || live != &a || trimmed.final || behind >= options.max_tokens;
  suggestion.complete = written && !a.provisional;
  suggestion.preliminary = written && a.provisional;
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
  return size != before || (suggestion.preliminary && !was_preliminary);
}

// Begins on what comes behind so many bytes of the text that is shown, if these are accepted.
inline Status CompletionImpl::write_next(size_t behind) noexcept {
  const Answer& a = *shown;
  const std::string_view text = slice(view(a.text), 0, typed + behind);
  scratch.clear();
  if (!scratch.append(a.before.data(), a.before.size()) ||
      !scratch.append(text.data(), text.size()) ||
      !scratch.append(a.after.data(), a.after.size())) {
    return Error(ErrorCode::out_of_memory);
  }
  Document expected;
  expected.path = view(wide.path);
  expected.text = view(scratch);
  expected.cursor = a.before.size() + text.size();
  // The document that is expected begins where the answer's window does.
  const size_t bytes = wide.document_bytes;
  wide.prefix_begin -= a.origin;
  wide.document_bytes = scratch.size();
  const Status begun = prepare(expected, next, false);
  wide.prefix_begin += a.origin;
  wide.document_bytes = bytes + behind;
  next->origin += a.origin;
  return begun;
}

// What was written from all that there is room for replaces what was made of less, unless a part of
// that has been typed. True if another text is shown now.
inline bool CompletionImpl::take_over() noexcept {
  shown->provisional = false;
  if (typed != shown->healed || !next->used) {
    refresh();
    return false;
  }
  const std::string_view before = suggestion.text;  // in an answer that is not cleared yet
  std::swap(shown, next);
  typed = shown->healed;
  refresh();
  const bool changed = suggestion.text != before;
  next->clear();
  return changed;
}

// Whether the session has something to write on.
inline bool CompletionImpl::wants_more() noexcept {
  if (live == nullptr || live->ended) return false;
  if (!wanted) return live->ends.empty();  // the prompt has been read when there is a token
  if (live == shown) return !written;
  return tokens_behind(*next, next->healed) < options.max_tokens &&
         !trim(*next, next->healed).final;
}

// A step of the session that writes, by which the speed of reading is measured.
inline Step CompletionImpl::step_session(uint64_t deadline_us) noexcept {
  Session& session = writer.load()->session;
  const uint64_t now = now_us(model.host().clock);
  const uint64_t left = deadline_us > now ? deadline_us - now : 0;
  const uint32_t cached = session.cached();
  const Step step = session.step(left < UINT32_MAX ? static_cast<uint32_t>(left) : UINT32_MAX);
  const uint32_t read = session.cached() - cached;
  waited_us += now_us(model.host().clock) - now;
  if (read == 0) return step;
  if (measures && read >= kMeasuredTokens) {
    read_us += waited_us + 1;
    read_tokens += read;
    while (read_tokens > kRememberedTokens) read_us = read_us / 2 + 1, read_tokens /= 2;
  }
  waited_us = 0;
  return step;
}

// `predicts`: also what comes after the suggestion.
inline Step CompletionImpl::step(uint64_t deadline_us, bool predicts) noexcept {
  for (;;) {
    if (cancelled.exchange(false)) return Step::done;
    if (!wants_more()) {
      if (wanted && shown->provisional && live == next && take_over()) return Step::piece;
      const bool widens = shown->provisional;
      const bool goes_on = wanted && predicts && !next->used && !suggestion.text.empty();
      if (live != shown || !(widens || goes_on)) return Step::done;
      status =
          Meter::explain(model.host().allocator, write_next(widens ? 0 : suggestion.text.size()));
      if (!status) {
        next->clear();
        shown->provisional = false;
        return Step::failed;
      }
    }
    switch (step_session(deadline_us)) {
      case Step::more:
        return Step::more;
      case Step::failed:
        status = writer.load()->session.status();
        if (status.error().code() == ErrorCode::busy) return Step::failed;
        live->ended = true;
        shown->provisional = false;
        live = nullptr;
        return Step::failed;
      case Step::done:
        // By a call of cancel() that another session's step has answered already, perhaps.
        if (writer.load()->session.stop_reason() == StopReason::cancelled) continue;
        live->ended = true;
        if (refresh() && live == shown) return Step::piece;
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
  if (document.path == view(wide.path)) {
    const ptrdiff_t in_shown = shown->agrees(document);
    if (in_shown >= 0) {
      typed = static_cast<size_t>(in_shown);
      refresh();
      // At the place that it was made for, no text is an answer too.
      const bool is_there = typed == shown->healed && wide.n_fixed != 0;
      const bool has_more = trim(*shown, typed).size > 0;
      // What is only read ahead so far may have been given more time than there is now.
      const bool late = wanted && live == shown && writer == &wide && shown->ends.empty() &&
                        wide.unread() > tokens_in_time();
      if (!late && (is_there || has_more || (live == shown && !written))) {
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
  const Status prepared = prepare(document, shown, wanted);
  typed = shown->healed;
  refresh();
  return prepared;
}

inline Status check_budget(const CompletionOptions& options, const FimLayout& layout,
                           uint32_t context, uint32_t middle, FimBudget* budget) noexcept {
  constexpr uint32_t kNames = 74;  // the repository's and the file's, as most are
  constexpr uint32_t kLeastText = 64;
  const uint64_t used =
      uint64_t{layout.mark_tokens} + kNames + middle + 2 * uint64_t{options.max_tokens};
  if (options.max_tokens == 0 || used + kLeastText > context) {
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

// Sets up what reads the text next to the cursor, if that is less than there is room for.
INLAY_COLD inline Status CompletionImpl::open_narrow(const SessionOptions& session) noexcept {
  SessionOptions options_of_it = session;
  options_of_it.context = kNarrowTokens + kNarrowMiddle + layout.mark_tokens + kFimHeaderTokens +
                          2 * options.max_tokens;
  if (options_of_it.context >= session.context) return {};
  Result<Session> made = Session::create(model, options_of_it);
  if (!made) return made.error();
  const Allocator& allocator = model.host().allocator;
  narrow = create<Reader>(allocator, std::move(*made), allocator);
  if (narrow == nullptr) return Error(ErrorCode::out_of_memory);
  narrow->fixed_tokens = options_of_it.context - kNarrowMiddle - 2 * options.max_tokens;
  narrow->middle_tokens = kNarrowMiddle;
  narrow->budget.prefix = narrow->budget.suffix = kNarrowTokens;
  if (!narrow->reserve(options_of_it.context)) return Error(ErrorCode::out_of_memory);
  // Until it has been measured: a multiplication for each weight, of some ten billions a second.
  uint64_t bytes = 0;
  for (const TensorView& tensor : model.file().tensors()) bytes += tensor.bytes;
  read_tokens = kMeasuredTokens;
  read_us = kMeasuredTokens * bytes / 100'000 / session.threads + 1;
  return {};
}

INLAY_COLD inline Status CompletionImpl::open(const SessionOptions& session) noexcept {
  window = 8 * size_t{options.budget.prefix} + kMiddleBytes;
  wide.budget = options.budget;
  const size_t after = 8 * size_t{options.budget.suffix};
  const size_t tokens = 2 * size_t{options.max_tokens} + 16;
  const size_t bytes = Spelling::kMaxBytes + 32 * tokens;
  const bool has_room = wide.reserve(session.context) &&
                        repository.append(options.repository.data(), options.repository.size()) &&
                        scratch.reserve(window + bytes + after) && line.reserve(window + bytes) &&
                        answers[0].reserve(window, after, bytes, tokens) &&
                        answers[1].reserve(window, after, bytes, tokens);
  if (!has_room) return Error(ErrorCode::out_of_memory);
  INLAY_TRY(spelling.create(model.tokenizer()));
  if (layout.chat) INLAY_TRY(spelling.form.open(model.tokenizer(), model.host()));
  if (options.first_us > 0) INLAY_TRY(open_narrow(session));
  if (options.drafts.least_match == 0 && options.drafts.model == nullptr) return {};
  Result<Drafts> guesses = Drafts::create(model, options.drafts);
  if (!guesses) return guesses.error();
  new (&drafts.drafts) Drafts(std::move(*guesses));
  has_drafts = true;
  const Drafter drafter = drafts.drafts.drafter();
  wide.session.speculate(&drafter);
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
  const Allocator& allocator = model.host().allocator;
  if (!layout) return detail::Meter::explain(allocator, layout.error());
  uint32_t middle = s.context / 8;
  middle = middle < 16 ? 16 : middle > 512 ? 512 : middle;
  INLAY_TRY(detail::check_budget(given, *layout, s.context, middle, &options.budget));
  s.max_tokens = 2 * options.max_tokens;
  s.stop = Span<const std::string_view>(&layout->stop, layout->stop.empty() ? 0 : 1);
  if (!s.sampling.temperature.is_set()) s.sampling.temperature = 0;
  if (s.reuse == 0 && model.shape().shifts) s.reuse = kReuse;
  if (options.first_us > 0 && s.batch > detail::kWideBatch) s.batch = detail::kWideBatch;
  Result<Session> session = Session::create(model, s);
  if (!session) return session.error();
  const SessionOptions session_options = s;
  s.stop = {};
  detail::CompletionImpl* const impl =
      detail::create<detail::CompletionImpl>(allocator, model, std::move(*session), options);
  if (impl == nullptr) return detail::Meter::explain(allocator, Error(ErrorCode::out_of_memory));
  Completion completion(impl);
  impl->layout = std::move(*layout);
  impl->wide.fixed_tokens = session_options.context - middle - session_options.max_tokens;
  impl->wide.middle_tokens = middle;
  INLAY_TRY(detail::Meter::explain(allocator, impl->open(session_options)));
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
  c.wide.n_fixed = 0;
  if (done) return {};
  return detail::Meter::explain(allocator, Error(ErrorCode::out_of_memory));
}

void Completion::remove_file(std::string_view path) noexcept {
  detail::CompletionImpl& c = *impl_;
  for (size_t i = 0; i < c.files.size(); ++i) {
    if (view(*c.files[i].path) != path) continue;
    c.destroy(&c.files[i]);
    for (size_t j = i + 1; j < c.files.size(); ++j) c.files[j - 1] = c.files[j];
    c.files.pop_back();
    c.wide.n_fixed = 0;
    return;
  }
}

Status Completion::update(const Document& document, bool wanted) noexcept {
  detail::CompletionImpl& c = *impl_;
  if (document.cursor > document.text.size()) {
    return Error(ErrorCode::bad_argument, "the cursor is at byte ")
           << uint64_t{document.cursor} << " of " << uint64_t{document.text.size()};
  }
  c.cancelled = false;
  c.wanted = wanted;
  return c.status = detail::Meter::explain(c.model.host().allocator, c.update(document));
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
void Completion::cancel() noexcept {
  // In this order: a step that goes on with another session then sees the first.
  impl_->cancelled = true;
  impl_->writer.load()->session.cancel();
}
const Suggestion& Completion::suggestion() const noexcept { return impl_->suggestion; }
const Status& Completion::status() const noexcept { return impl_->status; }
const FimLayout& Completion::layout() const noexcept { return impl_->layout; }
uint64_t Completion::tokens_read() const noexcept { return impl_->n_read; }
uint64_t Completion::prompts() const noexcept { return impl_->n_prompts; }

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_COMPLETION_INL_HPP_
