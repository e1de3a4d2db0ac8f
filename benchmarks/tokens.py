"""Tokens a second that a language model learns from: ours, a loop by hand, transformers' Trainer.

    make bench NAME=tokens
    python -m benchmarks tokens [--python .venv-rivals/bin/python] [--pairs 15] [--chunk 4] [--threads 2]

One model of GPT's kind, written as a spec and by hand in plain PyTorch (``tokens_rivals.py``; the numbers of weights
are held equal), learns from texts of many lengths. Ours lays rows end to end and lets none see another; the loop by
hand cuts lines that see whatever stands before, which is less work; so does the Trainer, which trains the module
written by hand. All take steps of as many tokens, none of which is padding, with one fused AdamW.

They run in turns, ours, by hand, the Trainer and backwards, and the ratios of each turn count; the first turn warms up.
Ours holds what every fit does: a guard against divergence, a running average, a snapshot to go back to.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.kept import HERE, RESULTS, Entry, Kept, ours, pins
from benchmarks.tokens_rivals import RATE, LanguageModel, Sizes, seconds_by_hand
from torch import Tensor

from trueweight.api.request import make_request
from trueweight.data.feed import Feed
from trueweight.data.packing import Packing
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.spec.run import RunSpec
from trueweight.train.build import untrained
from trueweight.train.encoded import encode
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.plan import MemberPlan
from trueweight.train.prepare import Prepared, prepare

GOALS = {"hand": 0.98, "trainer": 1.0}
"""Ours over theirs, at least."""
TOKENS, LINE = 2048, 512
"""Of a step, and of a line of those who cut lines: as many as the model has places for, or it would not learn them."""
WIDTH, LAYERS, HEADS, VOCABULARY = 128, 4, 4, 2048
SAID = {"hand": "a loop by hand", "trainer": "transformers' Trainer"}


def texts(rows: int) -> pd.DataFrame:
    """Of words as frequent as words are (Zipf), 10 to 250 of them."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(1, 9, 5000)])
    share = 1 / np.arange(1, len(words) + 1)
    cells = [" ".join(rng.choice(words, n, p=share / share.sum())) for n in rng.integers(10, 250, rows)]
    return pd.DataFrame({"text": cells})


@dataclass(frozen=True)
class Ours:
    """The spec's model; each fit takes a fresh one."""

    ready: Prepared
    encoded: Any

    @classmethod
    def of(cls, frame: pd.DataFrame, *, width: int = WIDTH, layers: int = LAYERS, size: int = VOCABULARY) -> "Ours":
        """Read, learn the tokens, encode."""
        decoder = {"type": "transformer", "width": width, "layers": layers, "heads": HEADS, "dropout": 0.0}
        target = {"type": "text", "vocabulary_size": size, "max_tokens": LINE, "decoder": decoder}
        train = {"budget": {"steps": 1}, "optimizer": {"type": "adamw", "learning_rate": RATE}}
        raw = {"version": 1, "targets": {"text": target}, "train": train, "split": {"test": 0.1}}
        request = make_request(frame, None, RunSpec.model_validate(raw), {}, [], None)
        ready = prepare(request.table, request.spec)
        return cls(ready, encode(ready, keep=False))

    def leaf(self) -> NetworkPredictor:
        """With its first weights."""
        assert self.ready.spec.model.members
        return untrained(self.ready, self.encoded.fields, self.ready.spec.model.members[0])

    @property
    def train(self) -> Feed:
        """The rows that train."""
        feed: Feed = self.encoded.feed(self.ready.split.train)
        return feed

    def seconds(self, tokens: int, steps: int) -> float:
        """Of a step, over the real fitter."""
        leaf, feed = self.leaf(), self.train
        plan = MemberPlan(
            name="m", steps=steps, batch_size=8, epochs=1.0, validate_every=steps, checkpoint_every=steps,
            threads=torch.get_num_threads(), tokens=tokens, packed=True,
        )  # fmt: skip
        spec = self.ready.spec.train.model_copy(update={"max_grad_norm": None})
        job = Job(
            name="m", network=leaf.network, train=leaf.reading(feed), validation=feed, spec=spec, seed=0,
            score=lambda _: 0.0, plan=plan,
        )  # fmt: skip
        start = perf_counter()
        fit_member(job, GradientFitter())
        return (perf_counter() - start) / steps

    def lines(self, places: int) -> Tensor:
        """Rows of an epoch end to end, cut into lines: (lines, places + 1), each beginning with the last token of the
        one before."""
        packing = Packing("text", self.train)
        total = int(packing.places().sum())
        after = torch.cat([b.targets["text"]["after"] for b in islice(packing.batches(places, 0), total // places)])
        return torch.cat([torch.zeros(1, dtype=torch.int64), after]).unfold(0, places + 1, places)


Measure = Callable[[int], float]
"""Seconds of a step, over so many steps."""


@contextmanager
def trainer(python: Path, sizes: Sizes, lines: Tensor, threads: int) -> Iterator[Measure]:
    """transformers' Trainer in a process of its own, which waits while others run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines.npy"
        np.save(file, lines.numpy())
        command = [str(python), str(HERE / "tokens_rivals.py"), json.dumps(asdict(sizes)), str(file), str(TOKENS)]
        surroundings = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=surroundings, cwd=folder
        ) as process:
            asked, told = process.stdin, process.stdout
            assert asked is not None
            assert told is not None

            def measure(steps: int) -> float:
                try:
                    asked.write(f"{steps}\n")
                    asked.flush()
                    line = told.readline()
                except BrokenPipeError:
                    line = ""
                if not line:
                    with suppress(BrokenPipeError):
                        asked.close()
                    sys.exit("the Trainer's process ended; what it said stands above")
                return float(json.loads(line))

            yield measure
            asked.close()


def in_turns(systems: Mapping[str, Measure], pairs: int, chunk: float) -> list[dict[str, float]]:
    """Seconds of a step of every system, turn by turn.

    Args:
        systems: Who runs.
        pairs: Turns, after one that warms up.
        chunk: Seconds that one of them runs in a turn, about.
    """
    steps = max(4, int(chunk / next(iter(systems.values()))(4)))
    turns = []
    for turn in range(pairs + 1):
        names = list(systems)[:: 1 if turn % 2 else -1]
        turns.append({name: systems[name](steps) for name in names})
    return turns[1:]


def compared(turns: Sequence[Mapping[str, float]], rival: str) -> dict[str, float]:
    """How many times as many tokens a second ours learns from: the median turn, with a bootstrap interval of 95 %."""
    ratios = np.array([turn[rival] / turn["ours"] for turn in turns])
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(draws, 1), [0.025, 0.975])
    return {"ratio": float(np.median(ratios)), "low": float(low), "high": float(high)}


def weights_of(model: torch.nn.Module) -> int:
    """Numbers that training changes."""
    return sum(p.numel() for p in model.parameters())


def measured(one: Ours, rivals: Mapping[str, Measure], pairs: int, chunk: float) -> list[dict[str, Any]]:
    """A result for each rival."""
    turns = in_turns({"ours": lambda steps: one.seconds(TOKENS, steps), **rivals}, pairs, chunk)
    speed = {name: TOKENS / float(np.median([turn[name] for turn in turns])) for name in ("ours", *rivals)}
    return [
        {"rival": name, "tokens_per_second": round(speed[name]), "ours_per_second": round(speed["ours"])}
        | {"pairs": pairs, **{key: round(value, 4) for key, value in compared(turns, name).items()}}
        for name in rivals
    ]


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing: the newest entry of each rival, number of threads and machine."""
    goals = " and ".join(f"at least {goal:g} times as many as {SAID[name]}" for name, goal in GOALS.items())
    head = ["## Tokens a second", "", f"Tokens that a language model learns from in a second: {goals}."]
    head += ["In turns in equal threads; the ratio is the median turn's, with an interval of 95 %.", ""]
    if not entries:
        return "\n".join([*head, "Not measured yet: `make bench NAME=tokens`.", ""])
    newest = {(entry["rival"], entry["threads"], entry["machine"]): entry for entry in entries}
    names = ("beside", "tokens a second", "ours", "ratio", "turns", "weights", "threads", "date", "machine", "version")
    lines = [f"| {' | '.join(names)} | goal |", "|" + "---|" * (len(names) + 1)]
    for entry in newest.values():
        ratio = f"{entry['ratio']:.3f} ({entry['low']:.3f} … {entry['high']:.3f})"
        shown = [SAID[entry["rival"]], f"{entry['tokens_per_second']:,}", f"{entry['ours_per_second']:,}", ratio]
        shown += [entry["pairs"], f"{entry['weights']:,}", entry["threads"], entry["date"], entry["machine"]]
        met = "met" if entry["ratio"] >= GOALS[entry["rival"]] else "**missed**"
        lines.append("| " + " | ".join(map(str, [*shown, entry["by"], met])) + " |")
    return "\n".join([*head, *lines, "", "`make bench NAME=tokens` measures again.", ""])


def main() -> None:
    """Measure beside everybody who is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=HERE.parent / ".venv-rivals/bin/python", help="of make rivals")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--chunk", type=float, default=4.0, help="seconds of one loop in one turn")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS / "tokens.json")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    one = Ours.of(texts(chosen.rows))
    network = one.leaf().network
    (vocabulary, width), lines = network.heads["t0"].decoder.embedding.weight.shape, one.lines(LINE)
    sizes = Sizes(vocabulary, width, LAYERS, HEADS)
    if (ours_has := weights_of(network)) != (theirs := weights_of(LanguageModel(sizes, LINE))):
        sys.exit(f"{ours_has:,} weights as a spec, {theirs:,} by hand: not the same model")
    by_hand: dict[str, Measure] = {"hand": lambda steps: seconds_by_hand(sizes, lines, TOKENS // LINE, steps)}
    pinned, kept = pins(chosen.python, ("transformers",)), Kept(chosen.out)
    if pinned is None:
        print(f"no transformers in {chosen.python}: run make rivals, or say where with --python", file=sys.stderr)
        found = measured(one, by_hand, chosen.pairs, chosen.chunk)
    else:
        with trainer(chosen.python, sizes, lines, chosen.threads) as measure:
            found = measured(one, {**by_hand, "trainer": measure}, chosen.pairs, chosen.chunk)
    for entry in found:
        by = f"{ours()}, {pinned}" if entry["rival"] == "trainer" else ours()
        added = kept.add(entry, weights=ours_has, threads=chosen.threads, by=by)
        rate = f"{added['ratio']:.3f} ({added['low']:.3f} … {added['high']:.3f})"
        print(f"tokens  {added['rival']:<8} {added['tokens_per_second']:,} a second, ours {added['ours_per_second']:,}"
              f": {rate} times as many", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
