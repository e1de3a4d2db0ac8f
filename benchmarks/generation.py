"""Tokens per second of cached greedy writing, beside transformers' ``generate`` and the bound of memory bandwidth.

Both write with the same small model of GPT-2's kind (random weights: what is written does not matter for the time), the
same number of tokens behind the same prompts, in turns, the best of several rounds each. The bound: each step reads
every weight once, at the speed at which this machine copies as many bytes.

    python benchmarks/generation.py --rival PYTHON [--threads 1] [--rounds 5] [--layers 4] [--width 128] [--tokens 128]

PYTHON is an interpreter that has transformers; without ``--rival`` only ours is measured. Run on an idle machine.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

import torch

VOCABULARY, PROMPT, HEADS = 2048, 8, 4
BATCHES = (1, 16)


def asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rival", metavar="PYTHON")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    for name, value in (("threads", 1), ("rounds", 5), ("layers", 4), ("width", 128), ("tokens", 128)):
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args(arguments)


def ours(ask: argparse.Namespace) -> tuple[Callable[[int], None], int]:
    """What writes for so many rows, and the model's bytes."""
    from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
    from trueweight.nn.generate import END, Choice
    from trueweight.nn.slots import write

    wishes = DecoderWishes(
        width=ask.width, layers=ask.layers, heads=HEADS, key_value_heads=HEADS, hidden=4 * ask.width, dropout=0.1,
        norm="pre", normalization="layer", activation="gelu", positions="learned", qk_norm=False, tied=True,
        length=PROMPT + ask.tokens + 1,
    )  # fmt: skip
    model = TransformerDecoder(VOCABULARY, None, wishes).eval()
    with torch.no_grad():
        model.embedding.weight[END] = 0  # logit 0 beside others that are above it: texts do not end
    prompt, how = torch.arange(2, 2 + PROMPT), Choice(steps=ask.tokens)

    def run(rows: int) -> None:
        with torch.inference_mode():
            written = sum(len(row_B) for row_B, *_ in write(model, {}, [prompt] * rows, torch.arange(rows), how))
        assert written == rows * ask.tokens, "a text ended early"

    return run, sum(p.numel() * p.element_size() for p in model.parameters())


def theirs(ask: argparse.Namespace) -> Callable[[int], None]:
    """The same by transformers."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=PROMPT + ask.tokens + 1, n_embd=ask.width, n_layer=ask.layers, n_head=HEADS,
        bos_token_id=1, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()

    def run(rows: int) -> None:
        ids = torch.arange(2, 3 + PROMPT).repeat(rows, 1)  # ours begins with a token of its own
        with torch.inference_mode():
            found = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, use_cache=True,
                min_new_tokens=ask.tokens, max_new_tokens=ask.tokens,
            )  # fmt: skip
        assert found.shape[1] == ids.shape[1] + ask.tokens

    return run


def seconds(run: Callable[[int], None], rows: int) -> float:
    start = perf_counter()
    run(rows)
    return perf_counter() - start


def copied(size: int, rounds: int) -> float:
    """Bytes a second that a copy of so many bytes reads and writes."""
    source, goal = torch.ones(size // 4), torch.empty(size // 4)
    best, times = float("inf"), max(1, 2**28 // size)
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(times):
            goal.copy_(source)
        best = min(best, (perf_counter() - start) / times)
    return 2 * size / best


def serve(ask: argparse.Namespace) -> None:
    """Time transformers for whoever asks by a line with a number of rows."""
    run = theirs(ask)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(seconds(run, int(line))) + "\n")
        sys.stdout.flush()


def main(arguments: list[str]) -> None:
    ask = asked(arguments)
    torch.set_num_threads(ask.threads)
    torch.manual_seed(0)
    if ask.serve:
        serve(ask)
        return
    run, size = ours(ask)
    rival = None
    if ask.rival:
        command = [ask.rival, __file__, *arguments, "--serve"]
        rival = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    bandwidth = copied(size, ask.rounds)
    sys.stdout.write(
        f"{size / 1e6:.1f} MB of weights, {ask.threads} threads; copies read and write {bandwidth / 1e9:.1f} GB/s\n"
    )
    for rows in BATCHES:
        mine, other = [], []
        for _ in range(ask.rounds + 1):  # the first one warms up
            mine.append(seconds(run, rows))
            if rival is not None and rival.stdin is not None and rival.stdout is not None:
                rival.stdin.write(f"{rows}\n")
                rival.stdin.flush()
                other.append(float(json.loads(rival.stdout.readline())))
        speed, bound = rows * ask.tokens / min(mine[1:]), rows * bandwidth / size
        told = f"{rows:3} rows: {speed:8,.0f} tokens/s, {speed / bound:.1%} of the bound ({bound:,.0f})"
        if other:
            rate = rows * ask.tokens / min(other[1:])
            told += f"; transformers {rate:8,.0f}, ours {speed / rate:.2f} times as fast"
        sys.stdout.write(told + "\n")
    if rival is not None and rival.stdin is not None:
        rival.stdin.close()
        rival.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
