"""The weighted mixture of several predictors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import Prediction, blend
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["BlendPredictor"]


@dataclass(frozen=True)
class BlendPredictor:
    """A node that mixes its members' distributions, with weights of each target's own.

    Raises:
        ValueError: Weights that are not one per member, negative, or do not sum to 1.
    """

    signature: Signature
    parts: tuple[Predictor, ...]
    weights: Mapping[str, tuple[float, ...]]
    """By target, one for each member, >= 0, summing to 1."""
    names: tuple[str, ...] = ()
    """Of the members, for tables; () numbers them."""
    ends: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The same for the learnt quantiles of targets that have some: who knows best where a number lies need not know
    best how far it may be off."""

    def __post_init__(self) -> None:
        for target, weights in (*self.weights.items(), *self.ends.items()):
            if len(weights) != len(self.parts) or min(weights) < 0 or abs(sum(weights) - 1) > 1e-9:
                raise ValueError(f"weights of {target!r} must be {len(self.parts)}, >= 0, with sum 1, got {weights}")

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """Mix. Members that no target uses are not asked."""
        every = (*self.weights.values(), *self.ends.values())
        asked = [i for i in range(len(self.parts)) if any(weights[i] > 0 for weights in every)]
        answers = [self.parts[i].predict(table, how=how, seed=seed) for i in asked]
        found: dict[str, Prediction] = {}
        for target, weights in self.weights.items():
            ends = self.ends.get(target)
            found[target] = blend(
                [answer[target] for answer in answers],
                [weights[i] for i in asked],
                None if ends is None else [ends[i] for i in asked],
            )
        return found

    def with_runtime(self, way: Way) -> "BlendPredictor":
        """The same blend, its leaves run in another way."""
        return replace(self, parts=tuple(part.with_runtime(way) for part in self.parts))

    def members(self) -> Sequence[Predictor]:
        """In the order of the weights."""
        return self.parts

    def state(self) -> State:
        """Weights and members."""
        facts = {"weights": _lists(self.weights), "names": list(self.names)}
        facts |= {"ends": _lists(self.ends)} if self.ends else {}
        return State("blend", facts, members=tuple(part.state() for part in self.parts))

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "BlendPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Facts of another shape.
        """
        try:
            weights, ends = _tuples(state.facts["weights"]), _tuples(state.facts.get("ends", {}))
            parts = tuple(predictor_from_state(member, signature) for member in state.members)
            return cls(signature, parts, weights, tuple(state.facts["names"]), ends)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise VerifyError(f"not the facts of a blend: {error}") from None


def _lists(weights: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {name: list(found) for name, found in weights.items()}


def _tuples(raw: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(found) for name, found in raw.items()}
