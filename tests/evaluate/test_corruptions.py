"""Suites of corruptions: cells written anew are the same, strengths mean what they say, brittle models are told."""

import calendar
import io
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.judged import flag, judged, picture, sound

from trueweight.data.reading import cells_of
from trueweight.evaluate.changed_rows import FAMILIES, changed_copies, some_rows
from trueweight.evaluate.corrupt_dates import swapped, years_later
from trueweight.evaluate.corrupt_pictures import blurred, png
from trueweight.evaluate.corrupt_sounds import wav
from trueweight.evaluate.corrupt_tables import UNSEEN, spread_of
from trueweight.evaluate.corrupt_texts import mistyped, without_words
from trueweight.evaluate.corruptions import corruptions
from trueweight.evaluate.judging import Judging
from trueweight.registry import registry

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
        "tags": [["ab", "cd", "ef"][: i % 4] if i % 7 else None for i in n],
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
        "size": "number", "colour": "category", "code": "category", "flag": "binary", "day": "date", "tags": "set",
        "place": "vector",
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


def test_changed_copies_are_the_same_whoever_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    judging = mixed()
    table = judging.table.take(some_rows(judging))
    _, together = changed_copies(judging, table)
    monkeypatch.setitem(changed_copies.__globals__, "AT_ONCE", 1)
    _, alone = changed_copies(judging, table)
    assert [copy.key for copy in together] == [copy.key for copy in alone]
    for one, other in zip(together, alone, strict=True):
        assert repr(one.table.data.to_pylist()) == repr(other.table.data.to_pylist()), (
            one.key
        )  # gaps are NaN, not equal


def test_changed_cells_are_still_cells_of_their_type() -> None:
    judging = mixed()
    _, copies = changed_copies(judging, judging.table.take(some_rows(judging)))
    signature = judging.predictor.signature
    for copy in copies:
        if copy.suite.name in ("missing", "words"):
            continue
        for name in copy.table.names:
            facts = signature.columns[name]
            if facts.type in copy.family.types and name not in ("size", "tags"):
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
    nothing = replace(judging, table=judging.table.select(["won"]), truths={})
    (entry,) = corruptions(nothing)
    assert entry.status == "not_applicable"


def test_every_type_of_column_that_a_model_reads_has_suites() -> None:
    told = {kind for family in FAMILIES for kind in family.types}
    assert told == set(registry("column")) - {"id", "ignore"}


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
    for written in (pixel, pixel[:, :, :1], pixel[:1, :1]):
        Image.open(io.BytesIO(png(written))).verify()  # checks the sums of every chunk
        read = np.asarray(Image.open(io.BytesIO(png(written))))
        np.testing.assert_array_equal(read.reshape(written.shape), written)
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


def test_dates_move_as_a_calendar_does() -> None:
    texts = ["2024-02-29T10:30", "2023-12-31", "1969-07-20", "2024-04-10", "2021-11-13", "1900-03-12"]
    micros_N = np.array([np.datetime64(text, "us").astype(np.int64) for text in texts])
    for years in (1, -1, 4):
        for text, micros in zip(texts, years_later(micros_N, years).tolist(), strict=True):
            day = datetime.fromisoformat(text)
            last = calendar.monthrange(day.year + years, day.month)[1]
            expected = day.replace(year=day.year + years, day=min(day.day, last))
            assert np.datetime64(micros, "us") == np.datetime64(expected, "us"), (text, years)
    for text, micros in zip(texts, swapped(micros_N).tolist(), strict=True):
        day = datetime.fromisoformat(text)
        expected = day if day.day > 12 else day.replace(month=day.day, day=day.month)
        assert np.datetime64(micros, "us") == np.datetime64(expected, "us"), text
    np.testing.assert_array_equal(swapped(swapped(micros_N)), micros_N)


def _cells(copies: Any, key: str, name: str) -> list[Any]:
    (found,) = (copy for copy in copies if copy.key == key)
    return list(found.table.column(name).to_pylist())


def test_strengths_of_plain_suites_are_what_their_words_say() -> None:
    judging = mixed()
    clean, copies = changed_copies(judging, judging.table)
    rows, was = len(clean), {name: clean.column(name).to_pylist() for name in ("day", "tags", "colour")}
    moved = [a - b for a, b in zip(_cells(copies, "dates-days-2", "day"), was["day"], strict=True)]
    assert {abs(gap.days) for gap in moved} == {7}
    for key, share in (("dates-year-3", 0.2), ("categories-typos-2", 0.2)):
        name = "day" if key[0] == "d" else "colour"
        changed = sum(a != b for a, b in zip(_cells(copies, key, name), was[name], strict=True))
        # Two neighbours that are the same letter may be swapped.
        assert round(share * rows) - 2 <= changed <= round(share * rows)
    for severity, share in ((1, 0.05), (3, 0.5)):
        pairs = list(zip(_cells(copies, f"sets-unseen-{severity}", "tags"), was["tags"], strict=True))
        assert all(a is b is None or set(a) >= set(b) for a, b in pairs)
        strangers = sum(a is not None and set(a) - {"ab", "cd", "ef"} == {UNSEEN} for a, _ in pairs)
        assert strangers <= max(1, round(share * rows))
    pairs = list(zip(_cells(copies, "sets-fewer-3", "tags"), was["tags"], strict=True))
    before, after = (sum(len(pair[i] or ()) for pair in pairs) for i in (1, 0))
    assert abs(after - before / 2) < 4 * np.sqrt(before / 4)  # four standard deviations of a binomial
    for a, b in zip(_cells(copies, "sets-borrowed-3", "tags"), was["tags"], strict=True):
        assert (a is None) == (b is None)
        assert a is None or (set(b) <= set(a) <= {"ab", "cd", "ef"} and len(a) - len(b) <= 1)


def test_a_model_that_reads_only_dates_and_sets_is_measured() -> None:
    """What is left of a set decides: half of its members gone must cost, and the cost is that of the formula."""
    rng, rows = np.random.default_rng(0), 1200
    has = rng.random((rows, 3)) < 0.5
    tags = [[name for name, there in zip("xyz", row, strict=True) if there] for row in has]
    day = [str(np.datetime64("2024-01-01") + int(i)) for i in rng.integers(0, 300, rows)]
    columns = {"tags": tags, "day": day, "won": np.where(has[:, 0], "yes", "no")}
    wish = {"features": {"tags": "set", "day": "date"}, "targets": {"won": "binary"},
            "evaluate": {"metrics": {"won": ["accuracy"]}}}  # fmt: skip
    judging = judged(columns, wish)
    found, again = ({entry.id: entry for entry in corruptions(judging)} for _ in range(2))
    assert [(e.value, e.interval) for e in found.values()] == [(e.value, e.interval) for e in again.values()]
    fewer = found["robustness/won/accuracy/test/sets-fewer-3"]
    # Every other "x" is gone, and half of the rows had one: a quarter is wrong.
    assert fewer.value == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / (fewer.n or 1)))
    assert found["robustness/won/accuracy/test/dates-year-3"].value == 1.0
    (raised,) = (entry for entry in found.values() if entry.metric == "robustness_flag")
    assert raised.status == "not_applicable"
