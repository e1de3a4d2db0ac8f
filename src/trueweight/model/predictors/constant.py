"""The predictor that does not look: what every other one has to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from trueweight.data.reading import column_part
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.metrics.prediction import Prediction
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way
from trueweight.model.target import HeadType

__all__ = ["ConstantPredictor"]


@dataclass(frozen=True)
class ConstantPredictor:
    """A leaf that answers the training rows' mean, or their class frequencies."""

    signature: Signature

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """The same answer for every row."""
        return {
            facts.name: cast(HeadType, column_part(facts)).constant(facts.learnt, len(table))
            for facts in self.signature.targets()
        }

    def with_runtime(self, way: Way) -> "ConstantPredictor":  # noqa: ARG002  # there is nothing to run
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """Nothing beside the signature."""
        return State("constant")

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "ConstantPredictor":  # noqa: ARG003
        """The inverse of :meth:`state`."""
        return cls(signature)
