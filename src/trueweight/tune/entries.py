"""What a search adds to the evidence: how many settings were looked at, over what, and how rosy the best score was."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from trueweight.data.spill import taken
from trueweight.evidence.record import Data, Entry, Interval, Method
from trueweight.metrics.words import brief
from trueweight.model.protocols import Predictor
from trueweight.spec.tune import RangeSpec
from trueweight.train.prepare import Prepared
from trueweight.train.selection import run_truths, selection_score
from trueweight.tune.inner import Inner
from trueweight.tune.search import best_of
from trueweight.tune.space import Choice, Space
from trueweight.tune.trial import Trial, spread

__all__ = ["gain", "score_on_validation", "search_entries", "values_in_words"]

AXIS = "search"


def values_in_words(choice: Choice) -> str:
    """What may stand at an option, for people."""
    if isinstance(choice.values, RangeSpec):
        log = ", log" if choice.values.log else ""
        return f"{choice.values.low} to {choice.values.high}{log}"
    return ", ".join(map(str, choice.values))


def gain(trials: Sequence[Trial]) -> tuple[float, float | None] | None:
    """How much lower the best trial's score is than the first one's, which changed nothing, with half the width of the
    95 % interval of the difference on the same parts; None where there is nothing to compare."""
    best = best_of(trials)
    if best is None or trials[0].score is None or trials[0].state != "complete" or best.score is None:
        return None
    first, same = trials[0], len(best.parts) == len(trials[0].parts)
    parts = [a - b for a, b in zip(first.parts, best.parts, strict=True)] if same else []
    return first.score - best.score, spread(parts)  # type: ignore[operator]  # a complete trial has a score


def score_on_validation(ready: Prepared, predictor: Predictor) -> float:
    """The score by which trials were compared, of the model as it was fitted, on the run's validation rows.

    What calibration rows have taught is left out, as it was in the trials.
    """
    while len(predictor.members()) == 1:  # a node laid over the model
        (predictor,) = predictor.members()
    rows = ready.split.validation
    truths = run_truths(ready.signature, ready.table, ready.weight_N)
    answers = predictor.predict(taken(ready.table, rows))
    return selection_score(ready.spec, ready.signature, answers, {n: t.take(rows) for n, t in truths.items()})


def search_entries(
    trials: Sequence[Trial], space: Space, inner: Inner, digest: str, validation: float, at: str
) -> Iterator[Entry]:
    """The facts of a search for a bundle.

    Args:
        trials: The table.
        space: What could be tried.
        inner: The rows of the trials.
        digest: Of the data.
        validation: Score of the final model on the run's validation rows.
        at: When.
    """
    data = Data(digest, "train")

    def reading(id: str, metric: str, value: float | int | str, unit: str | None) -> Entry:
        return Entry(
            id=f"{AXIS}/{id}", axis=AXIS, metric=metric, value=value, unit=unit, data=data, produced_at=at
        )  # fmt: skip

    yield reading("trials", "trials", len(trials), "settings")
    for state in ("complete", "pruned", "failed"):
        yield reading(f"trials/{state}", f"{state} trials", sum(t.state == state for t in trials), "settings")
    yield reading("seconds", "seconds of all trials", round(sum(t.seconds for t in trials), 3), "s")
    yield reading("rows", "how trials were scored", f"{inner.method}, {inner.judged:,} training rows", None)
    for place, choice in enumerate(space.choices, 1):
        yield reading(f"space/{place}", "searched", f"{choice.key}: {values_in_words(choice)}", None)
    best = best_of(trials)
    if best is None or best.score is None:
        return
    for place, (name, value) in enumerate(best.changed.items(), 1):
        yield reading(f"choice/{place}", "chosen", f"{name}: {value}", None)
    yield _score(reading("inner/default", "inner score of the first trial", 0.0, "loss"), trials[0], inner)
    yield _score(reading("inner/best", "inner score of the best trial", 0.0, "loss"), best, inner)
    yield reading("validation", "the same score on validation rows after the final fit", validation, "loss")
    off = validation - best.score
    told = (
        f"the best of {len(trials)} settings scored {brief(best.score, 4)} on inner rows, and {brief(validation, 4)} "
        "on validation rows once trained: the difference holds the luck of the best of many, and what more rows bring"
    )
    yield replace(reading("optimism", "optimism of the best inner score", off, "loss"), reason=told)


def _score(entry: Entry, trial: Trial, inner: Inner) -> Entry:
    if trial.score is None or trial.state != "complete":
        why = trial.reason or "given up"
        return replace(entry, value=None, status="failed", reason=f"trial {trial.number}: {why}")
    half = trial.error
    method = Method("Student's t over parts of the inner rows", "1", {"parts": len(trial.parts)})
    interval = None if half is None else Interval(trial.score - half, trial.score + half, 0.95, "student t")
    return replace(entry, value=trial.score, interval=interval, n=inner.judged, method=method)
