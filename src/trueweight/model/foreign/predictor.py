"""A model that was trained elsewhere, in the place of one of ours: it can be asked, and cannot be kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import TrueweightError
from trueweight.metrics.prediction import Prediction
from trueweight.model.foreign.outputs import Output, prediction_of
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["Asks", "ForeignPredictor"]

Asks = Callable[[Table], Mapping[str, Output]]
"""Gives a table to the model and its outputs back, by target."""


@dataclass(frozen=True)
class ForeignPredictor:
    """A leaf whose answers come from somebody else's code.

    Args:
        signature: Learnt from the rows that it is judged by, not from those that trained it.
        ask: Asks it.
        thresholds: By target, from which probability the positive class is answered; 0.5 where there is none.
    """

    signature: Signature
    ask: Asks
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """Answers by target.

        Raises:
            DataError: The model failed, or gave something that is no answer.
        """
        outputs = self.ask(table)
        return {
            facts.name: prediction_of(
                outputs[facts.name], facts, len(table), threshold=self.thresholds.get(facts.name, 0.5)
            )
            for facts in self.signature.targets()
        }

    def with_runtime(self, way: Way) -> "ForeignPredictor":  # noqa: ARG002  # it runs as it does
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """Refused: what is not ours is not kept.

        Raises:
            TrueweightError: Always.
        """
        raise TrueweightError("a model that was trained elsewhere cannot be kept in a bundle")

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "ForeignPredictor":
        """Refused: see :meth:`state`.

        Raises:
            TrueweightError: Always.
        """
        raise TrueweightError(f"{state.kind!r} cannot be loaded: {len(signature.columns)} columns of another's model")
