#!/usr/bin/env python3
"""Measure the exported model on the held-out files, beside `xz -9e` and an n-gram model.

    evaluate.py SCRATCH inlay-demo.gguf

Prints bits per byte. Each file starts afresh; each of its bytes is predicted with at least 256
tokens before it where the file has them. Needs Debian's python3-torch, g++ and xz.
"""
import argparse
import concurrent.futures
import math
import pathlib
import random
import subprocess

import torch
from torch.nn import functional as F

import gguf
from model import Config, Model
from tokenizer import Tokenizer

LEAST_CONTEXT = 256
MIDDLES = 200
THREADS = 2


def load_model(path):
    """The model with the weights as the file holds them, that is quantized."""
    weights = gguf.Reader(path).tensors
    model = Model(Config())
    model.load_state_dict({name: torch.tensor(weights.get(name, weights.get(f"{name}.weight")))
                           for name in model.state_dict()})
    return model.eval()


@torch.no_grad()
def bits_of(model, ids, start):
    """Bits that the model needs for ids[start:], having seen what is before."""
    logits = model(torch.tensor([ids[:-1]]))[0, start - 1:]
    return F.cross_entropy(logits, torch.tensor(ids[start:]), reduction="sum").item() / math.log(2)


def bits_of_document(model, tokenizer, text):
    ids = [tokenizer.endoftext, *tokenizer.encode(text)]
    bits, done, window = 0, 1, model.config.context
    while done < len(ids):
        start = max(0, done - LEAST_CONTEXT) if done > 1 else 0
        bits += bits_of(model, ids[start:start + window + 1], done - start)
        done = min(len(ids), start + window + 1)
    return bits


def middle_bits(model, tokenizer, documents):
    """Bits per byte of ends of lines, with the text before them and with that after them too."""
    chooser = random.Random(1)
    before = both = size = count = 0
    while count < MIDDLES:
        text = chooser.choice(documents)
        start = chooser.randrange(len(text))
        end = text.find("\n", start)
        if end <= start:
            continue
        count += 1
        prefix = tokenizer.encode(text[:start])[-300:]
        suffix = tokenizer.encode(text[end:])[:150]
        middle = tokenizer.encode(text[start:end])[:100]
        size += len(tokenizer.decode(middle))
        before += bits_of(model, prefix + middle, max(1, len(prefix)))
        head = [tokenizer.fim_prefix, *prefix, tokenizer.fim_suffix, *suffix, tokenizer.fim_middle]
        both += bits_of(model, head + middle, len(head))
    return before / size, both / size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    documents = (args.scratch / "heldout.txt").read_text().split("\0")
    joined = "".join(documents).encode()
    print(f"held out: {len(documents)} files, {len(joined)} bytes")

    packed = subprocess.run(["xz", "-9e"], input=joined, capture_output=True,
                            check=True).stdout
    print(f"{8 * len(packed) / len(joined):.4f} xz -9e", flush=True)

    model, tokenizer = load_model(args.model), Tokenizer.load(args.scratch / "tokenizer.json")
    with concurrent.futures.ThreadPoolExecutor(
            THREADS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        bits = sum(pool.map(lambda text: bits_of_document(model, tokenizer, text), documents))
    print(f"{bits / len(joined):.4f} {args.model.name}", flush=True)
    before, both = middle_bits(model, tokenizer, documents)
    print(f"ends of lines: {before:.4f} from the text before, {both:.4f} with the text after too",
          flush=True)

    program = (args.scratch / "ngram").resolve()
    source = pathlib.Path(__file__).with_name("ngram.cpp")
    subprocess.run(["g++", "-O2", "-std=c++17", source, "-o", program], check=True)
    print("order-5 n-gram:", flush=True)
    subprocess.run([program, args.scratch / "train.txt", args.scratch / "heldout.txt"], check=True)


if __name__ == "__main__":
    main()
