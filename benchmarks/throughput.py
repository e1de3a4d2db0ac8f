"""Rows per second of our loop beside a loop written by hand for the same network. make bench NAME=throughput

Each network is written twice: as a spec, and by hand in plain PyTorch, as fast as we can make it: data in memory as
tensors, one ``index_select`` a batch, one fused AdamW, no clipping, no validation. Both have the same number of
weights (checked). They train in turn, ours then by hand then by hand then ours, in one process with equal threads, and
the ratio of each pair counts; the garbage collector is off in both.
"""

import argparse
import gc
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.kept import machine
from benchmarks.throughput_fresh import section
from benchmarks.throughput_nets import NETS, RATE, ByHand, Rows, seconds_by_hand
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from trueweight.api.request import make_request
from trueweight.files import write_atomic
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.spec.run import RunSpec
from trueweight.train.build import untrained
from trueweight.train.encoded import augmentations_of, encode
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.plan import MemberPlan
from trueweight.train.prepare import Prepared, prepare

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "throughput.json"
PAGE = HERE.parent / "docs" / "benchmarks-throughput.md"


@dataclass(frozen=True)
class Race:
    """One network, as a spec and by hand."""

    name: str
    frame: Callable[[np.random.Generator], pd.DataFrame]
    spec: Mapping[str, Any]
    rows: Callable[[pd.DataFrame], Rows]
    """What the hand-written loop reads of the same frame."""

    @property
    def by_hand(self) -> ByHand:
        """The same network in plain PyTorch."""
        return NETS[self.name]


def _table(rng: np.random.Generator) -> pd.DataFrame:
    numbers = rng.normal(size=(8192, 16)).astype(np.float32)
    return pd.DataFrame(numbers, columns=[f"x{i}" for i in range(16)]).assign(y=numbers.sum(1))


def _pictures(side: int, channels: int) -> Callable[[np.random.Generator], pd.DataFrame]:
    def made(rng: np.random.Generator) -> pd.DataFrame:
        shape = (4096, side, side) if channels == 1 else (4096, side, side, channels)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        return pd.DataFrame({"x": [_png(picture) for picture in pixels], "y": _labels(rng, 4096, 10)})

    return made


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _series(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({"x": list(rng.normal(size=(4096, 40)).astype(np.float32)), "y": _labels(rng, 4096, 4)})


def _texts(rng: np.random.Generator) -> pd.DataFrame:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return pd.DataFrame({"x": [" ".join(rng.choice(letters, 64)) for _ in range(2048)], "y": _labels(rng, 2048, 4)})


def _labels(rng: np.random.Generator, rows: int, classes: int) -> np.ndarray:
    return rng.integers(0, classes, rows).astype(str)


def _codes(frame: pd.DataFrame) -> Tensor:
    return torch.from_numpy(frame["y"].astype(np.int64).to_numpy())


def _pixels(frame: pd.DataFrame) -> Rows:
    arrays = [np.asarray(Image.open(io.BytesIO(file))) for file in frame["x"]]
    stacked = torch.from_numpy(np.stack([a if a.ndim == 3 else a[..., None] for a in arrays])).permute(0, 3, 1, 2)
    return Rows(stacked.contiguous(), _codes(frame))


def _numbers(frame: pd.DataFrame) -> Rows:
    x = torch.from_numpy(frame.drop(columns="y").to_numpy(np.float32))
    y = torch.from_numpy(frame["y"].to_numpy(np.float32)[:, None])
    return Rows(x, (y - y.mean()) / y.std(), functional.mse_loss)


def _steps_of(frame: pd.DataFrame) -> Rows:
    return Rows(torch.from_numpy(np.stack(frame["x"].to_list()))[..., None], _codes(frame))


def _tokens(frame: pd.DataFrame) -> Rows:
    ids = [[ord(letter) for letter in text.split()] for text in frame["x"]]
    return Rows(torch.tensor(ids), _codes(frame))


def _one(kind: str, encoder: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A spec with one column and one class to tell."""
    return {"features": {"x": {"type": kind, "augment": [], "encoder": encoder, **more}}, "targets": {"y": "category"},
            "model": {"encoder": "mlp"}}  # fmt: skip


_MLP = {
    "targets": {"y": "number"},
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [64, 64], "dropout": 0.0, "numerical_embedding": "none"}},
}
_LENET = _one("image", {
    "type": "cnn", "channels": [6, 16], "kernel_sizes": [5], "convolutions": 1, "padding": "valid", "pool": "max",
    "normalization": "none", "whitening": False, "pooling": "flatten", "hidden_sizes": [120, 84]})  # fmt: skip
_CNN = _one("image", {
    "type": "cnn", "channels": [32, 64, 128], "kernel_sizes": [3], "convolutions": 2, "residual": False, "pool": "max",
    "normalization": "batch", "whitening": False, "pooling": "mean", "activation": "relu"})  # fmt: skip
_LSTM = _one("timeseries", {"type": "lstm", "hidden_size": 64, "pooling": "last"})
_TRANSFORMER = _one(
    "text", {"type": "transformer", "width": 128, "layers": 2, "heads": 4, "pooling": "mean", "dropout": 0.0},
    max_tokens=64,
)  # fmt: skip

RACES = (
    Race("mlp", _table, _MLP, _numbers),
    Race("lenet", _pictures(28, 1), _LENET, _pixels),
    Race("cnn", _pictures(32, 3), _CNN, _pixels),
    Race("lstm", _series, _LSTM, _steps_of),
    Race("transformer", _texts, _TRANSFORMER, _tokens),
)


def weights_of(network: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in network.parameters())


@dataclass(frozen=True)
class Ours:
    """The spec's network, made once; each fit takes a fresh one."""

    ready: Prepared
    encoded: Any

    @classmethod
    def of(cls, race: Race, frame: pd.DataFrame) -> "Ours":
        optimizer = {"type": "adamw", "learning_rate": RATE}
        train = {"budget": {"steps": 1}, "batch_size": race.by_hand.batch_size, "optimizer": optimizer}
        spec = RunSpec.model_validate({"version": 1, **race.spec, "train": train, "split": {"test": 0.1}})
        request = make_request(frame, None, spec, {}, [], None)
        ready = prepare(request.table, request.spec)
        return cls(ready, encode(ready, keep=False))

    def leaf(self) -> NetworkPredictor:
        """With its first weights."""
        assert self.ready.spec.model.members
        return untrained(self.ready, self.encoded.fields, self.ready.spec.model.members[0])

    def seconds(self, leaf: NetworkPredictor, batch_size: int, steps: int) -> float:
        """Of a step, over the real fitter, the rest of a fit included: guard, running average, the snapshot."""
        feeds = [self.encoded.feed(rows) for rows in (self.ready.split.train, self.ready.split.validation)]
        train = leaf.reading(feeds[0], augmentations_of(self.ready, self.encoded.fields))
        plan = MemberPlan(
            name="m",
            steps=steps,
            batch_size=batch_size,
            epochs=1.0,
            validate_every=steps,
            checkpoint_every=steps,
            threads=torch.get_num_threads(),
        )
        spec = self.ready.spec.train.model_copy(update={"max_grad_norm": None})
        job = Job(
            name="m", network=leaf.network, train=train, validation=leaf.reading(feeds[1]), spec=spec, seed=0,
            score=lambda _: 0.0, plan=plan,
        )  # fmt: skip
        start = perf_counter()
        fit_member(job, GradientFitter())
        return (perf_counter() - start) / steps


def run(race: Race, pairs: int, chunk: float) -> dict[str, Any]:
    """Both loops in turn.

    Args:
        race: What trains.
        pairs: Turns.
        chunk: Seconds that one of them runs in a turn, about.
    """
    frame = race.frame(np.random.default_rng(0))
    ours, rows = Ours.of(race, frame), race.rows(frame)
    sizes = [weights_of(ours.leaf().network), weights_of(race.by_hand.build())]
    if sizes[0] != sizes[1]:
        sys.exit(f"{race.name}: {sizes[0]:,} weights as a spec, {sizes[1]:,} by hand: not the same network")
    steps = max(10, int(chunk / seconds_by_hand(race.by_hand, rows, 20)))
    times = []
    for turn in range(pairs + 1):
        pair: dict[str, float] = {}
        for who in ("ours", "hand")[:: 1 if turn % 2 else -1]:
            gc.collect()
            if who == "ours":
                pair[who] = ours.seconds(ours.leaf(), race.by_hand.batch_size, steps)
            else:
                pair[who] = seconds_by_hand(race.by_hand, rows, steps)
        times.append(pair)
    times = times[1:]  # the first warms up
    ratios = np.array([pair["hand"] / pair["ours"] for pair in times])
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(draws, 1), [0.025, 0.975])
    return {
        "network": race.name, "weights": sizes[0], "batch_size": race.by_hand.batch_size, "steps": steps,
        "pairs": pairs,
        "ours_us": float(np.median([p["ours"] for p in times])) * 1e6,
        "hand_us": float(np.median([p["hand"] for p in times])) * 1e6,
        "ratio": float(np.median(ratios)), "low": float(low), "high": float(high),
        "threads": torch.get_num_threads(), "torch": version("torch"),
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip


HEAD = """# Throughput of the training loop

Generated by `make bench NAME=throughput`; do not edit. Measured {date} on {machine}, torch {torch}, {threads} threads.
Each network is trained by its spec and by a loop written by hand in plain PyTorch with the same weights, batch size and
optimiser, in turn, in one process. Ours holds what every fit does (a guard against divergence, a running average, a
snapshot to go back to); the loop by hand does nothing but steps. *Ratio* is the time by hand over ours, median of the
pairs, with a bootstrap interval (95 %): above 1 ours is faster.

| network | weights | rows a step | by hand, µs a step | ours, µs a step | ratio |
|---|---|---|---|---|---|"""


def render(kept: Sequence[Mapping[str, Any]]) -> str:
    """The page for the docs."""
    last = kept[-1]
    head = HEAD.format(**{key: last[key] for key in ("date", "machine", "torch", "threads")})
    rows = [
        f"| {k['network']} | {k['weights']:,} | {k['batch_size']} | {k['hand_us']:,.0f} | {k['ours_us']:,.0f} | "
        f"{k['ratio']:.3f} ({k['low']:.3f} … {k['high']:.3f}) |"
        for k in kept
    ]
    mean = float(np.exp(np.mean([np.log(k["ratio"]) for k in kept])))
    return "\n".join([head, *rows, f"| **geometric mean** | | | | | **{mean:.3f}** |"]) + "\n" + section()


def write_page() -> None:
    """For the docs, from all results that are kept."""
    write_atomic(PAGE, render(json.loads(RESULTS.read_text())).encode())


def main() -> None:
    """Race what is asked for, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=[race.name for race in RACES])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--chunk", type=float, default=2.0, help="seconds of one loop in one turn")
    chosen = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = {entry["network"]: entry for entry in found}
    for race in RACES:
        if chosen.network and race.name not in chosen.network:
            continue
        kept[race.name] = run(race, chosen.pairs, chosen.chunk)
        sys.stderr.write(f"{kept[race.name]}\n")
        ordered = [kept[race.name] for race in RACES if race.name in kept]
        write_atomic(RESULTS, (json.dumps(ordered, indent=1) + "\n").encode())
    write_page()


if __name__ == "__main__":
    main()
