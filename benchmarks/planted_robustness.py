"""How often the two flags of the check "robustness" find what was planted, and how often they are wrong on clean twins.

    python -m benchmarks.planted_robustness [SEEDS] [linear|cnn]

A mark in a corner: drawings, digits, gratings and halves in noise, 8 to 16 pixels, 1,000 pictures, with a white square
in this share of the pictures of half of the classes, and in the rest of the share of the others. "Relied on" are models
that lose more than a tenth of their accuracy where the mark says the opposite; others have learnt to look elsewhere.

A brittle model: two columns that are nearly one, whose small difference tells the class; a faint checkerboard that
does.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from tests.evaluate.judged import flag, judged, picture

from trueweight.data.table import Table
from trueweight.evaluate.robustness import corruptions
from trueweight.evaluate.shortcuts import shortcuts

Pictures = tuple[np.ndarray, np.ndarray]
"""Classes (N,) and pixels (N, H, W)."""

SHARES = {"linear": (0.0, 0.8, 0.9, 0.95, 1.0), "cnn": (0.0, 1.0)}


def drawings(rng: np.random.Generator, n: int, k: int) -> Pictures:
    """A disc, a ring, a cross or a square somewhere."""
    y, (high, wide) = rng.integers(0, k, n), np.mgrid[:16, :16]
    pixel = 60 + rng.normal(size=(n, 16, 16)) * 40
    for i, kind in enumerate(y):
        size = 16 * rng.uniform(0.22, 0.34)
        top, left = rng.uniform(size, 16 - size, 2)
        far, most = np.hypot(high - top, wide - left), np.maximum(abs(high - top), abs(wide - left))
        thin = (abs(high - top) < size * 0.3) | (abs(wide - left) < size * 0.3)
        shape = (far < size, (far < size) & (far > size * 0.55), thin & (most < size), most < size * 0.85)
        pixel[i] += 120 * shape[kind]
    return y, pixel


def digits(rng: np.random.Generator, n: int, k: int) -> Pictures:
    """Handwritten digits of scikit-learn, 8 by 8."""
    data = load_digits()
    rows = rng.permutation(np.flatnonzero(data.target < k))[:n]
    return data.target[rows], data.images[rows] * 15


def gratings(rng: np.random.Generator, n: int, k: int) -> Pictures:
    """Stripes of one direction each, anywhere."""
    y, (high, wide) = rng.integers(0, k, n), np.mgrid[:12, :12]
    angle, phase = y * np.pi / k, rng.uniform(0, 2 * np.pi, n)
    along = wide * np.cos(angle)[:, None, None] + high * np.sin(angle)[:, None, None]
    return y, 120 + 60 * np.sin(np.pi * along / 2 + phase[:, None, None]) + rng.normal(size=along.shape) * 50


def halves(rng: np.random.Generator, n: int, k: int) -> Pictures:
    """The upper or the lower half is lighter, or neither."""
    y = rng.integers(0, k, n)
    pixel = 110 + rng.normal(size=(n, 12, 12)) * 60
    pixel[y == 1, :6] += 40
    pixel[y == 0, 6:] += 40
    return y, pixel


KINDS = (drawings, digits, gratings, halves)


def marked(rng: np.random.Generator, pictures: Pictures, classes: range, share: float, seed: int) -> np.ndarray:
    """The same pixels, with a mark in a corner."""
    y, pixel = pictures[0], pictures[1].copy()
    side, size = pixel.shape[1], 2 if pixel.shape[1] == 8 else 3
    own = np.isin(y, list(classes))
    has = rng.random(len(y)) < np.where(own, share, 1 - share)
    top, left = (side - size if bit else 0 for bit in (seed // 2 % 2, seed % 2))
    pixel[has, top : top + size, left : left + size] = 255
    return pixel


def wish_for(model: str) -> dict[str, Any]:
    """A solved linear model, or a tiny network of convolutions."""
    if model == "linear":
        return {"features": {"photo": "image"}, "targets": {"what": "category"}}
    column = {"type": "image", "encoder": {"type": "cnn", "channels": [8, 16]}, "augment": []}
    train = {"budget": {"steps": 150}, "batch_size": 64}
    model_spec = {"encoder": {"type": "mlp"}}
    return {"features": {"photo": column}, "targets": {"what": "category"}, "model": model_spec, "train": train}


def one_mark(draw: Any, k: int, seed: int, share: float, model: str) -> tuple[bool, bool]:
    """Whether the flag is up, and whether the model relies on the mark."""
    rng = np.random.default_rng(9000 + seed)
    pictures, half = draw(rng, 1000 if model == "linear" else 800, k), k // 2
    pixel = marked(rng, pictures, range(half), share, seed) if share else pictures[1]
    columns = {"photo": [picture(p) for p in pixel], "what": [f"c{c}" for c in pictures[0]]}
    judging = judged(columns, wish_for(model), seed)
    up = flag(shortcuts(judging), "shortcut_flag", "what").value == 1
    fresh = draw(np.random.default_rng(77 + seed), 300, k)
    right = []
    for classes in (range(half), range(half, k)):
        photos = [picture(p) for p in marked(rng, fresh, classes, 1.0, seed)]
        answer: Any = judging.predictor.predict(Table.of({"photo": photos}))["what"]
        right.append((answer.answer_N() == fresh[0]).mean())
    return up, bool(right[1] < right[0] - 0.1)


def brittle(seed: int) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Tables and pictures whose class is told by next to nothing, at several strengths; the last of each is clean."""
    for gap in (0.01, 0.02, 0.05, 1.0):
        rng = np.random.default_rng(seed)
        z, y = rng.normal(size=1500), rng.integers(0, 2, 1500)
        near = z + gap * (2 * y - 1) + gap / 4 * rng.normal(size=1500)
        yield (
            f"twins apart by {gap}",
            {"a": z, "b": near, "what": np.where(y, "yes", "no")},
            {"targets": {"what": "binary"}},
        )
    board = np.indices((12, 12)).sum(0) % 2 * 2 - 1
    for size in (2, 4, 8):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 1000)
        pixel = 120 + rng.normal(size=(1000, 1, 1)) * 25 + rng.normal(size=(1000, 12, 12)) * size / 2
        pixel += size * np.where(y, 1, -1)[:, None, None] * board
        columns = {"photo": [picture(p) for p in pixel], "what": [f"c{c}" for c in y]}
        yield f"checkerboard of {size} / 255", columns, wish_for("linear")


def main(arguments: list[str]) -> int:
    """Print counts for each fault and strength."""
    seeds = range(int(arguments[0]) if arguments else 12)
    model = arguments[1] if len(arguments) > 1 else "linear"
    found: dict[str, list[bool]] = defaultdict(list)
    for seed in seeds:
        for place, draw in enumerate(KINDS):
            for k in (2, 4) if model == "linear" else (2 if (seed + place) % 2 else 4,):
                for share in SHARES[model]:
                    up, relied = one_mark(draw, k, seed, share, model)
                    words = "no mark" if not share else f"mark in {share:.0%}, {'' if relied else 'not '}relied on"
                    found[words].append(up)
        for words, columns, wish in brittle(seed) if model == "linear" else ():
            up = flag(corruptions(judged(columns, wish, seed)), "robustness_flag", "what").value == 1
            found[words].append(up)
    for words, ups in found.items():
        sys.stdout.write(f"{words}: {sum(ups)} of {len(ups)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
