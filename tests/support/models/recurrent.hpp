// Models with recurrent layers, alone or beside attention.
#ifndef INLAY_TESTS_SUPPORT_MODELS_RECURRENT_HPP_
#define INLAY_TESTS_SUPPORT_MODELS_RECURRENT_HPP_

#include <array>
#include <cstdint>
#include <vector>

#include "experts.hpp"
#include "model_writer.hpp"

namespace random_model {

// The gated delta rule beside attention with gated outputs. Found of llama.cpp 0.7.0:
// - value head h of the delta rule uses key head h % group_count (Mamba-2: h / (heads / groups));
// - q and k are x / sqrt(sum of squares + layer_norm_rms_epsilon), q besides / sqrt(state_size);
// - first the state decays, then it changes by the delta, then it is read;
// - attn_q has for each head its rows of q and then those of its gate; sigmoid(gate) is multiplied
//   before attn_output;
// - expert_weights_norm, _scale, _gating_func and attention.scale are not read: softmax,
// normalized. Forms: 0 with the default way to say which layers are attention, 1 with a list of
// them, tied, 2 with a last layer that guesses a token ahead and is not used; a file of qwen35moe
// has experts.
inline void write_qwen35_any(ModelWriter& m, bool moe) {
  const uint32_t form = m.form(3);
  const bool listed = form == 1, scaled = form == 2;
  const uint32_t layers = moe ? 4 : 5, embd = m.choose<uint32_t>("embd", {72, 80}), heads = 3,
                 kv_heads = 1, dim = 40, ff = 100, vocab = m.between("vocab", 261, 300);
  const uint32_t groups = m.between("groups", 2, 3),
                 times = moe && !listed ? 1 : m.between("times", 2, 3);
  const uint32_t state = m.choose<uint32_t>("state", {16, 20, 24}), v_heads = groups * times,
                 inner = v_heads * state, channels = 2 * groups * state + inner;
  const Experts e = {m.between("experts", 5, 8), m.between("used", 2, 3), 40};
  m.vocabulary(vocab);
  const uint32_t ahead = scaled ? 1 : 0;
  m.key("block_count", layers + ahead);
  if (ahead > 0) m.key("nextn_predict_layers", ahead);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  if (!moe) m.key("feed_forward_length", ff);
  m.key("attention.head_count", heads);
  m.key("attention.head_count_kv", kv_heads);
  m.key("attention.key_length", dim);
  m.key("attention.value_length", dim);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 1000.0f);
  if (scaled) {
    m.key("rope.scaling.type", "yarn");
    m.key("rope.scaling.factor", 4.0f);
    m.key("rope.scaling.original_context_length", 24);
  } else {
    m.key("rope.dimension_count", 24);  // absent: the size of a head
  }
  // Each pair of a head belongs to a section by its number modulo 3; of 6, 4, 2 the third section
  // ends before pairs 8 and 11. Such take the fourth position, which is 0 in text: no rotation.
  m.key("rope.dimension_sections", scaled ? std::vector<int32_t>{7, 7, 6, 0}
                                   : moe  ? std::vector<int32_t>{4, 4, 4, 0}
                                          : std::vector<int32_t>{6, 4, 2, 0});
  m.key("ssm.conv_kernel", 4);
  m.key("ssm.inner_size", inner);
  m.key("ssm.state_size", state);
  m.key("ssm.time_step_rank", v_heads);
  m.key("ssm.group_count", groups);
  std::vector<bool> recurrent;
  for (uint32_t i = 0; i < layers + ahead; ++i)
    recurrent.push_back(listed ? i != 1 && i != 2 : (i + 1) % 3 != 0 && i < layers);
  if (listed)
    m.key("attention.recurrent_layers", recurrent);
  else
    m.key("full_attention_interval", 3);
  if (moe) {
    expert_keys(m, e);
    m.key("expert_feed_forward_length", e.ff);
    m.key("expert_shared_feed_forward_length", 56);
  }
  m.matrix("token_embd", vocab, embd, embedding_gain(listed));
  for (uint32_t i = 0; i < layers + ahead; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", embd);
    if (recurrent[i]) {
      m.matrix("attn_qkv", channels, embd, 1.5f);
      m.matrix("attn_gate", inner, embd);
      m.matrix_f32("ssm_conv1d", channels, 4, 1.5f);
      // Decays of exp(ssm_a * softplus(alpha + dt)) between 0.5 and 1.
      m.vector("ssm_dt.bias", v_heads, -1.5f, 0.5f);
      m.vector("ssm_a", v_heads, -1, 0.2f);
      m.matrix("ssm_beta", v_heads, embd, 1.5f);
      m.matrix("ssm_alpha", v_heads, embd);
      m.norm("ssm_norm", state);
      m.matrix("ssm_out", embd, inner, 2);
    } else {
      m.matrix("attn_q", 2 * heads * dim, embd);
      m.matrix("attn_k", kv_heads * dim, embd);
      m.matrix("attn_v", kv_heads * dim, embd);
      m.norm("attn_q_norm", dim, 1.4f);
      m.norm("attn_k_norm", dim, 1.4f);
      m.matrix("attn_output", embd, heads * dim, 2);
    }
    m.norm("post_attention_norm", embd);
    if (moe) {
      write_experts(m, embd, e);
      m.vector("ffn_gate_inp_shexp.weight", embd, 0, 0.15f);
      write_shared_expert(m, embd, 56);
    } else {
      m.matrix("ffn_gate", ff, embd);
      m.matrix("ffn_up", ff, embd);
      m.matrix("ffn_down", embd, ff);
    }
    if (i < layers) continue;
    m.matrix("nextn.eh_proj", embd, 2 * embd);
    m.norm("nextn.enorm", embd);
    m.norm("nextn.hnorm", embd);
  }
  m.at_top();
  m.norm("output_norm", embd);
  if (!listed) m.matrix("output", vocab, embd, kOutputGain);
}
inline void write_qwen35(ModelWriter& m) { write_qwen35_any(m, false); }
inline void write_qwen35moe(ModelWriter& m) { write_qwen35_any(m, true); }

// No feed-forward and no attention: those keys may be 0 or absent. Forms: 0 mamba, 1 falcon-mamba
// (norms without weights of dt, B and C), tied.
inline void write_mamba(ModelWriter& m) {
  const bool norms = m.form(2) == 1;
  const uint32_t layers = 3, embd = m.choose<uint32_t>("embd", {64, 72, 84}), inner = 2 * embd,
                 state = m.choose<uint32_t>("state", {8, 12, 16}), rank = m.between("rank", 3, 6),
                 vocab = m.between("vocab", 261, 300);
  m.vocabulary(vocab);
  m.key("block_count", layers);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  m.key("feed_forward_length", 0);
  m.key("attention.head_count", 0);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("ssm.conv_kernel", 4);
  m.key("ssm.inner_size", inner);
  m.key("ssm.state_size", state);
  m.key("ssm.time_step_rank", rank);
  if (norms) m.key("ssm.dt_b_c_rms", true);
  m.matrix("token_embd", vocab, embd, embedding_gain(norms));
  for (uint32_t i = 0; i < layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", embd);
    m.matrix("ssm_in", 2 * inner, embd, 1.2f);
    m.matrix_f32("ssm_conv1d", inner, 4, 1.5f);
    m.bias("ssm_conv1d", inner);
    m.matrix("ssm_x", rank + 2 * state, inner, 1.3f);
    m.matrix("ssm_dt", inner, rank);
    m.vector("ssm_dt.bias", inner, -1, 0.5f);
    m.tensor("ssm_a", Type::f32, {state, inner}, -1.5f, 0.4f);
    m.vector("ssm_d", inner, 0.7f, 0.3f);
    m.matrix("ssm_out", embd, inner, 2);
  }
  m.at_top();
  m.norm("output_norm", embd);
  if (!norms) m.matrix("output", vocab, embd, kOutputGain);
}

struct Mamba2Sizes {
  uint32_t inner, state, heads, groups;
};
inline void mamba2_keys(ModelWriter& m, const Mamba2Sizes& s) {
  m.key("ssm.conv_kernel", 4);
  m.key("ssm.inner_size", s.inner);
  m.key("ssm.state_size", s.state);
  m.key("ssm.time_step_rank", s.heads);
  m.key("ssm.group_count", s.groups);
}
inline void write_mamba2_mixer(ModelWriter& m, uint32_t embd, const Mamba2Sizes& s) {
  const uint32_t channels = s.inner + 2 * s.groups * s.state;
  m.matrix("ssm_in", s.inner + channels + s.heads, embd, 1.5f);
  m.matrix_f32("ssm_conv1d", channels, 4, 1.5f);
  m.bias("ssm_conv1d", channels);
  m.vector("ssm_dt.bias", s.heads, -1, 0.5f);
  m.tensor("ssm_a", Type::f32, {1, s.heads}, -1.5f, 0.4f);
  m.tensor("ssm_d", Type::f32, {1, s.heads}, 0.7f, 0.3f);
  m.tensor("ssm_norm.weight", Type::f32, {s.inner / s.groups, s.groups}, 1, 0.15f);
  m.matrix("ssm_out", embd, s.inner, 2);
}

// The gate before the norm: rms(y * silu(z)) per group.
inline void write_mamba2(ModelWriter& m) {
  const uint32_t layers = 3, embd = m.choose<uint32_t>("embd", {64, 80, 96}),
                 heads = m.choose<uint32_t>("heads", {4, 8, 16}),
                 vocab = m.between("vocab", 261, 300);
  const Mamba2Sizes s = {2 * embd, m.choose<uint32_t>("state", {20, 24, 28}), heads,
                         m.between("groups", 1, 2)};
  m.vocabulary(vocab);
  m.key("block_count", layers);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  m.key("feed_forward_length", 0);
  m.key("attention.head_count", 0);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  mamba2_keys(m, s);
  m.matrix("token_embd", vocab, embd, embedding_gain(false));
  for (uint32_t i = 0; i < layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", embd);
    write_mamba2_mixer(m, embd, s);
  }
  m.at_top();
  m.norm("output_norm", embd);
  m.matrix("output", vocab, embd, kOutputGain);
}

// Short convolutions beside attention, in_proj gives b, c and x in this order, the convolution runs
// over b * x without bias and activation, its output times c goes to out_proj; a layer without KV
// heads is a convolution. token_embd_norm is the norm before the output. A file of lfm2moe has
// experts after the leading dense layers: sigmoid, the choice by weight plus exp_probs_b,
// normalized. Form 1: attention has a window.
inline void write_lfm2_any(ModelWriter& m, bool moe) {
  const uint32_t layers = 5, heads = m.choose<uint32_t>("heads", {4, 5}), dim = 16,
                 embd = heads * dim, kv_heads = m.choose<uint32_t>("kv", {1, heads}), ff = 100,
                 vocab = m.between("vocab", 261, 300), taps = m.between("taps", 3, 4);
  const Experts e = {m.between("experts", 5, 8), 2, 44};
  std::vector<int32_t> kv;
  for (uint32_t i = 0; i < layers; ++i)
    kv.push_back(i == 1 || i == 4 ? static_cast<int32_t>(kv_heads) : 0);
  m.vocabulary(vocab);
  m.key("block_count", layers);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  m.key("feed_forward_length", ff);
  m.key("vocab_size", vocab);
  m.key("attention.head_count", heads);
  m.key("attention.head_count_kv", kv);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 1000000.0f);
  m.key("shortconv.l_cache", taps);
  if (m.form(2) == 1) {
    m.key("attention.sliding_window", 7);
    m.key("attention.sliding_window_pattern", 2);  // ignored
  }
  if (moe) {
    m.key("leading_dense_block_count", 2);
    expert_keys(m, e);
    m.key("expert_feed_forward_length", e.ff);
    m.key("expert_gating_func", 2);
  }
  m.matrix("token_embd", vocab, embd, embedding_gain(true));
  for (uint32_t i = 0; i < layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", embd);
    if (kv[i] > 0) {
      m.matrix("attn_q", embd, embd);
      m.matrix("attn_k", kv_heads * dim, embd);
      m.matrix("attn_v", kv_heads * dim, embd);
      m.norm("attn_q_norm", dim, 1.4f);
      m.norm("attn_k_norm", dim, 1.4f);
      m.matrix("attn_output", embd, embd);
    } else {
      m.matrix("shortconv.in_proj", 3 * embd, embd);
      m.matrix_f32("shortconv.conv", embd, taps, 1.5f);
      m.matrix("shortconv.out_proj", embd, embd);
    }
    m.norm("ffn_norm", embd);
    if (moe && i >= 2) {
      write_experts(m, embd, e);
      m.vector("exp_probs_b.bias", e.count, 0, 0.3f);
    } else {
      m.matrix("ffn_gate", ff, embd);
      m.matrix("ffn_up", ff, embd);
      m.matrix("ffn_down", embd, ff);
    }
  }
  m.at_top();
  m.norm("token_embd_norm", embd);
}
inline void write_lfm2(ModelWriter& m) { write_lfm2_any(m, false); }
inline void write_lfm2moe(ModelWriter& m) { write_lfm2_any(m, true); }

// Mamba-2 beside attention with granite's four scales (absent: 1, and 1 / sqrt(head size) for
// attention). rope.scaling.finetuned says whether there is RoPE; absent, there is. Forms: 0 dense,
// without RoPE, tied; 1 with experts (softmax, normalized), a shared expert and RoPE; 2 without
// those keys.
inline void write_granitehybrid(ModelWriter& m) {
  const uint32_t form = m.form(3);
  const bool moe = form == 1, plain = form == 2;
  const uint32_t layers = 4, dim = 16, heads = 5, embd = heads * dim, kv_heads = moe ? heads : 1,
                 ff = 52, vocab = m.between("vocab", 261, 300);
  const Mamba2Sizes s = {2 * embd, 20, 10, moe ? 2u : 1u};
  const Experts e = {5, 2, ff};
  std::vector<int32_t> kv;
  for (uint32_t i = 0; i < layers; ++i)
    kv.push_back(i == (moe ? 3u : 1u) ? static_cast<int32_t>(kv_heads) : 0);
  m.vocabulary(vocab);
  m.key("block_count", layers);
  m.key("context_length", 512);
  m.key("embedding_length", embd);
  m.key("feed_forward_length", ff);
  m.key("vocab_size", vocab);
  m.key("attention.head_count", heads);
  m.key("attention.head_count_kv", kv);
  m.key("attention.layer_norm_rms_epsilon", kEpsilon);
  m.key("rope.freq_base", 10000.0f);
  m.key("rope.dimension_count", dim);
  if (!plain) {
    m.key("rope.scaling.finetuned", moe);
    m.key("embedding_scale", 1.7f);
    m.key("residual_scale", 0.6f);
    m.key("logit_scale", moe ? 0.9f : 0.5f);
    m.key("attention.scale", 0.4f);
  }
  mamba2_keys(m, s);
  if (moe) {
    expert_keys(m, e);
    m.key("expert_shared_feed_forward_length", 36);
  }
  m.matrix("token_embd", vocab, embd, moe ? 4 : plain ? kOutputGain : 1.5f);
  for (uint32_t i = 0; i < layers; ++i) {
    m.at_layer(i);
    m.norm("attn_norm", embd);
    if (kv[i] > 0) {
      m.matrix("attn_q", embd, embd);
      m.matrix("attn_k", kv_heads * dim, embd);
      m.matrix("attn_v", kv_heads * dim, embd);
      m.matrix("attn_output", embd, embd);
    } else {
      write_mamba2_mixer(m, embd, s);
    }
    m.norm("ffn_norm", embd);
    if (moe) {
      write_experts(m, embd, e);
      write_shared_expert(m, embd, 36);
    } else {
      m.matrix("ffn_gate", ff, embd);
      m.matrix("ffn_up", ff, embd);
      m.matrix("ffn_down", embd, ff);
    }
  }
  m.at_top();
  m.norm("output_norm", embd);
  if (moe) m.matrix("output", vocab, embd, kOutputGain);
}

inline constexpr std::array kRecurrentModels = {
    ArchitectureModel{"qwen35-1", "qwen35", write_qwen35, 4, 0},
    ArchitectureModel{"qwen35-listed", "qwen35", write_qwen35, 2, 1},
    ArchitectureModel{"qwen35-yarn", "qwen35", write_qwen35, 3, 2},
    ArchitectureModel{"qwen35moe-1", "qwen35moe", write_qwen35moe, 1, 0},
    ArchitectureModel{"qwen35moe-listed", "qwen35moe", write_qwen35moe, 2, 1},
    ArchitectureModel{"mamba-1", "mamba", write_mamba, 12, 0},
    ArchitectureModel{"falcon-mamba", "mamba", write_mamba, 2, 1},
    ArchitectureModel{"mamba2-1", "mamba2", write_mamba2, 1},
    ArchitectureModel{"mamba2-2", "mamba2", write_mamba2, 2},
    ArchitectureModel{"lfm2-1", "lfm2", write_lfm2, 1},
    ArchitectureModel{"lfm2-2", "lfm2", write_lfm2, 2},
    ArchitectureModel{"lfm2-window", "lfm2", write_lfm2, 4, 1},
    ArchitectureModel{"lfm2moe-1", "lfm2moe", write_lfm2moe, 1},
    ArchitectureModel{"granitehybrid-1", "granitehybrid", write_granitehybrid, 1, 0},
    ArchitectureModel{"granitehybrid-plain", "granitehybrid", write_granitehybrid, 3, 2},
    ArchitectureModel{"granitehybrid-experts", "granitehybrid", write_granitehybrid, 7, 1},
};

}  // namespace random_model

#endif  // INLAY_TESTS_SUPPORT_MODELS_RECURRENT_HPP_
