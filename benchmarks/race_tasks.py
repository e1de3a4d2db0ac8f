"""The tasks of the race: which rows, who runs, what the target is, and what was promised beforehand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

Cut = Callable[[Path, Path, int], None]
"""(data folder, folder to write to, seed): writes the files to train on and to judge by."""

Variant = Literal["default", "expert", "hand"]


@dataclass(frozen=True)
class Promise:
    """Our seconds are at most ``ratio`` of those of the fastest of these rivals that reaches the target."""

    ratio: float
    variant: Variant
    warm: bool = False
    """Our run is the second one on the same data."""
    only: Sequence[str] = ()
    """Rivals that count; empty: all."""
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Task:
    """One data set, and who is raced on it."""

    name: str
    kind: str
    """What the rivals are told that the rows are: pictures, photos, texts, sounds, series."""
    label: str
    cut: Cut
    rivals: Sequence[tuple[str, Variant]]
    references: Sequence[str] = ()
    """Rivals in their default form; the target is the accuracy that the best of them ends with, median over seeds."""
    targets: Sequence[float] = ()
    """Instead: accuracies fixed beforehand, the last of which is the target; the others are told on the way."""
    promises: Sequence[Promise] = ()
    ladder: Sequence[float] = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
    """Our budgets in seconds, smallest first."""
    settings: Sequence[str] = ()
    ending: str = "parquet"
    told: str = ""
    """What is to be known of the data."""


def _given(train: str, test: str, feature: str, label: str) -> Cut:
    """Files that come with a split, the same for every seed."""

    def cut(data: Path, folder: Path, seed: int) -> None:  # noqa: ARG001
        for name, file in (("train", train), ("test", test)):
            _write(_frame(data / file)[[feature, label]], folder, name)

    return cut


def _fifth(file: str, feature: str, label: str, group: str | None = None) -> Cut:
    """A fifth of the rows, or of the groups, to judge by: another one for each seed."""

    def cut(data: Path, folder: Path, seed: int) -> None:
        rows = _frame(data / file)
        if feature == "file":  # a path becomes the bytes of the file
            rows["file"] = [((data / file).parent / name).read_bytes() for name in rows["file"]]
        keys = rows[group].to_numpy() if group else np.arange(len(rows))
        kinds = np.random.default_rng(seed).permutation(pd.unique(keys))
        late = np.isin(keys, kinds[: max(1, len(kinds) // 5)])
        columns = [feature, label, *([group] if group else [])]
        order = np.random.default_rng(seed).permutation(np.flatnonzero(~late))
        _write(rows.iloc[order][columns], folder, "train")
        _write(rows[late][columns], folder, "test")

    return cut


def _series(data: Path, folder: Path, seed: int) -> None:  # noqa: ARG001
    for name in ("train", "test"):
        text = (data / "series" / "BasicMotions" / f"BasicMotions_{name.upper()}.ts").read_bytes()
        (folder / f"{name}.ts").write_bytes(text)


def _frame(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pandas()
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _write(rows: pd.DataFrame, folder: Path, name: str) -> None:
    parquet.write_table(pa.Table.from_pandas(rows, preserve_index=False), folder / f"{name}.parquet")


def truth(task: Task, folder: Path) -> pd.Series:
    """Labels of the rows to judge by."""
    if task.ending == "ts":
        lines = [line for line in (folder / "test.ts").read_text().splitlines() if line and line[0] not in "#@"]
        return pd.Series([line.rsplit(":", 1)[1].strip() for line in lines])
    return parquet.read_table(folder / "test.parquet").column(task.label).to_pandas().astype(str)


_KERAS: tuple[tuple[str, Variant], ...] = (
    ("keras-jax", "default"), ("keras-torch", "default"), ("keras-jax", "expert"), ("keras-torch", "expert"),
)  # fmt: skip
_HAND: tuple[tuple[str, Variant], ...] = (("by hand", "hand"),)
_PICTURES: tuple[tuple[str, Variant], ...] = (
    *_KERAS, ("skorch", "default"), ("skorch", "expert"), ("lightning", "default"), ("lightning", "expert"),
    ("scikit-learn", "default"), ("scikit-learn", "expert"), *_HAND,
)  # fmt: skip
_TEXTS: tuple[tuple[str, Variant], ...] = (
    *_KERAS, ("transformers", "default"), ("transformers", "expert"), ("scikit-learn", "default"),
    ("scikit-learn", "expert"), *_HAND,
)  # fmt: skip

_HALF = Promise(1 / 2, "expert")
_WARM = (Promise(1 / 5, "default", warm=True), Promise(1 / 2, "expert", warm=True))
_TEXT_PROMISES = (
    Promise(1 / 3, "default", without=("scikit-learn",)), Promise(1.5, "default", only=("scikit-learn",)), _HALF,
)  # fmt: skip

TASKS = (
    Task("fashion-mnist", "pictures", "label",
         _given("fashion-mnist/train.parquet", "fashion-mnist/test.parquet", "image", "label"),
         _PICTURES, ("keras-jax",), promises=(Promise(1 / 10, "default"), _HALF)),
    Task("mnist-5k", "pictures", "label", _fifth("mnist-5k/mnist-5k.parquet", "image", "label"),
         _PICTURES, ("keras-jax",), promises=_WARM),
    Task("newsgroups", "texts", "label", _given("newsgroups/train.csv.gz", "newsgroups/test.csv.gz", "text", "label"),
         _TEXTS, ("keras-jax",), promises=_TEXT_PROMISES),
    Task("tweets-sentiment", "texts", "sentiment", _fifth("tweets-sentiment/tweets.csv", "text", "sentiment"),
         _TEXTS, ("keras-jax",), promises=_TEXT_PROMISES),
    Task("voice-commands", "sounds", "phrase", _fifth("voice-commands/labels.csv", "file", "phrase", "voice"),
         (*_KERAS, ("pytorch-m5", "default"), ("pytorch-m5", "expert"), *_HAND), ("keras-jax", "pytorch-m5"),
         promises=(Promise(1 / 3, "default"), _HALF),
         settings=("split.group=voice", "features.voice=ignore")),
    Task("BasicMotions", "series", "label", _series, (*_KERAS, *_HAND), ("keras-jax",), ending="ts"),
    Task("cifar10", "photos", "label", _given("cifar10/train.parquet", "cifar10/test.parquet", "image", "label"),
         (("keras-jax", "default"), ("keras-jax", "expert"), *_HAND), targets=(0.75, 0.83, 0.90),
         told="The pictures are a lossy copy in JPEG; published scores are of the original ones.",
         ladder=(720, 960)),  # 60, 180 and 540 s were not enough, and a rung is a whole run
)  # fmt: skip
"""Rivals that are left out of a kind have no example for it in their documentation that runs without downloads."""
