"""Pairs of texts made by rules: what is asked and the one right answer, for models that write.

Every function gives rows of (source, target, part), part "train", "validation" or "test"; no source of a test row is
one of training.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import numpy as np

__all__ = ["MADE", "additions", "dates", "number_words", "spelt_number"]

Row = tuple[str, str, str]

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def spelt_number(number: int) -> str:
    """A number from 0 to 999,999 in English words."""
    if number >= 1000:
        rest = number % 1000
        return f"{spelt_number(number // 1000)} thousand" + (f" {spelt_number(rest)}" if rest else "")
    if number >= 100:
        rest = number % 100
        return f"{_ONES[number // 100]} hundred" + (f" and {spelt_number(rest)}" if rest else "")
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10 - 2] + (f"-{_ONES[number % 10]}" if number % 10 else "")


def _ordinal(day: int) -> str:
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _said(day: date, way: int) -> str:
    month, week = _MONTHS[day.month - 1], _DAYS[day.weekday()]
    return (
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"the {_ordinal(day.day)} of {month} {day.year}",
        f"{week}, {day.day} {month[:3]} {day.year}",
        f"{month[:3]} {_ordinal(day.day)}, {day.year}",
    )[way]


def dates(rows: int, seed: int) -> Iterator[Row]:
    """Days from 1900 to 2099 in five ways of writing, to ISO 8601. A day is on one side only."""
    rng = np.random.default_rng(seed)
    count = (date(2100, 1, 1) - date(1900, 1, 1)).days
    part_D = _parts(count, rng)
    for place in rng.choice(count * 5, rows, replace=False):
        day = date(1900, 1, 1) + timedelta(days=int(place) // 5)
        yield _said(day, int(place) % 5), day.isoformat(), part_D[int(place) // 5]


def additions(rows: int, seed: int) -> Iterator[Row]:
    """``123+456`` to ``579``: operands of three digits, sums of three or four, most significant digit first.

    Operands are disjoint: 60 of the 900 occur in test rows alone and 40 in validation rows alone, always two of the
    same kind together. So test rows are at most 1,800 of ordered pairs, and no test operand was ever seen.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.arange(100, 1000))
    test, validation = min(1800, rows // 10), min(800, rows // 20)
    shares = {"test": (order[:60], test), "validation": (order[60:100], validation)}
    shares["train"] = (order[100:], rows - test - validation)
    for part, (operand_N, count) in shares.items():
        for place in rng.choice(len(operand_N) ** 2, count, replace=False):
            left, right = int(operand_N[place // len(operand_N)]), int(operand_N[place % len(operand_N)])
            yield f"{left}+{right}", str(left + right), part


def number_words(rows: int, seed: int) -> Iterator[Row]:
    """Numbers below a million in English words to digits, each once; half of them drawn evenly by length in digits."""
    rng = np.random.default_rng(seed)
    part_N = _parts(rows, rng)
    seen: set[int] = set()
    while len(seen) < rows:
        digits = int(rng.integers(1, 7))
        number = int(rng.integers(0, 10**digits if rng.random() < 0.5 else 10**6))
        if number not in seen:
            part = part_N[len(seen)]
            seen.add(number)
            yield spelt_number(number), str(number), part


def _parts(count: int, rng: np.random.Generator) -> list[str]:
    """A tenth to test, but at most 2,000; half as many to validation."""
    test = min(2000, count // 10)
    names = np.full(count, "train", dtype=object)
    order = rng.permutation(count)
    names[order[:test]] = "test"
    names[order[test : test + test // 2]] = "validation"
    return [str(name) for name in names]


MADE: dict[str, tuple[Callable[[int, int], Iterator[Row]], int]] = {
    "dates": (dates, 50_000),
    "additions": (additions, 50_000),
    "number_words": (number_words, 50_000),
}
"""Generator and rows of each task."""
