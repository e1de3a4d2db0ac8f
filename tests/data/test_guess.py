"""Guesses: on the whole column, with the reason in words."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes, load_wine

from trueweight.data import guess
from trueweight.data.cells import ReadOptions
from trueweight.data.guess import guess_feature, guess_target
from trueweight.data.parse_dates import read_dates
from trueweight.errors import DataError
from trueweight.registry import registry
from trueweight.spec.data import MISSING_MARKERS

OPTIONS = ReadOptions(MISSING_MARKERS)
RNG = np.random.default_rng(0)
WORDS = ["red", "green", "blue"]
DAYS = [str(np.datetime64("2020-01-01") + i) for i in range(60)]
SENTENCES = [" ".join(RNG.choice([*WORDS, "of", "the", "sea"], 12)) + f" {i}" for i in range(50)]
WAVES = [[round(float(np.sin(i + step / 3) + i / 9), 3) for step in range(30)] for i in range(40)]
NOISE = RNG.normal(size=(40, 30)).round(3).tolist()


def feature(values, name="x"):
    return guess_feature(
        name, pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)]), OPTIONS
    )


@pytest.mark.parametrize("first", [True, False])
def test_a_frequent_text_counts_as_often_as_it_is_there(first: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guess, "_READ", 100)  # of 2,000 cells
    notes, often = [f"my note number {i}" for i in range(1800)], ["OK"] * 200
    found = feature([*often, *notes] if first else [*notes, *often])
    assert (found.type, found.why) == ("text", "free text of about 4 words")


def test_a_text_column_with_gaps_is_not_read_for_dates_to_the_end(monkeypatch: pytest.MonkeyPatch):
    lengths = []

    def noted(raw, options, **more):
        lengths.append(len(raw))
        return read_dates(raw, options, **more)

    monkeypatch.setattr(guess, "read_dates", noted)
    assert feature(["" if i % 5 < 3 else f"it was a note of some words {i}" for i in range(5000)]).type == "text"
    assert lengths == [1000]


def target(values, name="y"):
    return guess_target(name, pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)]), OPTIONS)


@pytest.mark.parametrize(
    ("values", "type", "why", "spec"),
    [
        ([str(i % 50) for i in range(100)], "number", "all 100 values are numbers", {}),
        ([str(i % 50) for i in range(100)] + ["NA"] * 9, "number", "all 100 values are numbers", {}),
        ([f"{i},5" for i in range(100)], "number", "all 100 values are numbers", {"decimal_comma": True}),
        ([f"{i},25" for i in range(9)] + ["20.05"], "number", "all 10 values", {"decimal_comma": True}),
        (["1,234", "2,345", "17"] * 9, "number", "all 27 values", {"decimal_comma": False}),
        (["1.234,5", "2.345", "17"] * 9, "number", "all 27", {"decimal_comma": True, "thousands_point": True}),
        ([str(i) for i in range(300)] + ["oops", "eh"], "number", "300 of 302 values are numbers", {}),
        ([str(i) for i in range(100)] + ["unknown"] * 30, "number", "100 of 130 values are numbers", {}),
        ([str(i % 9) for i in range(60)] + WORDS * 5, "category", "12 distinct texts", {}),
        (["3", "1", "2"] * 30, "number", "all 90", {}),
        (["007", "012", "123"] * 30, "category", "3 distinct codes with leading zeros", {}),
        ([f"{i:05d}" for i in range(60)], "id", "unique in every row", {}),
        (["0", "1"] * 30, "binary", "two distinct numbers", {}),
        (["1.0", "1", "0"] * 30, "binary", "two distinct numbers", {}),
        ([0, 1, None] * 30, "binary", "two distinct numbers", {}),
        (["yes", " no", "no"] * 30, "binary", "two distinct texts", {}),
        ([True, False], "binary", "two distinct texts", {}),
        (WORDS * 10, "category", "3 distinct texts", {}),
        (["a"] * 10, "ignore", "constant: nothing to learn", {}),
        (["a", None] * 10, "category", "one value, given in 10 rows and missing in 10", {}),
        ([7] * 10, "ignore", "constant", {}),
        (["inf"] * 9 + [""], "ignore", "all 9 values are infinite: nothing to learn", {}),
        ([np.inf, -np.inf, None], "ignore", "all 2 values are infinite", {}),
        ([1e-310, 2e-310, 0.0], "ignore", "numbers too small to be told from zero", {}),
        ([None, ""], "ignore", "no values at all", {}),
        (pa.nulls(5), "ignore", "no values at all", {}),
        (pa.array([], pa.string()), "ignore", "no rows", {}),
        (DAYS, "date", "all 60 values are dates", {}),
        (DAYS[:30] + ["10.04.1912"] * 9, "date", "more than one format", {}),
        (["13/04/2020", "10/04/2020", "11/05/2020"], "date", "all 3 values are dates", {"day_first": True}),
        (["04/13/2020", "10/04/2020", "11/05/2020"], "date", "all 3 values are dates", {"day_first": False}),
        (["04/03/2020", "10/04/2020", "11/05/2020"], "date", "nothing tells day from month", {"day_first": True}),
        ([dt.date(2020, 1, i) for i in range(1, 20)], "date", "are dates", {}),
        ([f"user-{i}" for i in range(50)], "id", "unique in every row: an identifier, not learnt from", {}),
        (SENTENCES, "text", "free text of about 13 words", {}),
        (["这个酒店的服务很好，下次还会来" + chr(0x4E00 + i) for i in range(50)], "text", "about 8 words", {}),
        ([f"うつくしい{chr(0x3041 + i)}そらをみる" for i in range(60)] * 1, "text", "free text", {}),
        (["Love this", "So so"] * 9 + [f"Nice colour {i}" for i in range(60)], "text", "3 words", {}),
        ([f"Anna {i}" for i in range(60)] + ["Anna 1"] * 20, "ignore", "60 distinct texts in 80 rows: too varied", {}),
        (["very nice indeed, I would say", "not so nice, too small"] * 30 + ["ok"], "category", "3 distinct", {}),
        ([f"w{i}" for i in range(60)] * 1 + ["w1"] * 20, "ignore", "60 distinct texts in 80 rows: too varied", {}),
        ([[1.0, 2.0, 3.0]] * 5, "vector", "lists of 3 numbers", {"width": 3}),
        ([[1.0], [1.0, 2.0], None], "timeseries", "series, most of 1 to 2 steps", {"channels": 1}),
        (WAVES, "timeseries", "series of 30 steps", {"channels": 1}),
        ([[*wave] for wave in NOISE], "vector", "lists of 30 numbers", {"width": 30}),
        ([[[v, 1.0] for v in wave] for wave in WAVES], "timeseries", "series of 2 channels of 30", {"channels": 2}),
        ([str(wave) for wave in WAVES], "timeseries", "series of 30 steps, written out", {"channels": 1}),
        ([" ".join(map(str, wave)) for wave in WAVES], "timeseries", "series of 30 steps, written", {"channels": 1}),
        ([str(wave[: 9 + i]) for i, wave in enumerate(WAVES[:20])], "timeseries", "most of", {"channels": 1}),
        (["[[1, 2], [3, null]]", "[[5, 6]]", "[[7, 8]]"] * 9, "timeseries", "2 channels, most of 1", {"channels": 2}),
        ([f"[{i}, {i * i}.5]" for i in range(40)], "vector", "lists of 2 numbers, written out", {"width": 2}),
        ([f"{i} 2 3" for i in range(40)], "vector", "lists of 3 numbers, written out", {"width": 3}),
        ([["a", "b"], ["b"]], "set", "lists of 2 distinct texts", {}),
        (["red|blue", "red", "blue|green", "green|red", "a|red"] * 5, "set", "parted by bars", {"separator": "|"}),
        ([{"a": 1}], "ignore", "not supported yet", {}),
        ([b"\xff\xfe", b"\xff"], "ignore", "not supported yet", {}),
    ],
)  # fmt: skip
def test_features(values, type, why, spec):
    guess = feature(values)
    assert (guess.type, guess.spec) == (type, spec)
    assert why in guess.why


@pytest.mark.parametrize(
    "name", ["id", "claim_id", "PassengerId", "nr", "No", "Unnamed: 0", "#", "row", "userID", "uuid"]
)
def test_names_speak_for_identifiers(name):
    whole = [str(i) for i in RNG.permutation(500)]
    long = 1_234_567_890_123_456_789 + np.arange(500)  # only a few different ones as float64
    assert feature([str(i) for i in long], name).type == feature(pa.array(long), name).type == "id"
    assert feature(whole, name).type == "id"
    assert feature([*whole, *whole[:9]], name).why.startswith("unique in nearly every row")
    assert feature([str(i % 7) for i in range(500)], name).type == "number"
    assert feature([f"{i}.5" for i in range(500)], name).type == "number"


def test_a_gapless_count_is_a_number_with_a_remark():
    guess = feature(list(range(100)), "width")
    assert guess.type == "number"
    assert "make the type 'id'" in guess.why


def test_reasons_quote_no_cell():
    # Reasons are kept in the bundle, where no rare value may stand.
    for values in (["secret"] * 9, ["secret", "other"] * 9, ["secret"] * 5 + [str(i) for i in range(200)]):
        assert "secret" not in feature(values).why


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["0", "1"] * 20, "binary"),
        (["yes", "no", None] * 20, "binary"),
        ([True, False], "binary"),
        (["1", "2", "3"] * 30, "category"),
        ([1.0, 2.0, 3.0] * 30, "category"),
        (list(range(10)) * 20, "category"),
        (list(range(10)) * 5, "number"),
        (list(range(30)) * 100, "number"),
        ([0.5, 1.5, 2.5] * 50, "number"),
        ([f"{i},5" for i in range(50)], "number"),
        (WORDS * 10, "category"),
        ([[1.0, 2.0]] * 9 + [[1.0, 3.0]], "vector"),
        (WAVES, "vector"),
        ([["a"], ["b", "a"]], "set"),
        (["a|b", "b", "a", "c|a", "b|c"] * 10, "set"),
    ],
)
def test_targets(values, type):
    guess = target(values)
    assert guess.type == type
    registry("head")[type].model_validate({"type": type, **guess.spec})  # heads know fewer fields than columns


@pytest.mark.parametrize("values", [[2**60 + i for i in range(200)], [str(2**60 + i) for i in range(200)]])
def test_whole_numbers_above_2_53_are_told_apart_as_they_are_written(values):
    assert target(values).type == "number"  # two distinct ones as float64
    assert feature(values).type == "number"


def test_targets_of_known_tables():
    assert target(load_wine().target).type == "category"
    assert target(load_diabetes().target).type == "number"


def test_free_text_as_a_target_is_to_be_written():
    found = target(SENTENCES)
    assert found.type == "text"
    assert "to be written" in found.why


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([None, "NA"], "has no values"),
        (["a"] * 9, "constant"),
        ([3, 3, 3], "constant"),
        (["inf", "-inf"] * 9, "all 18 values of the target 'y' are infinite"),
        ([1e-310, 2e-310, 3e-310] * 9, "too small to be told from zero"),
        ([f"n{i}" for i in range(50)], "50 distinct texts in 50 rows"),
        (DAYS, "holds dates"),
        ([{"a": 1}], "cannot be a target"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(values, problem):
    with pytest.raises(DataError, match=problem) as caught:
        target(values)
    assert caught.value.hint
    assert caught.value.where == "targets.y"
