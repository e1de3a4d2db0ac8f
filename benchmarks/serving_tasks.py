"""What the servers of :mod:`benchmarks.serving` are asked: our models, trained in a moment, and a request for each.

The networks are those that ``serving_peers.py`` builds by hand, with as many weights: a table of eight numbers with two
hidden layers of 256; colour pictures of 32 by 32 pixels with six convolutions; texts of 64 words with two layers of a
transformer; and a transformer of four layers that writes 32 tokens behind a prompt.
"""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueweight import api

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
WRITTEN = 32
"""Tokens of an answer."""
PROMPT = "a b c d e f g h"
QUICK: dict[str, Any] = {"train": {"budget": {"steps": 20}}, "evaluate": {"checks": [], "baselines": []}}
Row = dict[str, Any]


def png(pixels: np.ndarray) -> str:
    """A picture as JSON holds it."""
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()


def _table(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any], Row]:
    x = rng.normal(size=(2000, 8)).round(4)
    columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(8)}
    row = {name: float(values[0]) for name, values in columns.items()}
    columns["y"] = np.where(x[:, 0] > 0, "yes", "no")
    net = {
        "type": "mlp", "hidden_sizes": [256, 256], "members": 1, "dropout": 0.0, "numerical_embedding": "none",
        "activation": "relu",
    }  # fmt: skip
    return columns, {"targets": {"y": "category"}, "model": _member(net, "concat")}, row


def _picture(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any], Row]:
    label = rng.integers(0, 10, 600)
    noise = rng.normal(size=(600, 32, 32, 3)) * 20 + 20 * label[:, None, None, None]
    pictures = [png(pixels) for pixels in noise.clip(0, 255).astype(np.uint8)]
    encoder = {
        "type": "cnn", "channels": [32, 64, 128], "kernel_sizes": [3], "convolutions": 2, "residual": False,
        "pool": "max", "normalization": "batch", "whitening": False, "pooling": "mean", "activation": "relu",
    }  # fmt: skip
    spec = {"features": {"x": {"type": "image", "augment": [], "encoder": encoder}}, "targets": {"y": "category"}}
    return {"x": pictures, "y": [f"c{k}" for k in label]}, spec | {"model": {"encoder": "mlp"}}, {"x": pictures[0]}


def _text(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any], Row]:
    texts = [" ".join(rng.choice(LETTERS, 64)) for _ in range(1000)]
    encoder = {"type": "transformer", "width": 128, "layers": 2, "heads": 4, "pooling": "mean", "dropout": 0.0}
    feature = {"type": "text", "augment": [], "encoder": encoder, "max_tokens": 64}
    spec = {"features": {"x": feature}, "targets": {"y": "category"}, "model": {"encoder": "mlp"}}
    return {"x": texts, "y": rng.integers(0, 4, 1000).astype(str)}, spec, {"x": texts[0]}


def _writer(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any], Row]:
    words = np.array(["".join(rng.choice(LETTERS, n)) for n in rng.integers(1, 9, 5000)])
    texts = [" ".join(rng.choice(words, 100)) for _ in range(500)]
    decoder = {"type": "transformer", "width": 128, "layers": 4, "heads": 4}
    target = {"type": "text", "vocabulary_size": 2048, "max_tokens": 512, "decoder": decoder}
    row = {"model": "writer", "prompt": PROMPT, "max_tokens": WRITTEN, "temperature": 0}
    return {"x": texts}, {"targets": {"x": target}}, row


def _member(encoder: dict[str, Any], fusion: str) -> dict[str, Any]:
    return {"members": [{"name": "net", "encoder": encoder, "fusion": fusion, "fitter": "gradient"}]}


@dataclass(frozen=True)
class Task:
    """One kind of model."""

    made: Callable[[np.random.Generator], tuple[dict[str, Any], dict[str, Any], Row]]
    """Columns, what the spec says of them, and a row to ask."""
    said: str
    """What one request is."""
    path: str

    def bundle(self, name: str, folder: Path) -> tuple[Path, Row]:
        """Our model, and the body of a request."""
        columns, spec, row = self.made(np.random.default_rng(0))
        path = folder / f"{name}.bundle"
        if not path.exists():
            api.train(columns, spec=QUICK | spec, name=name, out=folder / f"run-{name}").path.rename(path)
        return path, row


TASKS = {
    "table": Task(_table, "One row of a table", "/v1/models/table/predict"),
    "picture": Task(_picture, "One picture", "/v1/models/picture/predict"),
    "text": Task(_text, "One text to classify", "/v1/models/text/predict"),
    "writer": Task(_writer, f"{WRITTEN} tokens behind a prompt", "/v1/completions"),
}
