"""Intervals around predicted numbers and sets of classes, with a coverage that calibration rows guarantee."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.conformal import ClassSets, Radius
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["ConformalPredictor"]


@dataclass(frozen=True)
class ConformalPredictor:
    """A node that adds intervals to the number targets of its one member, and sets of classes to its class targets.

    The coverage is promised where calibration rows took no part in fitting or selecting. Where they were too few to set
    apart and the validation rows calibrated (``Split.cross_fitted``), only the blend's weights are crossed: steps and
    strengths of regularisation were chosen on these rows, and the intervals are optimistic there.
    """

    signature: Signature
    inner: Predictor
    radii: Mapping[str, Radius]
    """By target. Targets without one, and such without radius, pass through."""
    sets: Mapping[str, ClassSets] = field(default_factory=dict)
    """By target, for classes. As above."""

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """The member's answers, with intervals and sets."""
        answers = self.inner.predict(table, how=how, seed=seed)
        return {target: self._widen(target, answer) for target, answer in answers.items()}

    def with_runtime(self, way: Way) -> "ConformalPredictor":
        """The same node, its leaves run in another way."""
        return replace(self, inner=self.inner.with_runtime(way))

    def members(self) -> Sequence[Predictor]:
        """The one inside."""
        return (self.inner,)

    def state(self) -> State:
        """Radii, bounds of sets, and the member."""
        facts = {"radii": _plain(self.radii), "sets": _plain(self.sets)}
        return State("conformal", facts, members=(self.inner.state(),))

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "ConformalPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Facts of another shape.
        """
        try:
            (inner,) = state.members
            radii = _built(Radius, state.facts["radii"])
            sets = _built(ClassSets, state.facts.get("sets", {}))  # bundles of format 1 from before there were sets
            for target, found in sets.items():
                _require_bounds(target, found, signature)
            return cls(signature, predictor_from_state(inner, signature), radii, sets)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise VerifyError(f"not the facts of conformal intervals: {error}") from None

    def _widen(self, target: str, answer: Prediction) -> Prediction:
        radius, sets = self.radii.get(target), self.sets.get(target)
        if isinstance(answer, NumberPrediction) and radius is not None:
            return _within(answer, radius)
        if isinstance(answer, ClassPrediction) and sets is not None and sets.least:
            return replace(answer, set_NC=sets.set_NC(answer.probability_NC), coverage=sets.coverage)
        return answer


def _within(answer: NumberPrediction, found: Radius) -> NumberPrediction:
    if found.radius is None:  # what nothing is promised of is not told
        return answer.without_interval()
    if found.of_quantiles:
        return answer.widened(found.radius, found.coverage)
    return answer.with_radius(found.radius_N(answer.value_N), found.coverage)


_Facts = TypeVar("_Facts")


def _plain(found: Mapping[str, Radius] | Mapping[str, ClassSets]) -> dict[str, Any]:
    """As JSON; what is empty, or as it is without asking, is left out."""
    return {
        target: {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(one).items()
                 if value is not False and value != ()}
        for target, one in found.items()
    }  # fmt: skip


def _built(kind: Callable[..., _Facts], raw: Mapping[str, Any]) -> dict[str, _Facts]:
    return {
        target: kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in one.items()})
        for target, one in raw.items()
    }


def _require_bounds(target: str, found: ClassSets, signature: Signature) -> None:
    if found.least and (
        len(found.groups) != len(signature.columns[target].learnt["classes"])
        or not all(0 <= group < len(found.least) for group in found.groups)
    ):
        raise ValueError(f"sets of {target!r} are not of its classes")
