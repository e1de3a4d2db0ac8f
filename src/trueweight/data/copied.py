"""Whether a text that is written says again, word for word, what stands in the text that is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa

from trueweight.data.cells import TextCells
from trueweight.data.parse_ngrams import BUCKETS, ngram_counts
from trueweight.data.reading import cells_of
from trueweight.data.roles import Role
from trueweight.data.sample import BottomK
from trueweight.data.signature import Signature
from trueweight.data.spelling import Spelling
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.recipes.writing import COPIED

__all__ = ["Copies", "copies_of", "shares", "with_copies", "with_one_vocabulary"]

ROWS = 2048
"""Training rows that are looked at."""

PLACED = ("transformer", "lstm", "gru", "conformer")
"""Encoders that give a place for each token, unless they pool."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What training rows say about copying into one target."""

    source: str
    """The text that could be copied from."""
    own: float
    """Share of a text's words that stand in its source, mean over rows."""
    chance: float
    """The same of the source of another row."""
    chosen: bool
    """Whether the target copies."""

    def facts(self) -> dict[str, Any]:
        """For the target's ``learnt``."""
        found = {"copied": self.own, "copied_by_chance": self.chance}
        return found | ({"copied_from": self.source} if self.chosen else {})


def copies_of(
    blank: Signature, table: Table, train: np.ndarray, roles: Sequence[Role], borrowed: Mapping[str, Spelling]
) -> dict[str, Copies]:
    """For every target that may copy, or is asked to: what there is to copy.

    Args:
        blank: Columns with types and roles.
        table: All rows.
        train: Case numbers of training rows.
        roles: With encoders chosen.
        borrowed: Tokens of columns as an older model has them.

    Raises:
        SpecError: Targets that are asked to copy and cannot; tells all of them.
    """
    written = [role for role in roles if role.role == "target" and role.part.type == "text"]
    reasons = {role.name: _reason(role, roles, borrowed) for role in written}
    asked = [role.name for role in written if cast(Any, role.part).copying is True]
    if wrong := [f"{name!r} cannot copy: {reason}" for name in asked if (reason := reasons[name]) is not None]:
        hint = "leave copying out, or read one text column with an encoder that reads tokens"
        raise SpecError("; ".join(wrong), where=f"targets.{asked[0]}.copying", hint=hint)
    found = {}
    for role in written:
        wish = cast(Any, role.part).copying
        if wish is False or reasons[role.name] is not None or (wish == "auto" and not _placed(_source(roles))):
            continue
        source = _source(roles).name
        own, chance = shares(*_texts(blank, table, train, source, role.name))
        found[role.name] = Copies(source, own, chance, wish is True or own - chance >= COPIED)
    return found


def _source(roles: Sequence[Role]) -> Role:
    return next(role for role in roles if role.role == "feature")


def _placed(source: Role) -> bool:
    encoder = cast(Any, source.part).encoder
    return encoder is not None and encoder.type in PLACED and encoder.model_dump().get("pooling", "none") == "none"


def _reason(target: Role, roles: Sequence[Role], borrowed: Mapping[str, Spelling]) -> str | None:
    """Why this target cannot copy."""
    part, read = cast(Any, target.part), [role for role in roles if role.role == "feature"]
    if part.decoder.type == "ctc":
        return "decoder ctc reads texts off and writes none"
    if len(read) != 1 or read[0].part.type != "text":
        what = f"{len(read)} columns are" if len(read) != 1 else f"{read[0].name!r} of type {read[0].part.type} is"
        return f"{what} read, and it takes one text"
    source = cast(Any, read[0].part)
    if not source.reads_tokens():
        return f"{read[0].name!r} is read as n-grams, without tokens"
    sizes = {size for size in (source.vocabulary_size, part.vocabulary_size) if size is not None}
    if len(sizes) > 1:
        return f"its vocabulary_size is {part.vocabulary_size} and that of {read[0].name!r} is {source.vocabulary_size}"
    if source.lowercase:
        return f"capital letters of {read[0].name!r} are read as small ones"
    lent = [borrowed.get(read[0].name), borrowed.get(target.name)]
    if lent != [None, None] and (lent[0] is None or lent[1] is None or lent[0].merges != lent[1].merges):
        return f"the older model spells {read[0].name!r} otherwise"
    return None


def _texts(
    blank: Signature, table: Table, train: np.ndarray, source: str, target: str
) -> tuple[pa.StringArray, pa.StringArray]:
    rows, both = BottomK.of(train, k=ROWS).rows, []
    missing_N = np.zeros(len(table), dtype=bool)
    for name in (source, target):
        cells = cells_of(table, blank.columns[name], blank.options)
        assert isinstance(cells, TextCells)
        both.append(cells.text_N)
        missing_N |= cells.missing_N
    given = pa.array(rows[~missing_N[rows]])
    return both[0].take(given), both[1].take(given)


def shares(sources: pa.StringArray, targets: pa.StringArray) -> tuple[float, float]:
    """Share of a target's words that stand in its own source, and in that of the next row, mean over rows. Scripts that
    put no spaces between words are read character by character."""
    if not len(sources):
        return 0.0, 0.0
    read_G, written_G = _words(sources), _words(targets)
    row_G = written_G // BUCKETS
    count_N = np.bincount(row_G, minlength=len(targets))
    other_G = (row_G + 1) % len(sources) * BUCKETS + written_G % BUCKETS
    found = [np.bincount(row_G, np.isin(key_G, read_G), len(targets)) for key_G in (written_G, other_G)]
    own, chance = (float((hits_N / np.maximum(count_N, 1)).mean()) for hits_N in found)
    return own, chance


def _words(texts: pa.StringArray) -> np.ndarray:
    """Row times ``BUCKETS`` plus the word's hash, once for each word of a row."""
    parts = [found.text_G * BUCKETS + found.bucket_G for found in ngram_counts(texts, word_grams=1, pieces=None)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def with_one_vocabulary(roles: Sequence[Role], copies: Mapping[str, Copies]) -> list[Role]:
    """Columns with targets that copy ``like`` what they copy from, where they do not share their tokens already: a
    token must have one number on both sides. If the target alone says something of its tokens, it decides."""
    found = {role.name: role for role in roles}
    for name, copy in copies.items():
        mine, theirs = cast(Any, found[name].part), cast(Any, found[copy.source].part)
        if not copy.chosen or mine.like is not None or theirs.like is not None:
            continue
        says = mine.vocabulary_size is not None or mine.tokens != "bpe"
        one, other = (copy.source, name) if says and theirs.vocabulary_size is None else (name, copy.source)
        found[one] = replace(found[one], part=found[one].part.model_copy(update={"like": other}))
    return list(found.values())


def with_copies(signature: Signature, copies: Mapping[str, Copies]) -> Signature:
    """The signature with what is known of copying."""
    columns = {
        name: replace(signature.columns[name], learnt={**signature.columns[name].learnt, **copy.facts()})
        for name, copy in copies.items()
    }
    return replace(signature, columns={**signature.columns, **columns}) if columns else signature
