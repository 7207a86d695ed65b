#ifndef INLAY_COMPLETION_FIM_INL_HPP_
#define INLAY_COMPLETION_FIM_INL_HPP_

#include <cstring>

#include "inlay/completion/emulation.hpp"
#include "inlay/completion/fim.hpp"
#include "inlay/core/memory.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// The tokens' texts, and what else tells a family from one with the same tokens.
struct FimFamily {
  std::string_view name, prefix, suffix, middle, repository, file;
  FimOrder order;
  std::string_view named;  // must be in general.architecture or general.name
};
#define INLAY_BAR "\xEF\xBD\x9C"
#define INLAY_LOW "\xE2\x96\x81"
// The first whose tokens the vocabulary has all.
inline constexpr FimFamily kFimFamilies[] = {
    {"mellum", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "", "<filename>", FimOrder::spm,
     "mellum"},
    {"qwen", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>",
     FimOrder::psm, ""},
    {"codegemma", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "", "<|file_separator|>",
     FimOrder::psm, ""},
    {"granite", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "", "", FimOrder::psm, ""},
    {"starcoder2", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<repo_name>", "<file_sep>",
     FimOrder::psm, ""},
    {"starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<reponame>", "<filename>",
     FimOrder::psm, ""},
    {"fim", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "", "", FimOrder::psm, ""},
    {"santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", "", "", FimOrder::psm, ""},
    {"deepseek", "<" INLAY_BAR "fim" INLAY_LOW "begin" INLAY_BAR ">",
     "<" INLAY_BAR "fim" INLAY_LOW "hole" INLAY_BAR ">",
     "<" INLAY_BAR "fim" INLAY_LOW "end" INLAY_BAR ">", "", "", FimOrder::psm, ""},
    {"codellama", INLAY_LOW "<PRE>", INLAY_LOW "<SUF>", INLAY_LOW "<MID>", "", "", FimOrder::psm,
     ""},
    {"codellama", "<PRE>", "<SUF>", "<MID>", "", "", FimOrder::psm, ""},
    {"codestral", "[PREFIX]", "[SUFFIX]", "", "", "", FimOrder::spm, ""},
    {"seed-coder", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "", "", FimOrder::spm, ""},
    {"glm", "<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "", "", FimOrder::psm, ""},
    {"plamo", "<|plamo:fim_prefix|>", "<|plamo:fim_suffix|>", "<|plamo:fim_middle|>", "",
     "<|plamo:file_separator|>", FimOrder::psm, ""},
    {"prefix", "<|prefix|>", "<|suffix|>", "<|middle|>", "", "", FimOrder::psm, ""},
};
#undef INLAY_BAR
#undef INLAY_LOW

// The special token with that text, or kNoToken. `status` becomes an error if it was not found for
// want of memory.
inline Token special_token(const Tokenizer& tokenizer, std::string_view text,
                           Status* status) noexcept {
  TokenizeOptions options;
  options.add_special = false;
  Token tokens[2];
  const Result<size_t> n = tokenizer.encode(text, tokens, options);
  if (!n && n.error().code() == ErrorCode::out_of_memory) *status = n.error();
  if (!n || *n != 1) return kNoToken;
  char piece[64];
  const size_t size = tokenizer.piece(tokens[0], piece, true);
  return size == text.size() && std::memcmp(piece, text.data(), size) == 0 ? tokens[0] : kNoToken;
}

inline bool contains(std::string_view text, std::string_view part) noexcept {
  for (size_t at = 0; at + part.size() <= text.size(); ++at) {
    size_t same = 0;
    while (same < part.size()) {
      const char c = text[at + same];
      if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != part[same]) break;
      ++same;
    }
    if (same == part.size()) return true;
  }
  return false;
}

inline bool is_named(const Gguf& file, std::string_view part) noexcept {
  for (const char* key : {"general.architecture", "general.name", "general.basename"}) {
    std::string_view name;
    const MetadataValue* const value = file.find(key);
    if (value != nullptr && value->as_string(&name) && contains(name, part)) return true;
  }
  return false;
}

// What begins a comment in files of that name.
inline std::string_view comment_sign(std::string_view path) noexcept {
  size_t dot = path.size();
  while (dot > 0 && path[dot - 1] != '.' && path[dot - 1] != '/' && path[dot - 1] != '\\') --dot;
  const std::string_view extension = slice(path, dot);
  struct Sign {
    std::string_view sign, extensions;  // each between spaces
  };
  static constexpr Sign kSigns[] = {
      {"#", " py pyi rb sh bash zsh pl pm r jl yaml yml toml cmake mk nim ex exs ps1 tcl "},
      {"--", " lua sql hs elm adb ads vhd "},
      {";", " lisp el clj cljs scm rkt asm ini "},
      {"%", " tex erl bib "},
  };
  for (const Sign& s : kSigns) {
    for (size_t at = 1; !extension.empty() && at + extension.size() < s.extensions.size(); ++at) {
      if (s.extensions[at - 1] == ' ' && s.extensions[at + extension.size()] == ' ' &&
          slice(s.extensions, at, extension.size()) == extension) {
        return s.sign;
      }
    }
  }
  return "//";
}

// Writes one prompt. The first failure stays, and nothing is written after it.
class FimWriter {
 public:
  FimWriter(const Tokenizer& tokenizer, const Allocator& allocator, Span<Token> out) noexcept
      : tokenizer_(tokenizer), room_(allocator), out_(out) {}
  size_t count() const noexcept { return count_; }
  const Status& status() const noexcept { return status_; }

  void put(Token token) noexcept {
    if (token == kNoToken || !status_) return;
    if (count_ == out_.size()) return fail(Error(ErrorCode::bad_argument));
    out_[count_++] = token;
  }
  // Text in which names of special tokens count as these, or do not.
  void put(std::string_view text, bool parse_special = false) noexcept {
    if (text.empty() || !status_) return;
    TokenizeOptions options;
    options.add_special = false;
    options.parse_special = parse_special;
    const Result<size_t> n = tokenizer_.encode(text, out_.subspan(count_), options);
    if (!n) return fail(n.error());
    count_ += *n;
  }
  void put(const FimMark& mark) noexcept {
    put(mark.token);
    if (mark.token == kNoToken) put(mark.text, true);
  }

  // As much of `text` as `most` tokens hold, its tail or its head: whole lines, unless the one
  // beside the cursor is longer than that. Returns the bytes that were taken.
  size_t put_window(std::string_view text, bool tail, size_t most) noexcept {
    if (!status_ || text.empty() || most == 0) return 0;
    // Code has 2.5 to 4.5 bytes in a token. What has more than 8 is mostly white space.
    const bool cut = text.size() / 8 > most;
    if (cut) text = whole_characters(text, tail, 8 * most);
    if (!room_.resize(Tokenizer::max_tokens(text.size()))) {
      fail(Error(ErrorCode::out_of_memory));
      return 0;
    }
    TokenizeOptions plain;
    plain.add_special = plain.parse_special = false;
    const Result<size_t> n = tokenizer_.encode(text, room_.span(), plain);
    if (!n) {
      fail(n.error());
      return 0;
    }
    size_t begin = tail && *n > most ? *n - most : 0, end = !tail && *n > most ? most : *n;
    if (tail && (cut || begin > 0)) {
      size_t line = begin;
      while (line < end && (line == 0 || !ends_line(room_[line - 1]))) ++line;
      if (line < end) begin = line;
    }
    if (!tail && (cut || end < *n)) {
      size_t line = end;
      while (line > 0 && !ends_line(room_[line - 1])) --line;
      if (line > 0) end = line;
    }
    size_t left_out = 0;
    for (size_t i = 0; i < *n; ++i) {
      if (i < begin || i >= end) left_out += tokenizer_.piece(room_[i], {});
    }
    for (size_t i = begin; i < end; ++i) put(room_[i]);
    return left_out < text.size() ? text.size() - left_out : 0;
  }

  // Whether the last token that was written ends a line.
  bool ends_line() const noexcept { return count_ > 0 && ends_line(out_[count_ - 1]); }

 private:
  static std::string_view whole_characters(std::string_view text, bool tail, size_t most) noexcept {
    const auto continues = [](char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; };
    if (tail) {
      size_t first = text.size() - most;
      while (first < text.size() && continues(text[first])) ++first;
      return slice(text, first);
    }
    while (most > 0 && continues(text[most])) --most;
    return slice(text, 0, most);
  }
  bool ends_line(Token token) const noexcept {
    char piece[256];
    const size_t n = tokenizer_.piece(token, piece);
    return n > 0 && n <= sizeof piece && piece[n - 1] == '\n';
  }
  void fail(const Error& error) noexcept {
    if (!status_) return;
    status_ = error;
    if (error.code() != ErrorCode::bad_argument) return;
    status_ = Error(ErrorCode::bad_argument, "room for ")
              << uint64_t{out_.size()} << " tokens: the prompt to fill in has more";
  }

  const Tokenizer& tokenizer_;
  Array<Token> room_;
  Span<Token> out_;
  size_t count_ = 0;
  Status status_;
};

inline constexpr uint32_t kFimPathBytes = 100;
// A file with less room than this beside its header is not worth it. At most a token for each byte.
inline constexpr uint32_t kFimHeaderTokens = kFimPathBytes + 8;

// The line that names a file.
inline void put_file_header(const FimLayout& layout, std::string_view path,
                            FimWriter* writer) noexcept {
  if (layout.file.token == kNoToken && layout.file.text.empty()) {
    writer->put(comment_sign(path));
    writer->put(" ");
  } else {
    writer->put(layout.file);
  }
  // Of a long path the end says most.
  const size_t cut = path.size() > kFimPathBytes ? path.size() - kFimPathBytes : 0;
  writer->put(path.empty() ? std::string_view("untitled") : slice(path, cut));
  writer->put("\n");
}

// Repository, other files and the file's own header. Returns how many files were taken.
inline size_t put_files(const FimLayout& layout, const FimText& text, size_t budget,
                        FimWriter* writer) noexcept {
  if ((text.files.empty() || budget == 0) && !text.header) return 0;
  if (!text.repository.empty() && layout.repository.token != kNoToken) {
    writer->put(layout.repository);
    writer->put(slice(text.repository, 0, kFimPathBytes));
    writer->put("\n");
  }
  const size_t first = writer->count();
  size_t taken = 0;
  for (const FimFile& file : text.files) {
    const size_t used = writer->count() - first;
    if (used + kFimHeaderTokens >= budget) break;
    put_file_header(layout, file.path, writer);
    const size_t header = writer->count() - first - used;
    writer->put_window(file.text, false, budget - used - header);
    if (!writer->ends_line()) writer->put("\n");
    ++taken;
  }
  put_file_header(layout, text.path, writer);
  return taken;
}

inline FimLayout plain_layout() noexcept {
  FimLayout layout;
  layout.emulated = true;
  layout.family = "text";
  return layout;
}

INLAY_COLD Result<FimLayout> fim_layout(const Tokenizer& tokenizer, const Gguf& file,
                                        const Allocator& allocator, FimOrder order) noexcept {
  const SpecialTokens& special = tokenizer.special();
  Status status;
  FimLayout layout;
  const bool known = special.fim_prefix != kNoToken && special.fim_suffix != kNoToken &&
                     special.fim_middle != kNoToken;
  if (known) {
    layout.family = "fim";
    layout.prefix.token = special.fim_prefix;
    layout.suffix.token = special.fim_suffix;
    layout.middle.token = special.fim_middle;
    layout.repository.token = special.fim_repo;
    layout.file.token = special.fim_separator;
  }
  for (const FimFamily& family : kFimFamilies) {
    if (!family.named.empty() && !is_named(file, family.named)) continue;
    const auto token = [&](std::string_view text) {
      return text.empty() ? kNoToken : special_token(tokenizer, text, &status);
    };
    const Token prefix = token(family.prefix), suffix = token(family.suffix),
                middle = token(family.middle), repository = token(family.repository),
                separator = token(family.file);
    const bool has_all = prefix != kNoToken && suffix != kNoToken &&
                         (middle != kNoToken || family.middle.empty()) &&
                         (repository != kNoToken || family.repository.empty()) &&
                         (separator != kNoToken || family.file.empty());
    // What the metadata says goes before what the texts of tokens suggest.
    if (!has_all || (known && prefix != special.fim_prefix)) continue;
    layout.family = family.name;
    layout.order = family.order;
    layout.prefix.token = prefix;
    layout.suffix.token = suffix;
    layout.middle.token = middle;
    layout.repository.token = repository;
    layout.file.token = separator;
    break;
  }
  if (layout.prefix.token == kNoToken) {
    layout = plain_layout();
    if (status) status = chat_layout(tokenizer, file, allocator, &layout);
  } else if (order != FimOrder::automatic && layout.middle.token != kNoToken) {
    layout.order = order;  // without a token before the middle, only the prefix can come last
  }
  INLAY_TRY(status);
  return layout;
}

Result<FimPrompt> fim_prompt(const Tokenizer& tokenizer, const Allocator& allocator,
                             const FimLayout& layout, const FimText& text, const FimBudget& budget,
                             Span<Token> out) noexcept {
  FimWriter writer(tokenizer, allocator, out);
  FimPrompt prompt;
  if (tokenizer.adds_bos()) writer.put(tokenizer.special().bos);
  writer.put(layout.begin, true);
  prompt.files = put_files(layout, text, budget.files, &writer);
  prompt.shared = writer.count();
  const bool has_suffix = !layout.emulated || layout.chat;
  for (const bool is_suffix : {layout.order == FimOrder::spm, layout.order != FimOrder::spm}) {
    if (is_suffix && !has_suffix) continue;
    writer.put(is_suffix ? layout.suffix : layout.prefix);
    if (is_suffix) {
      prompt.suffix_bytes = writer.put_window(text.suffix, false, budget.suffix);
    } else {
      prompt.prefix_bytes = writer.put_window(text.prefix, true, budget.prefix);
    }
  }
  writer.put(layout.middle);
  if (layout.chat) {
    const std::string_view there = slice(text.prefix, text.prefix.size() - prompt.prefix_bytes);
    writer.put_window(last_lines(there, kRepeatedLines), true, kRepeatedTokens);
  }
  if (!writer.status()) return writer.status().error();
  prompt.tokens = writer.count();
  return prompt;
}

}  // namespace detail

FimLayout fim_layout(const Model& model, FimOrder order) noexcept {
  Result<FimLayout> layout =
      detail::fim_layout(model.tokenizer(), model.file(), model.host().allocator, order);
  return layout ? std::move(*layout) : detail::plain_layout();
}

Result<FimPrompt> fim_prompt(const Model& model, const FimLayout& layout, const FimText& text,
                             const FimBudget& budget, Span<Token> out) noexcept {
  return detail::fim_prompt(model.tokenizer(), model.host().allocator, layout, text, budget, out);
}

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_FIM_INL_HPP_
