#!/usr/bin/env python3
"""Complete C++ with the exported model, without any engine: greedily, and slowly.

    complete.py SCRATCH inlay-demo.gguf --tokens 64 < text

Where the text says `<CURSOR>`, what belongs there is filled in.
Prints the ids of the prompt, those of the completion, and the completion.
"""
import argparse
import pathlib
import sys

import torch

from evaluate import load_model
from tokenizer import Tokenizer


def prompt_ids(tokenizer, text):
    prefix, cursor, suffix = text.partition("<CURSOR>")
    if not cursor:
        return tokenizer.encode(prefix)
    return [tokenizer.fim_prefix, *tokenizer.encode(prefix), tokenizer.fim_suffix,
            *tokenizer.encode(suffix), tokenizer.fim_middle]


@torch.no_grad()
def greedy(model, ids, count, end):
    """The `count` most likely next tokens, one by one, or fewer if the text ends."""
    ids, start = list(ids), len(ids)
    while len(ids) < start + count:
        logits = model(torch.tensor([ids[-model.config.context:]]))[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] == end:
            break
    return ids[start:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()
    tokenizer, model = Tokenizer.load(args.scratch / "tokenizer.json"), load_model(args.model)
    prompt = prompt_ids(tokenizer, sys.stdin.read())
    completion = greedy(model, prompt, args.tokens, tokenizer.endoftext)
    print(*prompt)
    print(*completion)
    print(tokenizer.decode(completion).decode(errors="replace"))


if __name__ == "__main__":
    main()
