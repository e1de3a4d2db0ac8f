"""Suites of corruptions: cells written anew are the same, strengths mean what they say, brittle models are told."""

import io
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.judged import flag, judged, picture, sound

from trueweight.data.reading import cells_of
from trueweight.evaluate.corrupt_pictures import blurred, png
from trueweight.evaluate.corrupt_sounds import wav
from trueweight.evaluate.corrupt_tables import spread_of
from trueweight.evaluate.corrupt_texts import mistyped, without_words
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.robustness import FAMILIES, changed_copies, corruptions, some_rows

ROWS = 120
WORDS = ["storm", "water", "fire", "roof", "cellar", "garden", "window", "door"]


@cache
def mixed() -> Judging:
    """A linear model of a table with a column of every type."""
    rng, n = np.random.default_rng(0), np.arange(ROWS)
    size, kind = rng.normal(size=ROWS), n % 2
    time = np.arange(800) / 8000
    columns: dict[str, Any] = {
        "size": [None if i % 11 == 0 else round(float(v), 3) for i, v in enumerate(size)],
        "colour": [("red", "green", "blue")[i % 3] for i in n],
        "code": [int(i % 4) for i in n],
        "flag": [bool(i % 5 < 2) for i in n],
        "day": [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in n],
        "place": [[float(v), float(i % 4)] for i, v in enumerate(size)],
        "note": [" ".join(rng.choice(WORDS, 12)) + (" Help" if k else " thanks") for k in kind],
        "photo": [picture(rng.integers(0, 80, (12, 10)) + 10 * np.arange(10) * k) for k in kind],
        "clip": [sound(np.sin(2 * np.pi * 500 * (k + 1) * time) * 0.3 + rng.normal(size=800) / 50) for k in kind],
        "walk": [[[float(size[i] + t), float(kind[i] * t % 3)] for t in range(10 + i % 3)] for i in n],
        "wave": [[float(np.sin(t * (1 + k))) for t in range(20)] for k in kind],
        "won": np.where(kind == 1, "yes", "no"),
        "cost": size * 2 + kind,
    }  # fmt: skip
    types = {
        "size": "number", "colour": "category", "code": "category", "flag": "binary", "day": "date", "place": "vector",
        "note": "text", "photo": "image", "clip": "audio", "walk": "timeseries", "wave": "timeseries",
    }  # fmt: skip
    return judged(columns, {"features": types, "targets": {"won": "binary", "cost": "number"}})


def test_cells_written_anew_give_the_same_answers() -> None:
    judging = mixed()
    table = judging.table.take(some_rows(judging))
    clean, _ = changed_copies(judging, table)
    ours, theirs = judging.predictor.predict(clean), judging.predictor.predict(table)
    for target in ("won", "cost"):
        # The same numbers go through the same network.
        np.testing.assert_allclose(ours[target].scores(), theirs[target].scores(), rtol=1e-6, atol=1e-6)


def test_every_suite_of_every_family_changes_its_own_columns_only() -> None:
    judging = mixed()
    clean, copies = changed_copies(judging, judging.table.take(some_rows(judging)))
    assert {(c.family.name, c.suite.name, c.severity) for c in copies} == {
        (family.name, suite.name, severity) for family in FAMILIES for suite in family.suites for severity in (1, 2, 3)
    }
    signature = judging.predictor.signature
    for copy in copies:
        for name in clean.names:
            same = copy.table.data.column(name).equals(clean.data.column(name))
            if signature.columns[name].type not in copy.family.types:
                assert same, (copy.key, name)
        some = [n for n in clean.names if signature.columns[n].type in copy.family.types]
        changed = any(not copy.table.data.column(n).equals(clean.data.column(n)) for n in some)
        assert changed or copy.key == "texts-capitals-1", copy.key  # n-grams are read in small letters


def test_changed_cells_are_still_cells_of_their_type() -> None:
    judging = mixed()
    _, copies = changed_copies(judging, judging.table.take(some_rows(judging)))
    signature = judging.predictor.signature
    for copy in copies:
        if copy.suite.name in ("missing", "words"):
            continue
        for name in copy.table.names:
            facts = signature.columns[name]
            if facts.type in copy.family.types and name != "size":
                assert not cells_of(copy.table, facts, signature.options).missing_N.any(), (copy.key, name)


def test_the_same_entries_come_out_again() -> None:
    judging = judged(brittle(0, 1.0), {"targets": {"won": "binary"}})
    found, again = corruptions(judging), corruptions(judging)
    assert [(e.id, e.value, e.interval) for e in found] == [(e.id, e.value, e.interval) for e in again]


def test_entries_say_what_was_done() -> None:
    judging = mixed()
    found = corruptions(replace(judging, truths={"won": judging.truths["won"]}))
    assert len({entry.id for entry in found}) == len(found)
    ids = {entry.id for entry in found}
    assert all(source in ids for entry in found for source in entry.depends_on)
    loud = next(e for e in found if e.id == "robustness/won/roc_auc/test/sounds-gain-1")
    assert loud.slice == "sounds: louder or softer by 3 dB"
    assert loud.interval is not None or loud.reason
    assert flag(found, "worst", "won").value


def brittle(seed: int, gap: float) -> dict[str, Any]:
    """Two columns that are nearly one, whose small difference tells the class."""
    rng, rows = np.random.default_rng(seed), 1500
    z, y = rng.normal(size=rows), rng.integers(0, 2, rows)
    return {"a": z, "b": z + gap * (2 * y - 1) + gap / 4 * rng.normal(size=rows), "won": np.where(y, "yes", "no")}


@pytest.mark.parametrize("seed", range(2))
def test_a_model_that_lives_on_a_thousandth_is_told_and_its_twin_is_not(seed: int) -> None:
    for gap, value in ((0.02, 1), (1.0, 0)):
        found = flag(corruptions(judged(brittle(seed, gap), {"targets": {"won": "binary"}})), "robustness_flag", "won")
        assert found.value == value, (gap, found.reason)
    assert found.status == "measured"


def test_tables_without_a_column_to_change_say_so() -> None:
    judging = mixed()
    nothing = replace(judging, table=judging.table.select(["day", "won"]), truths={})
    (entry,) = corruptions(nothing)
    assert entry.status == "not_applicable"


# --- Single changes, against their definitions ------------------------------------------------------------------------


def test_a_blur_keeps_flat_pictures_and_spreads_a_point_like_its_formula() -> None:
    flat = np.full((1, 6, 7, 3), 90, np.uint8)
    np.testing.assert_allclose(blurred(flat, 1.5), 90)
    point = np.zeros((1, 21, 21, 1), np.uint8)
    point[0, 10, 10] = 255
    found = blurred(point, 1.0)[0, :, :, 0]
    y, x = np.mgrid[:21, :21] - 10
    weight = np.exp(-(y**2 + x**2) / 2) * (abs(y) <= 3) * (abs(x) <= 3)
    np.testing.assert_allclose(found, 255 * weight / weight.sum(), atol=1e-9)


def test_files_hold_what_was_written() -> None:
    import soundfile

    pixel = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixel)))), pixel)
    sample = np.random.default_rng(0).normal(size=33).astype(np.float32) * 2
    read, rate = soundfile.read(io.BytesIO(wav(sample, 11025)), dtype="float32")
    np.testing.assert_array_equal(read, sample)
    assert rate == 11025


def test_slips_are_as_many_as_asked_and_words_go_by_their_share() -> None:
    rng = np.random.default_rng(0)
    assert mistyped("x", 3, rng) == "x"
    assert mistyped("abcdefgh", 0, rng) == "abcdefgh"
    text = "abcdefghij" * 20
    for _ in range(20):
        changed = mistyped(text, 1, rng)
        assert changed != text
        assert abs(len(changed) - len(text)) <= 1
    kept = len(without_words("word " * 4000, 0.25, rng).split())
    assert abs(kept - 3000) < 4 * np.sqrt(4000 * 0.25 * 0.75)  # four standard deviations of a binomial


def test_noise_is_of_the_middle_half_and_leaves_columns_of_mostly_one_value() -> None:
    levels, at = (0.25, 0.5, 0.75), np.array([-0.6745, 0.0, 0.6745])
    assert spread_of({"levels": levels, "quantiles": (at * 3).tolist(), "std": 50.0}) == pytest.approx(3, rel=1e-3)
    assert spread_of({"levels": levels, "quantiles": [0.0, 0.0, 0.0], "std": 50.0}) == 0
    assert spread_of({"levels": levels, "quantiles": [], "std": 0.0}) == 0
