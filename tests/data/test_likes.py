"""Columns that share a vocabulary: which do, what they share, and what is said where they cannot."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.learn import blank_signature
from trueweight.data.likes import like_roots, shared_spellings
from trueweight.data.roles import Role, assign_roles, read_options_of
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.spec.load import parse_spec

ROWS = 40


def table() -> Table:
    return Table(pa.table({
        "en": ["the water is cold", "the fire is hot"] * (ROWS // 2), "fr": ["eau froide", "feu chaud"] * (ROWS // 2),
        "note": ["un mot"] * ROWS, "kind": ["a", "b"] * (ROWS // 2), "label": ["x", "y"] * (ROWS // 2),
    }))  # fmt: skip


def roles_of(features: dict[str, Any], targets: dict[str, Any] | None = None) -> tuple[list[Role], Any]:
    spec = parse_spec({"features": features, "targets": targets or {"label": "binary"}, "other_features": "ignore"})
    return assign_roles(table(), spec), spec


def text(**options: Any) -> dict[str, Any]:
    return {"type": "text", "encoder": "lstm", **options}


def test_chains_lead_to_one_root():
    roles, _ = roles_of({"en": text(), "note": text(like="fr")}, {"fr": {"type": "text", "like": "en"}})
    assert like_roots(roles) == {"en": "en", "note": "en", "fr": "en"}
    assert like_roots(roles_of({"en": text()})[0]) == {}


@pytest.mark.parametrize(
    ("features", "place", "word"),
    [
        ({"en": text(like="notes")}, "features.en.like", "there is no column 'notes'; did you mean 'note'?"),
        ({"en": text(like="en")}, "features.en.like", "'en' cannot be like itself"),
        ({"en": text(like="kind"), "kind": "category"}, "features.en.like", "'kind' is of type category, which has no"),
        ({"en": text(like="fr")}, "features.en.like", "'fr' is not read: not named, and other_features is ignore"),
        ({"en": text(like="label")}, "features.en.like", "'label' is of type binary"),
    ],
)
def test_names_that_lead_nowhere(features: dict[str, Any], place: str, word: str):
    with pytest.raises(SpecError) as caught:
        like_roots(roles_of(features)[0])
    assert caught.value.where == place
    assert word in str(caught.value) and "name a column of type text" in str(caught.value)


def test_circles_are_told_all_at_once():
    with pytest.raises(SpecError) as caught:
        like_roots(roles_of({"en": text(like="fr"), "fr": text(like="note"), "note": text(like="fr")})[0])
    said = str(caught.value)
    assert "3 vocabularies cannot be shared" in said
    assert "features.fr.like: it leads back to itself: fr → note → fr" in said


def test_what_the_other_column_says_is_told_with_the_other_mistakes():
    raw = {
        "features": {"en": text(like="fr", vocabulary_size=300)}, "train": {"batch_size": -1},
        "targets": {"fr": {"type": "text", "like": "note", "tokens": "characters"}},
    }  # fmt: skip
    with pytest.raises(SpecError) as caught:
        parse_spec(raw)
    said = str(caught.value)
    assert "3 mistakes" in said
    assert "features.en.vocabulary_size: is for 'fr' to say, whose vocabulary this is" in said
    assert "targets.fr.tokens: is for 'note' to say" in said


def spelt(features: dict[str, Any], targets: dict[str, Any]) -> Any:
    roles, spec = roles_of(features, targets)
    blank = blank_signature(table(), roles, read_options_of(spec.data), np.arange(ROWS))
    return shared_spellings(blank, table(), np.arange(ROWS), roles, min_group=10)


def test_a_shared_vocabulary_knows_the_words_of_all():
    found = spelt({"en": text(lowercase=False)}, {"fr": {"type": "text", "like": "en"}})
    assert found.keys() == {"en", "fr"} and found["en"] is found["fr"]
    made = {left + right for left, right in found["en"].merges}
    assert any("water" in piece for piece in made) and any("froide" in piece for piece in made)


def test_a_row_counts_once_however_many_columns_hold_a_word():
    words = ["rare"] * 6 + ["other"] * 34  # in both columns: 12 cells, 6 rows
    both = Table(pa.table({"en": words, "fr": words}))
    spec = parse_spec({"features": {"en": text()}, "targets": {"fr": {"type": "text", "like": "en"}}})
    roles = assign_roles(both, spec)
    blank = blank_signature(both, roles, read_options_of(spec.data), np.arange(ROWS))
    made = {a + b for a, b in shared_spellings(blank, both, np.arange(ROWS), roles, min_group=10)["en"].merges}
    assert not any("rare" in piece for piece in made) and any("other" in piece for piece in made)


def test_the_root_says_how_large_and_of_what():
    assert spelt({"en": text(like="fr")}, {"fr": {"type": "text", "vocabulary_size": 262}})["en"].tokens <= 264
    letters = spelt({"en": text(like="fr")}, {"fr": {"type": "text", "tokens": "characters"}})["en"].merges
    assert not letters  # all letters are of one byte


def test_what_reads_no_tokens_has_none_to_share():
    with pytest.raises(SpecError, match="'en' is read as n-grams by 'bag', and has no tokens to share"):
        spelt({"en": {"type": "text", "encoder": "bag"}}, {"fr": {"type": "text", "like": "en"}})
