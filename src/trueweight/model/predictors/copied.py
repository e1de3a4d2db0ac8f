"""The baseline that answers a text with the text it was given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueweight.data.cells import TextCells
from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["CopyPredictor", "answered", "texts_as_target"]


@dataclass(frozen=True)
class CopyPredictor:
    """A leaf that copies a column into every text it is to write: names, numbers and words that two languages share
    are then right, which a translation has to beat. Other targets get the constant answer."""

    signature: Signature
    source: str
    """The column that is copied."""

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """The column's texts, letters as they are."""
        found = dict(ConstantPredictor(self.signature).predict(table))
        for facts in self.signature.targets():
            if facts.type == "text":
                found[facts.name] = answered(texts_as_target(table, facts, self.signature, self.source))
        return found

    def with_runtime(self, way: Way) -> "CopyPredictor":  # noqa: ARG002  # there is nothing to run
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """The column's name."""
        return State("copy", {"source": self.source})

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "CopyPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: No column is named.
        """
        source = state.facts.get("source")
        if not isinstance(source, str):
            raise VerifyError("the bundle does not say which column is copied", where="facts.json")
        return cls(signature, source)


def answered(texts: Sequence[str]) -> TextPrediction:
    """Texts that nobody weighed: their probability is 1, of no tokens."""
    text_N = np.array([*texts, None], dtype=object)[:-1]
    return TextPrediction(text_N, np.zeros(len(text_N)), np.zeros(len(text_N), np.int64))


def texts_as_target(table: Table, facts: ColumnFacts, signature: Signature, source: str | None = None) -> list[str]:
    """A column's texts, read as the target's are; "" where missing.

    Args:
        table: Rows.
        facts: Of the target.
        signature: How cells are read.
        source: Another column to read like that.
    """
    cells = cells_of(table, replace(facts, name=source or facts.name), signature.options)
    assert isinstance(cells, TextCells)
    return [text or "" for text in cells.text_N.to_pylist()]
