"""Intervals around predicted numbers, with a coverage that calibration rows guarantee."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import NumberPrediction, Prediction
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State

__all__ = ["ConformalPredictor", "Radius", "conformal_radius"]


@dataclass(frozen=True, slots=True)
class Radius:
    """Half the width of one target's intervals."""

    radius: float | None
    """In the target's unit; None when there were too few rows to promise the coverage."""
    coverage: float
    """Share of new rows whose true value should lie inside."""
    n: int
    """Calibration rows."""
    reason: str = ""
    """Why there is no interval."""


def conformal_radius(residuals: np.ndarray, coverage: float) -> Radius:
    """The radius that split conformal prediction gives.

        the k-th smallest residual, k = ceil((n + 1) * coverage)

    New rows drawn like the calibration rows then lie inside with at least this probability, whatever the model.
    Source: Lei et al. 2018, "Distribution-Free Predictive Inference for Regression", arXiv:1604.04173, section 2.2.

    Args:
        residuals: ``|truth - prediction|`` of calibration rows, (n,). With rows that selection has seen, the radius is
            optimistic.
        coverage: In (0, 1).
    """
    n = len(residuals)
    rank = math.ceil((n + 1) * coverage - 1e-9)  # 0.9 * 10 must not round up to 10
    if rank > n:
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        return Radius(None, coverage, n, f"{n} calibration rows cannot promise {coverage:.0%}: it takes {least}")
    return Radius(float(np.partition(residuals, rank - 1)[rank - 1]), coverage, n)


@dataclass(frozen=True)
class ConformalPredictor:
    """A node that adds intervals to the number targets of its one member.

    The coverage is promised where calibration rows took no part in fitting or selecting. Where they were too few to set
    apart and the validation rows calibrated (``Split.cross_fitted``), only the blend's weights are crossed: steps and
    strengths of regularisation were chosen on these rows, and the intervals are optimistic there.
    """

    signature: Signature
    inner: Predictor
    radii: Mapping[str, Radius]
    """By target. Targets without one, and such without radius, pass through."""

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """The member's answers, with intervals."""
        answers = self.inner.predict(table, how=how, seed=seed)
        return {target: self._widen(target, answer) for target, answer in answers.items()}

    def with_runtime(self, name: str) -> "ConformalPredictor":
        """The same node, its leaves run in another way."""
        return replace(self, inner=self.inner.with_runtime(name))

    def members(self) -> Sequence[Predictor]:
        """The one inside."""
        return (self.inner,)

    def state(self) -> State:
        """Radii and the member."""
        facts = {"radii": {target: asdict(radius) for target, radius in self.radii.items()}}
        return State("conformal", facts, members=(self.inner.state(),))

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "ConformalPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Facts of another shape.
        """
        try:
            (inner,) = state.members
            radii = {target: Radius(**raw) for target, raw in state.facts["radii"].items()}
            return cls(signature, predictor_from_state(inner, signature), radii)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise VerifyError(f"not the facts of conformal intervals: {error}") from None

    def _widen(self, target: str, answer: Prediction) -> Prediction:
        found = self.radii.get(target)
        if found is None or found.radius is None or not isinstance(answer, NumberPrediction):
            return answer
        return answer.with_radius(found.radius, found.coverage)
