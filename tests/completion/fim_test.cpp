#include "inlay/completion/fim.hpp"

#include <doctest/doctest.h>

#include <inlay.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/gguf_builder.hpp"
#include "support/vocabularies.hpp"

namespace {

using inlay::FimBudget;
using inlay::FimFile;
using inlay::FimLayout;
using inlay::FimOrder;
using inlay::FimText;
using inlay::Gguf;
using inlay::Token;
using inlay::Tokenizer;

const std::string kBar = "\xEF\xBD\x9C", kLow = "\xE2\x96\x81";

// A vocabulary of bytes and of the special tokens that are given.
class Vocabulary {
 public:
  explicit Vocabulary(const std::vector<std::string>& special, std::string_view name = "test",
                      bool bos = false, std::string_view chat_template = "")
      : bytes_(make(special, name, bos, chat_template)),
        file_(Gguf::from_memory({bytes_.data(), bytes_.size()})),
        tokenizer_(Tokenizer::create(*file_)) {
    REQUIRE(bool(tokenizer_));
  }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  FimLayout layout(FimOrder order = FimOrder::automatic) const {
    return std::move(*inlay::detail::fim_layout(*tokenizer_, *file_, {}, order));
  }
  // The prompt as text, special tokens by their names.
  std::string prompt(const FimText& text, const FimBudget& budget, inlay::FimPrompt* out = nullptr,
                     FimOrder order = FimOrder::automatic) const {
    std::vector<Token> tokens(budget.prefix + budget.suffix + budget.files + inlay::kFimMarkTokens);
    auto prompt = inlay::detail::fim_prompt(*tokenizer_, {}, layout(order), text, budget, tokens);
    REQUIRE(bool(prompt));
    if (out != nullptr) *out = *prompt;
    std::string all;
    for (size_t i = 0; i < prompt->tokens; ++i) {
      char piece[64];
      all.append(piece, tokenizer_->piece(tokens[i], piece, true));
    }
    return all;
  }

 private:
  static std::vector<uint8_t> make(const std::vector<std::string>& special, std::string_view name,
                                   bool bos, std::string_view chat_template) {
    std::vector<std::string> tokens;
    for (uint32_t byte = 0; byte < 256; ++byte) tokens.push_back(inlay_test::byte_character(byte));
    std::vector<int32_t> types(256, 1);
    tokens.push_back("<s>");
    types.push_back(3);
    for (const std::string& text : special) {
      tokens.push_back(text);
      types.push_back(3);
    }
    inlay_test::GgufBuilder file;
    if (!chat_template.empty()) file.string("tokenizer.chat_template", chat_template);
    return file.string("general.architecture", "llama")
        .string("general.name", name)
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "qwen2")
        .strings("tokenizer.ggml.tokens", tokens)
        .i32s("tokenizer.ggml.token_type", types)
        .strings("tokenizer.ggml.merges", {})
        .u32("tokenizer.ggml.bos_token_id", 256)
        .u32("tokenizer.ggml.eos_token_id", 256)
        .boolean("tokenizer.ggml.add_bos_token", bos)
        .bytes();
  }

  std::vector<uint8_t> bytes_;
  inlay::Result<Gguf> file_;
  inlay::Result<Tokenizer> tokenizer_;
};

FimText text_of(std::string_view prefix, std::string_view suffix) {
  FimText text;
  text.prefix = prefix;
  text.suffix = suffix;
  return text;
}
FimBudget budget_of(uint32_t prefix, uint32_t suffix, uint32_t files) {
  FimBudget budget;
  budget.prefix = prefix;
  budget.suffix = suffix;
  budget.files = files;
  return budget;
}

const std::vector<std::string> kQwen = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
                                        "<|repo_name|>", "<|file_sep|>"};

}  // namespace

TEST_CASE("Every family's layout, with a file beside it") {
  struct Family {
    const char* name;
    std::vector<std::string> tokens;
    const char* model;
    std::string prompt;
  };
  const std::string star = "<fim_prefix>P<fim_suffix>S<fim_middle>";
  const Family families[] = {
      {"qwen", kQwen, "Qwen2.5 Coder",
       "<|repo_name|>R\n<|file_sep|>b.py\nB\n<|file_sep|>a.py\n"
       "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"},
      {"codegemma",
       {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"},
       "CodeGemma",
       "<|file_separator|>b.py\nB\n<|file_separator|>a.py\n"
       "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"},
      {"granite",
       {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>"},
       "Granite 4",
       "# b.py\nB\n# a.py\n<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"},
      {"starcoder2",
       {"<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<repo_name>", "<file_sep>"},
       "StarCoder2",
       "<repo_name>R\n<file_sep>b.py\nB\n<file_sep>a.py\n" + star},
      {"starcoder",
       {"<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<reponame>", "<filename>"},
       "Granite Code",
       "<reponame>R\n<filename>b.py\nB\n<filename>a.py\n" + star},
      {"mellum",
       {"<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<reponame>", "<filename>"},
       "Mellum 4b",
       "<filename>b.py\nB\n<filename>a.py\n<fim_suffix>S<fim_prefix>P<fim_middle>"},
      {"fim",
       {"<fim_prefix>", "<fim_middle>", "<fim_suffix>"},
       "Refact",
       "# b.py\nB\n# a.py\n" + star},
      {"santacoder",
       {"<fim-prefix>", "<fim-middle>", "<fim-suffix>"},
       "SantaCoder",
       "# b.py\nB\n# a.py\n<fim-prefix>P<fim-suffix>S<fim-middle>"},
      {"deepseek",
       {"<" + kBar + "fim" + kLow + "begin" + kBar + ">",
        "<" + kBar + "fim" + kLow + "hole" + kBar + ">",
        "<" + kBar + "fim" + kLow + "end" + kBar + ">"},
       "DeepSeek Coder",
       "# b.py\nB\n# a.py\n<" + kBar + "fim" + kLow + "begin" + kBar + ">P<" + kBar + "fim" + kLow +
           "hole" + kBar + ">S<" + kBar + "fim" + kLow + "end" + kBar + ">"},
      {"codestral",
       {"[PREFIX]", "[SUFFIX]", "[INST]", "[/INST]"},
       "Codestral",
       "# b.py\nB\n# a.py\n[SUFFIX]S[PREFIX]P"},
      {"seed-coder",
       {"<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"},
       "Seed Coder",
       "# b.py\nB\n# a.py\n<[fim-suffix]>S<[fim-prefix]>P<[fim-middle]>"},
      {"glm",
       {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"},
       "GLM 4",
       "# b.py\nB\n# a.py\n<|code_prefix|>P<|code_suffix|>S<|code_middle|>"},
      {"codellama",
       {kLow + "<PRE>", kLow + "<SUF>", kLow + "<MID>"},
       "Code Llama",
       "# b.py\nB\n# a.py\n" + kLow + "<PRE>P" + kLow + "<SUF>S" + kLow + "<MID>"},
  };
  const FimFile file = {"b.py", "B"};
  FimText text = text_of("P", "S");
  text.path = "a.py";
  text.repository = "R";
  text.files = {&file, 1};
  for (const Family& family : families) {
    CAPTURE(family.name);
    const Vocabulary vocabulary(family.tokens, family.model);
    CHECK(vocabulary.layout().family == family.name);
    CHECK_FALSE(vocabulary.layout().emulated);
    CHECK(vocabulary.prompt(text, budget_of(100, 100, 200)) == family.prompt);
  }
}

TEST_CASE("Without other files there is no header, and BOS comes first") {
  const Vocabulary vocabulary(kQwen, "test", true);
  FimText text = text_of("P", "S");
  text.path = "a.py";
  inlay::FimPrompt prompt;
  CHECK(vocabulary.prompt(text, budget_of(10, 10, 0), &prompt) ==
        "<s><|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>");
  CHECK(prompt.shared == 1);
  CHECK(prompt.prefix_bytes == 1);
  CHECK(prompt.suffix_bytes == 1);
}

TEST_CASE("Order can be asked for, unless nothing marks the middle") {
  const FimText text = text_of("P", "S");
  const FimBudget budget = budget_of(10, 10, 0);
  CHECK(Vocabulary(kQwen).prompt(text, budget, nullptr, FimOrder::spm) ==
        "<|fim_suffix|>S<|fim_prefix|>P<|fim_middle|>");
  CHECK(Vocabulary({"[PREFIX]", "[SUFFIX]"}).prompt(text, budget, nullptr, FimOrder::psm) ==
        "[SUFFIX]S[PREFIX]P");
}

TEST_CASE("A model without tokens for it is told what to do in its own template") {
  const std::string ask =
      "This file of code has a gap.\n\nBefore the gap:\n```\none\ntwo\nthree\nfo\n```\n\nBehind "
      "the "
      "gap:\n```\nur\nfive\n```\n\nAnswer with one block of code: the last lines before the gap "
      "again, then what is missing, up to the first line behind the gap.";
  const std::string answer = "```\ntwo\nthree\nfo";
  struct Family {
    const char* name;
    std::vector<std::string> tokens;
    bool bos;
    const char* chat_template;
    std::string before, turn;
  };
  const char* const chat_ml =
      "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
      "<|im_end|>\n{% endfor %}";
  const Family families[] = {
      {"ChatML",
       {"<|im_start|>", "<|im_end|>"},
       false,
       chat_ml,
       "<|im_start|>system\nYou are a programmer.<|im_end|>\n<|im_start|>user\n",
       "<|im_end|>\n<|im_start|>assistant\n"},
      {"no template, but its tokens",
       {"<|im_start|>", "<|im_end|>"},
       false,
       "",
       "<|im_start|>system\nYou are a programmer.<|im_end|>\n<|im_start|>user\n",
       "<|im_end|>\n<|im_start|>assistant\n"},
      {"no system prompt, and BOS",
       {"<start_of_turn>", "<end_of_turn>"},
       true,
       "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}"
       "{% endif %}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' "
       "else m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}",
       "<s><start_of_turn>user\n",
       "<end_of_turn>\n<start_of_turn>model\n"},
      {"a channel for the answer",
       {"<|start|>", "<|message|>", "<|channel|>", "<|end|>"},
       false,
       "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final"
       "{% endif %}<|message|>{{ m.content }}<|end|>{% endfor %}",
       "<|start|>system<|message|>You are a programmer.<|end|><|start|>user<|message|>",
       "<|end|><|start|>assistant<|channel|>final<|message|>"},
      {"thinking, if it is not turned off",
       {"<|im_start|>", "<|im_end|>"},
       false,
       "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and "
       "enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
       "{% endfor %}",
       "<|im_start|>system\nYou are a programmer.<|im_end|>\n<|im_start|>user\n",
       "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"},
  };
  FimText text = text_of("one\ntwo\nthree\nfo", "ur\nfive");
  for (const Family& family : families) {
    CAPTURE(family.name);
    const Vocabulary chat(family.tokens, "test", family.bos, family.chat_template);
    const FimLayout layout = chat.layout();
    CHECK(layout.emulated);
    CHECK(layout.chat);
    CHECK(layout.family == "chat");
    CHECK(layout.stop == "\n```");
    inlay::FimPrompt prompt;
    CHECK(chat.prompt(text, budget_of(100, 100, 0), &prompt) ==
          family.before + ask + family.turn + answer);
    CHECK(prompt.prefix_bytes == text.prefix.size());
    CHECK(prompt.tokens <= layout.mark_tokens + text.prefix.size() + text.suffix.size());
  }
  // Other files come first; so does what is the same for each place.
  const FimFile file = {"b.py", "B"};
  text.path = "a.py";
  text.files = {&file, 1};
  const Family& family = families[0];
  const Vocabulary chat(family.tokens, "test", false, family.chat_template);
  CHECK(chat.prompt(text, budget_of(100, 100, 200)) ==
        family.before + "# b.py\nB\n# a.py\n" + ask + family.turn + answer);
}

TEST_CASE("A model that cannot be told continues the prefix") {
  const FimText text = text_of("P", "S");
  const FimBudget budget = budget_of(10, 10, 0);
  const std::string long_one(1000, 'x');
  for (const std::string& chat_template :
       {std::string(), std::string("{{ raise_exception('never') }}"), std::string("{% if %}"),
        std::string("{{ messages[1].content }} and no answer"),
        long_one + "{% for m in messages %}{{ m.content }}{% endfor %}"}) {
    CAPTURE(chat_template);
    const Vocabulary plain({}, "test", false, chat_template);
    CHECK(plain.layout().emulated);
    CHECK_FALSE(plain.layout().chat);
    CHECK(plain.layout().family == "text");
    CHECK(plain.prompt(text, budget) == "P");
  }
}

TEST_CASE("What a model that is told what to do may write") {
  const std::string long_line(300, 'y');
  struct Case {
    std::string prefix, suffix;
    uint32_t max_lines;
    std::vector<std::string> accepted, refused;
  };
  const Case cases[] = {
      {"  if (",
       ")\n  }\n  return;\n",
       3,
       {"a\n```", "\n```", "a)\n    b;\n  }\n", "``\n`x\n``\n```", "a\n  } else {\n  }\n",
        "a\nb\nc\n```", "\xC3\xA4\n \n  }\n"},
       {"a", "a\n", "a\nb\nc\nd\n```", "a\n```\n", "a\n  }\nb", "a\n```c"}},
      {"x\n",
       "\n\n  \n\tend \n",
       0,
       {"y\n```", "\n\tend\n", "y\n\tending\n\tend\n", "\n\n\n\n```"},
       {"```", "\tend\n", "y\n\tend\n\n", "y\n\tend "}},
      {"", "", 1, {"a\n```", "\n```"}, {"```", "a\nb\n```", "a\n`"}},
      {"a", "\n``x\n", 4, {"b\n``x\n```", "b\n```"}, {"b\n``x\n", "b\n``x\n````"}},
      {"a",
       "\n" + long_line,
       4,
       {"b\n" + long_line.substr(0, 127), "b\n" + long_line.substr(0, 100) + "\n```"},
       {"b\n" + long_line.substr(0, 128)}},
      {"a",
       "\n\xC3\xA4\xF0\x9F\x98\x80\xFF\n",
       4,
       {"b\n\xC3\xA4\xF0\x9F\x98\x80", "b\n\xC3\xA4\xF0\x9F\x98\x81\n```"},
       {"b\n\xC3\xA4\xF0\x9F\x98\x80\n```"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.suffix);
    const auto grammar = inlay::fim_grammar(text_of(c.prefix, c.suffix), c.max_lines);
    const std::string why = grammar ? "" : grammar.error().message();
    CAPTURE(why);
    REQUIRE(bool(grammar));
    auto matcher = inlay::GrammarMatcher::create(*grammar);
    REQUIRE(bool(matcher));
    for (const bool good : {true, false}) {
      for (const std::string& text : good ? c.accepted : c.refused) {
        CAPTURE(text);
        matcher->reset();
        const auto taken = matcher->accept(std::string_view(text));
        REQUIRE(bool(taken));
        CHECK((*taken && matcher->may_end()) == good);
        if (good) CHECK(matcher->must_end());
      }
    }
  }
  CHECK(inlay::FimEnd("x)\n\n  y \nz").text() == "\n  y\n");
  CHECK(inlay::FimEnd("x)\n").text().empty());
  CHECK(inlay::FimEnd("").text().empty());
}

TEST_CASE("Budgets cut whole lines, farthest from the cursor first") {
  const Vocabulary vocabulary(kQwen);  // a token for each byte
  inlay::FimPrompt prompt;
  const FimText text = text_of("one\ntwo\nthree\nfo", "ur\nfive\nsix\nseven");
  CHECK(vocabulary.prompt(text, budget_of(11, 10, 0), &prompt) ==
        "<|fim_prefix|>three\nfo<|fim_suffix|>ur\nfive\n<|fim_middle|>");
  CHECK(prompt.prefix_bytes == 8);
  CHECK(prompt.suffix_bytes == 8);
  // A line that is too long for the budget is cut anywhere.
  CHECK(vocabulary.prompt(text_of("a\nlonger than ten", ""), budget_of(5, 5, 0)) ==
        "<|fim_prefix|>n ten<|fim_suffix|><|fim_middle|>");
  // Text far beyond the budget is not even read, and characters stay whole.
  std::string far_away;
  for (int i = 0; i < 100000; ++i) far_away += "\xC3\xA4";
  CHECK(vocabulary.prompt(text_of(far_away, far_away), budget_of(4, 4, 0)) ==
        "<|fim_prefix|>\xC3\xA4\xC3\xA4<|fim_suffix|>\xC3\xA4\xC3\xA4<|fim_middle|>");
}

TEST_CASE("Files that have no room are left out, and the last one may be cut") {
  const Vocabulary vocabulary(kQwen);
  const std::string many(500, 'x');
  const FimFile files[] = {{"one", "1"}, {"two", many}, {"three", "3"}};
  FimText text = text_of("P", "S");
  text.files = files;
  inlay::FimPrompt prompt;
  const std::string all = vocabulary.prompt(text, budget_of(10, 10, 200), &prompt);
  CHECK(prompt.files == 2);
  CHECK(all.find("<|file_sep|>one\n1\n<|file_sep|>two\nxxx") == 0);
  CHECK(all.find("three") == std::string::npos);
  CHECK(prompt.shared <= 200 + inlay::kFimMarkTokens);
}

TEST_CASE("Names of special tokens in the texts are text") {
  const Vocabulary vocabulary(kQwen);
  std::vector<Token> tokens(600);
  const auto prompt =
      inlay::detail::fim_prompt(vocabulary.tokenizer(), {}, vocabulary.layout(),
                                text_of("<|fim_middle|>", ""), budget_of(50, 50, 0), tokens);
  REQUIRE(bool(prompt));
  CHECK(prompt->tokens == 3 + 14);
}

TEST_CASE("Too little room is an error that says so") {
  const Vocabulary vocabulary(kQwen);
  Token tokens[4];
  const auto prompt = inlay::detail::fim_prompt(vocabulary.tokenizer(), {}, vocabulary.layout(),
                                                text_of("hello", ""), budget_of(50, 50, 0), tokens);
  REQUIRE(!prompt);
  CHECK(prompt.error().code() == inlay::ErrorCode::bad_argument);
  CHECK(std::string(prompt.error().message()).find("room for 4 tokens") != std::string::npos);
}

TEST_CASE("llama-server's shares") {
  const FimBudget budget = FimBudget::of_batch(8192, 2048, 128);
  CHECK(budget.prefix == 1536);
  CHECK(budget.suffix == 510);
  CHECK(budget.files == 8192 - 2048 - 256);
  CHECK(FimBudget::of_batch(512, 512, 128).files == 0);
}
