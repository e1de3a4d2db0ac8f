"""Copies of judged rows with damaged cells: which rows, how many, and every suite at every strength.

Shape suffixes:
    N  rows
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts
from trueweight.data.table import Table
from trueweight.data.threads import threads_ahead
from trueweight.evaluate.corrupt import Family, Suite
from trueweight.evaluate.corrupt_dates import DATES
from trueweight.evaluate.corrupt_pictures import PICTURES
from trueweight.evaluate.corrupt_series import SERIES
from trueweight.evaluate.corrupt_sets import SETS
from trueweight.evaluate.corrupt_sounds import SOUNDS
from trueweight.evaluate.corrupt_tables import CATEGORIES, NUMBERS, VECTORS
from trueweight.evaluate.corrupt_texts import TEXTS
from trueweight.evaluate.judging import Judging
from trueweight.seeds import row_hashes, stream, stream_seed

__all__ = ["FAMILIES", "Changed", "changed_copies", "some_rows"]

FAMILIES: tuple[Family, ...] = (NUMBERS, CATEGORIES, DATES, SETS, VECTORS, TEXTS, PICTURES, SOUNDS, SERIES)
"""Every family of columns that has suites: all types that a model reads."""

ROWS = 500
"""Judged rows that are changed, at most."""

FEWER = {"texts": 120, "pictures": 200, "sounds": 100, "series": 200}
"""The same, where a table has columns of a sense."""

PIXELS = 2**19
"""Numbers of all changed pictures of one suite: large pictures are changed fewer at a time, but never below
:data:`LEAST`."""

COPIES = 10_000
"""Changed rows of a table with columns of a sense, all suites together, but never fewer than :data:`LEAST` of each."""

LEAST = 32

AT_ONCE = 4
"""Suites at most that change copies side by side: large pictures take some 150 MB meanwhile, each time."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One suite at one strength, as a table of the same rows."""

    family: Family
    suite: Suite
    severity: int
    """1 to 3."""
    table: Table

    @property
    def key(self) -> str:
        """For ids: "numbers-noise-1"."""
        return f"{self.family.name}-{self.suite.name}-{self.severity}"

    @property
    def words(self) -> str:
        """For people: "numbers: noise of 0.05 standard deviations"."""
        return f"{self.family.name}: {self.suite.said(self.severity)}"


def _usable(judging: Judging, table: Table) -> list[ColumnFacts]:
    return [facts for facts in judging.predictor.signature.features() if facts.name in table.names]


def some_rows(judging: Judging, most: int | None = None) -> np.ndarray:
    """Numbers of the judged rows that are changed, ascending: chosen by hash, all where there are few.

    Args:
        judging: What is judged.
        most: Of them; None decides by the types of the columns.
    """
    seed = stream_seed(judging.ask.seed, "robustness rows")
    order_N = np.argsort(row_hashes(seed, np.arange(len(judging.table))), kind="stable")
    return np.sort(order_N[: _most_rows(judging) if most is None else most])


def _most_rows(judging: Judging) -> int:
    kinds = {facts.type: facts for facts in judging.predictor.signature.features()}
    present = [family for family in FAMILIES if kinds.keys() & set(family.types)]
    fewer = [FEWER[family.name] for family in present if family.name in FEWER]
    if not fewer:
        return ROWS
    copies = 1 + 3 * sum(len(family.suites) for family in present)
    pixels = [max(1, prod(facts.learnt["size"])) for facts in kinds.values() if facts.type == "image"]
    bounds: list[int] = [*fewer, COPIES // copies, *(PIXELS // count for count in pixels)]
    return max(LEAST, min(bounds))


def changed_copies(judging: Judging, table: Table) -> tuple[Table, list[Changed]]:
    """The same rows unchanged, with cells of the types that changed ones have, and all their changed copies.

    Columns of one family are changed together. All copies have one schema, so that they can be stacked.
    """
    signature = judging.predictor.signature
    loaded: list[tuple[Family, dict[str, Any]]] = []
    plain: dict[str, pa.Array] = {}
    for family in FAMILIES:
        found = {
            facts.name: cells
            for facts in _usable(judging, table)
            if facts.type in family.types
            and (cells := family.load(cells_of(table, facts, signature.options), facts)) is not None
        }
        if found:
            loaded.append((family, found))
            plain |= {name: family.write(cells) for name, cells in found.items()}
    clean = _with(table.select([facts.name for facts in _usable(judging, table)]), plain)
    asked = [
        (family, found, suite, severity)
        for family, found in loaded
        for suite in family.suites
        for severity in (1, 2, 3)
    ]

    def changed(one: tuple[Family, dict[str, Any], Suite, int]) -> Changed:
        family, found, suite, severity = one
        return Changed(family, suite, severity, _changed(judging, clean, family, suite, severity, found))

    # Each draws from a stream of its own; what changes sounds and pictures mostly lets go of the interpreter.
    return clean, list(threads_ahead(changed, asked, most=AT_ONCE))


def _changed(
    judging: Judging, clean: Table, family: Family, suite: Suite, severity: int, found: Mapping[str, Any]
) -> Table:
    purpose = f"robustness {family.name} {suite.name}"
    cells = {
        name: suite.change(loaded, suite.strengths[severity - 1], stream(judging.ask.seed, purpose, place))
        for place, (name, loaded) in enumerate(found.items())
    }
    return _with(clean, cells)


def _with(table: Table, cells: Mapping[str, pa.Array]) -> Table:
    data = table.data
    for name, array in cells.items():
        data = data.set_column(data.column_names.index(name), name, array)
    return replace(table, data=data)
