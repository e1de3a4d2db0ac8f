import pytest

from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.recipes.writing import (
    BEAMS,
    HURRIED,
    LABEL_SMOOTHING,
    MUON,
    PAIR_TOKENS,
    RATE,
    READ,
    READ_IN_TURN,
    SELDOM_READ,
    SENTENCE,
    STEP_ROWS,
    STEP_TOKENS,
    for_writing,
    step_rows,
    with_beams,
    with_quick_decoder,
    with_smoothing,
)  # fmt: skip
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


def test_letters_stay_as_they_are_unless_asked_otherwise() -> None:
    from trueweight.data.columns.text import TextColumn
    from trueweight.recipes.writing import with_letters

    assert with_letters(TextColumn()).model_dump()["lowercase"] is False
    assert with_letters(TextColumn(lowercase=True)).model_dump()["lowercase"] is True


def test_words_to_be_written_from_are_not_limited_to_the_passes_that_classes_need():
    resolved = resolve(parse_spec(PAIR), Facts(50_000, {"asked": "text"}, {"answer": "text"}))
    assert resolved.train.budget.epochs == 40


def test_what_is_read_stays_tokens():
    recipe = for_writing("text", {"answer": "text"})
    assert recipe is not None and [raw["type"] for raw in recipe.encoder] == ["transformer"]
    assert for_writing("text", {"label": "category"}) is None
    assert for_writing("number", {"answer": "text"}) is None


def test_what_writes_in_turn_has_a_reader_that_reads_in_turn():
    recipe = for_writing("text", {"answer": "text"}, {"lstm"})
    assert recipe is not None and [raw["type"] for raw in recipe.encoder] == ["lstm"]


@pytest.mark.parametrize("kind", ["transformer", "lstm"])
def test_nothing_is_dropped_where_rows_are_seen_seldom(kind: str):
    asked = parse_spec(PAIR | {"targets": {"answer": {"type": "text", "decoder": {"type": kind}}}})
    decoder = with_quick_decoder(asked, {"asked": "text"}, HURRIED).targets["answer"].model_dump()["decoder"]
    assert decoder["dropout"] == 0.0
    assert with_quick_decoder(asked, {"asked": "text"}, HURRIED / 2) == asked
    assert with_quick_decoder(asked, {}, HURRIED) == asked


def test_texts_that_are_seen_seldom_are_read_and_written_without_dropping_anything():
    asked = parse_spec(PAIR)
    usual = asked.targets["answer"].model_dump()["decoder"]
    whole = with_quick_decoder(asked, {"asked": "text"}, HURRIED / 2, seldom=True)
    assert whole.targets["answer"].model_dump()["decoder"] == usual | {"dropout": 0.0}
    recipe = for_writing("text", {"answer": "text"}, seldom=True)
    assert recipe is not None
    assert recipe.encoder == [{**READ.encoder[0], **SELDOM_READ}]
    in_turn = for_writing("text", {"answer": "text"}, {"lstm"}, seldom=True)
    assert in_turn is READ_IN_TURN


def test_sentences_that_are_written_from_texts_are_followed_by_beams():
    asked, features = parse_spec(PAIR), {"asked": "text"}
    assert with_beams(asked, features, {"answer": SENTENCE}).targets["answer"].model_dump()["beams"] == BEAMS
    assert with_beams(asked, features, {"answer": SENTENCE - 1}) == asked
    assert with_beams(asked, {"asked": "text", "kind": "category"}, {"answer": SENTENCE}) == asked
    assert with_beams(asked, {}, {"answer": SENTENCE}) == asked
    told = parse_spec(PAIR | {"targets": {"answer": {"type": "text", "beams": 1}}})
    assert with_beams(told, features, {"answer": SENTENCE}) == told


def test_what_is_said_of_a_decoder_stays_where_time_is_short():
    said = {"type": "transformer", "heads": 3, "width": 96, "dropout": 0.2}
    asked = parse_spec(PAIR | {"targets": {"answer": {"type": "text", "decoder": said}}})
    decoder = with_quick_decoder(asked, {"asked": "text"}, HURRIED).targets["answer"].model_dump()["decoder"]
    assert said.items() <= decoder.items()


@pytest.mark.parametrize(("reads", "most"), [(False, STEP_TOKENS), (True, PAIR_TOKENS)])
@pytest.mark.parametrize("tokens", [1.0, 11.0, 100.0, 700.0, 1e6])
def test_steps_have_few_rows_and_no_more_tokens_than_said(tokens: float, reads: bool, most: int):
    rows = step_rows(tokens, 256, reads=reads)
    assert 4 <= rows <= STEP_ROWS and rows & (rows - 1) == 0
    assert rows * tokens <= most or rows == 4
    assert 2 * rows * tokens > most or rows == STEP_ROWS
    assert step_rows(tokens, 3, reads=reads) == 3


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


@pytest.mark.parametrize(
    ("decoder", "rows", "found"),
    [
        ("transformer", 50_000, ("adamw", RATE)), ("lstm", 50_000, ("adamw", 3e-3)),
        ("transformer", 500, ("muon", 0.02)), ("lstm", 500, ("adamw", 3e-3)),
    ],
)  # fmt: skip
def test_who_moves_what_writes(decoder: str, rows: int, found: tuple[str, float]):
    asked = parse_spec(PAIR | {"targets": {"answer": {"type": "text", "decoder": {"type": decoder}}}})
    facts = Facts(rows, {"asked": "text"}, {"answer": "text"}, rows / 60)
    optimizer = resolve(asked, facts).train.optimizer
    assert optimizer is not None
    assert (optimizer.type, optimizer.model_dump()["learning_rate"]) == found
    named = asked.model_copy(update={"train": asked.train.model_copy(update={"optimizer": optimizer})})
    assert resolve(named, facts).train.optimizer == optimizer


@pytest.mark.parametrize("hurry", [8.0, 800.0])
def test_language_models_are_moved_by_muon_however_little_time_there_is(hurry: float):
    asked = parse_spec({key: value for key, value in PAIR.items() if key != "features"})
    optimizer = resolve(asked, Facts(5_000, {}, {"answer": "text"}, hurry)).train.optimizer
    assert optimizer is not None
    assert optimizer.model_dump().items() >= MUON.items()


@pytest.mark.parametrize(
    ("features", "changes"),
    [
        ({"asked": "number"}, {}), ({"asked": "text", "photo": "image"}, {}),
        ({"asked": "text"}, {"model": {"start_from": "older.bundle"}}), ({}, {"model": {"start_from": "older.bundle"}}),
        ({"asked": "text"}, {"targets": {"answer": {"type": "text"}, "other": {"type": "text", "decoder": "lstm"}}}),
    ],
    ids=["numbers", "pictures too", "weights taken over", "a language model's taken over", "an LSTM too"],
)  # fmt: skip
def test_what_was_not_measured_is_moved_by_adamw(features: dict[str, str], changes: dict[str, object]):
    asked = parse_spec({"features": features, "targets": PAIR["targets"]} | changes)
    optimizer = resolve(asked, Facts(5_000, features, dict.fromkeys(asked.targets, "text"), 8.0)).train.optimizer
    assert optimizer is not None
    assert (optimizer.type, optimizer.model_dump()["learning_rate"] <= RATE) == ("adamw", True)
