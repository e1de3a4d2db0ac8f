import pytest

from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.recipes.writing import LABEL_SMOOTHING, for_writing, with_smoothing
from trueweight.spec.load import parse_spec

PAIR = {"features": {"asked": "text"}, "targets": {"answer": {"type": "text"}}}


@pytest.mark.parametrize("preset", ["fast", "standard", "best"])
def test_one_network_writes_and_sees_rows_as_long_as_there_is_time(preset: str):
    asked = parse_spec(PAIR | {"model": {"preset": preset}})
    resolved = resolve(asked, Facts(50_000, {"asked": "text"}, {"answer": "text"}))
    (member,) = resolved.model.members or []
    assert (member.encoder.model_dump()["members"], member.climbs) == (1, False)
    told = resolve(asked, Facts(50_000, {"asked": "text"}, {"answer": "category"}))
    assert (resolved.train.budget.epochs or 0) >= (told.train.budget.epochs or 0)


def test_words_to_be_written_from_are_not_limited_to_the_passes_that_classes_need():
    resolved = resolve(parse_spec(PAIR), Facts(50_000, {"asked": "text"}, {"answer": "text"}))
    assert resolved.train.budget.epochs == 40


def test_what_is_read_stays_tokens():
    recipe = for_writing("text", {"answer": "text"})
    assert recipe is not None and [raw["type"] for raw in recipe.encoder] == ["transformer"]
    assert for_writing("text", {"label": "category"}) is None
    assert for_writing("number", {"answer": "text"}) is None


def test_several_columns_are_joined_as_tokens():
    facts = Facts(100, {"asked": "text", "year": "number"}, {"answer": "text"})
    (member,) = resolve(parse_spec(PAIR), facts).model.members or []
    assert member.fusion.type == "transformer"


def test_labels_are_smoothed_where_something_is_read():
    asked = parse_spec(PAIR)
    smooth = with_smoothing(asked, {"asked": "text"}).targets["answer"].model_dump()["label_smoothing"]
    assert smooth == LABEL_SMOOTHING
    assert with_smoothing(asked, {}) == asked


@pytest.mark.parametrize("wish", [{"label_smoothing": 0.0}, {"decoder": {"type": "ctc"}}], ids=["zero", "ctc"])
def test_smoothing_that_is_asked_for_or_cannot_be_stays(wish: dict[str, object]):
    asked = parse_spec(PAIR | {"targets": {"answer": {"type": "text"} | wish}})
    assert with_smoothing(asked, {"asked": "text"}) == asked
