"""What recipes choose where nothing is asked for."""

import pytest

from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.spec.run import RunSpec

SPEC = RunSpec.model_validate({"name": "r", "data": {"source": "a.csv"}, "targets": {"y": "binary"}})


@pytest.mark.parametrize(
    ("kind", "rows", "share"),
    [
        ("number", 3_000, 0.2), ("number", 15_000, 0.2), ("number", 40_000, 0.1),
        ("text", 3_000, 0.2), ("text", 8_000, 0.125), ("text", 15_000, 0.1), ("text", 80_000, 0.05),
    ],
)  # fmt: skip
def test_share_of_rows_that_select_and_calibrate(kind: str, rows: int, share: float):
    resolved = resolve(SPEC, Facts(rows, {"a": "number", "b": kind}, {"y": "binary"}))
    assert resolved.split.validation == pytest.approx(share)


def test_a_share_that_is_asked_for_stays():
    asked = SPEC.model_copy(update={"split": SPEC.split.model_copy(update={"validation": 0.3})})
    assert resolve(asked, Facts(50_000, {"b": "text"}, {"y": "binary"})).split.validation == 0.3


@pytest.mark.parametrize(
    ("features", "rows", "seconds", "members"),
    [
        ({"photo": "image"}, 40_000, 60, ["mlp"]), ({"photo": "image"}, 1_500, 60, ["linear", "mlp"]),
        ({"photo": "image"}, 1_500, 8, ["mlp"]), ({"photo": "image", "age": "number"}, 40_000, 8, ["linear", "mlp"]),
    ],
)  # fmt: skip
def test_a_linear_model_of_pictures_joins_where_it_costs_little(features, rows, seconds, members):
    train = SPEC.train.model_copy(update={"budget": SPEC.train.budget.model_copy(update={"time": seconds})})
    resolved = resolve(SPEC.model_copy(update={"train": train}), Facts(rows, features, {"y": "binary"}))
    assert [member.name for member in resolved.model.members] == members
