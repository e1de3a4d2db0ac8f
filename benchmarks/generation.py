"""Tokens per second of cached greedy writing, beside transformers' ``generate`` and the bound of memory bandwidth.

Both write with the same small model of GPT-2's kind (random weights: what is written does not matter for the time), the
same number of tokens behind the same prompts, in turns. The bound: each step reads every weight once, at the speed at
which this machine copies as many bytes; rows that are written side by side share the reading.

    python benchmarks/generation.py --rival PYTHON [--threads 1] [--rounds 5] [--layers 4] [--width 128] [--tokens 128]
                                    [--clock wall|cpu] [--keep]

PYTHON is an interpreter that has transformers; without ``--rival`` only ours is measured. On a machine that others use
as well ``--clock cpu`` with one thread compares the processors' seconds. ``--keep`` adds what was found to
``results/generation.json``, from which the page is made.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch

VOCABULARY, PROMPT, HEADS = 2048, 8, 4
BATCHES = (1, 16)


def asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rival", metavar="PYTHON")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--keep", action="store_true")
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


def seconds(run: Callable[[int], None], rows: int, clock: str) -> float:
    now = process_time if clock == "cpu" else perf_counter
    start = now()
    run(rows)
    return now() - start


def copied(size: int, rounds: int, clock: str) -> float:
    """Bytes a second that a copy of so many bytes reads and writes."""
    source, goal, now = torch.ones(size // 4), torch.empty(size // 4), process_time if clock == "cpu" else perf_counter
    best, times = float("inf"), max(1, 2**28 // size)
    for _ in range(rounds):
        start = now()
        for _ in range(times):
            goal.copy_(source)
        best = min(best, (now() - start) / times)
    return 2 * size / best


def serve(ask: argparse.Namespace) -> None:
    """Time transformers for whoever asks by a line with a number of rows."""
    run = theirs(ask)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(seconds(run, int(line), ask.clock)) + "\n")
        sys.stdout.flush()


class Rival:
    """Transformers in a process of their own."""

    def __init__(self, ask: argparse.Namespace, arguments: list[str]) -> None:
        command = [ask.rival, __file__, *arguments, "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, rows: int) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{rows}\n")
        self.process.stdin.flush()
        return float(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def entry(
    ask: argparse.Namespace, size: int, bandwidth: float, mine: list[float], other: list[float], rows: int
) -> Any:
    """What was found for so many rows; the ratio is the median of neighbouring rounds."""
    speed, bound = rows * ask.tokens / min(mine), rows * bandwidth / size
    found: dict[str, Any] = {
        "tokens_per_second": round(speed), "bound_tokens_per_second": round(bound), "share_of_bound": speed / bound,
        "weight_bytes": size, "copied_bytes_per_second": round(bandwidth),
    }  # fmt: skip
    if other:
        ratios = [b / a for a, b in zip(mine, other, strict=True)]
        found |= {"transformers_tokens_per_second": round(rows * ask.tokens / min(other))}
        found |= {"ratio": median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}
    return found


def told(rows: int, found: dict[str, Any]) -> str:
    share, bound = found["share_of_bound"], found["bound_tokens_per_second"]
    said = f"{rows:3} rows: {found['tokens_per_second']:8,} tokens/s, {share:.1%} of the bound ({bound:,})"
    if "ratio" in found:
        said += f"; transformers {found['transformers_tokens_per_second']:8,}, ours {found['ratio']:.2f} times as fast"
        said += f" ({found['ratio_low']:.2f} … {found['ratio_high']:.2f})"
    return said


def render(entries: list[dict[str, Any]]) -> str:
    """The section of the page."""
    head = """
## Tokens per second

Greedy writing with a cache, a small model of GPT-2's kind with random weights, beside transformers' `generate` with the
same model; rounds in turns, the ratio is the median of neighbouring ones (with range). The goal is 2. The bound is what
reading every weight once a step would allow, at the speed at which the machine copies as many bytes.
"""
    if not entries:
        return f"{head}\nNot measured yet: `make bench NAME=generation`.\n"
    lines = [
        "| rows | model | threads, clock | tokens/s | transformers | ratio | of the bound | date | machine | version |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in entries:
        ratio = f"{one['ratio']:.2f} ({one['ratio_low']:.2f} … {one['ratio_high']:.2f})" if "ratio" in one else ""
        other = f"{one['transformers_tokens_per_second']:,}" if "ratio" in one else ""
        if "ratio" in one and one["ratio"] < 2:
            ratio = f"**{ratio}**"
        lines.append(
            f"| {one['rows']} | {one['layers']} layers, {one['width']} wide | {one['threads']}, {one['clock']} "
            f"| {one['tokens_per_second']:,} | {other} | {ratio} "
            f"| {one['share_of_bound']:.0%} of {one['bound_tokens_per_second']:,} | {one['date']} | {one['machine']} "
            f"| {one['version']}{one.get('rival', '')} |"
        )
    again = "`make bench NAME=generation ARGS='--rival .venv-rivals/bin/python --keep'` measures again."
    return "\n".join([head, *lines, "", again, ""])


def main(arguments: list[str]) -> None:
    ask = asked(arguments)
    torch.set_num_threads(ask.threads)
    torch.manual_seed(0)
    if ask.serve:
        serve(ask)
        return
    run, size = ours(ask)
    rival = Rival(ask, arguments) if ask.rival else None
    bandwidth = copied(size, ask.rounds, ask.clock)
    said = f"{size / 1e6:.1f} MB of weights, {ask.threads} threads; copies read and write {bandwidth / 1e9:.1f} GB/s"
    sys.stdout.write(said + "\n")
    for rows in BATCHES:
        mine, other = [], []
        for _ in range(ask.rounds + 1):  # the first one warms up
            mine.append(seconds(run, rows, ask.clock))
            if rival is not None:
                other.append(rival.seconds(rows))
        found = entry(ask, size, bandwidth, mine[1:], other[1:], rows)
        sys.stdout.write(told(rows, found) + "\n")
        if ask.keep:
            keep(ask, rows, found)
    if rival is not None:
        rival.close()


def keep(ask: argparse.Namespace, rows: int, found: dict[str, Any]) -> None:
    """Add it to the results."""
    from pathlib import Path

    from benchmarks.kept import RESULTS, Kept, ours, pins

    key = {name: getattr(ask, name) for name in ("layers", "width", "tokens", "threads", "clock")} | {"rows": rows}
    if ask.rival and (pinned := pins(Path(ask.rival), ("transformers", "torch"))):
        found = found | {"rival": f"; {pinned}"}
    Kept(RESULTS / "generation.json").add(found | {"version": ours()}, **key)


if __name__ == "__main__":
    sys.path.insert(0, str(__file__).rpartition("/benchmarks/")[0] or ".")
    main(sys.argv[1:])
