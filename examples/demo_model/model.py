"""The model: a Llama decoder of 3.7 million parameters, written for training on a CPU."""
import dataclasses

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass
class Config:
    vocabulary: int = 3072
    embedding: int = 256
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 64
    feed_forward: int = 512
    context: int = 1024
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5


def rotations(config, length):
    """cos + i sin of each position and each pair of neighbouring elements of a head."""
    frequency = config.rope_base ** (-torch.arange(0, config.head_size, 2) / config.head_size)
    angle = torch.outer(torch.arange(length), frequency)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x, rotation):
    """RoPE on x [batch, time, head, element], pairs being neighbours as in GGUF's "llama"."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation[:, None]).flatten(-2).to(x.dtype)


class Norm(nn.Module):
    """RMSNorm: computed in float32, returned in the type of its input."""

    def __init__(self, config):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.embedding))
        self.epsilon = config.norm_epsilon

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.epsilon)
        return (y * self.weight).to(x.dtype)


class Linear(nn.Module):
    """A matrix without bias. The product is computed in the type of the input."""

    def __init__(self, inputs, outputs, scale=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * scale * inputs ** -0.5)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Layer(nn.Module):
    QUERY_BLOCK = 128

    def __init__(self, config):
        super().__init__()
        self.config = config
        query_size = config.heads * config.head_size
        kv_size = config.kv_heads * config.head_size
        self.attn_norm = Norm(config)
        self.attn_q = Linear(config.embedding, query_size, 0.5)
        self.attn_k = Linear(config.embedding, kv_size, 0.5)
        self.attn_v = Linear(config.embedding, kv_size, 0.5)
        self.attn_output = Linear(query_size, config.embedding, 0.05)
        self.ffn_norm = Norm(config)
        self.ffn_gate = Linear(config.embedding, config.feed_forward, 0.5)
        self.ffn_up = Linear(config.embedding, config.feed_forward, 0.5)
        self.ffn_down = Linear(config.feed_forward, config.embedding, 0.05)

    def attention(self, x, rotation):
        """Causal attention, a block of queries at a time so that half of the work is left out."""
        config = self.config
        batch, time, _ = x.shape
        group = config.heads // config.kv_heads
        q = self.attn_q(x).view(batch, time, config.heads, config.head_size)
        k = self.attn_k(x).view(batch, time, config.kv_heads, config.head_size)
        v = self.attn_v(x).view(batch, time, config.kv_heads, config.head_size)
        q = rotate(q * config.head_size ** -0.5, rotation)
        k = rotate(k, rotation)
        q = q.view(batch, time, config.kv_heads, group, -1).permute(0, 2, 3, 1, 4)
        k = k.permute(0, 2, 3, 1).reshape(batch * config.kv_heads, config.head_size, time)
        v = v.permute(0, 2, 1, 3).reshape(batch * config.kv_heads, time, config.head_size)
        outputs = []
        for start in range(0, time, self.QUERY_BLOCK):
            end = min(start + self.QUERY_BLOCK, time)
            mask = torch.full((end - start, end), float("-inf")).triu(start + 1).to(x.dtype)
            block = q[:, :, :, start:end].reshape(batch * config.kv_heads, -1, config.head_size)
            scores = torch.bmm(block, k[:, :, :end]).unflatten(1, (group, -1)) + mask
            mixed = torch.bmm(scores.softmax(-1).flatten(1, 2), v[:, :end])
            outputs.append(mixed.view(batch, config.kv_heads, group, end - start, -1))
        mixed = torch.cat(outputs, 3).permute(0, 3, 1, 2, 4).reshape(batch, time, -1)
        return self.attn_output(mixed)

    def forward(self, x, rotation):
        x = x + self.attention(self.attn_norm(x), rotation)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Parameter(torch.randn(config.vocabulary, config.embedding) * 0.02)
        self.blk = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.output_norm = Norm(config)

    def forward(self, tokens, dtype=torch.float32):
        """Logits [batch, time, vocabulary] of the token after each of tokens [batch, time]."""
        rotation = rotations(self.config, tokens.shape[1])
        x = F.embedding(tokens, self.token_embd).to(dtype)
        for layer in self.blk:
            x = layer(x, rotation)
        return F.linear(self.output_norm(x), self.token_embd.to(dtype))
