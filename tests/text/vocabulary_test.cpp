#include "inlay/text/vocabulary.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/gguf_builder.hpp"

using namespace inlay;
using detail::Vocabulary;
using inlay_test::GgufBuilder;

namespace {

struct Loaded {
  explicit Loaded(const GgufBuilder& builder, const Host& host = {})
      : bytes(builder.bytes()), vocabulary(host) {
    Result<Gguf> opened = Gguf::from_memory({bytes.data(), bytes.size()});
    REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
    file.emplace_back(std::move(*opened));
    status = vocabulary.load(file[0]);
  }
  std::vector<uint8_t> bytes;
  std::vector<Gguf> file;
  Vocabulary vocabulary;
  Status status;
};

GgufBuilder byte_pairs() {
  return GgufBuilder().string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "gpt-2");
}
const std::vector<std::string> kTexts{"<unk>", "<s>", "</s>", "a", "b", "ab"};

void expect_error(const GgufBuilder& file, ErrorCode code, const std::string& message) {
  const Loaded v(file);
  CAPTURE(message);
  REQUIRE(!v.status);
  CHECK(v.status.error().code() == code);
  CHECK(std::string(v.status.error().message()) == message);
}

}  // namespace

TEST_CASE("vocabulary: texts, and a hash that can be fed in parts") {
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back("token" + std::to_string(i * i));
  const Loaded v(byte_pairs().strings("tokenizer.ggml.tokens", texts));
  REQUIRE(v.status);
  CHECK(v.vocabulary.size() == 5000);
  for (uint32_t i = 0; i < 5000; ++i) {
    const std::string& text = texts[i];
    REQUIRE(v.vocabulary.text(i) == text);
    REQUIRE(v.vocabulary.find(text) == static_cast<Token>(i));
    REQUIRE(v.vocabulary.find(std::string_view(text).substr(0, 3),
                              std::string_view(text).substr(3)) == static_cast<Token>(i));
    REQUIRE((v.vocabulary.traits(i) & detail::kTokenNormal) != 0);
    REQUIRE(v.vocabulary.score(i) == 0);
  }
  for (const char* text :
       {"", "token", "token2", "token24990001x", "a very long text that no token can have"}) {
    CHECK(v.vocabulary.find(text) == kNoToken);
  }
}

TEST_CASE("vocabulary: defaults and metadata of the two kinds") {
  const Loaded spm(GgufBuilder()
                       .string("tokenizer.ggml.model", "llama")
                       .strings("tokenizer.ggml.tokens", kTexts));
  REQUIRE(spm.status);
  CHECK(spm.vocabulary.kind() == detail::VocabularyKind::sentence_piece);
  CHECK(spm.vocabulary.special().bos == 1);
  CHECK(spm.vocabulary.special().eos == 2);
  CHECK(spm.vocabulary.special().unknown == 0);
  CHECK(spm.vocabulary.add_bos());
  CHECK(!spm.vocabulary.add_eos());
  CHECK(spm.vocabulary.add_space_prefix());
  CHECK((spm.vocabulary.traits(2) & detail::kTokenEnd) != 0);

  const Loaded bpe(byte_pairs().strings("tokenizer.ggml.tokens", kTexts));
  REQUIRE(bpe.status);
  CHECK(bpe.vocabulary.kind() == detail::VocabularyKind::byte_pairs);
  CHECK(bpe.vocabulary.special().bos == kNoToken);  // 11 by default, which is no token here
  CHECK(!bpe.vocabulary.add_bos());
  CHECK(!bpe.vocabulary.add_space_prefix());

  const Loaded set(byte_pairs()
                       .strings("tokenizer.ggml.tokens", kTexts)
                       .u32("tokenizer.ggml.bos_token_id", 3)
                       .u32("tokenizer.ggml.eos_token_id", 4)
                       .u32("tokenizer.ggml.eot_token_id", 5)
                       .u32("tokenizer.ggml.padding_token_id", 99)
                       .u32("tokenizer.ggml.fim_pre_token_id", 0)
                       .u32("tokenizer.ggml.suffix_token_id", 1)
                       .boolean("tokenizer.ggml.add_bos_token", true)
                       .boolean("tokenizer.ggml.add_eos_token", true));
  REQUIRE(set.status);
  const SpecialTokens& special = set.vocabulary.special();
  CHECK(special.bos == 3);
  CHECK(special.eos == 4);
  CHECK(special.eot == 5);
  CHECK(special.padding == kNoToken);
  CHECK(special.fim_prefix == 0);
  CHECK(special.fim_suffix == 1);
  CHECK(set.vocabulary.add_bos());
  CHECK(set.vocabulary.add_eos());
}

TEST_CASE("vocabulary: special tokens by their texts") {
  const Loaded v(byte_pairs().strings(
      "tokenizer.ggml.tokens",
      {"<|endoftext|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
       "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "a", "<|channel|>", "</s>", "<|eom_id|>"}));
  REQUIRE(v.status);
  const SpecialTokens& special = v.vocabulary.special();
  CHECK(special.eot == 1);
  CHECK(special.fim_prefix == 2);
  CHECK(special.fim_suffix == 3);
  CHECK(special.fim_middle == 4);
  CHECK(special.fim_pad == 5);
  CHECK(special.fim_repo == 6);
  CHECK(special.fim_separator == 7);
  for (uint32_t token = 0; token < v.vocabulary.size(); ++token) {
    CAPTURE(token);
    const bool control = token != 8 && token != 9, end = control && (token < 2 || token > 4);
    CHECK(((v.vocabulary.traits(token) & detail::kTokenControl) != 0) == control);
    CHECK(((v.vocabulary.traits(token) & detail::kTokenEnd) != 0) == end);
  }
  CHECK(v.vocabulary.traits(9) == detail::kTokenUserDefined);

  // gpt-oss: <|end|> is no end. Gemma 4: neither is </s>.
  const Loaded harmony(
      byte_pairs().strings("tokenizer.ggml.tokens", {"<|return|>", "<|call|>", "<|end|>"}));
  CHECK(harmony.vocabulary.traits(2) == detail::kTokenUserDefined);
  const Loaded gemma(byte_pairs().strings("tokenizer.ggml.tokens", {"<|tool_response>", "</s>"}));
  CHECK(gemma.vocabulary.traits(1) == detail::kTokenNormal);
}

TEST_CASE("vocabulary: tokens without a text, and kinds that do not exist") {
  const Loaded v(byte_pairs()
                     .strings("tokenizer.ggml.tokens", {"a", "", "b", ""})
                     .i32s("tokenizer.ggml.token_type", {1, 7, -1, 0}));
  REQUIRE(v.status);
  CHECK(v.vocabulary.text(1) == "[EMPTY_1]");
  CHECK(v.vocabulary.find("[EMPTY_3]") == 3);
  CHECK(v.vocabulary.traits(1) == 0);
  CHECK(v.vocabulary.traits(2) == 0);
  CHECK(v.vocabulary.traits(3) == 0);
}

TEST_CASE("vocabulary: an unknown pre-tokenizer is logged, and the default taken") {
  for (const char* pre : {"nobody", ""}) {
    std::string log;
    Host host;
    host.log.user = &log;
    host.log.write = [](void* user, LogLevel level, const char* text) {
      CHECK(level == LogLevel::warning);
      *static_cast<std::string*>(user) += text;
    };
    GgufBuilder file;
    file.string("tokenizer.ggml.model", "gpt2").strings("tokenizer.ggml.tokens", kTexts);
    if (*pre != '\0') file.string("tokenizer.ggml.pre", pre);
    const Loaded v(file, host);
    REQUIRE(v.status);
    CHECK(!v.vocabulary.pre_tokenizer_known());
    CHECK(&v.vocabulary.pre_tokenizer() == detail::pre_tokenizers().data());
    CHECK(log.find(*pre != '\0' ? "unknown: 'nobody'" : "missing") != std::string::npos);
  }
}

TEST_CASE("vocabulary: what is wrong is named") {
  expect_error(GgufBuilder().string("x", "y"), ErrorCode::missing,
               "metadata key tokenizer.ggml.model: the file has no vocabulary");
  expect_error(GgufBuilder().u32("tokenizer.ggml.model", 1), ErrorCode::corrupt,
               "tokenizer.ggml.model: expected a string");
  expect_error(
      GgufBuilder().string("tokenizer.ggml.model", "plamo2"), ErrorCode::unsupported,
      "tokenizer.ggml.model 'plamo2': expected one of llama gpt2 whitespace gemma4 bert t5 "
      "rwkv none no_vocab");
  expect_error(GgufBuilder().string("tokenizer.ggml.model", "gpt2").u32("tokenizer.ggml.pre", 1),
               ErrorCode::corrupt, "tokenizer.ggml.pre: expected a string");
  expect_error(byte_pairs(), ErrorCode::missing, "metadata key tokenizer.ggml.tokens");
  const std::string bad_tokens = "tokenizer.ggml.tokens: expected 1 to 2147483647 strings";
  expect_error(byte_pairs().strings("tokenizer.ggml.tokens", {}), ErrorCode::corrupt, bad_tokens);
  expect_error(byte_pairs().i32s("tokenizer.ggml.tokens", {1}), ErrorCode::corrupt, bad_tokens);
  expect_error(byte_pairs().string("tokenizer.ggml.tokens", "a"), ErrorCode::corrupt, bad_tokens);
  expect_error(byte_pairs().strings("tokenizer.ggml.tokens", {"a", "b", "a"}), ErrorCode::corrupt,
               "tokenizer.ggml.tokens[2]: the same text as token 0");
  const GgufBuilder good = byte_pairs().strings("tokenizer.ggml.tokens", kTexts);
  expect_error(GgufBuilder(good).f32s("tokenizer.ggml.scores", {1, 2}), ErrorCode::corrupt,
               "tokenizer.ggml.scores: expected an array of 6 elements, one for each token");
  expect_error(GgufBuilder(good).strings("tokenizer.ggml.scores", kTexts), ErrorCode::corrupt,
               "tokenizer.ggml.scores[0]: expected a number");
  expect_error(GgufBuilder(good).u32("tokenizer.ggml.token_type", 1), ErrorCode::corrupt,
               "tokenizer.ggml.token_type: expected an array of 6 elements, one for each token");
  expect_error(GgufBuilder(good).f32s("tokenizer.ggml.token_type", {1, 1, 1, 1, 1, 1}),
               ErrorCode::corrupt, "tokenizer.ggml.token_type[0]: expected an integer");
  expect_error(GgufBuilder(good).string("tokenizer.ggml.eos_token_id", "x"), ErrorCode::corrupt,
               "tokenizer.ggml.eos_token_id: expected an unsigned integer");
  expect_error(GgufBuilder(good).u32("tokenizer.ggml.add_bos_token", 1), ErrorCode::corrupt,
               "tokenizer.ggml.add_bos_token: expected a boolean");
}

TEST_CASE("when any one allocation fails, a vocabulary says so") {
  const GgufBuilder file = byte_pairs().strings("tokenizer.ggml.tokens", {"a", "", "c"});
  for (size_t fail_at = 0;; ++fail_at) {
    inlay_test::CountingAllocator memory(fail_at);
    {
      Host host;
      host.allocator = memory.get();
      const Loaded v(file, host);
      CHECK(static_cast<bool>(v.status) != memory.failed());
      if (!v.status) CHECK(v.status.error().code() == ErrorCode::out_of_memory);
    }
    CHECK(memory.live_blocks() == 0);
    if (!memory.failed()) break;
    REQUIRE(fail_at < 100);
  }
}
