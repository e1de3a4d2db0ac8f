"""True values of a table's targets, as the predictor's Signature reads them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from trueweight.data.cells import NumberCells
from trueweight.data.reading import cells_of, column_part
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.metrics.truth import Truth

__all__ = ["truths_of"]


def truths_of(signature: Signature, table: Table, cluster_N: np.ndarray | None = None) -> Mapping[str, Truth]:
    """Truth by target, for all rows of the table.

    Raises:
        DataError: The table has none of the target columns, or a known target is missing in every row.
    """
    found = {}
    for facts in signature.targets():
        if facts.name not in table.names:
            continue
        part: Any = column_part(facts)
        truth: Truth = part.truth(cells_of(table, facts, signature.options), facts.learnt)
        found[facts.name] = replace(truth, weight_N=_weights(signature, table), cluster_N=cluster_N)
    if not found:
        names = ", ".join(repr(facts.name) for facts in signature.targets())
        raise DataError(
            f"no true values: column {names} is not there", where=table.label, hint="to get answers, use predict"
        )
    return found


def _weights(signature: Signature, table: Table) -> np.ndarray | None:
    facts = signature.named("weight")
    if facts is None or facts.name not in table.names:
        return None
    cells = cells_of(table, facts, signature.options)
    if not isinstance(cells, NumberCells) or cells.missing_N.any() or (cells.value_N < 0).any():
        raise DataError(f"column {facts.name!r} has weights that are missing or below 0", where=table.label)
    return cells.value_N
