"""What the check "honesty" is there for is found when it is planted, and its clean twin is left in peace."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trueweight.data.frames import from_frame
from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.honesty import honesty
from trueweight.evaluate.judging import Judging, Training, judging_of
from trueweight.evaluate.leakage import leaks
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data, Entry
from trueweight.spec.load import parse_spec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare

ROWS = 900
SEEDS = (0, 1)
LINEAR = {
    "members": [
        {
            "name": "linear", "encoder": {"type": "linear"}, "fusion": {"type": "concat"}, "fitter": {"type": "solve"},
        }
    ]
}  # fmt: skip
Columns = dict[str, Any]


def people(seed: int, rows: int = ROWS) -> Columns:
    """Yes or no from three numbers and a kind."""
    rng = np.random.default_rng(seed)
    x, z, w = rng.normal(size=(3, rows))
    kind = rng.choice(["red", "green", "blue"], rows)
    odds = 4 * x - 3 * z + 2 * w + 2 * (kind == "red")
    won = np.where(rng.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return {"x": x, "z": z, "w": w, "kind": kind, "won": won}


def costs(seed: int) -> Columns:
    """A number from the same features."""
    columns, rng = people(seed), np.random.default_rng([seed, 1])
    cost = 10 + 2 * columns["x"] - columns["z"] + columns["w"] + rng.normal(size=ROWS)
    return columns | {"cost": cost, "won": np.zeros(ROWS)}


def judged(columns: Columns, target: str = "won", **more: Any) -> Judging:
    """A solved linear model, judged by its test rows."""
    kinds = {"won": "binary", "cost": "number"}
    kept = {name: value for name, value in columns.items() if name == target or name not in kinds}
    wish: dict[str, Any] = {
        "targets": {target: kinds[target]},
        "model": LINEAR,
        "evaluate": {"interval": {"n_resamples": 100}},
    }
    ready = prepare(from_frame(kept), parse_spec(wish | more))
    rows = ready.split.test
    ask = Ask(ready.spec.evaluate, ready.spec.seed, Data("sha256:0", "test"))
    return judging_of(fit(ready, None, None).predictor, ready.table.take(rows), ask, None, Training(ready, rows))


def raised(entries: list[Entry]) -> Mapping[str, str]:
    """Reasons of the flags that are 1, by name; what is found is whole."""
    ids = {entry.id for entry in entries}
    assert len(ids) == len(entries)
    for entry in entries:
        assert entry.axis == "honesty"
        assert set(entry.depends_on) <= ids
        if entry.unit == "flag":
            assert (entry.value == 1) == (entry.reason is not None)
    return {e.metric: e.reason or "" for e in entries if e.unit == "flag" and e.value == 1}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", ["won", "cost"])
def test_nothing_is_flagged_in_honest_rows(target: str, seed: int) -> None:
    entries = honesty(judged(people(seed) if target == "won" else costs(seed), target))
    assert raised(entries) == {}
    flags = {entry.metric for entry in entries if entry.unit == "flag"}
    assert flags == {"near_duplicates_flag", "leak_flag", "label_noise_flag"}


# --- Near-duplicates -------------------------------------------------------------------------------------------------


def split_of(columns: Columns) -> np.ndarray:
    """Which part each row is in, so that it can be fixed in a column."""
    ready = prepare(from_frame(columns), parse_spec({"targets": {"won": "binary"}, "model": LINEAR}))
    part = np.full(len(columns["won"]), "train", dtype=object)
    part[ready.split.validation], part[ready.split.test] = "validation", "test"
    return part.astype(str)


def copied(columns: Columns, share: float, noise: float = 1e-6, seed: int = 0) -> Columns:
    """So many of the test rows become training rows, their numbers changed by a little."""
    part, rng = split_of(columns), np.random.default_rng([seed, 5])
    test = np.flatnonzero(part == "test")
    test = test[: round(share * len(test))]
    source = rng.choice(np.flatnonzero(part == "train"), len(test))
    found = {}
    for name, value in columns.items():
        value = value.copy()
        value[test] = (
            value[source] * (1 + noise * rng.normal(size=len(test))) if value.dtype.kind == "f" else value[source]
        )
        found[name] = value
    return found | {"part": part}


BY_COLUMN: dict[str, Any] = {"split": {"method": "column", "column": "part"}}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", [0.03, 0.3])
def test_rows_that_are_nearly_training_rows_are_found(share: float, seed: int) -> None:
    judging = judged(copied(people(seed), share, seed=seed), **BY_COLUMN)
    entries = duplicates(judging)
    assert "in all columns" in raised(entries)["near_duplicates_flag"]
    found = entries[0]
    assert found.value == pytest.approx(share, abs=1 / len(judging.table))
    assert found.interval is not None
    assert found.interval.low < share < found.interval.high
    without = [entry for entry in entries if entry.slice == "without near twins"]
    assert without
    assert {entry.n for entry in without} <= {len(judging.table) - round(share * len(judging.table)), None}


@pytest.mark.parametrize("columns", [2, 5, 8])
def test_rows_of_few_values_repeat_honestly(columns: int) -> None:
    rng = np.random.default_rng(columns)
    table = {f"c{i}": rng.choice(list("abcde"), ROWS, p=[0.5, 0.2, 0.15, 0.1, 0.05]) for i in range(columns)}
    table |= {"age": rng.integers(18, 90, ROWS), "won": rng.choice(["yes", "no"], ROWS)}
    entries = duplicates(judged(table, split={"method": "random"}))
    assert raised(entries) == {}


def sentences(rng: np.random.Generator, count: int, words: int = 60) -> np.ndarray:
    syllables = np.array(["ba", "ke", "lo", "mi", "nu", "ra", "se", "ti", "vo", "zu"])
    made = ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(400)]
    return np.array([" ".join(rng.choice(made, words)) for _ in range(count)])


@pytest.mark.parametrize("planted", [True, False])
def test_texts_that_are_nearly_training_texts_are_found(planted: bool) -> None:
    rng, rows = np.random.default_rng(0), 200
    columns: Columns = {"note": sentences(rng, rows), "won": rng.choice(["yes", "no"], rows)}
    part = np.where(np.arange(rows) < 120, "train", np.where(np.arange(rows) < 150, "validation", "test"))
    if planted:
        for row in range(150, 160):
            columns["note"][row] = columns["note"][row - 150].upper().replace(" ", "  ", 3) + " PS"
    wish: dict[str, Any] = BY_COLUMN | {"features": {"note": "text"}}
    found = duplicates(judged(columns | {"part": part}, **wish))
    assert ("near_duplicates_flag" in raised(found)) == planted
    assert found[0].value == pytest.approx(0.2 if planted else 0.0)


def test_letters_from_one_template_are_no_copies() -> None:
    rng, rows = np.random.default_rng(0), 200
    letter = sentences(rng, 1, 150)[0]
    note = np.array([f"{letter} {word}" for word in sentences(rng, rows, 2)])
    part = np.where(np.arange(rows) < 120, "train", np.where(np.arange(rows) < 150, "validation", "test"))
    columns = {"note": note, "won": rng.choice(["yes", "no"], rows), "part": part}
    assert raised(duplicates(judged(columns, **BY_COLUMN, features={"note": "text"}))) == {}


def address(value: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.clip(value, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


@pytest.mark.parametrize("planted", [True, False])
def test_pictures_that_look_like_training_pictures_are_found(planted: bool) -> None:
    rng, rows = np.random.default_rng(1), 160
    spots = np.kron(rng.normal(size=(rows, 8, 8)), np.ones((1, 4, 4)))
    pixels = 128 + 40 * spots + 3 * rng.normal(size=(rows, 32, 32))
    if planted:
        pixels[120:130] = 0.9 * pixels[:10] + 10 + 2 * rng.normal(size=(10, 32, 32))
    part = np.where(np.arange(rows) < 90, "train", np.where(np.arange(rows) < 120, "validation", "test"))
    photo = np.array([address(value) for value in pixels])
    columns = {"photo": photo, "won": rng.choice(["yes", "no"], rows), "part": part}
    found = duplicates(judged(columns, **BY_COLUMN, features={"photo": "image"}))
    assert ("near_duplicates_flag" in raised(found)) == planted
    assert found[0].value == pytest.approx(0.25 if planted else 0.0)


# --- Leaks -----------------------------------------------------------------------------------------------------------


def told(columns: Columns, share: float, seed: int) -> Columns:
    """A status that says the target in so many rows, and anything else in the others."""
    rng = np.random.default_rng([seed, 3])
    right = np.where(columns["won"] == "yes", "paid", "open")
    said = np.where(rng.random(ROWS) < share, right, rng.choice(["open", "paid"], ROWS))
    return columns | {"status": said}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("share", "found"), [(0.3, False), (1.0, True)])
def test_a_column_that_tells_the_target_is_named(share: float, found: bool, seed: int) -> None:
    flags = raised(leaks(judged(told(people(seed), share, seed))))
    assert ("leak_flag" in flags) == found
    assert not found or "'status'" in flags["leak_flag"]


def test_a_column_whose_being_there_tells_the_target_is_named() -> None:
    columns = people(0)
    rng = np.random.default_rng(1)
    paid = np.array([f"{value:.2f}" for value in rng.gamma(2.0, 100.0, ROWS)], dtype=object)
    columns["paid_amount"] = np.where(columns["won"] == "yes", paid, np.full(ROWS, "", object))
    assert "'paid_amount'" in raised(leaks(judged(columns)))["leak_flag"]


def test_a_word_that_tells_the_target_is_found() -> None:
    columns = people(0)
    note = sentences(np.random.default_rng(2), ROWS, 12)
    columns["note"] = np.where(columns["won"] == "yes", [f"{text} settled" for text in note], note)
    flags = raised(leaks(judged(columns, features={"note": "text"})))
    assert "'note'" in flags["leak_flag"]
    assert "settled" not in flags["leak_flag"]


@pytest.mark.parametrize("by_target", [True, False])
def test_numbers_of_rows_that_are_sorted_by_the_target_are_named(by_target: bool) -> None:
    columns = people(0)
    rng = np.random.default_rng(4)
    order = np.argsort((columns["won"] == "yes") + rng.normal(size=ROWS) * 0.3) if by_target else np.arange(ROWS)
    columns = {name: value[order] for name, value in columns.items()} | {"entry": np.arange(ROWS)}
    flags = raised(leaks(judged(columns, features={"entry": "number"})))
    assert ("leak_flag" in flags) == by_target
    assert not by_target or "'entry' only numbers the rows" in flags["leak_flag"]


def days(rng: np.random.Generator) -> np.ndarray:
    return np.datetime64("2024-01-01") + np.sort(rng.integers(0, 700, ROWS)).astype("timedelta64[D]")


@pytest.mark.parametrize("afterwards", [True, False])
def test_a_date_from_the_future_is_named(afterwards: bool) -> None:
    columns, rng = people(0), np.random.default_rng(5)
    day = days(rng)
    wait = np.where(columns["won"] == "yes", 5, 40) + rng.integers(0, 20, ROWS)
    columns["reported"] = day.astype(str)
    columns["closed"] = (day + wait.astype("timedelta64[D]") * (1 if afterwards else -1)).astype(str)
    wish: dict[str, Any] = {
        "split": {"method": "time", "time_column": "reported"},
        "features": {"closed": "date", "reported": "date"},
    }
    flags = raised(leaks(judged(columns, **wish)))
    assert ("time_travel_flag" in flags) == afterwards
    assert not afterwards or "'closed' is later than the row's own time" in flags["time_travel_flag"]


@pytest.mark.parametrize("slowly", [True, False])
def test_a_split_by_chance_of_what_changes_slowly_is_named(slowly: bool) -> None:
    columns, rng = costs(0), np.random.default_rng(6)
    if slowly:
        columns["cost"] = columns["cost"] + 20 * np.sin(np.arange(ROWS) / 60)
    shuffled = rng.permutation(ROWS)
    columns = {name: value[shuffled] for name, value in (columns | {"day": days(rng).astype(str)}).items()}
    flags = raised(leaks(judged(columns, "cost", features={"day": "date"}, split={"method": "random"})))
    assert ("time_split_flag" in flags) == slowly
    assert not slowly or "split.time_column: day" in flags["time_split_flag"]


# --- Wrong labels and more rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_flipped_labels_are_found_and_the_rows_are_named_beside_the_bundle(seed: int) -> None:
    columns = people(seed)
    wrong = np.random.default_rng([seed, 7]).random(ROWS) < 0.12
    columns["won"] = np.where((columns["won"] == "yes") ^ wrong, "yes", "no")
    judging = judged(columns | {"key": np.arange(ROWS) + 5000}, data={"primary_key": "key"})
    entries = honesty(judging)
    assert "suspicious-rows.csv in the folder NAME.evidence" in raised(entries)["label_noise_flag"]
    found = next(entry for entry in entries if entry.metric == "wrong_labels")
    assert found.interval is not None
    assert found.interval.low <= wrong.mean() <= found.interval.high
    head, *rows = judging.beside["suspicious-rows.csv"].decode().splitlines()
    assert head == "key,target,probability that the label is wrong"
    keys = np.array([int(row.split(",")[0]) for row in rows]) - 5000
    assert wrong[keys[:20]].mean() >= 0.75


def test_slips_of_the_decimal_point_are_found() -> None:
    columns, rng = costs(1), np.random.default_rng(8)
    wrong = rng.random(ROWS) < 0.05
    columns["cost"] = np.where(wrong, 10 * columns["cost"], columns["cost"])
    assert "label_noise_flag" in raised(honesty(judged(columns, "cost")))


def test_what_the_model_has_not_learnt_is_not_put_down_to_labels() -> None:
    columns, rng = people(0), np.random.default_rng(9)
    odds = 6 * np.sin(2 * columns["x"]) + columns["z"]
    columns["won"] = np.where(rng.random(ROWS) < 1 / (1 + np.exp(-odds)), "yes", "no")
    entries = honesty(judged(columns))
    assert raised(entries) == {}
    found = next(entry for entry in entries if entry.metric == "label_noise_flag")
    assert found.reason is not None
    assert "errors gather" in found.reason


def test_what_more_rows_would_bring_is_said_of_the_linear_member() -> None:
    entries = honesty(judged(people(0)))
    points = [entry for entry in entries if entry.metric == "learning_curve"]
    assert [entry.slice for entry in points] == [f"{rows} training rows" for rows in (68, 135, 270, 540)]
    assert all(entry.interval is not None and entry.n == 180 for entry in points)
    gain = next(entry for entry in entries if entry.metric == "gain_of_twice_the_rows")
    assert gain.status == "estimated"
    assert gain.reason is not None
    assert gain.reason.startswith(
        "for the linear member, twice the 540 training rows would bring the log_loss of 'won'"
    )
    assert isinstance(gain.value, float)
    first, last = points[0].value, points[-1].value
    assert isinstance(first, float)
    assert isinstance(last, float)
    assert 0 <= gain.value < first - last


def test_rows_that_came_later_have_no_training_rows_to_look_at() -> None:
    judging = judged(people(0))
    later = judging_of(judging.predictor, judging.table, judging.ask)
    entries = {entry.metric: entry for entry in honesty(later)}
    for name in ("near_duplicates_flag", "leak_flag", "learning_curve"):
        assert entries[name].status == "not_applicable"
    assert entries["label_noise_flag"].value == 0
