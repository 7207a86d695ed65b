#ifndef INLAY_TEXT_PRE_TOKENIZER_INL_HPP_
#define INLAY_TEXT_PRE_TOKENIZER_INL_HPP_

#include "inlay/text/pre_tokenizer.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// The patterns are those of llama.cpp 0.7.0, which decides which ids a model gets: where it
// replaces a pattern of a model's tokenizer.json by a simpler one, that is the one here. Two of its
// ways are not visible in its patterns and are written out instead. \p{Lu} and the other kinds of
// letters are all letters to it. And it matches look-aheads of more than one character (the digit
// groups of afmoe, tiny_aya and superbpe) and kimi-k2's class subtraction with code of their own.
//
// clang-format off
#define INLAY_CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
// A word may take one character in front of it that is no letter, digit or newline.
#define INLAY_WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define INLAY_SYMBOLS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define INLAY_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define INLAY_GPT2 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"
#define INLAY_LLAMA3_WITH(WORD, DIGITS) INLAY_CONTRACTIONS "|" WORD "|" DIGITS "|" INLAY_SYMBOLS "|" INLAY_SPACES
#define INLAY_LLAMA3 INLAY_LLAMA3_WITH(INLAY_WORD, R"(\p{N}{1,3})")
#define INLAY_QWEN2 INLAY_LLAMA3_WITH(INLAY_WORD, R"(\p{N})")
// Of gpt-4o: words change where lower case turns to upper. LETTERS is a class's content.
#define INLAY_CASED_WORDS(LETTERS, SUFFIX) \
  R"([^\r\n\p{L}\p{N}]?(?:(?=[)" LETTERS R"(])[^a-z])*(?:(?=[)" LETTERS R"(])[^A-Z])+)" SUFFIX R"(|[^\r\n\p{L}\p{N}]?(?:(?=[)" LETTERS R"(])[^a-z])+(?:(?=[)" LETTERS R"(])[^A-Z])*)" SUFFIX
#define INLAY_GPT4O_WITH(WORDS, DIGITS) WORDS "|" DIGITS R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" INLAY_SPACES
#define INLAY_GPT4O_CASED(LETTERS) INLAY_GPT4O_WITH(INLAY_CASED_WORDS(LETTERS, INLAY_CONTRACTIONS "?"), R"(\p{N}{1,3})")
// The same written with \p{Lu} and \p{Ll}, which llama.cpp takes for any letters.
#define INLAY_GPT4O_UNCASED(DIGITS) INLAY_GPT4O_WITH(R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" INLAY_CONTRACTIONS "?", DIGITS)
#define INLAY_DEEPSEEK3 R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"
#define INLAY_POPULAR_CJK R"([\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+)"
#define INLAY_CJK R"([\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+)"
#define INLAY_POROS R"( ?[^(\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+)"
// Letters of the scripts with case, as the vocabulary's makers listed them.
#define INLAY_CASED_LETTERS \
  R"(A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF)" \
  R"(\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5)" \
  R"(\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA)" \
  R"(\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45)" \
  R"(\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE)" \
  R"(\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102)" \
  R"(\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139)" \
  R"(\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3)" \
  R"(\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06)" \
  R"(\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB})" \
  R"(\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943})"


inline constexpr PreTokenizer kPreTokenizers[] = {
  {"default", 0, {R"([\p{P}\$\+<=>\^~\|]+)", INLAY_GPT2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
  {"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt olmo jais trillion granite-docling", 0, {INLAY_GPT2}},
  {"jina-v1-en jina-v2-code roberta-bpe", kSeparated, {INLAY_GPT2}},
  {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2 cohere2_moe", 0, {R"(\p{N})", INLAY_GPT2}},
  {"falcon", 0, {R"([\p{P}\$\+<=>\^~\|`]+)", INLAY_GPT2, "[0-9][0-9][0-9]"}},

  {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", kIgnoreMerges | kAddBos, {INLAY_LLAMA3}},
  {"dbrx smaug-bpe", 0, {INLAY_LLAMA3}},
  {"glm4 glm5 chatglm-bpe", kNoBos, {INLAY_LLAMA3}},
  {"minicpm5", kIgnoreMerges, {R"(\p{N}{1,3})", INLAY_LLAMA3_WITH(INLAY_WORD, R"(\p{N}+)")}},
  // Here alone, letters that fold to another's case are in contractions: U+017F is an s.
  {"k2-horizon", 0, {R"('\u017F|)" INLAY_LLAMA3_WITH(R"([^\r\n\p{L}\p{N}]?(?:\p{L}|\p{M}|\u200C|\u200D)+)", R"(\p{N}{1,3})")}},
  {"jais-2", 0, {INLAY_CONTRACTIONS "|" INLAY_WORD R"(|\p{N}{1,3}|)" INLAY_SYMBOLS R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}},

  {"qwen2 deepseek-r1-qwen kormo openpangu f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", 0, {INLAY_QWEN2}},
  {"qwen35", 0, {INLAY_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" INLAY_SPACES}},
  {"ufakzeka", 0, {INLAY_WORD R"(|\p{N}|)" INLAY_SYMBOLS "|" INLAY_SPACES}},
  {"seed-coder", 0, {INLAY_CONTRACTIONS "|" INLAY_WORD R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|)" INLAY_SPACES}},
  {"bailingmoe bailingmoe2 llada-moe", 0, {INLAY_CONTRACTIONS "|" INLAY_WORD R"(|\p{N}|)" INLAY_SYMBOLS R"(|\s*[\r\n]|\s+(?!\S)|\s+)"}},
  {"exaone-moe", 0, {INLAY_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"}},
  {"laguna", 0, {R"([^\n]+|[\n]+)", INLAY_QWEN2}},

  {"gpt-4o llama4 kanana2 talkie minimax-m2", 0, {INLAY_GPT4O_CASED(R"(\p{L})")}},
  {"granite-embed-multi-97m", kIgnoreMerges, {INLAY_GPT4O_CASED(R"(\p{L}\p{M})")}},
  {"tekken", kIgnoreMerges | kAddBos, {INLAY_GPT4O_WITH(INLAY_CASED_WORDS(R"(\p{L})", ""), R"(\p{N})")}},
  {"tiny_aya cohere2moe", 0, {INLAY_GPT4O_UNCASED(R"(\p{N}{1,3})")}, DigitGroups::all},
  {"youtu", kIgnoreMerges, {R"([\uAC00-\uD7A3\u3131-\u318E]+|[\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\u3001-\u303F\uFE30-\uFE4F]+|[\u3105-\u312F]+|)" INLAY_POPULAR_CJK, INLAY_GPT4O_UNCASED(R"(\p{N})")}},
  {"kimi-k2", 0, {R"(\p{Han}+|[^\r\n\p{L}\p{N}]?(?:(?!\p{Han})\p{L})+)" INLAY_CONTRACTIONS R"(?|\p{N}{1,3}|)" INLAY_SYMBOLS "|" INLAY_SPACES}},

  {"deepseek-llm", 0, {R"([\r\n])", R"(\s?[)" INLAY_CASED_LETTERS R"(]+)",
                    R"(\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+)", R"(\s+$)", INLAY_CJK, R"(\p{N}+)"}},
  {"deepseek-coder", 0, {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", INLAY_CJK, R"(\p{N})"}},
  {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", 0, {R"(\p{N}{1,3})", INLAY_POPULAR_CJK, INLAY_DEEPSEEK3 R"([\r\n]*|)" INLAY_SPACES}},
  {"spark2_5", 0, {R"(\p{N})", INLAY_POPULAR_CJK, INLAY_DEEPSEEK3 R"(|[\r\n]|\s+(?!\S)|\s+)"}},
  {"afmoe", 0, {R"([\u4E00-\u9FFF\u3400-\u4DBF\u8C48-\uFAFF\u3040-\u309F\u30A0-\u30FF\uFF65-\uFF9F\u2F00-\u2FDF\u0E40-\u0E7F\u0E80-\u0EFF\u1780-\u17FF\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF\uAC00-\uD7AF\u1100-\u11FF]+)", INLAY_DEEPSEEK3 R"([\r\n]*|)" INLAY_SPACES}, DigitGroups::all},

  {"poro-chat bloom gpt3-finnish", 0, {INLAY_POROS}},
  {"viking", 0, {INLAY_POROS, R"(\p{N})"}},
  {"superbpe", 0, {R"(\p{N}+)"}, DigitGroups::ascii},
  {"chameleon", kAddBos, {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", R"(([\t\n]|    |  ))", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])", INLAY_GPT2}},

  {"gemma4 granite-embed-multi-311m", kAlwaysBos | kRawUtf8 | kSpaceMarks | kWholeNewlines, {R"([^\n]+|[\n]+)"}},
  {"sarvam-moe", kRawUtf8 | kSpaceMarks, {R"([^\n]+|[\n]+)"}},
  {"mmbert", kRawUtf8 | kSpaceMarks | kWordMarks | kWholeNewlines, {R"([\n]+|\u2581[^\u2581\n]*)"}},
  {"whitespace", kRawUtf8, {R"(\S+)"}},
};
#undef INLAY_CONTRACTIONS
#undef INLAY_WORD
#undef INLAY_SYMBOLS
#undef INLAY_SPACES
#undef INLAY_GPT2
#undef INLAY_LLAMA3_WITH
#undef INLAY_LLAMA3
#undef INLAY_QWEN2
#undef INLAY_CASED_WORDS
#undef INLAY_GPT4O_WITH
#undef INLAY_GPT4O_CASED
#undef INLAY_GPT4O_UNCASED
#undef INLAY_DEEPSEEK3
#undef INLAY_POPULAR_CJK
#undef INLAY_CJK
#undef INLAY_POROS
#undef INLAY_CASED_LETTERS
// clang-format on

Span<const PreTokenizer> pre_tokenizers() noexcept { return kPreTokenizers; }

const PreTokenizer* find_pre_tokenizer(std::string_view name) noexcept {
  if (name.find(' ') != std::string_view::npos) return nullptr;
  for (const PreTokenizer& row : kPreTokenizers) {
    for (std::string_view names = row.names; !names.empty();) {
      const std::string_view candidate = slice(names, 0, names.find(' '));
      if (candidate == name) return &row;
      names.remove_prefix(candidate.size() < names.size() ? candidate.size() + 1 : names.size());
    }
  }
  return nullptr;
}

void mark_digit_groups(DigitGroups groups, std::string_view text, Span<uint8_t> marks) noexcept {
  if (groups == DigitGroups::none) return;
  const bool all = groups == DigitGroups::all;
  // The bytes of the number that begins at `at`, or 0.
  const auto number_bytes = [&](size_t at) -> size_t {
    const bool ascii = text[at] >= '0' && text[at] <= '9';
    if (ascii || !all || static_cast<uint8_t>(text[at]) < 0x80) return ascii ? 1 : 0;
    const DecodedCharacter c = decode_utf8(text.data() + at, text.data() + text.size());
    return is_number(category_of(c.code)) ? c.bytes : 0;
  };
  for (size_t at = 0; at < text.size();) {
    size_t digits = 0, end = at;
    for (size_t bytes; end < text.size() && (bytes = number_bytes(end)) != 0; end += bytes)
      ++digits;
    if (end == at) {
      ++at;
      continue;
    }
    const size_t begin = at;
    for (; at < end; at += number_bytes(at), --digits) {
      if (digits % 3 == 0 && !(all && at == begin)) marks[at] = RegexSplitter::kBoundary;
    }
    if (all && end < text.size()) marks[end] = RegexSplitter::kBoundary;
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_PRE_TOKENIZER_INL_HPP_
