"""Whether rows say that a text is copied from another, and which vocabulary the two then have."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.copied import Copies, copies_of, shares, with_copies, with_one_vocabulary
from trueweight.data.learn import blank_signature
from trueweight.data.likes import shared_spellings
from trueweight.data.roles import Role, assign_roles, read_options_of
from trueweight.data.spelling import Spelling
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.spec.load import parse_spec

ROWS = 40
NAMES = [f"{a}{b}" for a in "bcdfg" for b in ("ala", "ebe", "ici", "odo", "ufu", "ygy", "ana", "ene")]


def table() -> Table:
    return Table(pa.table({
        "said": [f"{name} is here" for name in NAMES], "who": [f"hello {name}" for name in NAMES],
        "mood": ["all is well"] * ROWS, "label": ["x", "y"] * (ROWS // 2), "size": [float(n) for n in range(ROWS)],
    }))  # fmt: skip


def roles_of(features: dict[str, Any], targets: dict[str, Any]) -> tuple[list[Role], Any]:
    spec = parse_spec({"features": features, "targets": targets, "other_features": "ignore"})
    return assign_roles(table(), spec), spec


def said(**options: Any) -> dict[str, Any]:
    return {"said": {"type": "text", "encoder": "lstm", "lowercase": False, **options}}


def found(
    features: dict[str, Any], target: dict[str, Any], name: str = "who", borrowed: dict[str, Spelling] | None = None
) -> dict[str, Copies]:
    roles, spec = roles_of(features, {name: {"type": "text", **target}})
    blank = blank_signature(table(), roles, read_options_of(spec.data), np.arange(ROWS))
    return copies_of(blank, table(), np.arange(ROWS), roles, borrowed or {})


def by_loops(sources: list[str], targets: list[str]) -> tuple[float, float]:
    words = [set(text.split()) for text in sources]
    each = [set(text.split()) for text in targets]
    own = [len(mine & words[n]) / max(1, len(mine)) for n, mine in enumerate(each)]
    other = [len(mine & words[(n + 1) % len(words)]) / max(1, len(mine)) for n, mine in enumerate(each)]
    return float(np.mean(own)), float(np.mean(other))


def test_shares_are_what_loops_over_words_say():
    rng = np.random.default_rng(0)
    texts = [[" ".join(rng.choice(NAMES[:12], size)) for size in rng.integers(0, 7, 200)] for _ in range(2)]
    assert shares(*map(pa.array, texts)) == pytest.approx(by_loops(*texts))
    assert shares(pa.array([], pa.string()), pa.array([], pa.string())) == (0.0, 0.0)


def test_scripts_without_spaces_are_compared_by_characters():
    assert shares(pa.array(["质量很好", "太小了"]), pa.array(["很好", "太大"])) == pytest.approx((0.75, 0.0))


def test_rows_decide_and_a_wish_is_stronger():
    (copies,) = found(said(), {}).values()
    assert copies == Copies("said", 0.5, 0.0, True)
    assert copies.facts() == {"copied": 0.5, "copied_by_chance": 0.0, "copied_from": "said"}
    (same,) = found(said(), {}, "mood").values()  # every row holds "is": that is no sign of copying
    assert same.own == same.chance == pytest.approx(1 / 3)
    assert not same.chosen
    assert "copied_from" not in same.facts()
    assert found(said(), {"copying": True}, "mood")["mood"].chosen
    assert found(said(), {"copying": False}) == {}


@pytest.mark.parametrize(
    ("features", "target", "why"),
    [
        (said() | {"size": "number"}, {}, "2 columns are read, and it takes one text"),
        ({"size": "number"}, {}, "'size' of type number is read, and it takes one text"),
        (said(encoder="bag"), {}, "'said' is read as n-grams, without tokens"),
        (said(vocabulary_size=300), {"vocabulary_size": 400}, "vocabulary_size is 400 and that of 'said' is 300"),
        (said(lowercase=True), {}, "capital letters of 'said' are read as small ones"),
        (said(), {"decoder": "ctc"}, "decoder ctc reads texts off and writes none"),
    ],
)
def test_what_cannot_be_copied_from_is_refused_if_asked_and_left_otherwise(
    features: dict[str, Any], target: dict[str, Any], why: str
):
    assert found(features, target) == {}
    with pytest.raises(SpecError, match=why) as caught:
        found(features, {**target, "copying": True})
    assert caught.value.where == "targets.who.copying"


def test_rows_decide_only_where_the_encoder_has_a_place_for_each_token():
    assert found(said(encoder={"type": "lstm", "pooling": "mean"}), {}) == {}
    assert found(said(encoder={"type": "cnn"}), {}) == {}


def test_what_an_older_model_spells_otherwise_is_not_copied_from():
    mine, other = Spelling((("a", "b"),), False, False), Spelling((("b", "a"),), False, False)
    assert found(said(), {}, borrowed={"said": mine, "who": mine}) != {}
    for borrowed in ({"said": mine, "who": other}, {"said": mine}, {"who": mine}):
        assert found(said(), {}, borrowed=borrowed) == {}
        with pytest.raises(SpecError, match="the older model spells 'said' otherwise"):
            found(said(), {"copying": True}, borrowed=borrowed)


@pytest.mark.parametrize(
    ("source", "target", "tokens"),
    [({}, {}, None), ({"vocabulary_size": 262}, {}, 264), ({}, {"vocabulary_size": 261}, 263),  # and two for ends
     ({}, {"tokens": "characters"}, 258)],
)  # fmt: skip
def test_both_sides_have_one_vocabulary(source: dict[str, Any], target: dict[str, Any], tokens: int | None):
    roles, spec = roles_of(said(**source), {"who": {"type": "text", **target}})
    blank = blank_signature(table(), roles, read_options_of(spec.data), np.arange(ROWS))
    copies = copies_of(blank, table(), np.arange(ROWS), roles, {})
    alike = with_one_vocabulary(roles, copies)
    spelt = shared_spellings(blank, table(), np.arange(ROWS), alike, min_group=2)
    assert spelt["said"] is spelt["who"]
    assert tokens is None or spelt["who"].tokens == tokens
    assert [role.part.type for role in roles] == [role.part.type for role in alike]
    told = with_copies(blank, copies).columns["who"].learnt
    assert told["copied_from"] == "said"
    assert with_copies(blank, {}) is blank


def test_columns_that_share_their_tokens_already_stay_as_they_are():
    roles, _ = roles_of(said(), {"who": {"type": "text", "like": "said"}})
    copies = {"who": Copies("said", 0.5, 0.0, True)}
    assert with_one_vocabulary(roles, copies) == roles
