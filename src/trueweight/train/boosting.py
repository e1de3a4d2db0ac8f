"""Boosting: LightGBM grows trees round by round, and each is copied to arrays as it comes.

Shape suffixes:
    R  rows    P  places    S  scores    N  nodes of a tree
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from trueweight.errors import SpecError, TrainError
from trueweight.model.protocols import Again, Enough
from trueweight.nn.boosted import Boosted, Goal
from trueweight.nn.encoding import Tensors
from trueweight.nn.entries import Entries
from trueweight.nn.forest import Forest, Tree, at_most
from trueweight.nn.pooling import pooled
from trueweight.train.job import FitResult, Job
from trueweight.train.loop import Step
from trueweight.train.solving import Manner, solve

if TYPE_CHECKING:
    from trueweight.train.fitters.boosting import BoostingFitter

__all__ = ["boost", "tree_of"]

MOST_SCORES = 64
"""Of a target: each takes a tree in each round."""

_OBJECTIVES = {
    "square": "regression", "absolute": "regression_l1", "huber": "huber", "quantile": "quantile", "yes_no": "binary",
    "classes": "multiclass",
}  # fmt: skip


def boost(job: Job, how: "BoostingFitter") -> Generator[Step, None, FitResult]:
    """Grow the trees of every head in turn. Yields a Step per round, its loss that of the validation rows.

    The rounds end when validation rows stop gaining, at Ctrl-C, or when the time is spent; the best one is kept.

    Raises:
        SpecError: A target would take too many trees a round.
        TrainError: The answer is not finite.
    """
    manner = Manner(
        partial(_grown, how, job.member_seed), "boosting", "rounds", cheap=0.0, told=lambda _: "so no more trees grew"
    )
    return solve(job, manner)


def _grown(
    how: "BoostingFitter", seed: int, head: Any, train: Again, validation: Again, enough: Enough
) -> Generator[tuple[float, float], None, None]:
    """Grow one head's trees; yields (number of the round, validation loss)."""
    boosted = cast(Boosted, head)
    goals = boosted.goals()
    if boosted.forest.scores > MOST_SCORES:
        problem = f"boosted trees would grow {boosted.forest.scores} trees a round, {MOST_SCORES} are the most"
        raise SpecError(problem, where="model", hint="leave boosted trees out")
    rows, judging = _Rows.of(train), _Rows.of(validation)
    if not len(rows.x_RP):
        raise TrainError("no training row has a label that trees could learn", where="train")
    growers = [_Grower(goal, rows, judging, boosted.raw, _options(how, goal, seed), how.patience) for goal in goals]
    try:
        for number in range(1, how.rounds + 1):
            if number > 1 and enough():
                break
            yield float(number), sum(grower.step() for grower in growers)
            if all(grower.done for grower in growers):
                break
    finally:  # whoever asks may stop at any round
        boosted.forest.grow(_joined(growers))


def _joined(growers: Sequence["_Grower"]) -> list[Tree]:
    """Round by round; where a goal was done before others, its trees add nothing."""
    kept = [grower.kept() for grower in growers]
    return [
        tree
        for number in range(max(map(len, kept)))
        for grower, rounds in zip(growers, kept, strict=True)
        for tree in (rounds[number] if number < len(rounds) else [_leaf(0.0)] * grower.goal.scores)
    ]


def _options(how: "BoostingFitter", goal: Goal, seed: int) -> dict[str, Any]:
    return {
        "objective": _OBJECTIVES[goal.kind], "num_class": goal.scores, "alpha": goal.share,
        "learning_rate": how.learning_rate, "num_leaves": how.leaves, "max_depth": how.depth,
        "min_data_in_leaf": how.min_leaf_rows, "lambda_l2": how.l2, "feature_fraction": how.column_share,
        # The same trees on any number of threads.
        "seed": seed % 2**31, "deterministic": True, "force_row_wise": True, "num_threads": torch.get_num_threads(),
        "verbosity": -1, "feature_pre_filter": False,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that have a label, all at once: trees are few numbers a row."""

    x_RP: Tensor
    """float32."""
    y: Tensors
    weight_R: Tensor | None

    @classmethod
    def of(cls, again: Again) -> "_Rows":
        x, y, weight = [], [], []
        for z, labels, weight_R in again():
            known = labels["present"]
            x.append((z.dense() if isinstance(z, Entries) else pooled(z))[known])
            y.append({name: t[known] for name, t in labels.items()})
            weight.append(None if weight_R is None else weight_R[known])
        if not x:
            return cls(torch.zeros(0, 0), {}, None)
        given = [w for w in weight if w is not None]
        joined = {name: torch.cat([labels[name] for labels in y]) for name in y[0]}
        return cls(torch.cat(x), joined, torch.cat(given) if given else None)


@dataclass(slots=True)
class _Grower:
    """The trees of one goal."""

    goal: Goal
    rows: _Rows
    judging: _Rows
    raw: Sequence[int]
    options: Mapping[str, Any]
    patience: int
    done: bool = False
    """Whether more trees would not help."""
    _booster: Any = None
    _rounds: list[list[Tree]] = field(default_factory=list)
    _score_RS: Tensor | None = None
    """Of the judging rows."""
    _loss: float = math.nan
    _best: float = math.inf
    _best_round: int = 0

    def step(self) -> float:
        """Grow a tree for each score, unless it is done; gives the validation loss."""
        if self.done:
            return self._loss
        if self._booster is None:
            self._booster = self._begun()
        before = self._booster.num_trees()
        ended = bool(self._booster.update())
        if self._booster.num_trees() > before:
            told = self._booster.dump_model(num_iteration=1, start_iteration=before // self.goal.scores)
            self._rounds.append([tree_of(tree["tree_structure"]) for tree in told["tree_info"]])
            self._judge()
        self.done = ended or len(self._rounds) - self._best_round >= self.patience
        return self._loss

    def kept(self) -> list[list[Tree]]:
        """Up to the best round."""
        return self._rounds[: max(self._best_round, 1)]

    def _judge(self) -> None:
        if len(self.judging.x_RP):
            forest = Forest(self.judging.x_RP.shape[1], self.goal.scores)
            forest.grow(self._rounds[-1])
            new_RS = forest(self.judging.x_RP).double()
            self._score_RS = new_RS if self._score_RS is None else self._score_RS + new_RS
            loss_R, weight_R = self.goal.loss(self._score_RS.float(), self.judging.y), self.judging.weight_R
            self._loss = float(loss_R.mean() if weight_R is None else (loss_R * weight_R).sum() / weight_R.sum())
        if not self._loss >= self._best:  # without validation rows there is no loss, and the last round is the best
            self._best, self._best_round = self._loss, len(self._rounds)

    def _begun(self) -> Any:
        import lightgbm

        y_R = self.goal.truth(self.rows.y)
        weight_R = self.rows.weight_R
        if self.goal.weight is not None:
            factor_R = self.goal.weight(self.rows.y)
            weight_R = factor_R if weight_R is None else weight_R * factor_R
        data = lightgbm.Dataset(
            self.rows.x_RP.numpy(), y_R.double().numpy(), weight=None if weight_R is None else weight_R.numpy(),
            categorical_feature=[place for place, codes in enumerate(self.raw) if codes] or "auto",
            params=dict(self.options), free_raw_data=True,
        )  # fmt: skip
        return lightgbm.Booster(dict(self.options), data)


def tree_of(told: Mapping[str, Any]) -> Tree:
    """A tree from LightGBM's own words, with the same answer for every float32."""
    nodes: list[dict[str, Any]] = []
    children: list[tuple[int, int]] = []
    waiting: list[tuple[Mapping[str, Any], Callable[[int], None]]] = [(told, lambda _: None)]
    while waiting:
        node, tell = waiting.pop()
        tell(len(nodes))
        place = len(nodes)
        nodes.append(dict(node))
        children.append((place, place))
        if "split_feature" in node:
            waiting.append((node["right_child"], partial(_become, children, place, 1)))
            waiting.append((node["left_child"], partial(_become, children, place, 0)))
    left_N, right_N = (np.array([pair[side] for pair in children], np.int32) for side in (0, 1))
    return Tree(
        feature_N=np.array([node.get("split_feature", 0) for node in nodes], np.int32),
        threshold_N=np.array([_threshold(node) for node in nodes], np.float32),
        gap_left_N=np.array([_gap_left(node) for node in nodes], bool),
        left_N=left_N, right_N=right_N,
        value_N=np.array([0.0 if "split_feature" in node else node["leaf_value"] for node in nodes], np.float32),
        codes_N=[_codes(node) for node in nodes],
    )  # fmt: skip


def _become(children: list[tuple[int, int]], place: int, side: int, child: int) -> None:
    left, right = children[place]
    children[place] = (child, right) if side == 0 else (left, child)


def _asks_number(node: Mapping[str, Any]) -> bool:
    return node.get("decision_type") == "<="


def _threshold(node: Mapping[str, Any]) -> np.float32:
    return at_most(float(node["threshold"])) if _asks_number(node) else np.float32(0)


def _gap_left(node: Mapping[str, Any]) -> bool:
    """Where training rows had no gap, LightGBM takes a gap for 0."""
    if not _asks_number(node):
        return False
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else float(node["threshold"]) >= 0


def _codes(node: Mapping[str, Any]) -> frozenset[int] | None:
    return frozenset(map(int, node["threshold"].split("||"))) if node.get("decision_type") == "==" else None


def _leaf(value: float) -> Tree:
    zero, one = np.zeros(1, np.int32), np.array([value], np.float32)
    return Tree(zero, one, np.zeros(1, bool), zero, zero, one, [None])
