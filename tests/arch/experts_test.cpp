// Models with experts, latent attention and what Gemma 4 adds, with quantized weights (the models
// that are compared with llama.cpp are too small for those), packed weights, any number of threads
// and any cut into batches.
#include "inlay/arch/experts.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <inlay.hpp>
#include <string>
#include <vector>

#include "inlay/arch/blocks/experts-inl.hpp"
#include "inlay/arch/weights-inl.hpp"
#include "inlay/tensor/dequantize.hpp"
#include "support/logits.hpp"
#include "support/models/model_writer.hpp"

namespace {

using inlay::Model;
using inlay::ModelOptions;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Token;
using inlay::WeightMode;
using inlay_test::same_bits;
using random_model::Memory;
using random_model::ModelWriter;
using random_model::Type;

constexpr uint32_t kVocab = 288, kEmbd = 256, kFf = 256, kLayers = 3;
constexpr size_t kTokens = 24;

void write_sizes(ModelWriter& m, uint32_t heads, uint32_t kv_heads) {
  m.vocabulary(kVocab);
  m.key("block_count", kLayers);
  m.key("context_length", 512);
  m.key("embedding_length", kEmbd);
  m.key("feed_forward_length", kFf);
  m.key("attention.head_count", heads);
  m.key("attention.head_count_kv", kv_heads);
  m.key("attention.layer_norm_rms_epsilon", 1e-6f);
  m.matrix("token_embd", kVocab, kEmbd, 8);
}

void write_attention(ModelWriter& m, uint32_t q, uint32_t kv) {
  m.norm("attn_norm", kEmbd);
  m.matrix("attn_q", q, kEmbd);
  m.matrix("attn_k", kv, kEmbd);
  m.matrix("attn_v", kv, kEmbd);
  m.matrix("attn_output", kEmbd, q);
}

void write_dense(ModelWriter& m, const char* suffix, uint32_t ff) {
  m.matrix(std::string("ffn_gate") + suffix, ff, kEmbd);
  m.matrix(std::string("ffn_up") + suffix, ff, kEmbd);
  m.matrix(std::string("ffn_down") + suffix, kEmbd, ff);
}

void write_expert_keys(ModelWriter& m, uint32_t experts, uint32_t used) {
  m.key("expert_count", experts);
  m.key("expert_used_count", used);
  m.key("expert_feed_forward_length", kFf);
}

void write_experts(ModelWriter& m, uint32_t experts, bool fused) {
  m.matrix_f32("ffn_gate_inp", experts, kEmbd, 4);
  if (fused) {
    m.stack("ffn_gate_up_exps", experts, 2 * kFf, kEmbd);
  } else {
    m.stack("ffn_gate_exps", experts, kFf, kEmbd);
    m.stack("ffn_up_exps", experts, kFf, kEmbd);
  }
  m.stack("ffn_down_exps", experts, kEmbd, kFf);
}

void write_output(ModelWriter& m) {
  m.at_top();
  m.norm("output_norm", kEmbd);
  m.matrix("output", kVocab, kEmbd, 3);
}

// Forms: 0 plain; 1 a shared expert with a factor, 2 one without, and biases.
void write_llama(ModelWriter& m) {
  const uint32_t form = m.form(3);
  write_sizes(m, 4, 2);
  write_expert_keys(m, 9, 3);
  for (uint32_t i = 0; i < kLayers; ++i) {
    m.at_layer(i);
    write_attention(m, kEmbd, kEmbd / 2);
    m.norm("ffn_norm", kEmbd);
    write_experts(m, 9, form == 2);
    if (form > 0) write_dense(m, "_shexp", 256);
    if (form == 1) m.matrix_f32("ffn_gate_inp_shexp", 1, kEmbd);
    if (form == 2) m.tensor("ffn_down_exps.bias", Type::f32, {kEmbd, 9}, 0, 0.5f);
  }
  write_output(m);
}

// Latent attention. Forms: 0 absorbed, 1 with the expanding matrix.
void write_deepseek2(ModelWriter& m) {
  const bool absorbed = m.form(2) == 0;
  constexpr uint32_t kHeads = 3, kRank = 256, kPlain = 256, kRot = 32, kValue = 256;
  write_sizes(m, kHeads, absorbed ? 1 : kHeads);
  m.key("attention.q_lora_rank", 256);
  m.key("attention.kv_lora_rank", kRank);
  m.key("attention.key_length", absorbed ? kRank + kRot : kPlain + kRot);
  m.key("attention.value_length", absorbed ? kRank : kValue);
  if (absorbed) {
    m.key("attention.key_length_mla", kPlain + kRot);
    m.key("attention.value_length_mla", kValue);
  }
  m.key("rope.dimension_count", kRot);
  m.key("expert_gating_func", 2);
  m.key("expert_weights_norm", true);
  write_expert_keys(m, 8, 3);
  m.key("expert_group_count", 4);
  m.key("expert_group_used_count", 2);
  for (uint32_t i = 0; i < kLayers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", kEmbd);
    m.matrix("attn_q_a", 256, kEmbd);
    m.norm("attn_q_a_norm", 256);
    m.matrix("attn_q_b", kHeads * (kPlain + kRot), 256);
    m.matrix("attn_kv_a_mqa", kRank + kRot, kEmbd);
    m.norm("attn_kv_a_norm", kRank);
    if (absorbed) {
      m.stack("attn_k_b", kHeads, kRank, kPlain);
      m.stack("attn_v_b", kHeads, kValue, kRank);
    } else {
      m.matrix("attn_kv_b", kHeads * (kPlain + kValue), kRank);
    }
    m.matrix("attn_output", kEmbd, kHeads * kValue);
    m.norm("ffn_norm", kEmbd);
    if (i == 0) {
      write_dense(m, "", kFf);
    } else {
      write_experts(m, 8, false);
      m.vector("exp_probs_b.bias", 8, 0, 0.2f);
      write_dense(m, "_shexp", 256);
    }
  }
  write_output(m);
}

// Embeddings for each layer and experts in one.
void write_gemma4(ModelWriter& m) {
  constexpr uint32_t kHead[] = {128, 64}, kPerLayer = 256;  // without a window, with one
  write_sizes(m, 4, 2);
  m.key("embedding_length_per_layer_input", kPerLayer);
  m.key("attention.key_length", kHead[0]);
  m.key("attention.value_length", kHead[0]);
  m.key("attention.key_length_swa", kHead[1]);
  m.key("attention.value_length_swa", kHead[1]);
  m.key("attention.sliding_window", 9);
  m.key("attention.sliding_window_pattern", std::vector<bool>{true, false, true});
  m.key("attention.shared_kv_layers", 1);
  m.key("rope.dimension_count", kHead[0]);
  m.key("rope.dimension_count_swa", kHead[1]);
  write_expert_keys(m, 9, 2);
  m.matrix("per_layer_token_embd", kVocab, kPerLayer * kLayers, 1);
  m.matrix("per_layer_model_proj", kPerLayer * kLayers, kEmbd);
  m.norm("per_layer_proj_norm", kPerLayer);
  for (uint32_t i = 0; i < kLayers; ++i) {
    const uint32_t head = kHead[i != 1];
    m.at_layer(i);
    m.norm("attn_norm", kEmbd);
    m.matrix("attn_q", 4 * head, kEmbd);
    m.norm("attn_q_norm", head, 0.5f);
    m.matrix("attn_k", 2 * head, kEmbd);  // also where the layer before is read
    m.norm("attn_k_norm", head, 0.5f);
    if (i != 1) m.matrix("attn_v", 2 * head, kEmbd);
    m.matrix("attn_output", kEmbd, 4 * head);
    m.norm("post_attention_norm", kEmbd);
    m.norm("ffn_norm", kEmbd);
    write_dense(m, "", kFf);
    m.norm("post_ffw_norm_1", kEmbd);
    m.norm("pre_ffw_norm_2", kEmbd);
    m.vector("ffn_gate_inp.scale", kEmbd, 16, 3);
    write_experts(m, 9, true);
    m.vector("ffn_down_exps.scale", 9, 1, 0.3f);
    m.norm("post_ffw_norm_2", kEmbd);
    m.norm("post_ffw_norm", kEmbd);
    m.matrix("inp_gate", kPerLayer, kEmbd);
    m.matrix("proj", kEmbd, kPerLayer);
    m.norm("post_norm", kEmbd);
    m.vector("layer_output_scale.weight", 1, 0.8f, 0.1f);
  }
  write_output(m);
}

struct Case {
  const char* architecture;
  void (*write)(ModelWriter&);
  uint32_t form;
};
constexpr Case kCases[] = {{"llama", write_llama, 0},         {"llama", write_llama, 1},
                           {"llama", write_llama, 2},         {"deepseek2", write_deepseek2, 0},
                           {"deepseek2", write_deepseek2, 1}, {"gemma4", write_gemma4, 0}};

random_model::File file_of(const Case& c, Type type) {
  ModelWriter m(c.architecture, 7, c.form, type);
  c.write(m);
  return m.file();
}

// The same weights in F32.
random_model::File dequantized(random_model::File file) {
  const Memory memory(file);
  auto gguf = inlay::Gguf::from_memory({memory.data(), memory.size()});
  REQUIRE(gguf);
  for (random_model::Tensor& t : file.tensors) {
    const inlay::TensorView& view = *gguf->find_tensor(t.name);
    t.values.assign(static_cast<size_t>(view.dims[0] * view.dims[1] * view.dims[2]), 0);
    t.type = Type::f32;
    REQUIRE(inlay::detail::dequantize_row(view.type, view.data, t.values.size(), t.values.data()));
  }
  return file;
}

Model open(const Memory& memory, WeightMode weights = WeightMode::mapped) {
  ModelOptions options;
  options.weights = weights;
  auto model = Model::from_memory({memory.data(), memory.size()}, options);
  REQUIRE_MESSAGE(bool(model), (model ? "" : model.error().message()));
  return *model;
}

std::vector<Token> some_tokens(size_t n) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < n; ++i) tokens.push_back(static_cast<Token>(3 + i * i * 7919 % 280));
  return tokens;
}

// Of all tokens, in batches of `batch`.
std::vector<float> logits_of(const Model& model, size_t batch, SessionOptions options = {}) {
  const std::vector<Token> tokens = some_tokens(kTokens);
  options.context = 32;
  auto session = Session::create(model, options);
  REQUIRE_MESSAGE(session, session.error().message());
  std::vector<float> all;
  for (size_t at = 0; at < tokens.size(); at += batch) {
    const size_t n = std::min(batch, tokens.size() - at);
    const inlay::Status status = session->evaluate(
        {tokens.data() + at, n}, false,
        [](void* user, size_t, inlay::Span<const float> row) {
          auto& out = *static_cast<std::vector<float>*>(user);
          out.insert(out.end(), row.begin(), row.end());
        },
        &all);
    REQUIRE_MESSAGE(status, status.error().message());
  }
  return all;
}

// Squared error over squared size: the median of all tokens. Now and then rounding makes one of
// them choose another expert.
double error_of(const std::vector<float>& a, const std::vector<float>& expected) {
  REQUIRE(a.size() == expected.size());
  std::vector<double> errors;
  for (size_t row = 0; row < a.size(); row += kVocab) {
    double error = 0, size = 0;
    for (size_t i = row; i < row + kVocab; ++i) {
      const double e = double{expected[i]}, d = double{a[i]} - e;
      error += d * d;
      size += e * e;
    }
    errors.push_back(error / size);
  }
  std::sort(errors.begin(), errors.end());
  return errors[errors.size() / 2];
}

// Activations are rounded to 8 bits, half a step of 1 / 127 of the largest of 32 of them: some
// 1e-5 of a product's square, of which a layer has eight in a row.
void check_quantized(const Memory& quantized, const random_model::File& file) {
  const Memory floats(dequantized(file));
  const std::vector<float> expected = logits_of(open(floats), kTokens);
  CHECK(error_of(logits_of(open(quantized, WeightMode::packed), kTokens), expected) < 1e-3);
  const Model model = open(quantized);
  for (const size_t batch : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, kTokens}) {
    CHECK(error_of(logits_of(model, batch), expected) < 1e-3);
  }
}

void check_threads(const Model& model) {
  for (const size_t batch : {size_t{1}, size_t{3}, kTokens}) {
    SessionOptions options;
    const std::vector<float> alone = logits_of(model, batch, options);
    options.threads = 2;
    CHECK(same_bits(logits_of(model, batch, options), alone));
  }
}

void check_batches(const Model& model) {
  SessionOptions options;
  options.batch_invariant = true;
  const std::vector<float> alone = logits_of(model, 1, options);
  for (const size_t batch : {size_t{5}, kTokens}) {
    CHECK(same_bits(logits_of(model, batch, options), alone));
  }
}

}  // namespace

TEST_CASE(
    "the kernels' scratch memory is for an expert's widest matrix; halves are not quantized") {
  using namespace inlay::detail;
  constexpr uint32_t kWide = 1024, kCount = 2;
  for (const Type type : {Type::f16, Type::q8_0}) {
    CAPTURE(static_cast<uint32_t>(type));
    ModelWriter m("llama", 7, 0, type);
    m.at_layer(0);
    m.stack("ffn_gate_exps", kCount, kWide, kEmbd);
    m.stack("ffn_up_exps", kCount, kWide, kEmbd);
    m.stack("ffn_down_exps", kCount, kEmbd, kWide);
    const Memory memory(m.file());
    const auto file = inlay::Gguf::from_memory({memory.data(), memory.size()});
    REQUIRE(file);
    Array<Weight> weights{inlay::Allocator()};
    Array<float> converted{inlay::Allocator()};
    Binder tensors(*file, "llama", &weights, &converted);
    REQUIRE(tensors.start());
    tensors.enter_layer(0);
    Kernels kernels = *pick_kernels(-1);
    kernels.halves_columns = 40;
    Array<Phase> phases{inlay::Allocator()};
    Array<uint8_t> works{inlay::Allocator()};
    REQUIRE(works.reserve(1 << 16));
    Needs needs;
    PlanWriter plan(kernels, &phases, &works, &needs);
    Facts facts = {};
    facts.gated = true;
    Hyper hyper;
    hyper.n_embd = kEmbd;
    hyper.experts.count = kCount;
    hyper.experts.used = 1;
    hyper.experts.ff = kWide;
    BlockWriter block = {tensors, plan, facts, hyper};
    inlay::arch::ExpertFeedForward::write_experts(block, {Buffer::norm, Buffer::x});
    REQUIRE(tensors.status());
    CHECK(needs.matmul_k == kWide);
    const bool quantized = type == Type::q8_0;
    CHECK(needs.quantized == (quantized ? kEmbd : 0));
    CHECK(std::count_if(phases.begin(), phases.end(), [](const Phase& p) {
            return p.run == phase::quantize;
          }) == (quantized ? 1 : 0));
  }
}

TEST_CASE("experts with quantized weights, packed or not, any number of threads, in any batches") {
  for (const Case& c : kCases) {
    for (const Type type : {Type::f16, Type::q8_0, Type::q4_k}) {
      CAPTURE(std::string(c.architecture));
      CAPTURE(c.form);
      CAPTURE(static_cast<uint32_t>(type));
      const random_model::File file = file_of(c, type);
      const Memory memory(file);
      check_quantized(memory, file);
      check_threads(open(memory));
      check_threads(open(memory, WeightMode::packed));
      check_batches(open(memory));
    }
  }
}
