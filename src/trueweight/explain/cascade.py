"""Does an explanation see the weights? They are shuffled layer by layer from the answer downwards, and it must change.

Source: Adebayo et al. 2018, "Sanity checks for saliency maps", arXiv:1810.03292, section 3.1, cascading randomisation.
As there, whatever lies above a layer is shuffled with it. Layers are taken in quarters, because each step explains all
rows anew; numbers are shuffled within their tensor rather than drawn anew, which keeps their scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trueweight.explain.asked import Asked
from trueweight.explain.proofs import FEWEST_PARTS, Values, rank_correlation
from trueweight.explain.record import Proof, Stage
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import Predictor, State
from trueweight.seeds import stream_seed

__all__ = ["layers_of", "randomised", "sees_weights"]

NAME = "randomised weights"
QUARTERS = 4
NETWORKS = 3
"""Whose weights are all shuffled: one alone may resemble the explained one by chance."""

CANDIDATES = 5
"""Of networks whose upper layers are shuffled, the one whose answers are least like before is explained: some answer as
before by chance, and their explanations then rightly stay."""

LARGEST_LIKENESS = 0.5
"""Rank correlation with explanations of networks that know nothing, at most."""

SAME, OTHER = 0.9, 0.5
"""Where answers correlate less than the second, explanations that correlate more than the first look away."""


def sees_weights(
    values: Values, again: Callable[[Predictor], Values], asked: Asked, *, curves: int | None = None
) -> Proof:
    """Explanations of networks with shuffled weights must be others.

    It fails if those of networks that know nothing rank parts alike; or if, on the way there, the answers are others
    already and the explanations still the same: these look at lower layers alone, such as a detector of edges. Because
    one step may agree by chance, two have to.

    Args:
        values: What the explanation says of each row.
        again: What the same method says of another predictor.
        asked: Rows, predictor and seed.
        curves: How many curves the values are, where they are curves: of one curve all values go the same way.
    """
    usable = [i for i, value_P in enumerate(values) if (curves or len(value_P)) > FEWEST_PARTS]
    depth = _deepest(asked.predictor.state())
    if not usable or not depth:
        what = "parts" if curves is None else "columns"
        reason = "there are no weights" if usable else f"it takes more than {FEWEST_PARTS} {what}: few agree by chance"
        return Proof(NAME, "not_applicable", n=len(usable), reason=reason)
    rows = asked.table.take(asked.rows)
    own_N = asked.answers(table=rows)

    def drawn(layers: int, number: int) -> tuple[float, Predictor]:
        seed = stream_seed(asked.seed, "randomised", layers, number)
        other = randomised(asked.predictor, seed, share=layers / depth)
        return _correlation(own_N, asked.answers(other, rows)), other

    def stage(layers: int, answers: float, other: Predictor) -> Stage:
        found = again(other)
        return Stage(layers, depth, float(np.mean([rank_correlation(values[i], found[i]) for i in usable])), answers)

    counts = sorted({-(-depth * quarter // QUARTERS) for quarter in range(1, QUARTERS)} - {depth})
    some = [stage(n, *min((drawn(n, i) for i in range(CANDIDATES)), key=lambda one: one[0])) for n in counts]
    whole = [stage(depth, *drawn(depth, i)) for i in range(NETWORKS)]
    likeness, answers = (float(np.mean([getattr(one, key) for one in whole])) for key in ("likeness", "answers"))
    return _told(some, Stage(depth, depth, likeness, answers), len(usable))


def _told(some: Sequence[Stage], whole: Stage, n: int) -> Proof:
    stages = (*some, whole)
    if whole.likeness > LARGEST_LIKENESS:
        alike = f"rank parts alike (correlation {whole.likeness:.2f})"
        reason = f"explanations of networks with shuffled weights {alike}"
        return Proof(NAME, "failed", whole.likeness, None, n, reason, stages)
    same = [one for one in some if one.likeness > SAME and one.answers < OTHER]
    if some and len(same) >= min(2, len(some)):
        blind = same[-1]
        reason = (
            f"with the upper {blind.layers} of {blind.of} layers shuffled, answers are others (correlation "
            f"{blind.answers:.2f}) but explanations are the same ({blind.likeness:.2f})"
        )
        return Proof(NAME, "failed", blind.likeness, None, n, reason, stages)
    reason = "unlike those of networks with shuffled weights"
    return Proof(NAME, "passed", whole.likeness, None, n, reason, stages)


def randomised(predictor: Predictor, seed: int, *, share: float = 1.0) -> Predictor:
    """The same predictor with the numbers within tensors shuffled: what they had learnt is gone.

    Args:
        predictor: Stays as it is.
        seed: Of the orders.
        share: Of each network's layers, counted from the answer, at least one.
    """
    return predictor_from_state(_shuffled(predictor.state(), seed, share, [0]), predictor.signature)


def layers_of(state: State) -> list[str]:
    """Of one network, in the order in which it is built: from what comes in to the answer."""
    return list(dict.fromkeys(_layer(name) for name, tensor in state.tensors.items() if _shuffles(tensor)))


def _layer(tensor: str) -> str:
    """Heads of several targets lie beside each other: all of them are one layer."""
    return "heads" if tensor.startswith("heads.") else tensor.rpartition(".")[0]


def _shuffles(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 1


def _shuffled(state: State, seed: int, share: float, count: list[int]) -> State:
    layers, tensors = layers_of(state), {}
    upper = set(layers[len(layers) - max(1, round(share * len(layers))) :])
    for name, tensor in state.tensors.items():
        count[0] += 1
        rng = torch.Generator().manual_seed(stream_seed(seed, "other weights", count[0]))
        order = torch.randperm(tensor.numel(), generator=rng)
        moved = tensor.flatten()[order].view_as(tensor) if _shuffles(tensor) and _layer(name) in upper else tensor
        tensors[name] = moved.contiguous()
    members = tuple(_shuffled(member, seed, share, count) for member in state.members)
    return replace(state, tensors=tensors, members=members)


def _deepest(state: State) -> int:
    return max([len(layers_of(state)), *(_deepest(member) for member in state.members)])


def _correlation(one_N: np.ndarray, other_N: np.ndarray) -> float:
    """0 where one of them does not vary."""
    a, b = one_N - one_N.mean(), other_N - other_N.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0
