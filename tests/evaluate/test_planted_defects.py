"""Defects that were planted into the data are found, at several strengths; nothing is said where there are none."""

from typing import Any

import numpy as np
import pytest

from trueweight.data.frames import from_frame
from trueweight.data.suspects import SUSPICIOUS
from trueweight.evaluate.data_facts import data_entries
from trueweight.evidence.record import Entry
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare

ROWS = 1200


def clean(seed: int = 0) -> dict[str, Any]:
    """A class and a number that follow from the features, strongly and honestly: no feature alone is always right."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, ROWS))
    kind = rng.choice(["red", "green", "blue"], ROWS)
    score = 3 * x - z + (kind == "red") + rng.normal(scale=0.3, size=ROWS)
    return {"x": x, "z": z, "kind": kind, "won": np.where(score > 0.3, "yes", "no"), "cost": 10 + 3 * score}


def entries(data: dict[str, Any], *targets: str) -> list[Entry]:
    wish = {"targets": dict.fromkeys(targets, "number") | ({"won": "binary"} if "won" in targets else {})}
    columns = {name: values for name, values in data.items() if name in targets or name not in ("won", "cost")}
    return data_entries(prepare(from_frame(columns), parse_spec(wish)), "sha256:0")


def value(found: list[Entry], id: str) -> Any:
    return next(entry.value for entry in found if entry.id == id)


def leaks(found: list[Entry]) -> dict[str, Any]:
    return {entry.metric: entry.value for entry in found if entry.id.startswith("honesty/leak/")}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("target", ["won", "cost"])
def test_no_leak_is_seen_where_none_is(target: str, seed: int) -> None:
    found = entries(clean(seed), target)
    assert leaks(found) == {}
    assert value(found, "honesty/leak") == 0


@pytest.mark.parametrize("wrong", [0.0, 0.002, 0.005])
def test_a_column_that_tells_the_class_is_named(wrong: float) -> None:
    data = clean()
    flipped = np.random.default_rng(1).permutation(ROWS) < wrong * ROWS
    data["status"] = np.where((data["won"] == "yes") ^ flipped, "paid out", "open")
    found = leaks(entries(data, "won"))
    assert list(found) == ["status alone tells won"]
    assert SUSPICIOUS <= found["status alone tells won"] <= 1


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.08])
def test_a_column_that_tells_the_number_is_named(noise: float) -> None:
    data = clean()
    spread = data["cost"].std()
    data["paid"] = 1.19 * data["cost"] + np.random.default_rng(1).normal(scale=noise * spread, size=ROWS)
    found = leaks(entries(data, "cost"))
    assert list(found) == ["paid alone tells cost"]
    assert SUSPICIOUS <= found["paid alone tells cost"] <= 1


@pytest.mark.parametrize("wrong", [0.05, 0.2])
def test_a_column_that_is_only_very_good_is_not_named(wrong: float) -> None:
    data = clean()
    flipped = np.random.default_rng(1).permutation(ROWS) < wrong * ROWS
    data["opinion"] = np.where((data["won"] == "yes") ^ flipped, "likely", "unlikely")
    assert leaks(entries(data, "won")) == {}


def copied(share: float) -> dict[str, Any]:
    """Some rows a second time, all of them shuffled."""
    rng = np.random.default_rng(2)
    order = rng.permutation(np.concatenate([np.arange(ROWS), rng.choice(ROWS, int(share * ROWS), replace=False)]))
    return {name: np.asarray(values)[order] for name, values in clean().items()}


@pytest.mark.parametrize("share", [0.0, 0.05, 0.30])
def test_copied_rows_are_counted(share: float) -> None:
    found = entries(copied(share), "won")
    assert value(found, "data/repeats") == share * ROWS


def test_a_few_copies_never_reach_the_test_rows() -> None:
    for share in (0.0, 0.05):
        assert value(entries(copied(share), "won"), "honesty/twins") == 0


def test_many_copies_among_the_test_rows_are_counted() -> None:
    data = copied(0.30)
    ready = prepare(
        from_frame({n: v for n, v in data.items() if n != "cost"}), parse_spec({"targets": {"won": "binary"}})
    )
    rest = {data["x"][row] for row in np.concatenate([ready.split.train, ready.split.validation])}
    rest |= {data["x"][row] for row in ready.split.calibration}
    twins = sum(data["x"][row] in rest for row in ready.split.test)
    assert twins > 50
    assert value(data_entries(ready, "sha256:0"), "honesty/twins") == twins
