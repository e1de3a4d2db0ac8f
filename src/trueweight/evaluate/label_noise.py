"""Wrong labels: how many there are about, whether that is more than the model's own doubt explains, and which rows."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from io import StringIO
from math import erfc, sqrt

import numpy as np

from trueweight.evaluate.findings import AXIS, flag, place, unlooked
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.parts import parts_of
from trueweight.evaluate.quality import Ask, now
from trueweight.evaluate.refits import Refits
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.label_floor import CELLS, Floor, label_floor, rescaled
from trueweight.metrics.leftover import leftover
from trueweight.metrics.number_floor import ROWS, number_floor
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import FORCED
from trueweight.seeds import row_hashes, stream, stream_seed
from trueweight.train.selection import run_truths

__all__ = ["LEVEL", "Suspicious", "label_noise", "suspicious_rows"]

LEVEL = 0.025
"""Chance of a false flag, over all targets."""

LEAST = 60
"""Rows below which nothing is asked."""

WORTH = 0.01
"""Share of wrong labels from which it is worth a flag."""

BETTER = 2.0
"""Standard errors by which the model must be better than the linear one for the linear one not to be asked."""

GATHERED = 0.05
"""Chance of taking errors that lie anywhere for gathered ones."""

SEEN_TOO = 0.25
"""Chance up to which the model's own answers, about fewer rows, count as seeing what linear models see."""

SUSPECTS = 200
"""Most rows that are listed."""

_OWN = "the model's, on judged and validation rows"


@dataclass(frozen=True, slots=True)
class Suspicious:
    """A row whose label is probably wrong."""

    target: str
    case: int
    """Row of the run's whole table, or of the judged table where there was no training."""
    probability: float


@dataclass(frozen=True, slots=True)
class _Held:
    """Answers about rows that were not learnt from."""

    answer: Prediction
    truth: Truth
    case_N: np.ndarray
    by: str


def label_noise(judging: Judging, refits: Refits | None) -> tuple[list[Entry], list[Suspicious]]:
    """For each target the estimated share of wrong labels, a flag, and the most suspicious rows.

    Args:
        judging: The model.
        refits: Linear models of parts of the training rows, where they may be had: they are asked about the other
            rows. Where the model is better than they are, it is asked itself, about judged and validation rows.
    """
    entries, suspects = list[Entry](), list[Suspicious]()
    held = _held(judging, refits)
    for number, target in enumerate(judging.truths):
        if target not in held:
            why = "answers of this kind are not asked about wrong labels"
            entries.append(unlooked("label_noise_flag", why, judging.ask, target))
            continue
        rng = stream(judging.ask.seed, "label noise", number)
        looked = _looked(held[target], rng)
        if isinstance(looked, str):
            entries.append(unlooked("label_noise_flag", looked, judging.ask, target))
            continue
        floor, case_N = looked
        level = LEVEL / len(judging.truths)
        if floor.p <= level and (missed := _missed(judging, floor, case_N) or _denied(judging, held[target], target)):
            entries.append(unlooked("label_noise_flag", missed, judging.ask, target))
            continue
        entries += _entries(target, floor, len(case_N), held[target].by, level, judging.ask)
        suspects += _suspects(target, floor, case_N) if entries[-1].value else []
    return entries, suspects


def _missed(judging: Judging, floor: Floor, case_N: np.ndarray) -> str | None:
    """Why labels cannot be judged, if errors gather where features are alike: wrong labels lie anywhere."""
    table = judging.table if judging.training is None else judging.training.ready.table
    ways = parts_of(judging.predictor.signature, table, case_N)
    gathered = leftover(floor.error_NK, floor.variance_NK, ways)
    tests = max(1, len(ways) * floor.error_NK.shape[1])
    if 0.5 * erfc(gathered / sqrt(2)) > GATHERED / tests:
        return None
    return "errors gather where features are alike: the answers miss something, and labels cannot be held against them"


def _denied(judging: Judging, held: _Held, target: str) -> str | None:
    """Why labels cannot be judged by linear models: the model itself, about fewer rows, sees nothing of it.

    What looks like wrong labels to a linear model may be what only the model has understood.
    """
    if held.by == _OWN:
        return None
    rng = stream(judging.ask.seed, f"label noise, the model's own {target}")
    looked = _looked(_by_the_model(judging)[target], rng)
    if isinstance(looked, str) or looked[0].p <= SEEN_TOO:
        return None
    return "to linear models some labels look wrong, but the model's own answers do not bear it out"


def suspicious_rows(judging: Judging, suspicious: Sequence[Suspicious]) -> bytes:
    """The rows as a CSV file: key (or number of the row, from 0), target, probability that its label is wrong."""
    table = judging.table if judging.training is None else judging.training.ready.table
    facts = judging.predictor.signature.named("key")
    key = facts.name if facts is not None and facts.name in table.names else None
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([key or "row", "target", "probability that the label is wrong"])
    keys = table.column(key).take([one.case for one in suspicious]).to_pylist() if key else None
    for number, one in enumerate(suspicious):
        writer.writerow([keys[number] if keys else one.case, one.target, round(one.probability, 4)])
    return out.getvalue().encode()


def _entries(target: str, floor: Floor, rows: int, by: str, level: float, ask: Ask) -> list[Entry]:
    method = Method("label floor", "1", {"answers": by, "p": round(floor.p, 4)}, ask.seed)
    found = Entry(
        id=place("wrong_labels", ask, target), axis=AXIS, metric="wrong_labels", target=target, value=floor.share,
        unit="share", interval=Interval(min(floor.low, floor.share), floor.high, 0.95, "profile likelihood"), n=rows,
        status="estimated", method=method, data=ask.data, reproduce=ask.reproduce, produced_at=now(),
    )  # fmt: skip
    raised = floor.p <= level and floor.share >= WORTH
    reason = (
        f"about {floor.share:.0%} of the labels of {target!r} look wrong ({floor.low:.0%} to {floor.high:.0%}): they "
        "contradict answers that are otherwise sure more often than chance explains; look at the rows in "
        "suspicious-rows.csv in the folder NAME.evidence beside the bundle, the likeliest first"
    )
    known = {"level": level, "p": round(floor.p, 4)}
    return [
        found,
        flag("label_noise_flag", reason if raised else None, ask, target=target, n=rows, parameters=known,
             depends_on=[found.id]),
    ]  # fmt: skip


def _suspects(target: str, floor: Floor, case_N: np.ndarray) -> list[Suspicious]:
    order = np.argsort(-floor.wrong_N, kind="stable")[:SUSPECTS]
    return [Suspicious(target, int(case_N[n]), float(floor.wrong_N[n])) for n in order if floor.wrong_N[n] > 0.5]


def _looked(held: _Held, rng: np.random.Generator) -> tuple[Floor, np.ndarray] | str:
    """What was found, and of which cases; or why nothing was asked."""
    keep = np.flatnonzero(_askable(held))
    keep = _one_of_each_group(keep, held.truth)
    answer, value = held.answer, held.truth.value
    if isinstance(answer, ClassPrediction):
        keep = keep[: max(LEAST, CELLS // len(answer.classes))]
        if len(keep) < LEAST:
            return f"fewer than {LEAST} labelled rows say little about wrong labels"
        return label_floor(answer.probability_NC[keep], value[keep].astype(np.int64), rng), held.case_N[keep]
    if isinstance(answer, SetPrediction):
        return _of_sets(answer, value, keep, held.case_N, rng)
    assert isinstance(answer, NumberPrediction)
    keep = keep[:ROWS]
    if len(keep) < LEAST:
        return f"fewer than {LEAST} labelled rows say little about wrong labels"
    floor = number_floor(answer.value_N[keep], value[keep], rng)
    return "most answers are exactly right" if floor is None else (floor, held.case_N[keep])


def _of_sets(
    answer: SetPrediction, value: np.ndarray, keep: np.ndarray, case_N: np.ndarray, rng: np.random.Generator
) -> tuple[Floor, np.ndarray] | str:
    """Each label of each row is a question with two answers."""
    keep = keep[: CELLS // (2 * max(1, len(answer.labels)))]
    if len(keep) < LEAST:
        return f"fewer than {LEAST} labelled rows for {len(answer.labels)} labels say little about wrong ones"
    p_M, y_M = answer.probability_NC[keep].ravel(), value[keep].ravel().astype(np.int64)
    return label_floor(np.stack([1 - p_M, p_M], axis=1), y_M, rng), np.repeat(case_N[keep], len(answer.labels))


def _askable(held: _Held) -> np.ndarray:
    known_N = held.truth.present_N & np.isfinite(held.answer.scores()).all(1)
    if isinstance(held.answer, ClassPrediction):
        return np.asarray(known_N & (held.truth.value >= 0))
    return np.asarray(known_N)


def _one_of_each_group(rows: np.ndarray, truth: Truth) -> np.ndarray:
    """In the order of their hashes; rows of one group go together, so that one of them is asked."""
    rows = rows[np.argsort(row_hashes(stream_seed(0, "asked about labels"), rows), kind="stable")]
    if truth.cluster_N is None:
        return rows
    return rows[np.sort(np.unique(truth.cluster_N[rows], return_index=True)[1])]


def _held(judging: Judging, refits: Refits | None) -> Mapping[str, _Held]:
    """Of each target that can be asked about, the answers that say most."""
    own = _by_the_model(judging)
    linear = {} if refits is None else _by_parts(judging, refits)
    return {target: linear.get(target, held) for target, held in own.items()}


def _by_the_model(judging: Judging) -> dict[str, _Held]:
    """Answers about judged rows, and about validation rows where those are others."""
    training, asked = judging.training, (ClassPrediction, NumberPrediction, SetPrediction)
    targets = [target for target, answer in judging.answers.items() if isinstance(answer, asked)]
    if not targets:
        return {}  # and nothing is asked: to write texts for every validation row takes longer than all checks
    cases = np.arange(len(judging.table)) if training is None else training.rows
    found = {}
    more = np.zeros(0, np.int64)
    if training is not None:
        more = np.setdiff1d(training.ready.split.validation, training.rows)[: max(0, CELLS - len(cases))]
    late = None
    if training is not None and len(more):  # texts beside what is asked for need not be written
        late = judging.predictor.predict(training.ready.table.take(more), how=FORCED)
    for target in targets:
        answer, truth, case_N = judging.answers[target], judging.truths[target], cases
        if late is not None and training is not None:
            extra = _truths(judging)[target].take(more)
            answer, truth = _joined(answer, late[target]), _both(truth, extra)
            case_N = np.concatenate([cases, more])
        found[target] = _Held(answer, truth, case_N, _OWN)
    return found


def _by_parts(judging: Judging, refits: Refits) -> dict[str, _Held]:
    """Answers of linear models about the training rows that they did not see, where the model is not better."""
    assert judging.training is not None
    split, rows = judging.training.ready.split, judging.training.rows
    others = np.setdiff1d(np.concatenate([split.validation, split.calibration, split.test]), rows)
    sealed = np.setdiff1d(split.test, rows)  # stay so
    asked = np.concatenate([rows, np.setdiff1d(others, sealed)])
    whole = refits.answers(0, len(refits.order), asked)
    cases, parts = refits.cross_fitted()
    found = {}
    for target, truth in judging.truths.items():
        ours = judging.answers[target]
        linear = whole[target].take(np.arange(len(rows)))
        if type(ours) is not type(linear) or _better(ours, linear, truth):
            continue
        answer = reduce(_joined, [*(part[target] for part in parts), whole[target]])
        case_N = np.concatenate([cases, asked])
        by = "of linear models, each on a part of the training rows that it did not see, and on other rows"
        found[target] = _Held(answer, _truths(judging)[target].take(case_N), case_N, by)
    return found


def _truths(judging: Judging) -> Mapping[str, Truth]:
    """Of all rows of the run's table."""
    assert judging.training is not None
    ready = judging.training.ready
    return run_truths(ready.signature, ready.table, None, ready.cluster_N)


def _better(ours: Prediction, linear: Prediction, truth: Truth) -> bool:
    """Whether the model loses less than the linear one, by more than chance explains."""
    gain_N = _losses(linear, truth) - _losses(ours, truth)
    return bool(gain_N.mean() > BETTER * gain_N.std() / len(gain_N) ** 0.5) if len(gain_N) > 1 else False


def _losses(answer: Prediction, truth: Truth) -> np.ndarray:
    """Of the rows whose label is known: log loss or absolute error."""
    known = np.flatnonzero(truth.present_N)
    match answer:
        case ClassPrediction():
            known = known[truth.value[known] >= 0]
            # The labels' likelihood is asked after such a fit too: a better calibrated model is not a better witness.
            label_N = truth.value[known].astype(np.int64)
            log_NC = rescaled(answer.probability_NC[known], label_N)
            return np.asarray(-np.maximum(log_NC[np.arange(len(known)), label_N], np.log(1e-6)))
        case SetPrediction():
            p_NC = np.where(truth.value[known], answer.probability_NC[known], 1 - answer.probability_NC[known])
            return np.asarray(-np.log(np.maximum(p_NC, 1e-6)).sum(1))
        case NumberPrediction():
            return np.asarray(np.abs(answer.value_N[known] - truth.value[known]))
    return np.zeros(len(known))


def _joined(one: Prediction, other: Prediction) -> Prediction:
    """Answers of one kind about some rows, then about others."""
    if isinstance(one, ClassPrediction | SetPrediction) and type(one) is type(other):
        return replace(one, probability_NC=np.concatenate([one.scores(), other.scores()]))
    if isinstance(one, NumberPrediction) and isinstance(other, NumberPrediction):
        return NumberPrediction(np.concatenate([one.value_N, other.value_N]))
    raise TypeError(f"answers of {type(one).__name__} and {type(other).__name__} cannot be joined")


def _both(one: Truth, other: Truth) -> Truth:
    cluster = None
    if one.cluster_N is not None and other.cluster_N is not None:
        cluster = np.concatenate([one.cluster_N, other.cluster_N])
    present = np.concatenate([one.present_N, other.present_N])
    return Truth(np.concatenate([one.value, other.value]), present, None, cluster)
