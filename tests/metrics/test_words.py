"""Numbers and verdicts as text."""

import math
from dataclasses import replace

import pytest

from trueweight.metrics.compare import Difference
from trueweight.metrics.words import counted, digits_for, plain, shown, signed, verdict

AREA = Difference("roc_auc", 0.0123, -0.0111, 0.0312, 0.95, 442, "not shown")


@pytest.mark.parametrize(
    "better, value, low, high, text",
    [
        ("not shown", 0.0123, -0.0111, 0.0312,
         "Better than linear?  Not shown: roc_auc +0.012 (−0.011 … +0.031), same rows."),
        ("a", 0.12, 0.02, 0.22, "Better than linear?  Yes: roc_auc +0.12 (+0.02 … +0.22), same rows."),
        ("b", -1234.5, -2469.0, -60.0, "Better than linear?  No, worse: roc_auc −1,200 (−2,500 … −100), same rows."),
    ],
)  # fmt: skip
def test_verdict(better, value: float, low: float, high: float, text: str):
    assert verdict(replace(AREA, better=better, value=value, low=low, high=high), "linear") == text


def test_verdict_in_ascii():
    text = verdict(AREA, "linear", ascii=True)
    assert text == "Better than linear?  Not shown: roc_auc +0.012 (-0.011 ... +0.031), same rows."
    assert text.isascii()


def test_verdict_says_why():
    found = replace(AREA, low=None, high=None, reason="5 rows are too few to compare on")
    assert verdict(found, "constant") == (
        "Better than constant?  Not shown: roc_auc +0.0123, no interval; 5 rows are too few to compare on."
    )
    found = replace(AREA, value=math.nan, low=None, high=None, reason="no row has a known label")
    assert verdict(found, "constant") == (
        "Better than constant?  Not shown: roc_auc is not defined; no row has a known label."
    )
    found = replace(AREA, low=0.001, reason="only 3 groups make the difference", clusters=40)
    assert verdict(found, "linear").endswith(", same rows in 40 groups; only 3 groups make the difference.")


@pytest.mark.parametrize(
    "half, value, digits",
    [(0.04, 0.8, 3), (0.4, 12, 2), (4, 100, 1), (40, 100, 0), (4000, 1e5, -2), (None, 0.123456, 3), (None, 1234.5, -1),
     (0, 0.5, 3), (None, 0.0, 2), (math.inf, 5, 2)],
)  # fmt: skip
def test_two_digits_of_the_half_width(half: float | None, value: float, digits: int):
    assert digits_for(half, value) == digits


@pytest.mark.parametrize(
    "value, decimals, text",
    [(0.8312, 2, "0.83"), (-0.001, 2, "0.00"), (-3.0, 1, "−3.0"), (123456.0, -2, "123,500"),
     (1.23e-9, 10, "1.23e-09"), (-1.23e-9, 10, "−1.23e-09"), (2.1234, 8, "2.12"),
     (math.nan, 2, "nan"), (math.inf, 2, "inf"), (-math.inf, 2, "−inf")],
)  # fmt: skip
def test_plain(value: float, decimals: int, text: str):
    assert plain(value, decimals) == text
    assert plain(value, decimals, ascii=True) == text.replace("−", "-")


def test_signed():
    assert (signed(0.01, 2), signed(-0.01, 2), signed(-0.0001, 2), signed(math.nan, 2)) == (
        "+0.01", "−0.01", "+0.00", "nan",
    )  # fmt: skip


def test_shown():
    assert shown(0.8312, 0.7921, 0.8689) == ("0.831", "0.792 … 0.869")
    assert shown(0.8312, 0.7921, 0.8689, ascii=True) == ("0.831", "0.792 ... 0.869")
    assert shown(0.8312, None, None) == ("0.831", "")


def test_one_is_not_many() -> None:
    assert [counted(n, "row") for n in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]
    assert [counted(n, "row is", "rows are") for n in (1, 2)] == ["1 row is", "2 rows are"]
