from datetime import date

import pytest
from benchmarks.pairs_made import MADE, additions, dates, number_words, spelt_number


@pytest.mark.parametrize("task", MADE)
def test_rows_follow_from_the_seed_and_no_test_row_is_learnt_from(task: str):
    make, _ = MADE[task]
    rows = list(make(2000, 3))
    assert rows == list(make(2000, 3)) != list(make(2000, 4))
    asked = {part: {row[0] for row in rows if row[2] == part} for part in ("train", "validation", "test")}
    assert all(asked.values()) and sum(map(len, asked.values())) == len(rows) == 2000
    assert not asked["train"] & asked["test"] and not asked["validation"] & asked["test"]


def test_operands_are_on_one_side():
    rows = list(additions(5000, 0))
    seen = {part: {n for row in rows if row[2] == part for n in row[0].split("+")} for part in ("train", "test")}
    assert not seen["train"] & seen["test"]
    assert all(sum(map(int, asked.split("+"))) == int(answer) for asked, answer, _ in rows)


def test_days_are_on_one_side():
    rows = list(dates(5000, 0))
    seen = {part: {row[1] for row in rows if row[2] == part} for part in ("train", "validation", "test")}
    assert not seen["train"] & seen["test"] and not seen["validation"] & seen["test"]
    assert all(str(date.fromisoformat(day).year) in asked for asked, day, _ in rows)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"), (13, "thirteen"), (80, "eighty"), (105, "one hundred and five"), (2000, "two thousand"),
        (734_021, "seven hundred and thirty-four thousand twenty-one"),
    ],
)  # fmt: skip
def test_numbers_are_spelt(number: int, words: str):
    assert spelt_number(number) == words


def test_every_number_has_words_of_its_own():
    rows = list(number_words(5000, 0))
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == 5000
