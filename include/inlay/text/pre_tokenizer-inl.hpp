#ifndef INLAY_TEXT_PRE_TOKENIZER_INL_HPP_
#define INLAY_TEXT_PRE_TOKENIZER_INL_HPP_

#include "inlay/text/pre_tokenizer.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// clang-format off
#define INLAY_CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|)"
#define INLAY_GPT2 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"
#define INLAY_LLAMA3 INLAY_CONTRACTIONS R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define INLAY_QWEN2 INLAY_CONTRACTIONS R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define INLAY_CJK R"([\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+)"
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
  {"default", {R"([\p{P}\$\+<=>\^~\|]+)", INLAY_GPT2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
  {"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt olmo jais trillion "
   "granite-docling jina-v1-en jina-v2-code roberta-bpe", {INLAY_GPT2}},
  {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", {INLAY_LLAMA3},
   /*ignore_merges=*/true, /*add_bos=*/true},
  {"dbrx smaug-bpe", {INLAY_LLAMA3}},
  {"glm4 glm5 chatglm-bpe", {INLAY_LLAMA3}, false, false, /*no_bos=*/true},
  {"qwen2 deepseek-r1-qwen kormo openpangu f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", {INLAY_QWEN2}},
  {"qwen35", {INLAY_CONTRACTIONS R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
  {"starcoder refact command-r cohere2_moe smollm codeshell exaone minerva-7b mellum2", {R"(\p{N})", INLAY_GPT2}},
  {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", INLAY_GPT2, "[0-9][0-9][0-9]"}},
  {"deepseek-llm", {R"([\r\n])", R"(\s?[)" INLAY_CASED_LETTERS R"(]+)",
                    R"(\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+)", R"(\s+$)", INLAY_CJK, R"(\p{N}+)"}},
  {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", INLAY_CJK, R"(\p{N})"}},
};
#undef INLAY_CONTRACTIONS
#undef INLAY_GPT2
#undef INLAY_LLAMA3
#undef INLAY_QWEN2
#undef INLAY_CJK
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

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_PRE_TOKENIZER_INL_HPP_
