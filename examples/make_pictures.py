"""Pictures from what scikit-learn ships: handwritten digits, and patches of two photos. Called by ``make_data.py``."""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

SIDE = 16
"""Of a patch, in pixels."""

PLACES = {
    "sky": [("china.jpg", 340, 0, 570, 190)],
    "leaves": [("china.jpg", 8, 350, 180, 427), ("china.jpg", 335, 305, 560, 427), ("china.jpg", 575, 150, 640, 420)],
    "pagoda": [("china.jpg", 96, 80, 320, 335)],
    "petals": [("flower.jpg", 196, 112, 424, 336)],
    "garden": [("flower.jpg", 464, 0, 640, 427)],
}
"""What each part of a photo shows, as rectangles: left, top, right, bottom, found by looking at them."""

IN_FOLDERS = 600
"""Digits that are written as files, in a folder for each class."""


def write_pictures(folder: Path) -> None:
    """``digits.parquet``, the folder ``digits`` with its list ``digits.csv``, ``photos.parquet``."""
    _write(folder / "digits.parquet", "digit", digits())
    _write(folder / "photos.parquet", "shows", list(photos()))
    rows = []
    for number, (png, digit) in enumerate(digits()[:IN_FOLDERS]):
        file = folder / "digits" / digit / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png)
        rows.append((str(file.relative_to(folder)), digit))
    with (folder / "digits.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("picture", "digit"), *rows])


@cache
def digits() -> Sequence[tuple[bytes, str]]:
    """1,797 digits written by 43 people, 8 by 8 pixels in 17 shades of grey (Alpaydin and Kaynak 1998)."""
    data = load_digits()
    shades = np.round(data.images * (255 / 16)).astype(np.uint8)
    return [(png(grey), str(digit)) for grey, digit in zip(shades, data.target, strict=True)]


def photos() -> Iterator[tuple[bytes, str]]:
    """1,048 patches of 16 by 16 pixels that do not overlap, in colour, with what they show."""
    whole = {name: load_sample_image(name) for name in ("china.jpg", "flower.jpg")}
    for shows, places in PLACES.items():
        for name, left, top, right, bottom in places:
            photo = whole[name]
            for y in range(top, bottom - SIDE + 1, SIDE):
                for x in range(left, right - SIDE + 1, SIDE):
                    yield png(photo[y : y + SIDE, x : x + SIDE]), shows


def png(pixels: np.ndarray) -> bytes:
    """A picture as a file in memory: (H, W) grey or (H, W, 3) in colour, uint8."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _write(path: Path, label: str, rows: Sequence[tuple[bytes, str]]) -> None:
    pictures, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"picture": pa.array(pictures, pa.binary()), label: pa.array(labels)}), path)
