"""Each preset of each family fits a small table, and its network answers."""

import io
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trueweight.api.request import make_request
from trueweight.recipes.images import PATIENT
from trueweight.recipes.tables import PRESETS
from trueweight.train.build import fit
from trueweight.train.prepare import prepare

ROWS = 60
RNG = np.random.default_rng(0)
HALF = np.arange(ROWS) % 2


def picture(number: int) -> bytes:
    pixels = RNG.integers(0, 80, (16, 16, 3), dtype=np.uint8) + np.uint8(90 * HALF[number])
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def sound(number: int) -> bytes:
    phase = np.arange(4_000) * (0.1 + 0.2 * HALF[number])
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8_000)
        out.writeframes((8_000 * np.sin(phase + RNG.random()) + RNG.normal(0, 50, 4_000)).astype("<i2").tobytes())
    return file.getvalue()


CELLS: dict[str, Callable[[int], Any]] = {
    "number": lambda n: HALF[n] + RNG.normal(),
    "text": lambda n: f"{'good' if HALF[n] else 'bad'} thing number {RNG.integers(1000)}",
    "image": picture,
    "audio": sound,
    "timeseries": lambda n: (RNG.normal(size=20) + 3 * HALF[n]).tolist(),
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", CELLS)
def test_trains(kind: str, preset: str):
    frame = pd.DataFrame({"x": [CELLS[kind](n) for n in range(ROWS)], "y": np.where(HALF, "yes", "no")})
    settings = [f"features.x={kind}", f"model.preset={preset}", "train.budget.steps=3", "train.batch_size=8"]
    request = make_request(frame, "y", None, {}, settings, None)
    ready = prepare(request.table, request.spec)
    fitted = fit(ready, None, None)
    wanted = {member.name for member in ready.spec.model.members or []}
    refused = {climb.name for climb in fitted.climbs if not climb.begun}
    assert {report.name for report in fitted.members} | refused == wanted
    assert [r.steps for r in fitted.members if r.name == "mlp"] == [3] * ("mlp" in wanted)
    answers = fitted.predictor.predict(ready.table)["y"]
    assert np.isfinite(answers.probability_NC).all()


def test_the_recipe_for_patient_runs_trains():
    frame = pd.DataFrame({"x": [picture(n) for n in range(ROWS)], "y": [f"class {n % 3}" for n in range(ROWS)]})
    photo = {"type": "image", "encoder": PATIENT.encoder, "augment": PATIENT.augment}
    told = {"features": {"x": photo}, "targets": {"y": {"type": "category", **PATIENT.head}}}
    spec = {"data": {"source": "x.parquet"}, **told, "train": {**PATIENT.train, "budget": {"steps": 3}}}
    request = make_request(frame, None, spec, {}, [], None)
    ready = prepare(request.table, request.spec)
    fitted = fit(ready, None, None)
    assert [r.steps for r in fitted.members if r.name == "mlp"] == [3]
    assert np.isfinite(fitted.predictor.predict(ready.table)["y"].probability_NC).all()
