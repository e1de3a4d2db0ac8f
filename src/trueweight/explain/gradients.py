"""Integrated gradients of networks, and how completely they account for the answer.

    value[part] = integral from 0 to 1 of d f(b + a (x - b)) / d part, times the way of the part

Values sum to f(x) - f(b); what is missing is the completeness gap. On every step of the way what the gradient says is
compared with how far the answer really moved, and steps that disagree most are cut in four, until the gap is at most
1 %; or the explanation is refused. Source: Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks",
arXiv:1703.01365, section 3, by midpoints; the paper takes equal steps.

``b`` is what is usual: medians and most frequent levels, the training rows' mean colour or spectrum, no words. Answers
are probabilities, or numbers in the target's unit, as the model gives them: a blend's values are those of its members
by their weights. They are computed in float64, and their sum is compared with what the one inference path answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.explain.asked import Asked
from trueweight.explain.path import RowPath, row_paths
from trueweight.explain.record import Part
from trueweight.explain.usual import usual_row
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import Predictor

__all__ = ["LARGEST_GAP", "Leaves", "Traced", "integrated_gradients", "leaves_of"]

LARGEST_GAP = 0.01
FIRST_STEPS, MOST_STEPS, PIECES = 32, 2048, 4
SMALLEST_WAY = 0.01
"""A gap is a share of the answer's way; of a way that is shorter than this share of the scale, of that."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """The networks whose weighted sum is an answer."""

    inner: Predictor
    """Answers that sum: of what lies above it only the order of answers is kept."""
    networks: tuple[tuple[float, NetworkPredictor], ...]
    above: tuple[str, ...] = ()
    """Kinds of the nodes above ``inner`` that change answers of classes, e.g. calibration."""


@dataclass(frozen=True, slots=True)
class Traced:
    """One row."""

    parts: tuple[Part, ...]
    value_Q: np.ndarray
    answer: float
    baseline: float
    gap: float
    steps: int
    paths: tuple[tuple[float, RowPath], ...]

    def at(self, share_SQ: np.ndarray) -> np.ndarray:
        """The answer where each part has come so far on its way, (S,)."""
        number = {part: i for i, part in enumerate(self.parts)}
        total = np.full(len(share_SQ), 0.0)
        for weight, path in self.paths:
            total += weight * path.answers(share_SQ[:, [number[part] for part in path.parts]])
        return total


def leaves_of(predictor: Predictor, target: str) -> Leaves | str:
    """The networks below a predictor, or why gradients say nothing of it."""
    above: list[str] = []
    while not isinstance(predictor, BlendPredictor | NetworkPredictor | ConstantPredictor):
        if len(predictor.members()) != 1:
            return f"a predictor of kind {predictor.state().kind!r} has no gradients that add up to its answer"
        above.append(predictor.state().kind)
        predictor = predictor.members()[0]
    networks = tuple(_weighted(predictor, target, 1.0))
    if not networks:
        return "no network takes part in this answer"
    unknown = next((leaf for _, leaf in networks if not isinstance(leaf, NetworkPredictor)), None)
    if unknown is not None:
        return f"a member of kind {unknown.state().kind!r} has no gradients"
    if any(leaf.boosted for _, leaf in networks if isinstance(leaf, NetworkPredictor)):
        return "boosted trees take part in the answer, and have no gradients"
    return Leaves(predictor, networks, tuple(kind for kind in above if kind != "conformal"))  # type: ignore[arg-type]


def _weighted(predictor: Predictor, target: str, weight: float) -> list[tuple[float, Predictor]]:
    if isinstance(predictor, ConstantPredictor):
        return []
    if not isinstance(predictor, BlendPredictor):
        return [(weight, predictor)]
    shares = predictor.weights.get(target, ())
    return [
        found
        for share, part in zip(shares, predictor.parts, strict=False)
        if share > 0
        for found in _weighted(part, target, weight * share)
    ]


def integrated_gradients(asked: Asked, leaves: Leaves) -> list[Traced]:
    """For every row."""
    table = asked.table.take(asked.rows)
    indices = [output.index for output in asked.outputs]
    answers = leaves.inner.predict(table)[asked.target].scores()[np.arange(len(table)), indices]
    scale = asked.signature.columns[asked.target].learnt.get("std", 1.0)
    usual = usual_row(asked.signature)
    walks = [row_paths(leaf, asked.target, table, usual, indices) for _, leaf in leaves.networks]
    weights = [weight for weight, _ in leaves.networks]
    return [
        _traced(list(zip(weights, paths, strict=True)), float(answer), float(np.max(scale)))
        for paths, answer in zip(zip(*walks, strict=True), answers, strict=True)
    ]


def _traced(paths: Sequence[tuple[float, RowPath]], answer: float, scale: float) -> Traced:
    sums = _Sum.of(paths)
    count = len(sums.parts)
    ends = sums.answers(np.array([0.0, 1.0]))
    way = answer - float(ends[0])
    allowed = LARGEST_GAP * max(abs(way), SMALLEST_WAY * scale)
    value_Q, steps = _summed(sums, allowed / 2)
    gap = abs(float(value_Q.sum()) - way) / max(abs(way), SMALLEST_WAY * scale)
    return Traced(sums.parts, value_Q.reshape(count), answer, float(ends[0]), float(gap), steps, tuple(paths))


def _summed(sums: "_Sum", allowed: float) -> tuple[np.ndarray, int]:
    """The integral for each part, and how many steps it took.

    Args:
        sums: The answer along the way.
        allowed: How much the steps may miss together.
    """
    edge = np.linspace(0.0, 1.0, FIRST_STEPS + 1)
    start_S, width_S = edge[:-1], np.diff(edge)
    step_SQ, wrong_S = _steps(sums, start_S, width_S)
    steps = FIRST_STEPS
    while abs(wrong_S.sum()) > allowed and steps < MOST_STEPS:
        worst = np.argsort(-np.abs(wrong_S), kind="stable")[: max(1, len(start_S) // 4)]
        width = np.repeat(width_S[worst] / PIECES, PIECES)
        start = np.repeat(start_S[worst], PIECES) + width * np.tile(np.arange(PIECES), len(worst))
        finer_SQ, finer_S = _steps(sums, start, width)
        steps += len(start)
        start_S, width_S = (
            np.concatenate([np.delete(old, worst), new]) for old, new in ((start_S, start), (width_S, width))
        )
        step_SQ = np.concatenate([np.delete(step_SQ, worst, axis=0), finer_SQ])
        wrong_S = np.concatenate([np.delete(wrong_S, worst), finer_S])
    return step_SQ.sum(0), steps


def _steps(sums: "_Sum", start_S: np.ndarray, width_S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each step adds to each part, and how much more that is than the answer moved."""
    step_SQ = sums.slopes(start_S + width_S / 2) * width_S[:, None]
    ends = sums.answers(np.concatenate([start_S + width_S, start_S]))
    return step_SQ, step_SQ.sum(1) - (ends[: len(start_S)] - ends[len(start_S) :])


@dataclass(frozen=True, slots=True)
class _Sum:
    """Networks by their weights, their parts under common numbers."""

    parts: tuple[Part, ...]
    paths: tuple[tuple[float, RowPath, np.ndarray], ...]

    @classmethod
    def of(cls, paths: Sequence[tuple[float, RowPath]]) -> "_Sum":
        parts = tuple(dict.fromkeys(part for _, path in paths for part in path.parts))
        number = {part: i for i, part in enumerate(parts)}
        return cls(parts, tuple((w, path, np.array([number[p] for p in path.parts], int)) for w, path in paths))

    def answers(self, alpha_S: np.ndarray) -> np.ndarray:
        shares = ((w, path.answers(np.repeat(alpha_S[:, None], len(path.parts), axis=1))) for w, path, _ in self.paths)
        return np.asarray(sum(w * answer for w, answer in shares))

    def slopes(self, alpha_S: np.ndarray) -> np.ndarray:
        total = np.zeros((len(alpha_S), len(self.parts)))
        for weight, path, number in self.paths:
            total[:, number] += weight * path.slopes(alpha_S)
        return total
