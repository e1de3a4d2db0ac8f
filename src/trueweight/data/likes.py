"""Columns of text that share one vocabulary: ``like: other_column``."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import TextCells
from trueweight.data.reading import cells_of
from trueweight.data.roles import Role
from trueweight.data.sample import BottomK
from trueweight.data.signature import Signature
from trueweight.data.spelling import Spelling
from trueweight.data.table import Table
from trueweight.errors import SpecError

__all__ = ["MOST_CHARACTERS", "like_roots", "shared_spellings"]

MOST_CHARACTERS = 2**24
"""Of all columns together that a shared vocabulary is learnt from."""

_LEAST_WRITTEN = 10
"""Rows that a token needs where any of the columns is a target, as for targets that share nothing."""


def like_roots(roles: Sequence[Role]) -> dict[str, str]:
    """The column that decides about the vocabulary, for each column that shares one, itself among them.

    Args:
        roles: Of all columns.

    Raises:
        SpecError: Names that are unknown, lead back to themselves, or are of columns that hold no tokens of texts;
            tells all of them.
    """
    known = {role.name: role for role in roles}
    asked = {role.name: like for role in roles if (like := _like(role)) is not None}
    wrong = [
        (f"{known[name].role}s.{name}.like", problem)
        for name in asked
        if (problem := _problem(name, asked, known)) is not None
    ]
    if len(wrong) == 1:
        raise SpecError(wrong[0][1], where=wrong[0][0], hint="name a column of type text, or a target of type text")
    if wrong:
        told = "\n  ".join(f"{where}: {problem}" for where, problem in wrong)
        hint = "each like names a column of type text, or a target of type text"
        raise SpecError(f"{len(wrong)} vocabularies cannot be shared\n  {told}", where="like", hint=hint)
    found = {name: _root(name, asked) for name in asked}
    return found | {root: root for root in found.values()}


def _like(role: Role) -> str | None:
    if role.role not in ("feature", "target") or role.part.type != "text":
        return None
    like: str | None = cast(Any, role.part).like
    return like


def _problem(name: str, asked: Mapping[str, str], known: Mapping[str, Role]) -> str | None:
    other = asked[name]
    if other == name:
        return f"{name!r} cannot be like itself"
    if other not in known:
        near = get_close_matches(other, known, n=1)
        return f"there is no column {other!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    role = known[other]
    if role.role not in ("feature", "target"):
        return f"{other!r} is not read: {role.why}"
    if role.part.type != "text":
        return f"{other!r} is of type {role.part.type}, which has no tokens to share"
    if (circle := _circle(name, asked)) is not None:
        return f"it leads back to itself: {' → '.join(circle)}"
    return None


def _circle(name: str, asked: Mapping[str, str]) -> list[str] | None:
    way = [name]
    while way[-1] in asked:
        way.append(asked[way[-1]])
        if way[-1] in way[:-1]:
            return way
    return None


def _root(name: str, asked: Mapping[str, str]) -> str:
    while name in asked:
        name = asked[name]
    return name


def shared_spellings(
    blank: Signature, table: Table, train: np.ndarray, roles: Sequence[Role], *, min_group: int
) -> dict[str, Spelling]:
    """One vocabulary for each group of columns, learnt from the texts of all of them together.

    Args:
        blank: Columns with types and roles.
        table: All rows.
        train: Case numbers of training rows.
        roles: With encoders chosen.
        min_group: Rows that a token needs.

    Raises:
        SpecError: A column is to share tokens, and is read without any.
    """
    parts, roots = {role.name: cast(Any, role.part) for role in roles}, like_roots(roles)
    unread = [name for name in roots if blank.columns[name].role == "feature" and not parts[name].reads_tokens()]
    if unread:
        what = parts[unread[0]].encoder.type if parts[unread[0]].encoder is not None else "linear"
        hint = "use an encoder that reads tokens, such as transformer or lstm, or leave like out"
        problem = f"{unread[0]!r} is read as n-grams by {what!r}, and has no tokens to share"
        raise SpecError(problem, where=f"features.{unread[0]}.encoder", hint=hint)
    found: dict[str, Spelling] = {}
    for root in dict.fromkeys(roots.values()):
        names = [name for name in roots if roots[name] == root]
        spelling = _learnt(blank, table, train, names, parts[root], min_group)
        found |= dict.fromkeys(names, spelling)
    return found


def _learnt(
    blank: Signature, table: Table, train: np.ndarray, names: Sequence[str], root: Any, min_group: int
) -> Spelling:
    from trueweight.data.bpe import learn_merges

    texts = list(_joined(blank, table, BottomK.of(train).rows, names))
    size = root.vocabulary_size or int(min(16_384, max(512, 4 * float(np.sqrt(sum(map(len, texts)))))))
    written = any(blank.columns[name].role == "target" for name in names)
    least = max(min_group, _LEAST_WRITTEN) if written else min_group
    characters = root.model_dump().get("tokens") == "characters"
    return Spelling(learn_merges(texts, size=size, least=least, characters=characters), False, False)


def _joined(blank: Signature, table: Table, rows: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    """All texts of a row as one, so that a row counts once however many of its columns hold a word."""
    columns = []
    for name in names:
        cells = cells_of(table, blank.columns[name], blank.options)
        assert isinstance(cells, TextCells)
        columns.append(cells.text_N.take(pa.array(rows)))
    length_N = np.asarray(sum(pc.utf8_length(column).to_numpy(zero_copy_only=False) for column in columns))
    enough = int(np.searchsorted(np.cumsum(length_N), MOST_CHARACTERS)) + 1
    for cells_of_row in zip(*(column.slice(0, enough).to_pylist() for column in columns), strict=True):
        yield "\n".join(cells_of_row)
