"""Makes the Signature: facts about every column, learnt from training rows alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from trueweight.data.cells import Cells, MediaCells, ReadOptions, SeriesCells, TextCells
from trueweight.data.made_by import code_print
from trueweight.data.mirrors import learn_mirrors
from trueweight.data.reading import cells_of, column_part
from trueweight.data.roles import Role
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.spelling import Spelling
from trueweight.data.table import Table
from trueweight.data.together import learn_together
from trueweight.errors import VerifyError
from trueweight.files import cache_dir, canonical_json, digest_bytes, private_dir, read_json, write_json
from trueweight.progress import advance

__all__ = ["blank_signature", "learn_signature"]


def blank_signature(table: Table, roles: Sequence[Role], options: ReadOptions, rows: np.ndarray) -> Signature:
    """Types and roles, with cells read and dirt counted over ``rows``, but nothing learnt yet."""
    columns = {}
    for place, role in enumerate(roles, 1):
        spec = role.part.model_dump(mode="json")
        facts = ColumnFacts(role.name, role.part.type, role.role, role.why, spec, len(rows), 0)
        if role.role != "ignored":
            cells = cells_of(table, facts, options)
            missing = int(cells.missing_N[rows].sum())
            facts = replace(facts, missing=missing, notes={k: int(v) for k, v in cells.notes.items() if v})
        columns[role.name] = facts
        advance("reading columns", place, len(roles), unit="columns")
    return Signature(columns, options, 0)


def learn_signature(
    blank: Signature, table: Table, train: np.ndarray, *, min_group: int, weight_N: np.ndarray | None = None,
    spellings: Mapping[str, Spelling] = MappingProxyType({}),
) -> Signature:  # fmt: skip
    """Fill in what training rows teach.

    Args:
        blank: From :func:`blank_signature`, for the same table.
        table: All rows.
        train: Case numbers of training rows.
        min_group: Levels with fewer rows are pooled and not named.
        weight_N: float64 weights of all rows, for what targets teach.
        spellings: Tokens of texts by column, where an older model has them already.

    Raises:
        DataError: A target that cannot be learnt; says why.
    """
    sample = BottomK.of(train)
    learnt = {}
    for place, (name, facts) in enumerate(blank.columns.items(), 1):
        learnt[name] = _learn(facts, blank, table, train, sample, min_group, weight_N, spellings.get(name))
        advance("learning about columns", place, len(blank.columns), unit="columns")
    signature = replace(blank, columns=learnt, rows=len(train))
    signature = _with_mirrors(signature, table, train, min_group)
    return replace(signature, together=learn_together(signature, table, train, min_group=min_group))


def _learn(
    facts: ColumnFacts,
    blank: Signature,
    table: Table,
    train: np.ndarray,
    sample: BottomK,
    min_group: int,
    weight_N: np.ndarray | None,
    spelling: Spelling | None,
) -> ColumnFacts:
    if facts.role not in ("feature", "target"):
        return facts
    part: Any = column_part(facts)
    cells = cells_of(table, facts, blank.options)
    spelt: dict[str, Spelling] = {} if spelling is None else {"spelling": spelling}
    if facts.role == "target":
        return replace(facts, learnt=part.learn(cells, train, sample, name=facts.name, weight_N=weight_N, **spelt))
    path = None if spelt else _place(facts, blank.options, table, cells, train, min_group)
    if path is not None and (known := _known(path)) is not None:
        return replace(facts, learnt=known)
    learnt = part.learn(cells, train, sample, min_group=min_group, **spelt)
    if path is not None:
        write_json(path, learnt)
    return replace(facts, learnt=learnt)


def _with_mirrors(signature: Signature, table: Table, train: np.ndarray, min_group: int) -> Signature:
    """With what pictures and targets together say of mirrors, kept like the other facts of the senses."""
    pictures = [facts for facts in signature.features() if facts.type == "image"]
    options = signature.options
    places = [_place(f, options, table, cells_of(table, f, options), train, min_group) for f in pictures]
    kept = [place for place in places if place is not None]
    if not kept or len(kept) < len(places):
        return learn_mirrors(signature, table, train, min_group=min_group)
    targets = [[t.name, t.type, dict(t.spec), t.learnt.get("classes")] for t in signature.targets()]
    asked = canonical_json([[place.name for place in kept], targets]).encode()
    path = kept[0].with_name(f"{digest_bytes(asked).removeprefix('sha256:')[:40]}.json")
    if (known := _known(path)) is None:
        learnt = learn_mirrors(signature, table, train, min_group=min_group)
        known = {facts.name: facts.learnt["mirror"] for facts in learnt.features() if "mirror" in facts.learnt}
        write_json(path, known)
    told = {name: {**signature.columns[name].learnt, "mirror": mirror} for name, mirror in known.items()}
    new = {name: replace(signature.columns[name], learnt=learnt) for name, learnt in told.items()}
    return replace(signature, columns={**signature.columns, **new})


def _known(path: Path) -> dict[str, Any] | None:
    """Facts in the cache, if they are there and whole."""
    try:
        found: dict[str, Any] = read_json(path)
    except VerifyError:
        return None
    return found


def _place(
    facts: ColumnFacts, options: ReadOptions, table: Table, cells: Cells, train: np.ndarray, min_group: int
) -> Path | None:
    """Where in the cache the facts of a column of the senses are kept, by everything that decides them; learning what
    words there are takes seconds. None for plain columns, and for tables without a digest."""
    if not isinstance(cells, TextCells | MediaCells | SeriesCells) or not table.provenance.digest:
        return None
    files = cells.print_N.tobytes() if isinstance(cells, MediaCells) else b""
    asked = [code_print(), facts.name, dict(facts.spec), list(options.missing_values), options.decimal_comma, min_group]
    parts = (table.provenance.digest.encode(), canonical_json(asked).encode(), files, train.tobytes())
    address = digest_bytes(*parts).removeprefix("sha256:")[:40]
    return private_dir(cache_dir() / "facts") / f"{address}.json"
