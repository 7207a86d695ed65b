// Decoders with experts. The comments say what llama.cpp 0.7.0 was found to use and to ignore.
#ifndef INLAY_TESTS_SUPPORT_MODELS_EXPERTS_HPP_
#define INLAY_TESTS_SUPPORT_MODELS_EXPERTS_HPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "dense.hpp"
#include "model_writer.hpp"

namespace random_model {

// Experts with gates. The router's gain of 2 makes one to three experts of a token matter.
struct Experts {
  uint32_t count, used, ff;
};
inline void write_router(ModelWriter& m, uint32_t embd, uint32_t count) {
  m.matrix_f32("ffn_gate_inp", count, embd, 2);
}
inline void write_experts(ModelWriter& m, uint32_t embd, const Experts& e) {
  write_router(m, embd, e.count);
  m.stack("ffn_gate_exps", e.count, e.ff, embd);
  m.stack("ffn_up_exps", e.count, e.ff, embd);
  m.stack("ffn_down_exps", e.count, embd, e.ff, 1.5f);
}
inline void write_shared_expert(ModelWriter& m, uint32_t embd, uint32_t ff) {
  m.matrix("ffn_gate_shexp", ff, embd);
  m.matrix("ffn_up_shexp", ff, embd);
  m.matrix("ffn_down_shexp", embd, ff);
}
inline void expert_keys(ModelWriter& m, const Experts& e) {
  m.key("expert_count", e.count);
  m.key("expert_used_count", e.used);
}
inline Experts choose_experts(ModelWriter& m) {
  const Experts e = {m.between("experts", 4, 9), m.between("used", 2, 3),
                     m.choose<uint32_t>("expert_ff", {28, 36, 44, 52})};
  expert_keys(m, e);
  return e;
}
inline float embedding_gain(bool tied) { return tied ? kOutputGain : 8; }
inline void write_end(ModelWriter& m, const Sizes& s, bool tied) {
  m.at_top();
  m.norm("output_norm", s.embd);
  write_output(m, s, tied);
}
inline Sizes choose_expert_sizes(ModelWriter& m, HeadSize head_size,
                                 KvHeads kv_heads = KvHeads::fewer, uint32_t layers = 0) {
  Sizes s = choose_sizes(m, head_size, kv_heads);
  if (layers > 0) s.layers = layers;
  write_sizes(m, s);
  return s;
}

// Mixtral: softmax over all, the chosen weights divided by their sum, which counts as 2^-14 if it
// is less; expert_weights_norm, _scale and _gating_func are ignored. The experts' size is
// feed_forward_length.
inline void write_mixtral(ModelWriter& m) {
  Sizes s = choose_expert_sizes(m, HeadSize::of_embedding);
  const Experts e = {m.between("experts", 4, 6), 2, s.ff = 60};
  m.key("feed_forward_length", e.ff);
  expert_keys(m, e);
  m.key("vocab_size", s.vocab);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 10000.0f);
  m.key("rope.dimension_count", s.head_dim);
  m.matrix("token_embd", s.vocab, s.embd, embedding_gain(false));
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    m.norm("ffn_norm", s.embd);
    write_experts(m, s.embd, e);
  }
  write_end(m, s, false);
}

// q/k-norm by head; softmax, normalized, whatever the keys say.
// Form 1: scales of experts; and keys of their weights, which are ignored.
inline void write_qwen3moe(ModelWriter& m) {
  const bool scaled = m.form(2) == 1;
  const Sizes s = choose_expert_sizes(m, HeadSize::any);
  const Experts e = choose_experts(m);
  m.key("expert_feed_forward_length", e.ff);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 1000000.0f);
  if (scaled) {
    m.key("expert_weights_scale", 2.5f);
    m.key("expert_weights_norm", false);
    m.key("expert_gating_func", 2);
  }
  m.matrix("token_embd", s.vocab, s.embd, embedding_gain(false));
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    write_head_norms(m, s);
    m.norm("ffn_norm", s.embd);
    write_experts(m, s.embd, e);
    if (scaled) write_scales(m, {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"}, e.count);
  }
  write_end(m, s, false);
}

// qwen3moe with a window in three layers of four; those have plain RoPE with a base of their own,
// the fourth has YaRN. The pattern is a period (absent: 4) or a list of bools, true for a window;
// expert_weights_norm is used (absent: true). yarn_beta_fast, _beta_slow, _ext_factor and
// _attn_factor are ignored here and below. Form 1: other ways to say it.
inline void write_mellum(ModelWriter& m) {
  const uint32_t form = m.form(2);
  const Sizes s = choose_expert_sizes(m, HeadSize::any, KvHeads::fewer, 5);
  const Experts e = choose_experts(m);
  m.key("expert_feed_forward_length", e.ff);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("attention.sliding_window", m.between("window", 7, 15));
  if (form == 0) {
    m.key("attention.sliding_window_pattern", 4);
    m.key("rope.freq_base_swa", 10000.0f);
  } else {
    m.key("attention.sliding_window_pattern", std::vector<bool>{false, true, true, false, true});
    m.key("expert_weights_norm", false);
    m.key("rope.scaling.attn_factor", 1.2f);
  }
  m.key("rope.freq_base", 500000.0f);
  m.key("rope.scaling.type", "yarn");
  m.key("rope.scaling.factor", 8.0f);
  m.key("rope.scaling.original_context_length", 24);
  m.matrix("token_embd", s.vocab, s.embd, embedding_gain(false));
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    write_head_norms(m, s);
    m.norm("ffn_norm", s.embd);
    write_experts(m, s.embd, e);
  }
  write_end(m, s, false);
}

// granite's four scales, of which logit_scale is required; softmax, normalized, whatever the keys
// say; rope.scaling.finetuned is ignored. Form 1 with a shared expert.
inline void write_granitemoe(ModelWriter& m) {
  Sizes s = choose_expert_sizes(m, HeadSize::of_embedding);
  const bool shared = m.form(2) == 1;
  Experts e = choose_experts(m);
  m.key("feed_forward_length", e.ff);
  if (shared) m.key("expert_shared_feed_forward_length", 40);
  m.key("vocab_size", s.vocab);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 10000.0f);
  m.key("rope.dimension_count", s.head_dim);
  m.key("embedding_scale", 1.7f);
  m.key("residual_scale", 0.6f);
  m.key("logit_scale", shared ? 0.9f : 0.4f);
  m.key("attention.scale", 0.19f);
  m.matrix("token_embd", s.vocab, s.embd, shared ? 4 : 1.2f);
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    m.norm("ffn_norm", s.embd);
    write_experts(m, s.embd, e);
    if (shared) write_shared_expert(m, s.embd, 40);
  }
  write_end(m, s, !shared);
}

// Norms of q and k over all heads at once; softmax, not normalized, whatever the keys say.
inline void write_olmoe(ModelWriter& m) {
  // llama.cpp wants a norm as long for k as for q.
  const Sizes s = choose_expert_sizes(m, HeadSize::of_embedding, KvHeads::all);
  const Experts e = choose_experts(m);
  m.key("feed_forward_length", e.ff);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 10000.0f);
  m.matrix("token_embd", s.vocab, s.embd, embedding_gain(false));
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    m.norm("attn_q_norm", s.q(), 1.4f);
    m.norm("attn_k_norm", s.kv(), 1.4f);
    m.norm("ffn_norm", s.embd);
    write_experts(m, s.embd, e);
  }
  write_end(m, s, false);
}

// Sinks (one more score of each head, without a value), biases everywhere, all required; a window
// in every second layer from the first (the pattern as mellum's, absent: 2), YaRN in all; top k of
// the router's outputs and then softmax, whatever the keys say; the activation min(g, 7) *
// sigmoid(1.702 * min(g, 7)) * (clamp(u, -7, 7) + 1). Forms: 0 and 2 as above; 1 linear scaling; 3
// the same in layers with a window, and none in the others.
inline void write_gpt_oss(ModelWriter& m) {
  const Sizes s = choose_expert_sizes(m, HeadSize::any);
  const Experts e = choose_experts(m);
  m.key("attention.key_length", s.head_dim);
  m.key("attention.value_length", s.head_dim);
  m.key("expert_feed_forward_length", e.ff);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("attention.sliding_window", m.between("window", 7, 15));
  m.key("rope.freq_base", 150000.0f);
  m.key("rope.scaling.factor", 16.0f);
  const uint32_t form = m.form(4);
  if (form % 2 == 0) {
    m.key("rope.scaling.type", "yarn");
    m.key("rope.scaling.original_context_length", 24);
  } else {  // without a type, scaling is linear
    if (form == 3) m.key("rope.scaling.type", "none");
    m.key("rope.scaling.attn_factor", 1.2f);
    m.key("rope.freq_base_swa", 500.0f);
    m.key("attention.sliding_window_pattern", 3);
  }
  m.matrix("token_embd", s.vocab, s.embd, embedding_gain(false));
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    m.bias("attn_q", s.q());
    m.bias("attn_k", s.kv());
    m.bias("attn_v", s.kv());
    m.bias("attn_output", s.embd);
    m.vector("attn_sinks.weight", s.heads, 1, 1);
    m.norm("post_attention_norm", s.embd);
    write_router(m, s.embd, e.count);
    m.vector("ffn_gate_inp.bias", e.count, 0, 0.5f);
    // Large enough that the limit of 7 is reached.
    m.stack("ffn_gate_exps", e.count, e.ff, s.embd, 3);
    m.stack("ffn_up_exps", e.count, e.ff, s.embd, 3);
    m.stack("ffn_down_exps", e.count, s.embd, e.ff, 0.3f);
    m.tensor("ffn_gate_exps.bias", Type::f32, {e.ff, e.count}, 0, 0.5f);
    m.tensor("ffn_up_exps.bias", Type::f32, {e.ff, e.count}, 0, 0.5f);
    m.tensor("ffn_down_exps.bias", Type::f32, {s.embd, e.count}, 0, 0.5f);
  }
  write_end(m, s, false);
}

// MLA. q is the part without RoPE and then the rotated one, k the latent and then the rotated part;
// the latent, normed, is the value too. With yarn_log_multiplier cos and sin are not scaled,
// without it as YaRN's; the score gets the square of that scale once more, times (1 +
// yarn_log_multiplier * ln(factor))^2 / sqrt(key_length_mla). A group's score is the sum of its two
// best. expert_gating_func absent or 0: softmax; expert_weights_scale absent or 0: none. Forms: 0
// as DeepSeek-V3 (q in two steps, sigmoid, groups, exp_probs_b, normalized, scaled), 1 as V2-Lite
// (27 layers are how llama.cpp knows it; q in one step, softmax, not normalized, YaRN), 2 an old
// file of it without the absorbed matrices, 3 as GLM-4.7-Flash, 4 with what the keys
// mean that are absent. In 0 and 2 q grows with the position.
inline void write_deepseek2(ModelWriter& m) {
  const uint32_t form = m.form(5);
  const bool lite = form == 1 || form == 2;
  const uint32_t layers = lite ? 27 : 4, embd = lite ? 48 : 88, heads = lite ? 3 : 5,
                 vocab = m.between("vocab", 261, 300), q_rank = 36,
                 kv_rank = lite ? 20 : m.choose<uint32_t>("kv_rank", {28, 36, 40}),
                 nope = lite ? 12 : 20, rot = lite ? 8 : m.choose<uint32_t>("rot", {12, 16}),
                 v_dim = lite ? 10 : m.choose<uint32_t>("v_dim", {18, 24}), ff = lite ? 36 : 100;
  const Experts e = lite ? Experts{5, 2, 20} : Experts{form == 0 ? 8u : 7u, 3, 36};
  const uint32_t dense = lite ? 23 : form == 0 ? 2 : 1, shared = form == 0 ? 2 : 1;
  const bool absorbed = form != 2, one_step = lite || form == 4;
  m.vocabulary(vocab);
  m.key("block_count", layers);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  m.key("feed_forward_length", ff);
  m.key("vocab_size", vocab);
  m.key("attention.head_count", heads);
  m.key("attention.head_count_kv", absorbed ? 1u : heads);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 10000.0f);
  m.key("rope.dimension_count", rot);
  if (!lite) m.key("attention.q_lora_rank", one_step ? 0u : q_rank);
  m.key("attention.kv_lora_rank", kv_rank);
  m.key("attention.key_length", absorbed ? kv_rank + rot : nope + rot);
  m.key("attention.value_length", absorbed ? kv_rank : v_dim);
  if (absorbed) {
    m.key("attention.key_length_mla", nope + rot);
    m.key("attention.value_length_mla", v_dim);
  }
  m.key("leading_dense_block_count", dense);
  m.key("expert_feed_forward_length", e.ff);
  expert_keys(m, e);
  m.key("expert_shared_count", shared);
  if (form != 4) {
    m.key("expert_weights_scale", lite ? 1.0f : 1.8f);
    m.key("expert_weights_norm", !lite);
    m.key("expert_gating_func", lite ? 1u : 2u);
  } else {
    m.key("rope.scaling.attn_factor", 1.1f);
  }
  if (form == 0) {
    m.key("expert_group_count", 4);
    m.key("expert_group_used_count", 2);
  }
  if (form != 3) {
    m.key("rope.scaling.type", "yarn");
    m.key("rope.scaling.factor", lite ? 40.0f : 8.0f);
    m.key("rope.scaling.original_context_length", 24);
    if (form != 4) m.key("rope.scaling.yarn_log_multiplier", lite ? 0.0707f : 0.1f);
  }
  if (form == 0 || form == 2) {
    m.key("attention.temperature_scale", 0.2f);
    m.key("attention.temperature_length", 10);
  }
  const float residual = lite ? 0.5f : 1;  // so many layers
  m.matrix("token_embd", vocab, embd, embedding_gain(false));
  for (uint32_t i = 0; i < layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", embd);
    if (one_step) {
      m.matrix("attn_q", heads * (nope + rot), embd, lite ? kQkGain : 0.9f);
    } else {
      m.matrix("attn_q_a", q_rank, embd);
      m.norm("attn_q_a_norm", q_rank);
      m.matrix("attn_q_b", heads * (nope + rot), q_rank, kQkGain);
    }
    m.matrix("attn_kv_a_mqa", kv_rank + rot, embd, kQkGain);
    m.norm("attn_kv_a_norm", kv_rank);
    if (absorbed) {
      m.stack("attn_k_b", heads, kv_rank, nope,
              std::sqrt(static_cast<float>(nope) / static_cast<float>(kv_rank)) * kQkGain);
      m.stack("attn_v_b", heads, v_dim, kv_rank);
    } else {
      m.matrix("attn_kv_b", heads * (nope + v_dim), kv_rank);
    }
    m.matrix("attn_output", embd, heads * v_dim, residual);
    m.norm("ffn_norm", embd);
    if (i < dense) {
      m.matrix("ffn_gate", ff, embd);
      m.matrix("ffn_up", ff, embd);
      m.matrix("ffn_down", embd, ff, residual);
    } else {
      write_experts(m, embd, e);
      if (!lite) m.vector("exp_probs_b.bias", e.count, 0, 0.2f);
      write_shared_expert(m, embd, e.ff * shared);
    }
  }
  m.at_top();
  m.norm("output_norm", embd);
  m.matrix("output", vocab, embd, kOutputGain);
}

// RoPE of adjacent pairs; experts from a layer on (interleave_moe_layer_step is required and 1);
// softmax, the choice by weight plus exp_probs_b (optional), normalized.
inline void write_ernie4_5_moe(ModelWriter& m) {
  const Sizes s = choose_expert_sizes(m, HeadSize::any, KvHeads::fewer, 4);
  const Experts e = choose_experts(m);
  m.key("expert_feed_forward_length", e.ff);
  m.key("expert_shared_count", 2);
  m.key("expert_shared_feed_forward_length", 2 * e.ff);
  m.key("interleave_moe_layer_step", 1);
  m.key("leading_dense_block_count", 1);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 500000.0f);
  m.matrix("token_embd", s.vocab, s.embd, embedding_gain(true));
  for (uint32_t i = 0; i < s.layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", s.embd);
    write_attention(m, s);
    m.norm("ffn_norm", s.embd);
    if (i < 1) {
      write_gated_ffn(m, s);
    } else {
      write_experts(m, s.embd, e);
      m.vector("exp_probs_b.bias", e.count, 0, 0.2f);
      write_shared_expert(m, s.embd, 2 * e.ff);
    }
  }
  write_end(m, s, true);
}

// gemma4's 26B-A4B: beside the dense feed-forward, experts on another norm of the same input,
// chosen by a third norm without weights, / sqrt(embd), times ffn_gate_inp.scale; softmax,
// normalized, ffn_down_exps.scale by expert. The global layers have other heads, and V is K there,
// before K's norm; V is normed without weights. Scores are not scaled (attention.scale is ignored).
// A file without final_logit_softcapping has one of 30.
inline void write_gemma4_experts(ModelWriter& m) {
  const uint32_t layers = 5, embd = 72, heads = 4, ff = 84, vocab = m.between("vocab", 261, 300);
  const Experts e = {m.between("experts", 5, 8), m.between("used", 2, 3), 44};
  const std::vector<bool> local = {true, true, false, true, false};
  const uint32_t dim[] = {44, 20}, kv[] = {1, 2},
                 rot[] = {44, m.form(2) == 1 ? 12u : 20u};  // global, local
  m.vocabulary(vocab);
  m.key("block_count", layers);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  m.key("embedding_length_per_layer_input", 0);
  m.key("feed_forward_length", ff);
  m.key("attention.head_count", heads);
  std::vector<int32_t> kv_heads;
  for (uint32_t i = 0; i < layers; ++i) kv_heads.push_back(static_cast<int32_t>(kv[local[i]]));
  m.key("attention.head_count_kv", kv_heads);
  m.key("attention.key_length", dim[0]);
  m.key("attention.value_length", dim[0]);
  m.key("attention.key_length_swa", dim[1]);
  m.key("attention.value_length_swa", dim[1]);
  m.key("attention.sliding_window", m.between("window", 7, 15));
  m.key("attention.sliding_window_pattern", local);
  m.key("attention.shared_kv_layers", 0);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.dimension_count", rot[0]);
  m.key("rope.dimension_count_swa", rot[1]);
  m.key("rope.freq_base", 1000000.0f);
  const bool plain = m.form(2) == 1;  // with what may be absent absent
  if (plain) {
    m.key("rope.scaling.type", "linear");  // of global layers
    m.key("rope.scaling.factor", 4.0f);
  } else {
    m.key("rope.freq_base_swa", 5000.0f);
    m.key("final_logit_softcapping", 12.0f);
  }
  m.key("expert_feed_forward_length", e.ff);
  expert_keys(m, e);
  const float root = std::sqrt(static_cast<float>(embd));
  m.matrix("token_embd", vocab, embd, kOutputGain);
  std::vector<float> freqs;
  for (uint32_t p = 0; p < dim[0] / 2; ++p) freqs.push_back(p < 5 ? 1.0f : 1e30f);
  m.values("rope_freqs.weight", std::move(freqs));
  for (uint32_t i = 0; i < layers; ++i) {
    const bool swa = local[i];
    m.at_layer(i);
    m.norm("attn_norm", embd);
    m.matrix("attn_q", heads * dim[swa], embd);
    m.matrix("attn_k", kv[swa] * dim[swa], embd);
    if (swa) m.matrix("attn_v", kv[swa] * dim[swa], embd);
    m.norm("attn_q_norm", dim[swa], swa ? 0.6f : 0.5f);
    m.norm("attn_k_norm", dim[swa], swa ? 0.6f : 0.5f);
    m.matrix("attn_output", embd, heads * dim[swa]);
    m.norm("post_attention_norm", embd, 3);
    m.norm("ffn_norm", embd);
    m.matrix("ffn_gate", ff, embd);
    m.matrix("ffn_up", ff, embd);
    m.matrix("ffn_down", embd, ff);
    m.norm("post_ffw_norm_1", embd);
    m.norm("pre_ffw_norm_2", embd);
    write_router(m, embd, e.count);
    m.vector("ffn_gate_inp.scale", embd, root, root / 5);
    if (plain) {
      m.stack("ffn_gate_exps", e.count, e.ff, embd);
      m.stack("ffn_up_exps", e.count, e.ff, embd);
    } else {
      m.stack("ffn_gate_up_exps", e.count, 2 * e.ff, embd);
    }
    m.stack("ffn_down_exps", e.count, embd, e.ff);
    if (!plain) m.vector("ffn_down_exps.scale", e.count, 1, 0.3f);
    m.norm("post_ffw_norm_2", embd);
    m.norm("post_ffw_norm", embd, 3);
    if (!plain) m.vector("layer_output_scale.weight", 1, 0.8f, 0.1f);
  }
  m.at_top();
  m.norm("output_norm", embd);
}

inline constexpr std::array kExpertModels = {
    ArchitectureModel{"mixtral-1", "llama", write_mixtral, 2},
    ArchitectureModel{"qwen3moe-1", "qwen3moe", write_qwen3moe, 2},
    ArchitectureModel{"qwen3moe-2", "qwen3moe", write_qwen3moe, 1},
    ArchitectureModel{"qwen3moe-scales", "qwen3moe", write_qwen3moe, 3, 1},
    ArchitectureModel{"mellum-1", "mellum", write_mellum, 1},
    ArchitectureModel{"granitemoe-1", "granitemoe", write_granitemoe, 4, 0},
    ArchitectureModel{"granitemoe-shared", "granitemoe", write_granitemoe, 2, 1},
    ArchitectureModel{"olmoe-1", "olmoe", write_olmoe, 1},
    ArchitectureModel{"gpt-oss-1", "gpt-oss", write_gpt_oss, 1},
    ArchitectureModel{"gpt-oss-2", "gpt-oss", write_gpt_oss, 2},
    ArchitectureModel{"deepseek2-groups", "deepseek2", write_deepseek2, 5, 0},
    ArchitectureModel{"deepseek2-lite", "deepseek2", write_deepseek2, 1, 1},
    ArchitectureModel{"deepseek2-lite-old", "deepseek2", write_deepseek2, 4, 2},
    ArchitectureModel{"deepseek2-flash", "deepseek2", write_deepseek2, 4, 3},
    ArchitectureModel{"mellum-keys", "mellum", write_mellum, 7, 1},
    ArchitectureModel{"gpt-oss-keys", "gpt-oss", write_gpt_oss, 3, 1},
    ArchitectureModel{"gpt-oss-unscaled", "gpt-oss", write_gpt_oss, 4, 3},
    ArchitectureModel{"deepseek2-keys", "deepseek2", write_deepseek2, 10, 4},
    ArchitectureModel{"gemma4-experts-keys", "gemma4", write_gemma4_experts, 4, 1},
    ArchitectureModel{"ernie4_5-moe-1", "ernie4_5-moe", write_ernie4_5_moe, 1},
    ArchitectureModel{"gemma4-experts", "gemma4", write_gemma4_experts, 2},
};

}  // namespace random_model

#endif  // INLAY_TESTS_SUPPORT_MODELS_EXPERTS_HPP_
