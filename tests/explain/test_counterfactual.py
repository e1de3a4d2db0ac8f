"""Counterfactuals against all changes there are, where these can be enumerated."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from trueweight.explain.counterfactual import MOST_COLUMNS, counterfactuals
from trueweight.explain.usual import grid_of, rewritten, scales_of, with_value

NAMES = ("a", "b", "c", "d", "e")


def needs(count):
    """Yes where so many of the first columns are high together."""

    def answer(a, b, c, d, e):
        return 1 / (1 + np.exp(-(a + b + c + d - 2.6 * (count - 0.5)) + 0 * e))

    return answer


def asked_of(formula, ask, function):
    asked = ask(formula(NAMES, function, classes=True), rows=4)
    calm = np.zeros(len(asked.table))
    data = asked.table.data
    for place, name in enumerate(NAMES):
        data = data.set_column(place, name, [calm + 0.01 * place])
    table = replace(asked.table, data=data)
    return replace(asked, table=table)


def answers(asked, cells):
    single = asked.table.take(np.array([0]))
    for name, value in cells.items():
        single = with_value(single, name, value)
    return float(asked.predictor.predict(single)["y"].probability_NC[0, 1])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_fewer_columns_would_do(formula, ask, count) -> None:
    asked = asked_of(formula, ask, needs(count))
    grids = {name: grid_of(asked.signature.columns[name]) for name in NAMES}
    found = counterfactuals(asked)[0]
    assert (found.before, found.after, len(found.cells)) == ("no", "yes", count)
    assert all(name != "e" for name, _, _ in found.cells)
    for names in combinations(NAMES, count - 1):
        changes = product(*(grids[name] for name in names))
        assert not any(answers(asked, dict(zip(names, values, strict=True))) > 0.5 for values in changes)
    again = asked.predictor.predict(rewritten(asked.table, found.row, found.cells))["y"]
    assert again.answer_N()[0] == 1
    for name, _, after in found.cells:
        assert min(grids[name]) <= float(after) <= max(grids[name])


def test_one_column_is_the_nearest_of_all(formula, ask) -> None:
    asked = asked_of(formula, ask, needs(1))
    scales = scales_of(asked.signature, NAMES)
    single, apart = asked.table.take(np.array([0])), []
    for name in NAMES:
        for value in grid_of(asked.signature.columns[name]):
            if answers(asked, {name: value}) > 0.5:
                places = scales[name].places(single), scales[name].places(with_value(single, name, value))
                apart.append(float(scales[name].distances(*places)[0]))
    assert counterfactuals(asked)[0].distance == pytest.approx(min(apart))


def test_what_would_take_more_columns_is_not_found_and_kept_ones_stay(formula, ask) -> None:
    asked = asked_of(formula, ask, needs(MOST_COLUMNS + 1))
    assert counterfactuals(asked)[0].after is None and not counterfactuals(asked)[0].cells
    asked = replace(asked_of(formula, ask, needs(2)), keep=frozenset({"a", "b"}))
    found = counterfactuals(asked)[0]
    assert {name for name, _, _ in found.cells} == {"c", "d"}


def test_a_change_that_is_not_needed_is_taken_back(formula, ask) -> None:
    """The best first steps lead to three columns; two others turn the answer as well."""

    def answer(a, b, c, d, e):
        hidden = (np.minimum(d, e) > 2) * 9.0
        return 1 / (1 + np.exp(-(a + b + c - 6.5 + hidden)))

    found = counterfactuals(asked_of(formula, ask, answer))[0]
    assert found.after == "yes" and len(found.cells) in (2, 3)
    for left in range(len(found.cells)):
        fewer = {name: float(after) for i, (name, _, after) in enumerate(found.cells) if i != left}
        assert answers(asked_of(formula, ask, answer), fewer) < 0.5
