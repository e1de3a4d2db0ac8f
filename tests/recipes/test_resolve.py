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


def members(preset: str, features: dict[str, str], rows: int = 3_000, **columns: str) -> dict[str, bool]:
    """Whether each member climbs, by name."""
    raw = {"name": "r", "data": {"source": "a.csv"}, "targets": {"y": "binary"}, "model": {"preset": preset}}
    asked = {name: {"type": features[name], "encoder": encoder} for name, encoder in columns.items()}
    spec = RunSpec.model_validate(raw | {"features": asked})
    found = resolve(spec, Facts(rows, features, {"y": "binary"})).model.members
    return {member.name: member.climbs for member in found or []}


@pytest.mark.parametrize(
    ("preset", "kind", "expected"),
    [
        ("fast", "text", {"linear": False}),
        ("standard", "text", {"linear": False, "mlp": True}),
        ("best", "text", {"linear": False, "mlp": True, "transformer": True}),
        ("fast", "timeseries", {"rocket": False}),
        ("standard", "timeseries", {"rocket": False, "mlp": True}),
        ("standard", "image", {"linear": False, "mlp": False}),
        ("standard", "number", {"linear": False, "mlp": False}),
    ],
)
def test_networks_climb_where_solved_models_are_strong(preset: str, kind: str, expected: dict[str, bool]):
    assert members(preset, {"a": kind}) == expected


def test_networks_do_not_climb_beside_a_sense_that_needs_them():
    assert members("standard", {"a": "text", "b": "image"}) == {"linear": False, "mlp": False}


def test_a_column_with_an_encoder_of_its_own_is_read_by_no_other():
    assert members("best", {"a": "text"}, a="lstm") == {"linear": False, "mlp": True}


def test_many_series_have_no_rocket():
    assert members("standard", {"a": "timeseries"}, rows=20_000) == {"linear": False, "mlp": True}
