"""Golden rows are made up, survive being written, and notice a model that answers differently."""

import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
import torch

from trueweight.bundle.golden import Golden, check_golden, make_golden
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import TrainError
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction


def round_trip(golden: Golden) -> Golden:
    files = golden.files()
    return Golden.from_files(files["golden/rows.jsonl"], json.loads(files["golden/answers.json"]))


def test_rows_are_made_up_and_one_has_nothing(leaf) -> None:
    golden = make_golden(leaf, seed=0)
    rows = golden.table.data.to_pylist()
    assert len(rows) == 16
    assert set(golden.table.names) == {"age", "colour"}  # features only: no key, no target
    assert rows[-1] == {"age": None, "colour": None}
    assert {row["colour"] for row in rows[:-1]} == {"red", "green"}
    assert not golden.real


def test_the_same_seed_draws_the_same_rows(leaf) -> None:
    assert make_golden(leaf, seed=1).files() == make_golden(leaf, seed=1).files()
    assert make_golden(leaf, seed=1).files() != make_golden(leaf, seed=2).files()


def test_answers_survive_being_written_exactly(leaf) -> None:
    golden = make_golden(leaf)
    again = round_trip(golden)
    assert again.table.data.equals(golden.table.data)
    assert np.array_equal(again.answers["bought"].scores, golden.answers["bought"].scores)
    result = check_golden(leaf, again)
    assert result.ok
    assert result.largest == {"bought": 0.0, "cost": 0.0}


@pytest.mark.parametrize(("nudge", "ok"), [(1e-6, True), (3e-5, True), (1e-4, False), (1e-2, False)])
def test_tolerance_on_the_same_torch(leaf, nudge: float, ok: bool) -> None:
    """|dp| = nudge * p (1 - p) <= nudge / 4, allowed 1e-5; |dcost| = 10 nudge, allowed 1e-4 of sd 10: 1e-3."""
    golden = make_golden(leaf)
    assert check_golden(replace(leaf, nudge=nudge), golden).ok is ok


def test_tolerance_is_wider_with_another_torch(leaf) -> None:
    elsewhere = replace(make_golden(leaf), torch="1.0.0")
    moved = replace(leaf, nudge=9e-5)
    assert not check_golden(moved, make_golden(leaf)).ok
    result = check_golden(moved, elsewhere)
    assert result.ok
    assert result.allowed == {"bought": 1e-4, "cost": 1e-4}


def test_numbers_are_measured_in_standard_deviations(leaf) -> None:
    result = check_golden(replace(leaf, nudge=0.5), make_golden(leaf))
    assert result.largest["cost"] == pytest.approx(0.5)  # 10 * 0.5 with sd 10
    assert any("cost.low: differs by 0.5" in problem for problem in result.problems)


class Fixed:
    """Answers the same whatever is asked."""

    def __init__(self, signature: Signature, **answers: object) -> None:
        self.signature, self.answers = signature, answers

    def predict(self, table: Table, **_: object) -> dict:
        return dict(self.answers)

    def members(self):
        return ()

    def state(self):
        from trueweight.model.protocols import State

        return State("fixed")


def two(signature: Signature, p: list[float], threshold: float = 0.5) -> Fixed:
    table = np.stack([1 - np.array(p), np.array(p)], 1)
    return Fixed(signature, bought=ClassPrediction(table, ("no", "yes"), binary=True, threshold=threshold))


def test_a_moved_threshold_is_noticed(signature) -> None:
    p = np.linspace(0.05, 0.95, 16).tolist()
    result = check_golden(two(signature, p, threshold=0.7), make_golden(two(signature, p)))
    assert result.problems == ("bought: row 8 is answered 'no' instead of 'yes'",)


def test_a_tie_may_tip_over_by_rounding(signature) -> None:
    p = [0.5, *np.linspace(0.05, 0.95, 15)]
    tipped = [0.5 - 1e-9, *p[1:]]
    assert check_golden(two(signature, tipped), make_golden(two(signature, p))).ok


def test_other_classes_rows_or_targets_are_noticed(signature, leaf) -> None:
    golden = make_golden(leaf)
    for other in (
        Fixed(signature),
        Fixed(
            signature,
            bought=ClassPrediction(np.full((16, 3), 1 / 3), ("a", "b", "c")),
            cost=NumberPrediction(np.ones(16)),
        ),
        Fixed(
            signature, bought=ClassPrediction(np.full((3, 2), 0.5), ("no", "yes")), cost=NumberPrediction(np.ones(3))
        ),
    ):
        assert not check_golden(other, golden).ok  # type: ignore[arg-type]


def test_answers_must_be_finite(signature) -> None:
    bad = Fixed(signature, cost=NumberPrediction(np.full(16, np.nan)))
    with pytest.raises(TrainError, match="answers 'cost' with a number that is not finite"):
        make_golden(bad)  # type: ignore[arg-type]
    good = make_golden(Fixed(signature, cost=NumberPrediction(np.ones(16))))  # type: ignore[arg-type]
    assert not check_golden(bad, good).ok  # type: ignore[arg-type]


def test_a_logarithmic_target_is_compared_in_its_own_scale(signature) -> None:
    columns = dict(signature.columns)
    columns["cost"] = replace(columns["cost"], learnt={"mean": 8.0, "std": 1.0, "transform": "log1p"})
    wide = replace(signature, columns=columns)
    golden = make_golden(Fixed(wide, cost=NumberPrediction(np.full(16, 1e6))))  # type: ignore[arg-type]
    assert check_golden(Fixed(wide, cost=NumberPrediction(np.full(16, 1e6 + 50))), golden).ok  # type: ignore[arg-type]
    assert not check_golden(Fixed(wide, cost=NumberPrediction(np.full(16, 1e6 + 200))), golden).ok  # type: ignore[arg-type]


def test_real_rows_are_marked(leaf) -> None:
    table = Table.of({"age": [str(i) for i in range(40)], "colour": ["red"] * 40, "customer": ["Jane Doe"] * 40})
    golden = make_golden(leaf, real=table)
    assert golden.real
    assert len(golden.table) == 16
    assert "customer" not in golden.table.names
    assert round_trip(golden).real


def test_typed_cells_survive_as_something_readable(leaf) -> None:
    moment = datetime(2026, 1, 2, 3, 4)
    table = Table(pa.table({"age": pa.array([1.5, float("nan"), None]), "colour": pa.array([moment, None, moment])}))

    class Counts(Fixed):
        def predict(self, table: Table, **_: object) -> dict:
            return {"cost": NumberPrediction(np.arange(float(len(table))))}

    golden = round_trip(make_golden(Counts(leaf.signature), real=table))  # type: ignore[arg-type]
    assert golden.table.data.to_pydict() == {
        "age": [1.5, None, None, None],
        "colour": ["2026-01-02T03:04:00", None, "2026-01-02T03:04:00", None],
    }


def test_line_breaks_inside_cells_do_not_split_rows(leaf) -> None:
    table = Table.of({"age": ["1", "2"], "colour": ["a\u2028b\nc\x85d", "e"]})
    golden = round_trip(make_golden(leaf, real=table))
    assert golden.table.data.to_pydict()["colour"] == ["a\u2028b\nc\x85d", "e", None]


def test_a_model_that_reads_nothing_has_golden_rows_too(signature) -> None:
    columns = {name: c for name, c in signature.columns.items() if c.role == "target"}

    class Blind(Fixed):
        def predict(self, table: Table, **_: object) -> dict:
            return {"cost": NumberPrediction(np.full(len(table), 3.0))}

    golden = make_golden(Blind(replace(signature, columns=columns)))  # type: ignore[arg-type]
    assert len(round_trip(golden).table) == 16


def test_weights_of_eight_bits_have_their_own_line(leaf) -> None:
    small = replace(leaf, weight=torch.tensor([1, -1, 0], dtype=torch.int8))
    result = check_golden(replace(small, nudge=1e-3), make_golden(small))
    assert result.ok
    assert result.allowed == {"bought": 1e-2, "cost": 1e-2}
