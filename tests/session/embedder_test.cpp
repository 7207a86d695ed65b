#include "inlay/session/embedder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <inlay.hpp>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/hosts.hpp"
#include "support/recorded.hpp"
#include "support/results.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::Embedder;
using inlay::EmbedderOptions;
using inlay::EmbedOptions;
using inlay::ErrorCode;
using inlay::Model;
using inlay::Pooling;
using inlay::Step;
using inlay::Token;
using inlay_test::CountingAllocator;
using inlay_test::Opened;
using random_model::ArchitectureModel;
using random_model::Kind;
using random_model::Memory;
using random_model::Type;
using recorded::Recorded;
using recorded::RecordedTexts;

using Floats = std::vector<float>;
using Texts = std::vector<std::vector<Token>>;
using Strings = std::vector<std::string_view>;

// Of the errors that remain, llama.cpp's tables of halves for GELU and SiLU and, with F16 weights,
// its activations in halves are the largest: up to 3e-6 (lines `f16` of the record).
constexpr double kMost = 1e-5;

EmbedOptions plain(Pooling pooling = Pooling::of_file) {
  EmbedOptions options;
  options.pooling = pooling;
  options.normalize = false;
  return options;
}

Embedder embedder(const Model& model, uint32_t context = 0, uint32_t threads = 1) {
  auto made = Embedder::create(model, {context, threads});
  CAPTURE(made ? std::string() : std::string(made.error().message()));
  REQUIRE(bool(made));
  return std::move(*made);
}

uint32_t width(const Model& model, Pooling pooling) {
  const bool scores = pooling == Pooling::rank ||
                      (pooling == Pooling::of_file && model.shape().pooling == Pooling::rank);
  return scores ? model.shape().scores : model.shape().embedding;
}

std::vector<inlay::Span<const Token>> spans(const Texts& texts) {
  std::vector<inlay::Span<const Token>> out;
  for (const auto& text : texts) out.emplace_back(text.data(), text.size());
  return out;
}

// Rows of all texts, one after another.
Floats embed(Embedder* e, const Model& model, const Texts& texts, const EmbedOptions& options) {
  size_t tokens = 0;
  for (const auto& text : texts) tokens += text.size();
  Floats out(std::max(tokens, texts.size()) * width(model, options.pooling), -1e30f);
  const auto rows =
      e->embed(inlay::Span<const inlay::Span<const Token>>(spans(texts)), out, options);
  CAPTURE(rows ? std::string() : std::string(rows.error().message()));
  REQUIRE(bool(rows));
  out.resize(*rows * width(model, options.pooling));
  return out;
}

Texts random_texts(const Model& model, std::initializer_list<size_t> lengths, uint64_t seed = 1) {
  random_model::Random random{seed};
  Texts texts;
  for (const size_t n : lengths) {
    texts.emplace_back();
    for (size_t i = 0; i < n; ++i) {
      texts.back().push_back(static_cast<Token>(3 + random.below(model.shape().n_vocab - 3)));
    }
  }
  return texts;
}

double squared(const float* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += double{x[i]} * double{x[i]};
  return sum;
}

Pooling pooling_of(const std::string& name) {
  const std::map<std::string, Pooling> names = {{"file", Pooling::of_file},
                                                {"none", Pooling::none},
                                                {"mean", Pooling::mean},
                                                {"cls", Pooling::cls},
                                                {"last", Pooling::last}};
  return names.at(name);
}

// Normalized squared error of all rows that are recorded.
double error_of(const Model& model, const Recorded& r, const char* type) {
  Embedder e = embedder(model);
  const Floats& truth = r.rows.at(type);
  Floats rows;
  for (const RecordedTexts& line : r.texts) {
    CAPTURE(line.pooling);
    const EmbedOptions options = plain(pooling_of(line.pooling));
    CHECK(width(model, options.pooling) == r.width);
    const Floats more = embed(&e, model, line.texts, options);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  REQUIRE(rows.size() == truth.size());
  double error = 0, deviation = 0;
  const size_t around = r.width > 1 ? r.width : truth.size();  // whose mean
  for (size_t at = 0; at < truth.size(); at += around) {
    double mean = 0;
    for (size_t i = at; i < at + around; ++i)
      mean += double{truth[i]} / static_cast<double>(around);
    for (size_t i = at; i < at + around; ++i) {
      error += std::pow(double{truth[i]} - double{rows[i]}, 2);
      deviation += std::pow(double{truth[i]} - mean, 2);
    }
  }
  return error / deviation;
}

// A small encoder with classifier whose rows are quantized, which those of the table are too odd
// for.
random_model::File quantized_encoder(Type type) {
  random_model::ModelWriter m("bert", 7, 0, type);
  const uint32_t embd = 64, ff = 128, vocab = 280;
  m.vocabulary(vocab);
  m.key("block_count", 2);
  m.key("context_length", 64);
  m.key("embedding_length", embd);
  m.key("feed_forward_length", ff);
  m.key("attention.head_count", 4);
  random_model::pooling_key(m, random_model::Pooling::mean);
  random_model::write_bert_input(m, {2, embd, 4, 16, ff, vocab});
  m.matrix_f32("position_embd", 64, embd, 4);
  random_model::write_classifier(m, embd, 3);
  m.matrix("dense_2", ff, embd);
  m.matrix("dense_3", 32, ff);
  for (uint32_t i = 0; i < 2; ++i) {
    m.at_layer(i);
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
      m.matrix(name, embd, embd);
      m.bias(name, embd);
    }
    m.layer_norm("attn_output_norm", embd);
    m.matrix("ffn_up", ff, embd);
    m.bias("ffn_up", ff);
    m.matrix("ffn_down", embd, ff, 1.5f);
    m.bias("ffn_down", embd);
    m.layer_norm("layer_output_norm", embd);
  }
  return m.file();
}

}  // namespace

TEST_CASE("every encoder and reranker gives llama.cpp's numbers, with every pooling") {
  for (const random_model::Family& family : random_model::kArchitectureModels) {
    const auto record = recorded::read_record(family.name);
    for (const ArchitectureModel& model : family) {
      if (model.kind == Kind::logits) continue;
      CAPTURE(std::string(model.name));
      REQUIRE(record.count(model.name) == 1);
      const Recorded& r = record.at(model.name);
      REQUIRE(!r.texts.empty());
      for (const Type type : {Type::f32, Type::f16}) {
        const char* type_name = random_model::type_info(type).name;
        CAPTURE(std::string(type_name));
        const Opened opened(model.name, type);
        CHECK(recorded::crc32(opened.bytes().data(), opened.bytes().size()) ==
              r.files.at(type_name).second);
        CHECK(opened->ignored_keys().empty());
        const double error = error_of(*opened, r, type_name);
        CHECK(error < kMost);
        report_result(model.architecture, model.name, type_name, error);
      }
    }
  }
}

TEST_CASE("a text's numbers do not depend on the texts beside it or on threads, to the bit") {
  // Every kind of mixer: attention with windows and without, over latents and over other layers'
  // keys; recurrent ones.
  for (const char* name : {"bert-mean", "nomic-bert-moe-1", "modern-bert-cls",
                           "modern-bert-reranker", "gemma-embedding-dense", "qwen3-embedding",
                           "qwen3-reranker", "deepseek2-lite", "deepseek2-lite-old", "gpt-oss-1",
                           "gemma4-shared", "bloom", "lfm2-1", "mamba-1", "qwen35-1"}) {
    CAPTURE(std::string(name));
    const Opened model(name, Type::f16);
    const Texts texts = random_texts(*model, {5, 1, 17, 33, 2, 16, 1, 40, 3});
    for (const Pooling pooling : {Pooling::of_file, Pooling::none}) {
      const EmbedOptions options = plain(pooling);
      Embedder alone = embedder(*model, 80);
      Floats expected;
      for (const auto& text : texts) {
        const Floats rows = embed(&alone, *model, {text}, options);
        expected.insert(expected.end(), rows.begin(), rows.end());
      }
      for (const float x : expected) REQUIRE(std::isfinite(x));
      for (const uint32_t context : {40u, 64u, 80u}) {
        for (const uint32_t threads : {1u, 2u, 3u}) {
          CAPTURE(context);
          CAPTURE(threads);
          hosts::ThreadedJobs jobs;
          inlay::ModelOptions host;
          if (threads == 3) host.host.jobs = jobs.jobs();
          const Opened again(name, Type::f16, host);
          Embedder e = embedder(*again, context, threads);
          CHECK(embed(&e, *model, texts, options) == expected);
          CHECK(embed(&e, *model, texts, options) == expected);
        }
      }
    }
  }
}

TEST_CASE("poolings are of the positions' own rows") {
  for (const char* name : {"bert-cls", "modern-bert-mean", "qwen3-embedding"}) {
    CAPTURE(std::string(name));
    const Opened model(name, Type::f16);
    const size_t n = model->shape().embedding;
    Embedder e = embedder(*model);
    const Texts texts = random_texts(*model, {7, 1, 20});
    const Floats all = embed(&e, *model, texts, plain(Pooling::none));
    const Floats cls = embed(&e, *model, texts, plain(Pooling::cls));
    const Floats last = embed(&e, *model, texts, plain(Pooling::last));
    const Floats mean = embed(&e, *model, texts, plain(Pooling::mean));
    size_t row = 0;
    for (size_t t = 0; t < texts.size(); ++t) {
      const size_t end = row + texts[t].size();
      CHECK(std::equal(&cls[t * n], &cls[t * n] + n, &all[row * n]));
      CHECK(std::equal(&last[t * n], &last[t * n] + n, &all[(end - 1) * n]));
      for (size_t i = 0; i < n; ++i) {
        double sum = 0;
        for (size_t at = row; at < end; ++at) sum += double{all[at * n + i]};
        CHECK(double{mean[t * n + i]} ==
              doctest::Approx(sum / static_cast<double>(end - row)).epsilon(1e-5));
      }
      row = end;
    }
  }
}

TEST_CASE("embeddings have length 1 unless that is not wanted; scores are as they are") {
  const Opened model("bert-mean", Type::f16);
  const size_t n = model->shape().embedding;
  Embedder e = embedder(*model);
  const Texts texts = random_texts(*model, {7, 30});
  for (const Pooling pooling : {Pooling::of_file, Pooling::none}) {
    EmbedOptions unit;
    unit.pooling = pooling;
    const Floats raw = embed(&e, *model, texts, plain(pooling));
    const Floats normalized = embed(&e, *model, texts, unit);
    for (size_t at = 0; at < raw.size(); at += n) {
      CHECK(squared(&normalized[at], n) == doctest::Approx(1).epsilon(1e-6));
      const double length = std::sqrt(squared(&raw[at], n));
      for (size_t i = at; i < at + n; ++i) {
        CHECK(double{normalized[i]} * length == doctest::Approx(double{raw[i]}).epsilon(1e-5));
      }
    }
  }
  const Opened reranker("bert-classifier", Type::f16);
  Embedder r = embedder(*reranker);
  const Texts others = random_texts(*reranker, {7, 30});
  CHECK(embed(&r, *reranker, others, {}) == embed(&r, *reranker, others, plain()));
}

TEST_CASE("what a model says of its outputs") {
  const Opened bert("bert-classifier", Type::f16), dense("gemma-embedding-dense"),
      qwen("qwen3-reranker");
  CHECK_FALSE(bert->shape().writes);
  CHECK(bert->shape().pooling == Pooling::rank);
  CHECK(bert->shape().scores == 3);
  CHECK(bert->shape().embedding == bert->shape().n_embd);
  CHECK(dense->shape().pooling == Pooling::mean);
  CHECK(dense->shape().scores == 0);
  CHECK(qwen->shape().writes);
  CHECK(qwen->shape().scores == 2);

  auto session = inlay::Session::create(*bert);
  REQUIRE_FALSE(bool(session));
  CHECK(session.error().code() == ErrorCode::unsupported);
  CHECK(std::string_view(session.error().message()).find("Embedder") != std::string_view::npos);
  CHECK(bool(inlay::Session::create(*qwen)));
}

TEST_CASE("quantized weights, mapped and packed, are near their F32 values") {
  const Opened exact(quantized_encoder(Type::f32)), mapped(quantized_encoder(Type::q8_0));
  inlay::ModelOptions options;
  options.weights = inlay::WeightMode::packed;
  const Opened packed(quantized_encoder(Type::q8_0), options);
  CHECK(exact->shape().embedding == 32);
  const Texts texts = random_texts(*exact, {1, 2, 3, 9, 31, 16});
  for (const Pooling pooling : {Pooling::mean, Pooling::none, Pooling::rank}) {
    Embedder a = embedder(*exact), b = embedder(*mapped), c = embedder(*packed);
    const Floats truth = embed(&a, *exact, texts, plain(pooling));
    for (const Floats& rows :
         {embed(&b, *mapped, texts, plain(pooling)), embed(&c, *packed, texts, plain(pooling))}) {
      REQUIRE(rows.size() == truth.size());
      double error = 0;
      for (size_t i = 0; i < rows.size(); ++i) error += std::pow(double{rows[i] - truth[i]}, 2);
      CHECK(error / squared(truth.data(), truth.size()) < 1e-3);  // 8 bits: 1e-4 or so
      CHECK(error > 0);
    }
    for (const auto& text : texts) {  // whatever is beside it
      const Floats one = embed(&b, *mapped, {text}, plain(pooling));
      const Floats two = embed(&b, *mapped, {text, texts[4]}, plain(pooling));
      CHECK(std::equal(one.begin(), one.end(), two.begin()));
    }
  }
}

TEST_CASE("in slices: as many texts as fit, the same bits, nothing allocated") {
  CountingAllocator allocator;
  inlay::ModelOptions host;
  host.host.allocator = allocator.get();
  {
    const Opened model("bert-mean", Type::f16, host);
    const size_t n = model->shape().embedding;
    Embedder whole = embedder(*model, 64), sliced = embedder(*model, 64);
    const Texts texts = random_texts(*model, {20, 30, 14, 1});
    const Floats expected = embed(&whole, *model, texts, {});
    CHECK(sliced.rows() == 0);
    CHECK(sliced.row(0).empty());
    CHECK(sliced.step(1000) == Step::failed);  // nothing was started
    const auto all = spans(texts);
    const auto taken = sliced.start(inlay::Span<const inlay::Span<const Token>>(all));
    REQUIRE(bool(taken));
    CHECK(*taken == 3);
    const size_t calls = allocator.calls();
    size_t steps = 0;
    Step step = Step::more;
    while ((step = sliced.step(0)) == Step::more) {
      ++steps;
      CHECK(sliced.rows() == 0);
    }
    CHECK(step == Step::done);
    CHECK(steps > 50);  // a ticket each
    CHECK(sliced.step(0) == Step::done);
    CHECK(allocator.calls() == calls);
    REQUIRE(sliced.rows() == 3);
    for (size_t i = 0; i < 3; ++i) {
      REQUIRE(sliced.row(i).size() == n);
      CHECK(std::equal(sliced.row(i).begin(), sliced.row(i).end(), &expected[i * n]));
    }
    CHECK(sliced.row(3).empty());

    // Other work in its place, at any moment.
    REQUIRE(bool(sliced.start(inlay::Span<const inlay::Span<const Token>>(all))));
    CHECK(sliced.step(0) == Step::more);
    CHECK(embed(&sliced, *model, texts, {}) == expected);
  }
  CHECK(allocator.live_blocks() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("cancel ends the work under way, or the next") {
  const Opened model("bert-mean", Type::f16);
  Embedder e = embedder(*model, 64);
  const Texts texts = random_texts(*model, {20, 30});
  const Floats expected = embed(&e, *model, texts, {});
  const auto all = spans(texts);
  Floats out(expected.size());
  e.cancel();
  const auto failed = e.embed(inlay::Span<const inlay::Span<const Token>>(all), out);
  REQUIRE_FALSE(bool(failed));
  CHECK(failed.error().code() == ErrorCode::cancelled);
  REQUIRE(bool(e.start(inlay::Span<const inlay::Span<const Token>>(all))));
  CHECK(e.step(0) == Step::more);
  e.cancel();
  CHECK(e.step(1000000) == Step::failed);
  CHECK(e.rows() == 0);
  CHECK(e.step(0) == Step::failed);
  CHECK(embed(&e, *model, texts, {}) == expected);
}

TEST_CASE("text is tokenized; rankings put query and document together as llama.cpp does") {
  const std::string_view query = "what is it", document = "a thing <s>";
  for (const bool with_eos : {false, true}) {
    for (const bool with_separator : {false, true}) {
      random_model::ModelWriter writer =
          written(*random_model::find_model("bert-reranker"), Type::f16);
      writer.file().set("tokenizer.ggml.add_bos_token", random_model::bool_value(true));
      writer.file().set("tokenizer.ggml.add_eos_token", random_model::bool_value(with_eos));
      writer.file().set("tokenizer.ggml.add_sep_token", random_model::bool_value(with_separator));
      writer.file().set("tokenizer.ggml.seperator_token_id", random_model::u32_value(5));
      const Opened model(writer.file());
      Embedder e = embedder(*model);
      const auto tokens = [&](std::string_view text, bool add) {
        inlay::TokenizeOptions options;
        options.add_special = options.parse_special = add;
        std::vector<Token> out(100);
        out.resize(*model->tokenizer().encode(text, out, options));
        return out;
      };
      Floats score(1), expected(1);
      REQUIRE(bool(e.embed(query, score)));
      CHECK(score == embed(&e, *model, {tokens(query, true)}, {}));

      std::vector<Token> pair = {1};
      for (const Token t : tokens(query, false)) pair.push_back(t);
      if (with_eos) pair.push_back(2);
      if (with_separator) pair.push_back(5);
      for (const Token t : tokens(document, false)) pair.push_back(t);
      if (with_eos) pair.push_back(2);
      const Strings documents = {document, query, document};
      Floats scores(3);
      const auto rows = e.rank(query, documents, scores);
      REQUIRE(bool(rows));
      CHECK(*rows == 3);
      CHECK(scores[0] == embed(&e, *model, {pair}, {})[0]);
      CHECK(scores[2] == scores[0]);
      CHECK(scores[1] != scores[0]);
      const std::string copy(query);  // the query itself as document, and the same text elsewhere
      const Strings other = {copy};
      Floats same(1);
      REQUIRE(bool(e.rank(query, other, same)));
      CHECK(same[0] == scores[1]);
      const auto started = e.start_ranking(query, documents);
      REQUIRE(bool(started));
      while (e.step(1000) == Step::more) {
      }
      REQUIRE(e.rows() == *started);
      CHECK(e.row(0)[0] == scores[0]);
    }
  }

  random_model::ModelWriter writer =
      written(*random_model::find_model("qwen3-reranker"), Type::f16);
  writer.file().set("tokenizer.chat_template.rerank",
                    random_model::text_value("<s>Q: {query} D: {document}{query}</s>"));
  const Opened model(writer.file());
  Embedder e = embedder(*model);
  const std::string text =
      "<s>Q: {document} D: a thing{document}</s>";  // what comes in stays as it is
  inlay::TokenizeOptions options;
  options.add_special = false;
  std::vector<Token> tokens(200);
  tokens.resize(*model->tokenizer().encode(text, tokens, options));
  const Strings documents = {"a thing"};
  Floats scores(2);
  REQUIRE(bool(e.rank("{document}", documents, scores)));
  CHECK(scores == embed(&e, *model, {tokens}, {}));
  CHECK(double{scores[0]} + double{scores[1]} == doctest::Approx(1));
}

TEST_CASE("errors name what is wrong") {
  const Opened model("bert-mean", Type::f16), reranker("bert-reranker", Type::f16);
  const auto failure = [](const auto& result) {
    REQUIRE_FALSE(bool(result));
    return std::make_pair(result.error().code(), std::string(result.error().message()));
  };
  const auto says = [](const std::pair<ErrorCode, std::string>& error, ErrorCode code,
                       std::string_view text) {
    CAPTURE(error.second);
    CHECK(error.first == code);
    CHECK(error.second.find(text) != std::string::npos);
  };
  says(failure(Embedder::create(*model, {81, 1})), ErrorCode::bad_argument, "context");
  says(failure(Embedder::create(*model, {~0u, 1})), ErrorCode::bad_argument, "context");
  says(failure(Embedder::create(*model, {80, 0})), ErrorCode::bad_argument, "threads");
  says(failure(Embedder::plan(*model, {80, 65})), ErrorCode::bad_argument, "threads");

  Embedder e = embedder(*model, 40), r = embedder(*reranker);
  Floats out(1000);
  const auto run = [&](const Texts& texts, const EmbedOptions& options = {}) {
    const auto all = spans(texts);
    return e.embed(inlay::Span<const inlay::Span<const Token>>(all), out, options);
  };
  says(failure(run(random_texts(*model, {3, 41}))), ErrorCode::context_full, "text 1");
  says(failure(run({{5, 6}, {}})), ErrorCode::bad_argument, "text 1 has no tokens");
  const Token most = static_cast<Token>(model->shape().n_vocab);
  says(failure(run({{5}, {6, most}})), ErrorCode::bad_argument, "text 1: token 1");
  says(failure(run({{-1}})), ErrorCode::bad_argument, "text 0: token 0");
  says(failure(run({{5}}, plain(Pooling::rank))), ErrorCode::bad_argument, "classifier");
  says(failure(run({{5}}, plain(static_cast<Pooling>(9)))), ErrorCode::bad_argument, "pooling");
  CHECK(bool(run(random_texts(*model, {40}))));
  CHECK(*run({}) == 0);
  says(failure(e.start(inlay::Span<const std::string_view>())), ErrorCode::bad_argument,
       "no texts");
  out.resize(model->shape().embedding * 2 - 1);
  says(failure(run({{5}, {6}})), ErrorCode::bad_argument, "2 rows");
  const Strings documents = {"a", std::string_view()};
  says(failure(e.rank("b", documents, out)), ErrorCode::bad_argument, "classifier");
  const std::string lengthy(1000, 'x');
  says(failure(e.embed(lengthy, out)), ErrorCode::context_full, "text 0");
  says(failure(r.rank(lengthy, documents, out)), ErrorCode::context_full, "text 0");
  CHECK(bool(r.rank("b", documents, out)));
}

TEST_CASE("when any one allocation fails, an embedder says so; its memory is what plan() says") {
  for (size_t fail_at = 0;; ++fail_at) {
    CountingAllocator allocator(fail_at);
    inlay::ModelOptions host;
    host.host.allocator = allocator.get();
    {
      const Memory memory(written(*random_model::find_model("bert-reranker"), Type::f16).file());
      const auto model = Model::from_memory({memory.data(), memory.size()}, host);
      if (!model) continue;
      const size_t before = allocator.live_bytes();
      auto e = Embedder::create(*model);
      if (!e) {
        CHECK(e.error().code() == ErrorCode::out_of_memory);
        continue;
      }
      const auto plan = Embedder::plan(*model);
      REQUIRE(bool(plan));
      CHECK(plan->total() == allocator.live_bytes() - before);
      break;
    }
    CHECK(allocator.live_blocks() == 0);
  }
}

TEST_CASE(
    "a text that a limit leaves no room to tokenize: the error names it, and tokens are read") {
  const Memory memory(written(*random_model::find_model("bert-reranker"), Type::f16).file());
  const inlay::Span<const uint8_t> file(memory.data(), memory.size());
  inlay::ModelOptions options;
  {
    const auto model = Model::from_memory(file);
    REQUIRE(bool(model));
    const auto plan = Embedder::plan(*model);
    REQUIRE(bool(plan));
    options.max_bytes = model->memory().total() + plan->total();
    REQUIRE(options.max_bytes >= model->memory().peak);
  }
  const auto model = Model::from_memory(file, options);
  REQUIRE(bool(model));
  Embedder e = embedder(*model);
  Floats out(model->shape().embedding);
  const std::string_view text = "a b";
  for (const auto& refused : {e.embed(text, out), e.start({&text, 1}), e.rank("a", {&text, 1}, out),
                              e.start_ranking("a", {&text, 1})}) {
    REQUIRE_FALSE(bool(refused));
    CHECK(refused.error().code() == ErrorCode::out_of_memory);
    CHECK(std::string(refused.error().message()).find("option max_bytes: ") == 0);
  }
  const std::vector<Token> tokens = {5, 6};
  const inlay::Span<const Token> one(tokens);
  CHECK(bool(e.embed({&one, 1}, out)));
}

TEST_CASE("embedders in several threads share a model") {
  const Opened model("bert-mean", Type::f16);
  const Texts texts = random_texts(*model, {20, 30});
  Embedder e = embedder(*model);
  const Floats expected = embed(&e, *model, texts, {});
  std::vector<Floats> results(4);
  std::vector<std::thread> threads;
  for (Floats& result : results) {
    threads.emplace_back([&] {
      auto own = Embedder::create(*model, {64, 2});
      result.resize(expected.size());
      const auto all = spans(texts);
      if (own) (void)own->embed(inlay::Span<const inlay::Span<const Token>>(all), result);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Floats& result : results) CHECK(result == expected);
}
