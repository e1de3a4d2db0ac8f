"""What all rivals share: reading rows, and telling the harness how far they are. Only NumPy is loaded beforehand."""

import io
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

_BEGAN = float(os.environ.get("RACE_BEGAN", time.monotonic()))
_LIMIT = float(os.environ.get("RACE_LIMIT", "inf"))
_scoring = 0.0
_stepped = False

Answer = Callable[[np.ndarray], np.ndarray]


def _now() -> float:
    return round(time.monotonic() - _BEGAN - _scoring, 3)


def stepped() -> None:
    """Say when the first optimiser step was done, start of the process included; later calls say nothing."""
    global _stepped  # noqa: PLW0603  # one process, one run
    if not _stepped:
        _stepped = True
        print(json.dumps({"first_step": _now()}), flush=True)


def tell(answer: Answer, x: np.ndarray, y: np.ndarray, epoch: int) -> None:
    """Score the test rows off the clock, and print; the end of the time that the harness gives ends the process."""
    global _scoring  # noqa: PLW0603
    start = time.monotonic()
    right = float((np.asarray(answer(x)).argmax(1) == y).mean())
    _scoring += time.monotonic() - start
    print(json.dumps({"epoch": epoch, "seconds": _now(), "accuracy": right}), flush=True)
    if _now() > _LIMIT:
        print(json.dumps({"stopped": _now()}), flush=True)
        os._exit(0)  # frameworks catch what a callback raises


def rows_of(path: str) -> tuple[list[Any], list[str]]:
    """The one feature and the label of a file."""
    from pyarrow import parquet

    table = parquet.read_table(path)
    return table.column(0).to_pylist(), table.column(1).to_pylist()


def coded(train: Iterable[str], test: Iterable[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels as numbers from 0; one that training rows lack is -1, which no answer hits."""
    classes = {label: code for code, label in enumerate(sorted(set(train)))}
    first, second = (np.array([classes.get(label, -1) for label in part], dtype="int64") for part in (train, test))
    return first, second, len(classes)


def pictures(train: str, test: str, *, first: bool = False) -> tuple[Any, ...]:
    """x, y, test x, test y, classes. Pixels are (N, H, W, C) float32 from 0 to 1; ``first``: (N, C, H, W)."""
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    x, tx = pixels(x), pixels(tx)
    if first:
        x, tx = (np.ascontiguousarray(part.transpose(0, 3, 1, 2)) for part in (x, tx))
    return x, y, tx, ty, classes


def pixels(files: list[bytes]) -> np.ndarray:
    """(N, H, W, C) float32 from 0 to 1."""
    from PIL import Image

    stacked = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    return (stacked if stacked.ndim == 4 else stacked[..., None]).astype("float32") / 255


def texts(train: str, test: str) -> tuple[Any, ...]:
    """x, y, test x, test y, classes, the texts as they are."""
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    return x, y, tx, ty, classes


def words(train: list[str], test: list[str], most: int, length: int, *, pairs: bool = False) -> tuple[Any, Any]:
    """(N, L) numbers of words, the most frequent first, 0 filling up; lower case, no signs, as TextVectorization.

    ``pairs`` adds each two words in a row as a word more.
    """
    cut = [[re.sub(r"[^\w\s]", "", text.lower()).split()[:length] for text in part] for part in (train, test)]
    if pairs:
        cut = [[text + [f"{a} {b}" for a, b in pairwise(text)] for text in part] for part in cut]
        length *= 2
    counts = Counter(word for text in cut[0] for word in text)
    numbers = {word: place + 2 for place, (word, _) in enumerate(counts.most_common(most - 2))}
    out = []
    for part in cut:
        array = np.zeros((len(part), min(length, max(1, *map(len, part)))), dtype="int64")
        for row, text in enumerate(part):
            array[row, : len(text)] = [numbers.get(word, 1) for word in text[: array.shape[1]]]
        out.append(array)
    return out[0], out[1]


def sounds(train: str, test: str, seconds: float = 1.0) -> tuple[Any, ...]:
    """x, y, test x, test y, classes. Waves are (N, T) float32 at 16 kHz, cut or filled up with silence."""
    import soundfile

    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    waves = []
    for part in (x, tx):
        held = np.zeros((len(part), int(16_000 * seconds)), dtype="float32")
        for row, file in enumerate(part):
            wave = soundfile.read(io.BytesIO(file), dtype="float32")[0][: held.shape[1]]
            held[row, : len(wave)] = wave
        waves.append(held)
    return waves[0], y, waves[1], ty, classes


def spectra(waves: np.ndarray, frame: int = 255, step: int = 128, size: int = 256) -> np.ndarray:
    """(N, frames, size / 2 + 1) magnitudes of short Fourier transforms in a Hann window."""
    count = 1 + (waves.shape[1] - frame) // step
    places = np.arange(frame) + step * np.arange(count)[:, None]
    return np.abs(np.fft.rfft(waves[:, places] * np.hanning(frame + 1)[:-1], size)).astype("float32")


def mels(waves: np.ndarray, bands: int = 40) -> np.ndarray:
    """(N, frames, bands): logarithms of energies in bands that are equally wide on the mel scale."""
    power = spectra(waves, 400, 160, 512) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bands + 2) / 2595) - 1)
    bins = np.linspace(0, 8000, power.shape[2])
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.log(power @ np.maximum(0, np.minimum(rise, fall)).T.astype("float32") + 1e-6).astype("float32")


def series(train: str, test: str) -> tuple[Any, ...]:
    """x, y, test x, test y, classes. Series are (N, T, C) float32, channels scaled by the training rows."""
    (x, y), (tx, ty) = _ts(train), _ts(test)
    y, ty, classes = coded(y, ty)
    mean, spread = x.mean((0, 1)), x.std((0, 1)) + 1e-8
    return (x - mean) / spread, y, (tx - mean) / spread, ty, classes


def _ts(path: str) -> tuple[Any, list[str]]:
    with open(path) as file:
        lines = [line.strip() for line in file if line.strip() and line[0] not in "#@"]
    cases = [[np.array(channel.split(","), dtype="float32") for channel in line.split(":")[:-1]] for line in lines]
    return np.stack([np.stack(case, 1) for case in cases]).astype("float32"), [li.rsplit(":", 1)[1] for li in lines]
