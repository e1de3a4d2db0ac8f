"""Rows that came later: shifts are found at the column that moved, usual rows pass, and p-values are those of SciPy."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from trueweight.evaluate.two_samples import (
    Counts,
    _gamma_tail,
    design_effect,
    ordered_apart,
    shares_apart,
    unordered_apart,
)


@pytest.fixture
def rich(people: Any) -> Any:
    """With a column of every plain type, and notes."""

    def make(seed: int, rows: int = 1500) -> Any:
        rng = np.random.default_rng(seed + 1000)
        words = ["wire", "roof", "water", "theft", "glass", "door"]
        return people(seed, rows) | {
            "day": np.datetime64("2024-01-01") + rng.integers(0, 300, rows).astype("timedelta64[D]"),
            "note": [" ".join(rng.choice(words, rng.integers(2, 8))) for _ in range(rows)],
            "tags": [[t for t in "pqr" if rng.random() < 0.4] for _ in range(rows)],
            "place": rng.normal(size=(rows, 3)).tolist(),
            "wave": [rng.normal(size=rng.integers(8, 20)).tolist() for _ in range(rows)],
        }

    return make


@pytest.mark.parametrize("seed", range(2))
def test_usual_rows_are_not_flagged(rich: Any, judge: Any, look: Any, seed: int) -> None:
    for later in (None, rich(seed + 70, 400)):
        found = look(judge(rich(seed), later=later), "drift")
        assert found["drift/drift_flag/test"].value == 0
        assert found["drift/ood_flag/test"].value == 0
        assert found["drift/ood/test"].interval.low <= 0.01 <= found["drift/ood/test"].interval.high + 0.01


def moved(data: Any, name: str) -> Any:
    n, rng = len(data["x"]), np.random.default_rng(5)
    return {
        "x": lambda: data["x"] + 0.6,
        "kind": lambda: np.where(rng.random(n) < 0.4, "grey", data["kind"]),
        "region": lambda: np.where(rng.random(n) < 0.4, "west", data["region"]),
        "day": lambda: data["day"] + np.timedelta64(200, "D"),
        "note": lambda: [note.replace("roof", "door") for note in data["note"]],
        "tags": lambda: [[*tags, "p"] if rng.random() < 0.4 and "p" not in tags else tags for tags in data["tags"]],
        "place": lambda: [[a, b + 0.6, c] for a, b, c in data["place"]],
        "wave": lambda: [[*wave, *wave[:6]] for wave in data["wave"]],
        "z": lambda: np.where(rng.random(n) < 0.2, np.nan, data["z"]),
    }[name]()


@pytest.mark.parametrize("name", ["x", "kind", "region", "day", "note", "tags", "place", "wave", "z"])
def test_a_shift_of_any_type_of_column_is_named(rich: Any, judge: Any, look: Any, name: str) -> None:
    later = rich(71, 400)
    found = look(judge(rich(1), later=later | {name: moved(later, name)}), "drift")
    flag = found["drift/drift_flag/test"]
    assert flag.value == 1
    assert [source for source in flag.depends_on if f"[{name}]" not in source] == []
    assert name in str(flag.reason)


def test_more_of_one_class_is_a_shift_too(people: Any, judge: Any, look: Any) -> None:
    later = people(71, 600)
    kept = np.flatnonzero((later["won"] == "yes") | (np.arange(600) % 3 == 0))
    found = look(judge(people(1), later={name: cells[kept] for name, cells in later.items()}), "drift")
    assert "drift/total_variation[won]/test" in found["drift/drift_flag/test"].depends_on


def test_a_column_that_is_not_there_is_missing_in_all_rows(people: Any, judge: Any, look: Any) -> None:
    later = {name: cells for name, cells in people(71, 400).items() if name != "z"}
    found = look(judge(people(1), later=later), "drift")
    assert "z is missing in 100% of rows, 0% in training" in str(found["drift/drift_flag/test"].reason)


def test_usual_values_that_never_go_together_are_strange(people: Any, judge: Any, look: Any) -> None:
    data, later = people(1), people(71, 400)
    train = data | {"u": data["x"] + 0.1 * data["z"]}
    found = look(judge(train, later=later | {"u": np.random.default_rng(0).permutation(later["x"])}), "drift")
    assert found["drift/ood_flag/test"].value == 1
    assert not any("[u]" in source for source in found["drift/drift_flag/test"].depends_on)


def test_rows_of_few_groups_do_not_pass_for_many(people: Any, judge: Any, look: Any) -> None:
    rng, who = np.random.default_rng(3), np.arange(1500) // 15
    data = people(3) | {"who": who, "x": rng.normal(size=100)[who], "kind": rng.choice(["a", "b"], 100)[who]}
    found = look(judge(data, split={"group": "who"}), "drift")
    assert found["drift/drift_flag/test"].value == 0


def test_few_rows_say_nothing(people: Any, judge: Any, look: Any) -> None:
    assert list(look(judge(people(), later=people(71, 20)), "drift")) == ["drift/check"]


def test_p_values_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for known, seen in [([300, 200, 100], [60, 60, 30]), ([40, 35, 25], [10, 3, 12]), ([900, 100], [80, 20])]:
        expected = stats.chi2_contingency([known, seen], correction=False).pvalue
        found = unordered_apart(Counts(np.array(known), np.array(seen)), rng)
        # 2,000 draws, and the chi-squared distribution is itself an approximation.
        assert found == pytest.approx(expected, abs=0.02)


def test_a_shift_in_order_is_found_where_levels_alone_would_not_tell() -> None:
    counts = Counts(np.full(10, 100), np.array([14, 13, 12, 11, 10, 10, 9, 8, 7, 6]))
    rng = np.random.default_rng(0)
    assert ordered_apart(counts, rng) < 0.03 < unordered_apart(counts, rng)


def test_tails_beyond_the_draws_are_of_a_gamma_distribution() -> None:
    for value, mean, variance in [(5.0, 1.0, 0.4), (0.3, 1.0, 2.0), (40.0, 9.0, 18.0), (1.0, 3.0, 1.0)]:
        expected = stats.gamma.sf(value, mean**2 / variance, scale=variance / mean)
        assert _gamma_tail(value, mean, variance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [40, 4000])
def test_shares_agree_with_scipy(n: int) -> None:
    hits, known = n // 8, n // 3
    table = [[hits, n - hits], [known, 2 * n - known]]
    exact = n == 40
    expected = stats.fisher_exact(table).pvalue if exact else stats.chi2_contingency(table, correction=False).pvalue
    assert shares_apart(hits, n, known, 2 * n) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("copies", [1, 5])
def test_copies_within_clusters_count_once(copies: int) -> None:
    place = np.repeat(np.random.default_rng(0).integers(0, 3, 400), copies)
    assert design_effect(place, 3, np.repeat(np.arange(400), copies)) == pytest.approx(copies, rel=0.01)
    assert design_effect(place, 3, None) == 1.0
    scaled = Counts(np.array([500, 500]), np.array([60, 40]), 5.0)
    plain = Counts(np.array([100, 100]), np.array([12, 8]))
    rng = np.random.default_rng(0)
    assert unordered_apart(scaled, rng) == pytest.approx(unordered_apart(plain, rng), abs=0.12)
