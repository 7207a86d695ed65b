#!/usr/bin/env python3
"""Byte-level BPE: train the vocabulary, and turn text into tokens.

    tokenizer.py SCRATCH     # SCRATCH/train.txt -> SCRATCH/tokenizer.json

Text is cut by the pre-tokenizer that GGUF files call "qwen2"; bytes are written as GPT-2 does.
Needs Debian's python3-regex.
"""
import argparse
import collections
import heapq
import json
import pathlib
import random

import regex

VOCABULARY_SIZE = 3072
SAMPLE_CHARACTERS = 40_000_000
SPECIAL_TOKENS = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
                  "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]
PRE_TOKENIZER = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_characters():
    """GPT-2's printable stand-in for each of the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    characters = {b: chr(b) for b in printable}
    characters.update({b: chr(256 + i) for i, b in enumerate(others)})
    return [characters[b] for b in range(256)]


class Tokenizer:
    """The vocabulary: ids 0-255 are the bytes, then one id for each merge, then the specials."""

    def __init__(self, merges):
        self.merges = [tuple(merge) for merge in merges]
        self.pair_to_id = {pair: 256 + i for i, pair in enumerate(self.merges)}
        self.token_bytes = [bytes([b]) for b in range(256)]
        for left, right in self.merges:
            self.token_bytes.append(self.token_bytes[left] + self.token_bytes[right])
        for name in SPECIAL_TOKENS:
            setattr(self, name.strip("<|>"), len(self.token_bytes))
            self.token_bytes.append(name.encode())
        self.cache = {}

    @classmethod
    def load(cls, path):
        return cls(json.loads(pathlib.Path(path).read_text())["merges"])

    def save(self, path):
        pathlib.Path(path).write_text(json.dumps({"merges": self.merges}))

    def encode_word(self, word):
        """Apply the merges to one pre-token, lowest rank first."""
        ids = list(word.encode())
        while len(ids) > 1:
            best = min((self.pair_to_id.get(pair, 1 << 30), i)
                       for i, pair in enumerate(zip(ids, ids[1:])))
            if best[0] == 1 << 30:
                break
            ids[best[1]:best[1] + 2] = [best[0]]
        return ids

    def encode(self, text):
        ids = []
        for word in PRE_TOKENIZER.findall(text):
            if word not in self.cache:
                self.cache[word] = self.encode_word(word)
            ids += self.cache[word]
        return ids

    def decode(self, ids):
        return b"".join(self.token_bytes[i] for i in ids)

    def token_strings(self):
        """The tokens as a GGUF file spells them."""
        characters = byte_characters()
        count = len(self.token_bytes) - len(SPECIAL_TOKENS)
        return ["".join(characters[b] for b in token)
                for token in self.token_bytes[:count]] + SPECIAL_TOKENS

    def merge_strings(self):
        strings = self.token_strings()
        return [f"{strings[left]} {strings[right]}" for left, right in self.merges]


def train(texts, vocabulary_size):
    """Learn merges: again and again the most frequent pair of neighbours becomes a token."""
    counts = collections.Counter()
    for text in texts:
        counts.update(PRE_TOKENIZER.findall(text))
    words = [(list(word.encode()), count) for word, count in counts.items() if count > 1]
    pairs, places = collections.Counter(), collections.defaultdict(set)
    for index, (ids, count) in enumerate(words):
        for pair in zip(ids, ids[1:]):
            pairs[pair] += count
            places[pair].add(index)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < vocabulary_size - 256 - len(SPECIAL_TOKENS):
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair]:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        new_id = 256 + len(merges)
        merges.append(pair)
        changed = set()
        for index in places.pop(pair):
            ids, word_count = words[index]
            for old in zip(ids, ids[1:]):
                pairs[old] -= word_count
            i = 0
            while i < len(ids) - 1:
                if (ids[i], ids[i + 1]) == pair:
                    ids[i:i + 2] = [new_id]
                i += 1
            for new in zip(ids, ids[1:]):
                pairs[new] += word_count
                places[new].add(index)
                changed.add(new)
        for new in changed:
            heapq.heappush(heap, (-pairs[new], new))
    return Tokenizer(merges)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scratch", type=pathlib.Path)
    args = parser.parse_args()
    documents = (args.scratch / "train.txt").read_text().split("\0")
    random.Random(1).shuffle(documents)
    sample, size = [], 0
    while documents and size < SAMPLE_CHARACTERS:
        sample.append(documents.pop())
        size += len(sample[-1])
    tokenizer = train(sample, VOCABULARY_SIZE)
    tokenizer.save(args.scratch / "tokenizer.json")
    held_out = (args.scratch / "heldout.txt").read_text().replace("\0", "")
    ids = tokenizer.encode(held_out)
    assert tokenizer.decode(ids) == held_out.encode()
    print(f"{len(held_out.encode()) / len(ids):.3f} bytes per token on the held-out files")


if __name__ == "__main__":
    main()
