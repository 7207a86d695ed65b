#ifndef INLAY_COMPLETION_EMULATION_INL_HPP_
#define INLAY_COMPLETION_EMULATION_INL_HPP_

#include "inlay/chat/chat_template.hpp"
#include "inlay/completion/emulation.hpp"
#include "inlay/completion/fim-inl.hpp"
#include "inlay/completion/trim-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/grammar/matcher.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

std::string_view last_lines(std::string_view text, uint32_t lines) noexcept {
  size_t at = text.size();
  for (; at > 0; --at) {
    if (text[at - 1] == '\n' && lines-- == 0) break;
  }
  return slice(text, at);
}

#if defined(INLAY_WITH_CHAT) && defined(INLAY_WITH_GRAMMAR)

// Rules in GBNF for lines that are not, and for one that is, a given text.
class FimRules {
 public:
  explicit FimRules(const Allocator& allocator) noexcept : text_(allocator) {}
  std::string_view text() const noexcept { return view(text_); }

  // The rules are regular, and each has what a line may go on with.
  [[nodiscard]] INLAY_COLD bool write(const FimText& text, uint32_t max_lines) noexcept {
    const FimEnd stop(text.suffix);
    const std::string_view all = stop.text();
    // A line that begins with a fence's character is left to the fence.
    const bool none = all.size() < 2 || all[1] == '`';
    const bool whole = !none && all.back() == '\n';
    const std::string_view end =
        none ? std::string_view() : slice(all, 1, all.size() - (whole ? 2 : 1));
    put("root ::= ");
    put(last_line(text.prefix).empty() ? "line" : "rest");
    put(" \"\\n\" (line \"\\n\"){0,");
    if (max_lines > 0) put_number(max_lines - 1, 10, 1);
    put("} end\nrest ::= [^\\n]*\n");
    // A fence begins no line; one or two of its characters may.
    put("tick ::= \"`\" ([^`\\n] rest)? | \"``\" ([^`\\n] rest)?\n");
    put("end ::= \"```\"");
    if (!none) put(" | \"");
    for (size_t at = 0; at < end.size();) put_character(end, &at);
    if (!none) put(whole ? "\\n\"" : "\"");
    put("\nline ::= tick | ([^`\\n");
    // Where a line leaves the one that ends the answer, it is any other.
    uint32_t n = 0;
    for (size_t at = 0; at < end.size();) {
      const size_t here = at;
      put_character(end, &at);
      put("] rest)?");
      if (at == end.size() && !whole) break;
      size_t again = here;
      put(" | \"");
      put_character(end, &again);
      put("\" l");
      put_number(++n, 10, 1);
      put("\nl");
      put_number(n, 10, 1);
      put(at < end.size() ? " ::= ([^\\n" : " ::= [^\\n] rest");
    }
    if (none) put("] rest)?");
    put("\n");
    return has_room_;
  }

 private:
  void put(std::string_view text) noexcept {
    has_room_ = has_room_ && text_.append(text.data(), text.size());
  }
  void put_number(uint32_t number, uint32_t base, uint32_t digits) noexcept {
    char room[10];
    uint32_t n = 0;
    for (; number > 0 || n < digits; number /= base)
      room[9 - n++] = "0123456789abcdef"[number % base];
    put({room + 10 - n, n});
  }
  // The character at *at, which is moved on.
  void put_character(std::string_view text, size_t* at) noexcept {
    const DecodedCharacter c = decode_utf8(text.data() + *at, text.data() + text.size());
    put("\\U");
    put_number(c.code, 16, 8);
    *at += c.bytes;
  }

  String text_;
  bool has_room_ = true;
};

// The form that an answer has.
class FimForm {
 public:
  explicit FimForm(const Allocator& allocator) noexcept : allocator_(allocator) {}
  FimForm(const FimForm&) = delete;
  FimForm& operator=(const FimForm&) = delete;
  ~FimForm() {
    end();
    destroy(allocator_, vocabulary_);
  }

  INLAY_COLD Status open(const Tokenizer& tokenizer, const Host& host) noexcept {
    host_ = host;
    Result<GrammarVocabulary> made = GrammarVocabulary::create(tokenizer, host);
    if (!made) return made.error();
    vocabulary_ = create<GrammarVocabulary>(allocator_, std::move(*made));
    return vocabulary_ != nullptr ? Status() : Status(Error(ErrorCode::out_of_memory));
  }

  // An answer between the texts begins. Before open(), and after end(), it has any form.
  Status begin(const FimText& text, uint32_t max_lines) noexcept {
    end();
    if (vocabulary_ == nullptr) return {};
    const Result<Grammar> grammar = fim_grammar(text, max_lines, host_);
    if (!grammar) return grammar.error();
    GrammarMatcherOptions options;
    options.host = host_;
    options.state_memory = size_t{1} << 18;
    options.mask_memory = size_t{1} << 19;
    Result<GrammarMatcher> made = GrammarMatcher::create(*grammar, *vocabulary_, options);
    if (!made) return made.error();
    matcher_ = create<GrammarMatcher>(allocator_, std::move(*made));
    return matcher_ != nullptr ? Status() : Status(Error(ErrorCode::out_of_memory));
  }
  void end() noexcept {
    destroy(allocator_, matcher_);
    matcher_ = nullptr;
  }
  bool any() const noexcept { return matcher_ == nullptr; }
  bool mask(Span<uint64_t> allowed) noexcept { return static_cast<bool>(matcher_->mask(allowed)); }
  bool allows(Token token) noexcept { return matcher_->allows(token); }
  // False if the text may not go on so.
  bool accept(Token token) noexcept {
    const Result<bool> taken = matcher_->accept(token);
    return taken && *taken;
  }
  bool accept(std::string_view text) noexcept {
    const Result<bool> taken = matcher_->accept(text);
    return taken && *taken;
  }

 private:
  Allocator allocator_;
  Host host_;
  GrammarVocabulary* vocabulary_ = nullptr;
  GrammarMatcher* matcher_ = nullptr;
};

inline constexpr std::string_view kUserText = "TheUserTextStandsHere";
inline constexpr std::string_view kAnswer = "TheAnswerStandsHere";

// A conversation as the template writes it, with words that stand for the user's text and the
// answer; nothing if it cannot be rendered.
INLAY_COLD inline Result<Text> render_turns(const ChatTemplate& chat, const Allocator& allocator,
                                            bool system) noexcept {
  ChatMessage messages[3];
  messages[0].role = "system";
  messages[0].content = "You are a programmer.";
  messages[1].role = "user";
  messages[1].content = kUserText;
  messages[2].role = "assistant";
  messages[2].content = kAnswer;
  ChatRequest request;
  request.messages = Span<const ChatMessage>(messages, 3).subspan(system ? 0 : 1);
  request.add_generation_prompt = false;
  request.variables = "{\"enable_thinking\":false}";
  Result<Text> text = chat.render(request);
  if (text || text.error().code() == ErrorCode::out_of_memory) return text;
  return Text(String(allocator));
}

INLAY_COLD Status chat_layout(const Tokenizer& tokenizer, const Gguf& file,
                              const Allocator& allocator, FimLayout* layout) noexcept {
  ChatTemplateOptions options;
  options.jinja.allocator = allocator;
  const Result<ChatTemplate> chat = ChatTemplate::create(file, tokenizer, options);
  if (!chat) {
    return chat.error().code() == ErrorCode::out_of_memory ? Status(chat.error()) : Status();
  }
  Status status;
  if (chat->is_fallback() && special_token(tokenizer, "<|im_start|>", &status) == kNoToken) {
    return status;
  }
  for (const bool system : {true, false}) {
    const Result<Text> rendered = render_turns(*chat, allocator, system);
    if (!rendered) return rendered.error();
    const std::string_view all = rendered->view();
    const size_t user = find_text(all, kUserText), answer = find_text(all, kAnswer);
    if (answer == std::string_view::npos || user > answer) continue;
    std::string_view begin = slice(all, 0, user);
    const std::string_view turn =
        slice(all, user + kUserText.size(), answer - user - kUserText.size());
    // It is written by who knows whether the vocabulary wants it.
    if (tokenizer.adds_bos() && slice(begin, 0, chat->bos_token().size()) == chat->bos_token()) {
      begin = slice(begin, chat->bos_token().size());
    }
    FimLayout made = plain_layout();
    made.turns = String(allocator);
    const std::string_view parts[] = {
        begin,
        "\n```\n\nAnswer with one block of code: the last lines before the gap again, then what is "
        "missing, up to the first line behind the gap.",
        turn, "```\n"};
    for (const std::string_view part : parts) {
      if (!made.turns.append(part.data(), part.size())) return Error(ErrorCode::out_of_memory);
    }
    made.family = "chat";
    made.chat = true;
    made.begin = slice(view(made.turns), 0, begin.size());
    made.prefix.text = "This file of code has a gap.\n\nBefore the gap:\n```\n";
    made.suffix.text = "\n```\n\nBehind the gap:\n```\n";
    made.middle.text = slice(view(made.turns), begin.size());
    made.stop = "\n```";
    Token room[kFimMarkTokens - kFimHeaderTokens];
    FimWriter writer(tokenizer, allocator, room);
    writer.put(made.begin, true);
    writer.put(made.prefix);
    writer.put(made.suffix);
    writer.put(made.middle);
    made.mark_tokens = static_cast<uint32_t>(writer.count() + kRepeatedTokens + 1);
    if (!writer.status() || made.mark_tokens > sizeof room / sizeof room[0]) return {};
    *layout = std::move(made);
    return {};
  }
  return {};
}

#else

Status chat_layout(const Tokenizer&, const Gguf&, const Allocator&, FimLayout*) noexcept {
  return {};
}

// Any form.
class FimForm {
 public:
  explicit FimForm(const Allocator&) noexcept {}
  Status open(const Tokenizer&, const Host&) noexcept { return {}; }
  Status begin(const FimText&, uint32_t) noexcept { return {}; }
  void end() noexcept {}
  bool any() const noexcept { return true; }
  bool mask(Span<uint64_t>) noexcept { return true; }
  bool allows(Token) noexcept { return true; }
  bool accept(Token) noexcept { return true; }
  bool accept(std::string_view) noexcept { return true; }
};

#endif

}  // namespace detail

FimEnd::FimEnd(std::string_view suffix) noexcept {
  std::string_view line;
  for (size_t at; line.empty() && (at = detail::find_byte(suffix, '\n')) < suffix.size();) {
    suffix = detail::slice(suffix, at + 1);
    line = detail::slice(suffix, 0, detail::find_byte(suffix, '\n'));
    while (!line.empty() && detail::is_blank(line.back())) line.remove_suffix(1);
  }
  if (line.empty()) return;
  text_[size_++] = '\n';
  const char* const end = line.data() + line.size();
  const char* next = line.data();
  // A character that is no UTF-8 ends what is known of the line.
  while (next < end) {
    const detail::DecodedCharacter c = detail::decode_utf8(next, end);
    const bool surrogate = c.code >= 0xD800 && c.code < 0xE000;
    const bool valid = !surrogate && (c.code != detail::kReplacement || c.bytes > 1);
    if (!valid || size_ + c.bytes > kLongest) break;
    for (uint32_t i = 0; i < c.bytes; ++i) text_[size_++] = *next++;
  }
  if (next == end) text_[size_++] = '\n';
}

#if defined(INLAY_WITH_CHAT) && defined(INLAY_WITH_GRAMMAR)
INLAY_COLD Result<Grammar> fim_grammar(const FimText& text, uint32_t max_lines,
                                       const Host& host) noexcept {
  detail::FimRules rules(host.allocator);
  if (!rules.write(text, max_lines)) return Error(ErrorCode::out_of_memory);
  GrammarOptions options;
  options.host = host;
  return Grammar::from_gbnf(rules.text(), options);
}
#endif

INLAY_END_NAMESPACE

#endif  // INLAY_COMPLETION_EMULATION_INL_HPP_
