"""Probabilities put through a map that calibration rows taught."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import ClassPrediction, Prediction, SetPrediction
from trueweight.metrics.recalibrate import METHODS, Recalibration, recalibrated
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["CalibratedPredictor", "put_through"]

_PARAMETERS = {"none": 0, "temperature": 1, "adaptive": 2, "beta": 3}


@dataclass(frozen=True)
class CalibratedPredictor:
    """A node that puts its one member's probabilities through a temperature, plain or adaptive, or beta calibration.

    Source: Guo et al. 2017, arXiv:1706.04599; Kull et al. 2017, "Beta calibration". It works on the logarithm of
    probabilities rather than on logits, so that a blend can be calibrated as a whole.

    Raises:
        ValueError: A method that there is none of, or parameters of another number.
    """

    signature: Signature
    inner: Predictor
    maps: Mapping[str, Recalibration]
    """By target. Targets without one pass through."""

    def __post_init__(self) -> None:
        for target, found in self.maps.items():
            usable = found.method in METHODS and len(found.parameters) == _PARAMETERS[found.method]
            # A temperature of 0 divides by it; a beta calibration may well leave one of its two sides out.
            cold = found.method in ("temperature", "adaptive") and not found.parameters[:1] > (0.0,)
            if not usable or cold or not np.isfinite(found.parameters).all():
                raise ValueError(f"no such calibration of {target!r}: {found.method!r} of {found.parameters}")

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """The member's answers with better probabilities."""
        answers = self.inner.predict(table, how=how, seed=seed)
        return {name: put_through(answer, self.maps[name]) if name in self.maps else answer
                for name, answer in answers.items()}  # fmt: skip

    def with_runtime(self, way: Way) -> "CalibratedPredictor":
        """The same node, its leaves run in another way."""
        return replace(self, inner=self.inner.with_runtime(way))

    def members(self) -> Sequence[Predictor]:
        """The one inside."""
        return (self.inner,)

    def state(self) -> State:
        """The maps and the member."""
        facts = {"maps": {name: asdict(found) | {"parameters": list(found.parameters)}
                          for name, found in self.maps.items()}}  # fmt: skip
        return State("calibrated", facts, members=(self.inner.state(),))

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "CalibratedPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Facts of another shape.
        """
        try:
            (inner,) = state.members
            maps = {
                target: Recalibration(**{**raw, "parameters": tuple(float(p) for p in raw["parameters"])})
                for target, raw in state.facts["maps"].items()
            }
            return cls(signature, predictor_from_state(inner, signature), maps)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise VerifyError(f"not the facts of a calibration: {error}") from None


def put_through(answer: Prediction, found: Recalibration) -> Prediction:
    """The answer with better probabilities; numbers pass through."""
    if found.method == "none":
        return answer
    if isinstance(answer, ClassPrediction):
        return replace(answer, probability_NC=recalibrated(answer.probability_NC, found))
    if isinstance(answer, SetPrediction):  # each label of a set is a yes-no question, and all share one temperature
        flat = answer.probability_NC.reshape(-1)
        better = recalibrated(np.stack([1 - flat, flat], axis=1), found)[:, 1]
        return replace(answer, probability_NC=better.reshape(answer.probability_NC.shape))
    return answer
