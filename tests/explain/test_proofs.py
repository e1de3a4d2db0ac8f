"""Checks of explanations: what is right passes, what is wrong is caught, over many seeds."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from trueweight.explain.cuts import column_cut
from trueweight.explain.occlusion import erased
from trueweight.explain.proofs import faithful, judged, rank_correlation, stays
from trueweight.explain.record import Explanation, Explanations, Weight
from trueweight.explain.shapley import shapley

NAMES = ("a", "b", "c", "d", "e")


def line(a, b, c, d, e):
    return 1 / (1 + np.exp(-(3 * a - 2 * b + c + 0.3 * d)))


def proven(formula, ask, seed, values=None):
    asked = ask(formula(NAMES, line, classes=True), rows=20, seed=seed)
    found = [one.value_P for one in shapley(asked, pairs=16)] if values is None else values(asked)
    cuts = [column_cut(asked, int(row)) for row in asked.rows]
    return faithful(found, partial(erased, asked, cuts), [o.sign for o in asked.outputs], seed)


def test_true_explanations_pass_and_random_ones_fail(formula, ask) -> None:
    def random(asked):
        return list(np.random.default_rng(asked.seed + 9).normal(size=(len(asked.rows), len(NAMES))))

    good = [p.status for seed in range(6) for p in proven(formula, ask, seed)]
    bad = [p.status for seed in range(20) for p in proven(formula, ask, seed, random)]
    assert good == ["passed"] * 12
    assert bad.count("failed") >= 36  # of 40, where 1 in 40 may pass by chance


def test_of_an_untrained_model_they_are_caught(formula, ask) -> None:
    """Values of a model that has learnt nothing, told as those of one that has."""
    caught = 0
    for seed in range(10):
        weights = np.random.default_rng(seed).normal(size=5)

        def other(asked, weights=weights):
            def nothing(*x):
                return 1 / (1 + np.exp(-sum(w * c for w, c in zip(weights, x, strict=True))))

            untrained = formula(NAMES, nothing, classes=True)
            return [one.value_P for one in shapley(replace(asked, predictor=untrained), pairs=16)]

        right = np.corrcoef(weights, [3, -2, 1, 0.3, 0])[0, 1] > 0.3  # which may be right by chance
        caught += right or any(p.status == "failed" for p in proven(formula, ask, seed, other))
    assert caught >= 9


def test_few_rows_say_nothing(formula, ask) -> None:
    asked = ask(formula(NAMES, line, classes=True), rows=4)
    cuts = [column_cut(asked, int(row)) for row in asked.rows]
    found = faithful([np.arange(5.0)] * 4, partial(erased, asked, cuts), [1.0] * 4, 0)
    assert {p.status for p in found} == {"not_applicable"} and "4 rows" in found[0].reason


def test_what_changes_with_nothing_is_caught() -> None:
    one = [np.array([1.0, -2.0, 0.5])]
    assert stays(one, [np.array([1.01, -1.99, 0.5])], "noise").status == "passed"
    assert stays(one, [np.array([-1.0, 2.0, 0.5])], "noise").status == "failed"
    assert stays(one, None, "noise").status == "not_applicable"


def test_rank_correlation_is_spearmans() -> None:
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 4, size=(2, 9)).astype(float)
        assert rank_correlation(a, b) == pytest.approx(np.nan_to_num(scipy.spearmanr(a, b).statistic))
    assert rank_correlation(np.zeros(4), np.arange(4.0)) == 0.0


def test_what_failed_is_not_shown() -> None:
    (proof,) = [stays([np.ones(3)], [-np.ones(3)], "noise")]
    entry = judged(Explanation("importance", "y", (Weight("a", 1.0, None, "rmse"),)), [proof])
    assert entry.status == "failed" and not entry.shown and "stability" in entry.reason
    raw = Explanations((entry,)).to_json()["explanations"][0]
    assert raw["items"] == [] and raw["proofs"][0]["status"] == "failed"
    assert [line["value"] for line in Explanations((entry,)).lines()] == [None]
