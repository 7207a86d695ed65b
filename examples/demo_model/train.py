#!/usr/bin/env python3
"""Train the demo model on SCRATCH/train.txt.

    train.py SCRATCH --decay-at 02:30 --end-at 03:20

The learning rate is constant until --decay-at and falls to zero at --end-at, by the clock, so that
the training ends when one wants it to. Half of the text is seen left to right, half as
<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>M. SCRATCH/checkpoint.pt is written every five minutes
and picked up again when the script is restarted. Needs Debian's python3-torch and, for fast matrix
products, libopenblas0-pthread.
"""
import argparse
import concurrent.futures
import datetime
import os
import pathlib
import random
import time

import torch
from torch.nn import functional as F

from model import Config, Model
from tokenizer import Tokenizer

TOKENS_PER_STEP = 8192
TOKENS_PER_PASS = 2048
SHUFFLED_ROWS = 4000
MUON_RATE, ADAM_RATE, WEIGHT_DECAY = 0.02, 0.003, 0.1
WARM_UP_STEPS = 60
CHECKPOINT_SECONDS = 300
IGNORED = -100


class Rows:
    """An endless stream of training rows: lists of (length + 1) tokens."""

    def __init__(self, documents, tokenizer, length, seed):
        self.documents, self.tokenizer, self.length = documents, tokenizer, length
        self.random = random.Random(seed)
        self.left_to_right = []

    def split(self, text):
        """Cut text into (prefix, middle, suffix) as a cursor in an editor would."""
        size, kind = len(text), self.random.random()
        start = self.random.randrange(size)
        if kind < 0.15:  # any short span
            end = min(size, start + self.random.randint(1, 200))
        else:
            if kind < 0.4:  # from the start of a line, else from within it
                start = text.rfind("\n", 0, start) + 1
            lines = 1 if kind > 0.7 else self.random.randint(1, 10)
            end = start
            for _ in range(lines):
                end = text.find("\n", end + 1)
                if end < 0:
                    end = size
                    break
        suffix = "" if self.random.random() < 0.1 else text[end:]
        return text[:start], text[start:end], suffix

    def fill_in_the_middle(self, text, budget):
        """At most `budget` tokens; what is too much goes off the far ends of prefix and suffix."""
        tok = self.tokenizer
        prefix, middle, suffix = map(tok.encode, self.split(text))
        space = budget - 4 - len(middle)
        if space < 0:
            return []
        kept_suffix = suffix[:max(space // 3, space - len(prefix))]
        kept_prefix = prefix[max(0, len(prefix) - (space - len(kept_suffix))):]
        return [tok.fim_prefix, *kept_prefix, tok.fim_suffix, *kept_suffix,
                tok.fim_middle, *middle, tok.endoftext]

    def rows_of(self, document):
        if self.random.random() < 0.5:
            self.left_to_right += [self.tokenizer.endoftext, *self.tokenizer.encode(document)]
            while len(self.left_to_right) > self.length:
                yield self.left_to_right[:self.length + 1]
                del self.left_to_right[:self.length]
            return
        position, row = 0, []
        while position < len(document):
            characters = self.random.randint(300, 5 * self.length)
            text = document[position:position + characters]
            position += characters
            row += self.fill_in_the_middle(text, self.length + 1 - len(row))
            if len(row) > self.length - 100:
                yield row + [self.tokenizer.fim_pad] * (self.length + 1 - len(row))
                row = []
        if len(row) > self.length // 2:
            yield row + [self.tokenizer.fim_pad] * (self.length + 1 - len(row))

    def __iter__(self):
        shelf = []
        while True:
            self.random.shuffle(self.documents)
            for document in self.documents:
                for row in self.rows_of(document):
                    shelf.append(row)
                    if len(shelf) > SHUFFLED_ROWS * 256 // self.length:
                        i = self.random.randrange(len(shelf))
                        shelf[i], shelf[-1] = shelf[-1], shelf[i]
                        yield shelf.pop()


def orthogonalize(matrices):
    """Newton-Schulz iteration (Muon): each matrix's singular values become about one."""
    x = matrices.bfloat16()
    transposed = x.shape[1] > x.shape[2]
    if transposed:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x.transpose(1, 2) @ x
        x = 3.4445 * x + x @ (-4.7750 * gram + 2.0315 * (gram @ gram))
    return (x.transpose(1, 2) if transposed else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, for the matrices inside the layers."""

    STACK = 5  # matrices of a shape that one thread treats at once

    def __init__(self, parameters, pool, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        self.pool = pool

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            parameters = sorted(group["params"], key=lambda p: p.shape, reverse=True)
            directions = []
            for p in parameters:
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - group["momentum"])
                directions.append(p.grad.lerp(momentum, group["momentum"]))
            stacks = [torch.stack(directions[i:i + self.STACK])
                      for i in range(0, len(directions), self.STACK)]
            updates = [update for stack in self.pool.map(orthogonalize, stacks)
                       for update in stack]
            for p, update in zip(parameters, updates):
                rows, columns = p.shape
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def loss_of(model, rows, pad, dtype=torch.bfloat16):
    """Mean cross-entropy in nats over the rows."""
    tokens = torch.tensor(rows)
    targets = tokens[:, 1:].clone()
    targets[targets == pad] = IGNORED
    logits = model(tokens[:, :-1], dtype)
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def bits_per_byte(model, tokenizer, text, rows=32):
    """A quick estimate; evaluate.py measures properly."""
    ids = tokenizer.encode(text)
    size = model.config.context // 2
    step = len(ids) // rows
    total = sum(loss_of(model, [ids[i * step:i * step + size + 1]], -1).item()
                for i in range(rows)) / rows
    return total / 0.6931 * len(ids) / len(text.encode())


def clock_time(text):
    """The next time, as seconds since the epoch, that a clock shows HH:MM."""
    now = datetime.datetime.now()
    hour, minute = map(int, text.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0)
    return (then if then > now else then + datetime.timedelta(days=1)).timestamp()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("--decay-at", type=clock_time, required=True, metavar="HH:MM")
    parser.add_argument("--end-at", type=clock_time, required=True, metavar="HH:MM")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(1)

    tokenizer = Tokenizer.load(args.scratch / "tokenizer.json")
    documents = (args.scratch / "train.txt").read_text().split("\0")
    held_out = (args.scratch / "heldout.txt").read_text().replace("\0", "")
    # Passes side by side on one thread each waste less time than all threads on one product,
    # above all when the machine has other work too.
    torch.set_num_threads(1)
    pool = concurrent.futures.ThreadPoolExecutor(
        args.threads, initializer=torch.set_num_threads, initargs=(1,))
    model = Model(Config())
    matrices = [p for p in model.blk.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    muon = Muon(matrices, pool, MUON_RATE, weight_decay=WEIGHT_DECAY)
    adam = torch.optim.Adam(others, ADAM_RATE, betas=(0.9, 0.95))
    steps = tokens_seen = seconds = 0
    checkpoint = args.scratch / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        steps, tokens_seen, seconds = state["steps"], state["tokens"], state["seconds"]

    def save():
        new = checkpoint.with_suffix(".new")
        torch.save(dict(model=model.state_dict(), muon=muon.state_dict(), adam=adam.state_dict(),
                        steps=steps, tokens=tokens_seen, seconds=seconds), new)
        os.replace(new, checkpoint)

    parameters = list(model.parameters())

    def loss_and_gradients(batch):
        loss = loss_of(model, batch, tokenizer.fim_pad)
        return loss.item(), torch.autograd.grad(loss, parameters)

    def rows_of_length(length):
        return iter(Rows(documents, tokenizer, length, seed=steps + 1))

    length = model.config.context // 2
    rows = rows_of_length(length)
    started = last_save = time.time() - seconds
    last_save = time.time()
    average = None
    while (now := time.time()) < args.end_at:
        if now > args.decay_at and length < model.config.context:
            length = model.config.context  # the last part is trained on the whole context
            rows = rows_of_length(length)
        rate = min(1, (steps + 1) / WARM_UP_STEPS,
                   (args.end_at - now) / (args.end_at - args.decay_at))
        muon.param_groups[0]["lr"] = MUON_RATE * rate
        muon.param_groups[0]["momentum"] = 0.85 + 0.1 * min(1, steps / 300)
        adam.param_groups[0]["lr"] = ADAM_RATE * rate
        passes = TOKENS_PER_STEP // TOKENS_PER_PASS
        batches = [[next(rows) for _ in range(TOKENS_PER_PASS // length)] for _ in range(passes)]
        results = list(pool.map(loss_and_gradients, batches))
        loss = sum(loss for loss, _ in results) / passes
        for p, *gradients in zip(parameters, *(gradients for _, gradients in results)):
            p.grad = sum(gradients) / passes
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        steps += 1
        tokens_seen += TOKENS_PER_STEP
        seconds = time.time() - started
        average = loss if average is None else 0.98 * average + 0.02 * loss
        if steps % 20 == 0:
            print(f"step {steps} tokens {tokens_seen / 1e6:.2f}M loss {average:.4f} "
                  f"rate {rate:.3f} {tokens_seen / seconds:.0f} tokens/s", flush=True)
        if time.time() - last_save > CHECKPOINT_SECONDS:
            last_save = time.time()
            save()
            print(f"saved; held-out {bits_per_byte(model, tokenizer, held_out):.4f} bits per byte",
                  flush=True)
    save()
    print(f"end: {steps} steps, {tokens_seen} tokens, {seconds:.0f} s, held-out "
          f"{bits_per_byte(model, tokenizer, held_out, 128):.4f} bits per byte")


if __name__ == "__main__":
    main()
