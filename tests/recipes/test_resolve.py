"""What recipes choose where nothing is asked for."""

import pytest

from trueweight.errors import SpecError
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


def resolved(facts: Facts, **raw: object) -> RunSpec:
    return resolve(RunSpec.model_validate({"targets": {"y": "number"}} | raw), facts)


TABLE = Facts(5000, {"a": "number", "b": "category"}, {"y": "number"})


def test_trees_join_the_blend_when_asked_and_the_resolved_spec_can_be_read_back():
    found = resolved(TABLE, model={"boosting": True})
    assert [member.name for member in found.model.fitted] == ["linear", "mlp", "trees"]
    again = RunSpec.model_validate(found.model_dump(by_alias=True))
    assert again.model.members == found.model.members
    assert [m.name for m in resolved(TABLE).model.fitted] == ["linear", "mlp"]


def test_trees_refuse_what_they_cannot_read():
    with pytest.raises(SpecError, match="boosted trees read numbers, categories and dates, and 'note' is none"):
        resolved(Facts(500, {"a": "number", "note": "text"}, {"y": "number"}), model={"boosting": True})


def test_the_second_network_is_left_out_with_a_reason_where_time_is_short():
    best = {"model": {"preset": "best"}}
    assert [m.name for m in resolved(TABLE, **best).model.fitted] == ["linear", "mlp", "realmlp"]
    short = resolved(TABLE, **best, train={"budget": {"time": "2s"}})
    assert [m.name for m in short.model.fitted] == ["linear", "mlp"]
    (left,) = (m for m in short.model.members if m.left_out)
    assert left.name == "realmlp"
    assert left.left_out == "in 2 s there is no time for a second network of 5,000 rows"


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


def climbing(preset: str, features: dict[str, str], rows: int = 3_000, **columns: str) -> dict[str, bool]:
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
    assert climbing(preset, {"a": kind}) == expected


def test_networks_do_not_climb_beside_a_sense_that_needs_them():
    assert climbing("standard", {"a": "text", "b": "image"}) == {"linear": False, "mlp": False}


def test_a_column_with_an_encoder_of_its_own_is_read_by_no_other():
    assert climbing("best", {"a": "text"}, a="lstm") == {"linear": False, "mlp": True}


def test_many_series_have_no_rocket():
    assert climbing("standard", {"a": "timeseries"}, rows=20_000) == {"linear": False, "mlp": True}
