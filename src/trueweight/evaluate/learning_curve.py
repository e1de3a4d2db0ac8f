"""Would more rows help? The linear model on ever larger parts of the training rows, and a power law through its losses.

    loss(rows) = floor + amount * rows ** -exponent

Source: the form POW3 of Viering and Loog 2022, "The shape of learning curves: a review", arXiv:2103.10948; floor and
amount are solved for each exponent of a grid (variable projection), so that no start has to be guessed.

Shape suffixes:
    N  judged rows    P  sizes    R  draws    B  exponents
"""

from dataclasses import dataclass, replace

import numpy as np

from trueweight.evaluate.findings import AXIS, place, unlooked
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, now
from trueweight.evaluate.refits import Refits
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.metrics.truth import Truth
from trueweight.metrics.words import brief
from trueweight.seeds import stream

__all__ = ["Law", "fitted_laws", "learning_curve"]

PARTS = ((1 / 8, (0, 1 / 4, 1 / 2, 3 / 4)), (1 / 4, (0, 1 / 4, 1 / 2, 3 / 4)), (1 / 2, (0, 1 / 2)), (1.0, (0,)))
"""Shares of the training rows, and where in the order of hashes their parts begin: several of the small ones, whose
losses depend much on which rows they are."""

EXPONENTS = np.linspace(0.1, 2.0, 39)

LEAST = 160
"""Training rows below which an eighth of them is too few to be fitted."""

DRAWS = 500

LOOSE = 0.15
"""Mean distance of the losses from their law, as a share of their range, from which the law is not one."""

PRECISION = 3.0
"""The same in standard errors: losses that only wobble because they are few are no reason to doubt the law."""


@dataclass(frozen=True, slots=True)
class Law:
    """Power laws, one for each draw."""

    floor_R: np.ndarray
    amount_R: np.ndarray
    exponent_R: np.ndarray

    def at(self, rows: float) -> np.ndarray:
        """Losses at so many rows, (R,)."""
        return np.asarray(self.floor_R + self.amount_R * rows**-self.exponent_R)


def fitted_laws(rows_P: np.ndarray, loss_RP: np.ndarray) -> Law:
    """The power law that comes nearest to each row of losses; amounts and floors are never below 0."""
    best_R = np.full(len(loss_RP), np.inf)
    found = np.zeros((3, len(loss_RP)))
    for exponent in EXPONENTS:
        x_P = (rows_P / rows_P[-1]) ** -exponent
        x_mean, loss_mean_R = x_P.mean(), loss_RP.mean(1)
        amount_R = (loss_RP - loss_mean_R[:, None]) @ (x_P - x_mean) / np.square(x_P - x_mean).sum()
        through_R = loss_RP @ x_P / np.square(x_P).sum()
        floor_R = loss_mean_R - np.maximum(amount_R, 0) * x_mean
        amount_R = np.where(floor_R < 0, through_R, np.maximum(amount_R, 0))
        floor_R = np.maximum(floor_R, 0)
        error_R = np.square(loss_RP - floor_R[:, None] - amount_R[:, None] * x_P).sum(1)
        better_R = error_R < best_R - 1e-15
        best_R = np.where(better_R, error_R, best_R)
        now_3R = np.stack([floor_R, amount_R * rows_P[-1] ** exponent, np.full(len(loss_RP), exponent)])
        found = np.where(better_R, now_3R, found)
    return Law(*found)


def learning_curve(judging: Judging, refits: Refits | None, why: str | None) -> list[Entry]:
    """For each target: losses of the linear model by size, what twice the rows would bring it, and a sentence.

    Args:
        judging: The model and the rows to judge by.
        refits: Linear models of parts of the training rows.
        why: Why there are none.
    """
    ask, entries = judging.ask, list[Entry]()
    if refits is None or judging.training is None:
        return [unlooked("learning_curve", why or "there are no training rows here", ask)]
    if len(refits.order) < LEAST:
        return [unlooked("learning_curve", f"fewer than {LEAST} training rows: parts of them say nothing", ask)]
    for target, truth in judging.truths.items():
        if not isinstance(judging.answers[target], ClassPrediction | NumberPrediction):
            entries.append(unlooked("learning_curve", "only classes and numbers have a curve", ask, target))
            continue
        known = np.flatnonzero(truth.present_N & (truth.value >= 0)) if isinstance(
            judging.answers[target], ClassPrediction) else np.flatnonzero(truth.present_N)  # fmt: skip
        if len(known) < LEAST // 8:
            entries.append(unlooked("learning_curve", "too few labelled rows to judge by", ask, target))
            continue
        entries += _of_target(target, truth.take(known), known, judging.training.rows[known], refits, ask)
    return entries


def _of_target(
    target: str, truth: Truth, known: np.ndarray, cases: np.ndarray, refits: Refits, ask: Ask
) -> list[Entry]:
    rows_P, loss_PN, name = _losses(target, truth, cases, refits)
    weight_N = np.ones(len(known)) if truth.weight_N is None else truth.weight_N
    rng = stream(ask.seed, "learning curve")
    weight_RN = np.vstack([weight_N, weight_N * _counts(truth, rng)])
    loss_RP = weight_RN @ loss_PN.T / weight_RN.sum(1, keepdims=True)
    points = [
        _entry(target, "learning_curve", loss_RP[:, p], len(known), ask, f"{int(rows_P[p])} training rows", name)
        for p in range(len(rows_P))
    ]
    law = fitted_laws(rows_P, loss_RP)
    off_RP = _at_sizes(law, rows_P) - loss_RP
    off = np.abs(off_RP[0]).mean()
    if off > LOOSE * np.ptp(loss_RP[0]) and off > PRECISION * off_RP[1:].std(0).mean():
        shape = "the losses of larger and larger parts follow no power law, so nothing is said about more rows"
        return [*points, unlooked("gain_of_twice_the_rows", shape, ask, target)]
    most = float(rows_P[-1])
    gain_R = law.at(most) - law.at(2 * most)
    entry = _entry(target, "gain_of_twice_the_rows", gain_R, len(known), ask, None, name)
    return [*points, _said(entry, loss_RP[0, -1], target, name, int(most))]


def _said(entry: Entry, loss: float, target: str, name: str, rows: int) -> Entry:
    assert isinstance(entry.value, float)
    assert entry.interval is not None
    low, high = loss - entry.interval.high, loss - entry.interval.low
    sentence = (
        f"for the linear member, twice the {rows:,} training rows would bring the {name} of {target!r} from "
        f"{brief(loss, 4)} to {brief(loss - entry.value, 4)} ({brief(low, 4)} to {brief(high, 4)})"
    )
    if entry.interval.low <= 0:
        sentence += ": no gain is shown"
    return replace(entry, reason=sentence)


def _at_sizes(law: Law, rows_P: np.ndarray) -> np.ndarray:
    return np.stack([law.at(float(rows)) for rows in rows_P], axis=1)


def _counts(truth: Truth, rng: np.random.Generator) -> np.ndarray:
    """How often each row is drawn, (R, N): whole groups where there are some."""
    unit_N = np.arange(len(truth)) if truth.cluster_N is None else np.unique(truth.cluster_N, return_inverse=True)[1]
    units = int(unit_N.max()) + 1
    return np.asarray(rng.multinomial(units, np.full(units, 1 / units), size=DRAWS)[:, unit_N])


def _losses(target: str, truth: Truth, cases: np.ndarray, refits: Refits) -> tuple[np.ndarray, np.ndarray, str]:
    """Sizes, (P,), mean losses of each row, (P, N), and the loss's name."""
    total, rows, losses, name = len(refits.order), [], [], ""
    for share, starts in PARTS:
        count, many = round(share * total), []
        for start in starts:
            answer = refits.answers(round(start * total), count, cases)[target]
            loss_N, name = _row_losses(answer, truth)
            many.append(loss_N)
        rows.append(count)
        losses.append(np.mean(many, axis=0))
    return np.array(rows, np.float64), np.stack(losses), name


def _row_losses(answer: Prediction, truth: Truth) -> tuple[np.ndarray, str]:
    if isinstance(answer, ClassPrediction):
        told_N = answer.probability_NC[np.arange(len(truth)), truth.value.astype(np.int64)]
        return -np.log(np.maximum(told_N, 1e-7)), "log_loss"
    assert isinstance(answer, NumberPrediction)
    return np.square(answer.value_N - truth.value), "mean squared error"


def _entry(
    target: str, metric: str, draws_R: np.ndarray, n: int, ask: Ask, part: str | None, loss: str
) -> Entry:  # fmt: skip
    """The first draw is the rows themselves."""
    level = ask.evaluate.interval.level
    low, high = np.quantile(draws_R[1:], [(1 - level) / 2, (1 + level) / 2])
    return Entry(
        id=place(metric, ask, target) + (f"/{part}" if part else ""), axis=AXIS, metric=metric, target=target,
        slice=part, value=float(draws_R[0]), unit=loss, interval=Interval(float(low), float(high), level, "bootstrap"),
        n=n, status="measured" if part else "estimated",
        method=Method("learning curve of the linear member", "1", {"draws": DRAWS}, ask.seed), data=ask.data,
        reproduce=ask.reproduce, produced_at=now(),
    )  # fmt: skip
