#!/usr/bin/env python3
"""Write the trained model as a GGUF file.

    export.py SCRATCH inlay-demo.gguf              # Q8_0: what is committed
    export.py SCRATCH inlay-demo-f16.gguf --f16    # for comparing engines

Needs Debian's python3-torch and python3-numpy.
"""
import argparse
import pathlib

import torch

import gguf
from gguf import Uint32
from model import Config
from tokenizer import SPECIAL_TOKENS, Tokenizer

FILE_TYPES = {"F16": 1, "Q8_0": 7}  # the values of general.file_type
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3


def metadata_of(config, tokenizer, matrix_type):
    token_types = ([NORMAL_TOKEN] * (config.vocabulary - len(SPECIAL_TOKENS))
                   + [CONTROL_TOKEN] * len(SPECIAL_TOKENS))
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": "inlay demo",
        "general.description": "A small model of C and C++ for examples and tests",
        "general.license": "apache-2.0",
        "general.file_type": Uint32(FILE_TYPES[matrix_type]),
        "general.quantization_version": Uint32(2),
        "llama.block_count": Uint32(config.layers),
        "llama.context_length": Uint32(config.context),
        "llama.embedding_length": Uint32(config.embedding),
        "llama.feed_forward_length": Uint32(config.feed_forward),
        "llama.attention.head_count": Uint32(config.heads),
        "llama.attention.head_count_kv": Uint32(config.kv_heads),
        "llama.attention.layer_norm_rms_epsilon": config.norm_epsilon,
        "llama.rope.freq_base": config.rope_base,
        "llama.rope.dimension_count": Uint32(config.head_size),
        "llama.vocab_size": Uint32(config.vocabulary),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokenizer.token_strings(),
        "tokenizer.ggml.token_type": token_types,
        "tokenizer.ggml.merges": tokenizer.merge_strings(),
        "tokenizer.ggml.bos_token_id": Uint32(tokenizer.endoftext),
        "tokenizer.ggml.eos_token_id": Uint32(tokenizer.endoftext),
        "tokenizer.ggml.padding_token_id": Uint32(tokenizer.fim_pad),
        "tokenizer.ggml.fim_pre_token_id": Uint32(tokenizer.fim_prefix),
        "tokenizer.ggml.fim_suf_token_id": Uint32(tokenizer.fim_suffix),
        "tokenizer.ggml.fim_mid_token_id": Uint32(tokenizer.fim_middle),
        "tokenizer.ggml.fim_pad_token_id": Uint32(tokenizer.fim_pad),
        "tokenizer.ggml.fim_rep_token_id": Uint32(tokenizer.repo_name),
        "tokenizer.ggml.fim_sep_token_id": Uint32(tokenizer.file_sep),
        "tokenizer.ggml.add_bos_token": False,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--f16", action="store_true", help="float16 in place of Q8_0")
    args = parser.parse_args()
    matrix_type = "F16" if args.f16 else "Q8_0"
    tokenizer = Tokenizer.load(args.scratch / "tokenizer.json")
    weights = torch.load(args.scratch / "checkpoint.pt", map_location="cpu")["model"]
    tensors = {name if name.endswith(".weight") else name + ".weight": w.numpy()
               for name, w in weights.items()}
    gguf.write(args.output, metadata_of(Config(), tokenizer, matrix_type), tensors, matrix_type)
    print(f"{args.output}: {args.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
