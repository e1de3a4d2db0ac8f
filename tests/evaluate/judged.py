"""Small judged models of generated rows, for tests of checks."""

import base64
import io
import wave
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from trueweight.data.frames import from_frame
from trueweight.evaluate.judging import Judging, Training, judging_of
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data, Entry
from trueweight.spec.load import parse_spec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare


def judged(columns: Mapping[str, Any], wish: Mapping[str, Any], seed: int = 0) -> Judging:
    """A model of these columns, fitted and judged by its test rows."""
    ready = prepare(from_frame(dict(columns)), parse_spec({"model": {"preset": "fast"}, "seed": seed} | dict(wish)))
    predictor, rows = fit(ready, None, None).predictor, ready.split.test
    ask = Ask(ready.spec.evaluate, seed, Data("sha256:0", "test"))
    return judging_of(predictor, ready.table.take(rows), ask, None, Training(ready, rows))


def flag(entries: list[Entry], metric: str, target: str) -> Entry:
    """The one entry with this metric and target."""
    (found,) = (entry for entry in entries if entry.metric == metric and entry.target == target)
    return found


def picture(pixel: np.ndarray) -> str:
    """A grey or coloured picture as an address."""
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixel, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def sound(sample_N: np.ndarray, rate: int = 8000) -> str:
    """A sound as an address."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(sample_N, -1, 1) * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"
