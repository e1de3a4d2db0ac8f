"""A text as it is being written: the same answer as ``predict`` gives, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass

from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.predictors.running import leaf_of
from trueweight.model.protocols import Decoding, Predictor

__all__ = ["Piece", "stream_rows"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a row's text."""

    row: int
    """Its place in the table."""
    text: str
    """Whole characters."""
    ends: bool
    """Whether the row has no more."""


def stream_rows(predictor: Predictor, table: Table, target: str, how: Decoding, seed: int) -> Iterator[Piece]:
    """The texts of a table, one row after the other.

    Args:
        predictor: Of a blend the member that counts most, as in its answers.
        table: Rows to answer.
        target: The column that is written.
        how: Without beams and with one sample.
        seed: Of whatever is drawn.

    Raises:
        SpecError: The target is not written token by token, or ``how`` knows texts only at their end.
    """
    leaf = _leaf(predictor, target)
    for row in range(len(table)):
        for text in leaf.stream(table.row(row), target, how=how, seed=seed, before=row):
            yield Piece(row, text, False)
        yield Piece(row, "", True)


def _leaf(predictor: Predictor, target: str) -> NetworkPredictor:
    leaf = leaf_of(predictor, target)
    if not isinstance(leaf, NetworkPredictor):
        raise SpecError(f"{target!r} is not written token by token", where="stream", hint="ask without stream")
    return leaf
