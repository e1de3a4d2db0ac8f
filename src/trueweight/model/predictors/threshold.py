"""A learnt threshold laid over yes-no answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import ClassPrediction, Prediction
from trueweight.metrics.threshold import Threshold
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["ThresholdPredictor"]


@dataclass(frozen=True)
class ThresholdPredictor:
    """A node that answers yes from a threshold on that calibration rows taught. Probabilities stay as they are.

    Raises:
        ValueError: A threshold that is no probability.
    """

    signature: Signature
    inner: Predictor
    thresholds: Mapping[str, Threshold]
    """By target. Targets without one, and such that are not yes-no, pass through."""

    def __post_init__(self) -> None:
        for target, found in self.thresholds.items():
            if not 0 < found.value < 1:
                raise ValueError(f"the threshold of {target!r} is {found.value}, which is not between 0 and 1")

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """The member's answers, decided anew."""
        answers = self.inner.predict(table, how=how, seed=seed)
        return {target: self._decided(target, answer) for target, answer in answers.items()}

    def with_runtime(self, way: Way) -> "ThresholdPredictor":
        """The same node, its leaves run in another way."""
        return replace(self, inner=self.inner.with_runtime(way))

    def members(self) -> Sequence[Predictor]:
        """The one inside."""
        return (self.inner,)

    def state(self) -> State:
        """Thresholds and the member."""
        facts = {"thresholds": {target: asdict(found) for target, found in self.thresholds.items()}}
        return State("threshold", facts, members=(self.inner.state(),))

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "ThresholdPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Facts of another shape.
        """
        try:
            (inner,) = state.members
            thresholds = {target: Threshold(**raw) for target, raw in state.facts["thresholds"].items()}
            return cls(signature, predictor_from_state(inner, signature), thresholds)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise VerifyError(f"not the facts of a threshold: {error}") from None

    def _decided(self, target: str, answer: Prediction) -> Prediction:
        found = self.thresholds.get(target)
        if found is None or not isinstance(answer, ClassPrediction) or not answer.binary:
            return answer
        return replace(answer, threshold=found.value)
