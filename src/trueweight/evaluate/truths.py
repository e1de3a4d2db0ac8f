"""True values of a table's targets, as the predictor's Signature reads them."""

from collections.abc import Mapping

import numpy as np

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.metrics.truth import Truth
from trueweight.train.prepare import row_weights
from trueweight.train.selection import run_truths

__all__ = ["require_known", "truths_of"]


def truths_of(signature: Signature, table: Table, cluster_N: np.ndarray | None = None) -> Mapping[str, Truth]:
    """Truth by target, for all rows of the table.

    Raises:
        DataError: The table has none of the target columns, or weights that cannot be.
    """
    found = run_truths(signature, table, row_weights(table, signature), cluster_N)
    if not found:
        names = ", ".join(repr(facts.name) for facts in signature.targets())
        raise DataError(
            f"no true values: column {names} is not there", where=table.label, hint="to get answers, use predict"
        )
    return found


def require_known(signature: Signature, table: Table, truths: Mapping[str, Truth]) -> None:
    """Refuse rows that no score can be had from.

    Raises:
        DataError: No target has a value in any row, or none but classes that the model has never seen.
    """
    names = ", ".join(map(repr, truths))
    if not any(truth.present_N.any() for truth in truths.values()):
        raise DataError(
            f"no true values: column {names} is empty in all {len(table):,} rows",
            where=table.label,
            hint="to get answers, use predict",
        )
    for name, truth in truths.items():
        known = signature.columns[name].learnt.get("classes")
        if known and truth.present_N.any() and (truth.value[truth.present_N] < 0).all():
            cells = table.column(name).filter(truth.present_N)
            raise DataError(
                f"no row of {name!r} has a class that the model knows; the first has {cells[0].as_py()!r}",
                where=table.label,
                hint=f"it knows {', '.join(map(repr, known[:8]))}",
            )
