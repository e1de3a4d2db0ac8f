"""Shapley values against their definition, their laws, and the library that made them known."""

import numpy as np
import pytest

from trueweight.explain.shapley import exact_shapley, shapley

NAMES = ("a", "b", "c", "d")


def mixed(a, b, c, d):
    return a * b + np.abs(c) + 0.5 * a * c + 0 * d


def test_of_a_sum_they_are_the_terms(formula, ask) -> None:
    asked = ask(formula(NAMES, lambda a, b, c, d: 3 * a - b + 0.5 * c))
    table = {n: asked.table.column(n).to_numpy() for n in NAMES}
    for place, found in enumerate(shapley(asked, pairs=8)):
        away = [table[n][place] - table[n][asked.background].mean() for n in NAMES]
        assert found.value_P == pytest.approx(np.array([3, -1, 0.5, 0]) * away, abs=1e-12)


def test_they_sum_to_the_answer_and_agree_with_all_sets_within_their_errors(formula, ask) -> None:
    asked = ask(formula(NAMES, mixed), rows=8)
    away = []
    for drawn, exact in zip(shapley(asked, pairs=64), exact_shapley(asked), strict=True):
        assert drawn.value_P.sum() == pytest.approx(drawn.answer - drawn.baseline, abs=1e-12)
        assert exact.value_P.sum() == pytest.approx(exact.answer - exact.baseline, abs=1e-12)
        assert drawn.baseline == pytest.approx(exact.baseline)
        assert drawn.value_P[3] == exact.value_P[3] == 0.0  # a column that nobody reads
        away += list((drawn.value_P - exact.value_P)[:3] / drawn.error_P[:3])
    # Errors also tell how the background would vary, which counts alike in both here: they are no smaller than needed.
    assert np.sqrt(np.mean(np.square(away))) < 1.2 and np.abs(away).max() < 3.5


def test_the_error_shrinks_with_the_root_of_the_pairs(formula, ask) -> None:
    asked = ask(formula(NAMES, mixed))
    few, many = (np.mean([s.error_P for s in shapley(asked, pairs=p)]) for p in (16, 256))
    assert few / many == pytest.approx(4, rel=0.3)


def test_alike_columns_share_alike(formula, ask) -> None:
    asked = ask(formula(("a", "b"), lambda a, b: np.maximum(a, 0) * np.maximum(b, 0)))
    twin = asked.table.data.set_column(1, "b", asked.table.data.column("a"))
    asked = type(asked)(**{f: getattr(asked, f) for f in asked.__slots__} | {"table": type(asked.table)(twin)})
    for found in exact_shapley(asked):
        assert found.value_P[0] == pytest.approx(found.value_P[1])


def test_as_shap_says(formula, ask) -> None:
    """The exact explainer of shap with the same background."""
    shap = pytest.importorskip("shap", reason="a second opinion that is not installed")
    asked = ask(formula(NAMES, mixed))
    whole = np.stack([asked.table.column(n).to_numpy() for n in NAMES], axis=1)
    masker = shap.maskers.Independent(whole[asked.background], max_samples=100)
    theirs = shap.ExactExplainer(lambda x: mixed(*x.T), masker)(whole[asked.rows])
    ours = np.stack([one.value_P for one in exact_shapley(asked)])
    assert ours == pytest.approx(theirs.values, abs=1e-9)
    assert [one.baseline for one in exact_shapley(asked)] == pytest.approx(list(theirs.base_values))


def test_too_many_columns_are_not_enumerated(formula, ask) -> None:
    names = tuple("abcdefghijklm")
    with pytest.raises(ValueError, match="13 columns"):
        exact_shapley(ask(formula(names, lambda *x: sum(x))))
