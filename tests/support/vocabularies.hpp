// Vocabularies and texts that tests/golden/tokenizer_record.cpp has llama.cpp's token ids of.
#ifndef INLAY_TESTS_SUPPORT_VOCABULARIES_HPP_
#define INLAY_TESTS_SUPPORT_VOCABULARIES_HPP_

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/gguf_builder.hpp"
#include "support/mixed_text.hpp"

namespace inlay_test {

// ---- vocabularies of real models, which are not in the repository
// --------------------------------

// The file ggml-vocab-<file>.gguf, with another pre-tokenizer if `pre` is not empty.
struct RealVocabulary {
  std::string_view name, file, pre;
};
inline constexpr RealVocabulary kRealVocabularies[] = {
    {"llama-spm", "llama-spm", ""},
    {"gpt-2", "gpt-2", ""},
    {"starcoder", "starcoder", ""},
    {"falcon", "falcon", ""},
    {"deepseek-coder", "deepseek-coder", ""},
    {"deepseek-llm", "deepseek-llm", ""},
    {"gpt-2 cut by default", "gpt-2", "default"},
    {"gpt-2 cut by qwen2", "gpt-2", "qwen2"},
    {"gpt-2 cut by qwen35", "gpt-2", "qwen35"},
    {"deepseek-llm cut by llama-bpe", "deepseek-llm", "llama-bpe"},
};

inline std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A GGUF file without tensors whose string `key` is replaced. Empty if it has no such key.
inline std::vector<uint8_t> with_string(const std::vector<uint8_t>& file, std::string_view key,
                                        std::string_view value) {
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  const size_t at = all.find(std::string(key) + std::string("\x08\0\0\0", 4));
  if (at == std::string_view::npos) return {};
  const size_t length_at = at + key.size() + 4;
  size_t old = 0;
  for (size_t i = 8; i-- > 0;) old = old << 8 | file[length_at + i];
  std::string text;
  for (size_t i = 0; i < 8; ++i) text += static_cast<char>(value.size() >> (8 * i) & 0xff);
  text += value;
  std::vector<uint8_t> out(file.begin(), file.begin() + static_cast<ptrdiff_t>(length_at));
  out.insert(out.end(), text.begin(), text.end());
  out.insert(out.end(), file.begin() + static_cast<ptrdiff_t>(length_at + 8 + old), file.end());
  return out;
}

// Empty if the file is not there.
inline std::vector<uint8_t> load(const RealVocabulary& v, const std::string& folder) {
  std::vector<uint8_t> file = read_file(folder + "/ggml-vocab-" + std::string(v.file) + ".gguf");
  return v.pre.empty() || file.empty() ? file : with_string(file, "tokenizer.ggml.pre", v.pre);
}

// The text is cut into parts of a megabyte, each from its own seed.
inline constexpr uint32_t kParts = 10;
inline std::string mixed_part(uint32_t part) { return MixedText(part).make(1000000); }

// FNV-1a over the ids, four bytes each, the lowest first.
inline uint64_t hash_ids(const int32_t* ids, size_t count) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < count; ++i) {
    for (int b = 0; b < 4; ++b) {
      hash = (hash ^ (static_cast<uint32_t>(ids[i]) >> (8 * b) & 0xFF)) * 0x100000001B3u;
    }
  }
  return hash;
}

inline uint64_t hash_text(std::string_view text) {
  std::vector<int32_t> bytes;
  for (char c : text) bytes.push_back(static_cast<uint8_t>(c));
  return hash_ids(bytes.data(), bytes.size());
}

// ---- small vocabularies
// ---------------------------------------------------------------------------

// Byte-level BPE's character for a byte, from GPT-2's description: printable bytes of Latin-1 are
// themselves, the others are numbered from U+0100.
inline std::string byte_character(uint32_t byte) {
  const auto printable = [](uint32_t b) {
    return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
  };
  uint32_t code = byte;
  if (!printable(byte)) {
    code = 256;
    for (uint32_t b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  std::string text;
  MixedText::append_utf8(&text, code);
  return text;
}

struct SmallVocabulary {
  std::string name;
  std::vector<uint8_t> file;
};

// 256 bytes but for 'z', '}' and 0xE4, merges (one of which makes no token, one of which is there
// twice, one a dead end), and special tokens that overlap.
inline SmallVocabulary small_byte_pairs(std::string_view pre) {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  const auto add = [&](const std::string& text, int32_t type) {
    tokens.push_back(text);
    types.push_back(type);
  };
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (byte != 'z' && byte != '}' && byte != 0xE4) add(byte_character(byte), 1);
  }
  const std::string space = byte_character(' '), newline = byte_character('\n');
  const std::vector<std::pair<std::string, std::string>> merges = {{"h", "e"},
                                                                   {"l", "l"},
                                                                   {"he", "ll"},
                                                                   {"hell", "o"},
                                                                   {space, "w"},
                                                                   {"o", "r"},
                                                                   {space + "w", "or"},
                                                                   {"l", "d"},
                                                                   {space + "wor", "ld"},
                                                                   {"a", "a"},
                                                                   {"aa", "aa"},
                                                                   {"aaaa", "aaaa"},
                                                                   {"x", "y"},
                                                                   {"xy", "x"},
                                                                   {"1", "2"},
                                                                   {"12", "3"},
                                                                   {space, space},
                                                                   {newline, newline},
                                                                   {"'", "s"},
                                                                   {"q", "u"},
                                                                   {"qu", "q"},
                                                                   {"qu", "k"},
                                                                   {"\xC3\x83", "\xC2\xA9"},
                                                                   {space, "12"},
                                                                   {"a", "a"},
                                                                   {".", "."},
                                                                   {"..", "."}};
  std::vector<std::string> lines;
  for (const auto& merge : merges) {
    lines.push_back(merge.first + " " + merge.second);
    const std::string text = merge.first + merge.second;
    bool known = text == "xyx" || text == "quq";  // these make no token
    for (const std::string& token : tokens) known = known || token == text;
    if (!known) add(text, 1);
  }
  add("world", 1);  // no merge makes it: for ignore_merges
  add("<|endoftext|>", 3);
  add("<|im_start|>", 3);
  add("<|im_end|>", 3);
  add("<tool>", 4);
  add("<tool>ing", 4);
  add("ing<|im_", 3);
  add("<unk>", 2);
  add("<|fim_prefix|>", 3);
  add("<|fim_suffix|>", 3);
  add("<|fim_middle|>", 3);
  add("<|file_sep|>", 1);
  add("unused", 5);
  add("<0x41>", 6);
  add("\xE2\x96\x81odd", 1);
  GgufBuilder file;
  file.string("general.architecture", "llama").string("tokenizer.ggml.model", "gpt2");
  file.string("tokenizer.ggml.pre", pre).strings("tokenizer.ggml.tokens", tokens);
  file.i32s("tokenizer.ggml.token_type", types).strings("tokenizer.ggml.merges", lines);
  file.u32("tokenizer.ggml.eos_token_id", 0).u32("tokenizer.ggml.bos_token_id", 1);
  return {"small byte pairs, " + std::string(pre), file.bytes()};
}

// Pieces with scores, byte tokens for all bytes but 0x7A ("z" is a token) and 0x7D, and special
// tokens. `options`: bit 0: no space prefix; bit 1: EOS is added; bit 2: a name that llama.cpp
// knows to swallow whitespace behind special tokens.
inline SmallVocabulary small_sentence_pieces(uint32_t options) {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  const auto add = [&](const std::string& text, float score, int32_t type) {
    tokens.push_back(text);
    scores.push_back(score);
    types.push_back(type);
  };
  add("<unk>", 0, 2);
  add("<s>", 0, 3);
  add("</s>", 0, 3);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (byte == 'z' || byte == '}') continue;
    add(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">", 0, 6);
  }
  const std::string space = "\xE2\x96\x81";
  const std::vector<std::string> pieces = {space,
                                           "h",
                                           "e",
                                           "l",
                                           "o",
                                           "w",
                                           "r",
                                           "d",
                                           "a",
                                           "t",
                                           "z",
                                           "}",
                                           "\xC3\xA9",
                                           "\xE4\xB8\xAD",
                                           "\xE6\x96\x87",
                                           "he",
                                           "ll",
                                           "hell",
                                           "hello",
                                           space + "hello",
                                           space + "h",
                                           "wor",
                                           "ld",
                                           "world",
                                           space + "w",
                                           space + "wor",
                                           space + "world",
                                           "or",
                                           "aa",
                                           "aaa",
                                           "aaaa",
                                           "aaaaaaaa",
                                           "at",
                                           "ta",
                                           "tat",
                                           "\xE4\xB8\xAD\xE6\x96\x87",
                                           space + space,
                                           space + space + space,
                                           "lo",
                                           "el",
                                           "\xC3\xA9\xE4\xB8\xAD"};
  for (size_t i = 0; i < pieces.size(); ++i) {
    // Ties, and an order that is not that of the ids.
    add(pieces[i], -static_cast<float>(i * 7 % 19), 1);
  }
  add("<|end|>", 0, 3);
  add("<|endoftext|>", 0, 3);
  add("<user>", 0, 4);
  add("<user>x", 0, 4);
  add("er>xyz", 0, 3);
  GgufBuilder file;
  file.string("general.architecture", "llama").string("tokenizer.ggml.model", "llama");
  if ((options & 4) != 0) file.string("general.name", "My Phi-3 Mini");
  file.strings("tokenizer.ggml.tokens", tokens).f32s("tokenizer.ggml.scores", scores);
  file.i32s("tokenizer.ggml.token_type", types);
  file.boolean("tokenizer.ggml.add_space_prefix", (options & 1) == 0);
  file.boolean("tokenizer.ggml.add_eos_token", (options & 2) != 0);
  return {"small sentence pieces, " + std::to_string(options), file.bytes()};
}

inline std::vector<SmallVocabulary> small_vocabularies() {
  std::vector<SmallVocabulary> all;
  for (std::string_view pre : {"default", "gpt-2", "llama-bpe", "dbrx", "chatglm-bpe", "qwen2",
                               "qwen35", "starcoder", "falcon", "deepseek-llm", "deepseek-coder"}) {
    all.push_back(small_byte_pairs(pre));
  }
  for (uint32_t options : {0u, 1u, 2u, 4u}) all.push_back(small_sentence_pieces(options));
  return all;
}

// What the small vocabularies tokenize.
inline std::vector<std::string> small_texts() {
  std::vector<std::string> texts = {"",
                                    " ",
                                    "  ",
                                    "   ",
                                    "\n",
                                    " \n ",
                                    "hello world",
                                    " hello  world",
                                    "hellohello",
                                    "Hello, World!",
                                    "ququk quqz xyxyx",
                                    "12345678 1 12 123 1234",
                                    "it's IT'S we'LL don't'",
                                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                    "\r\n\r\n\t x\n\n\n y  \n",
                                    "<|im_start|>user\nhello<|im_end|>\n<|im_start|>",
                                    "<tool>ing<|im_start|> <tool>in<tool>",
                                    "<tool>ing<|im_",
                                    "<unk> <0x41> unused",
                                    "<s>hello</s> world<|end|>  hello <user>xyz <user> x",
                                    "z}\xE4 z",
                                    "h\xC3\xA9\xE4\xB8\xAD\xE6\x96\x87 \xE4\xB8\xAD",
                                    "\xFF\xFE\xC3(\xE4\xB8",
                                    "\xC0\x80\xED\xA0\x80\xF4\x90\x80\x80",
                                    "\xC2\xA0\xE3\x80\x80\xC2\xA0x \xE3\x80\x82\xE3\x80\x81",
                                    "tatattata aaat",
                                    "...!?... $1,234.56 ~`^|",
                                    "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80 emoji",
                                    "a\xE2\x96\x81"
                                    "b <|fim_prefix|>x<|fim_suffix|>y<|fim_middle|><|file_sep|>"};
  for (uint32_t seed = 100; seed < 104; ++seed) texts.push_back(MixedText(seed).make(2000));
  return texts;
}

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_VOCABULARIES_HPP_
