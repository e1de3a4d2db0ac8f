"""Inner rows: the training rows of a run, cut again for its trials in the way that the run itself was cut.

A trial learns from some of them, selects on others, and is scored on a third part that nothing of it has seen. They
are taken into a table of their own, so that no trial can read a row that the run keeps to validate, to calibrate or to
judge.

Shape suffixes:
    N  rows of the inner table
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trueweight.data.spill import taken
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.files import digest_bytes
from trueweight.recipes.resolve import CALIBRATED
from trueweight.seeds import row_hashes, stream_seed
from trueweight.spec.run import RunSpec
from trueweight.train.prepare import Prepared, prepare

__all__ = ["FEW_ROWS", "FOLDS", "Inner", "Round", "inner_of", "trial_spec"]

FEW_ROWS = 2000
"""Training rows below which trials are scored on folds: the score of a fifth of them would be too rough."""

FOLDS = 3

JUDGED = 0.2
"""Share of the training rows that judge where there is one cut, and in each round of a split by time."""

FIRST_LOOK = 0.25
"""Share of the rows that a trial learns from first where there is one cut: most bad settings show on them."""

LEAST_TO_SELECT = 0.1

Labels = list[str | None]


@dataclass(frozen=True, slots=True)
class Round:
    """One fit of a trial."""

    words: str
    """For people: "fold 2 of 3"."""
    labels: Labels
    """The part of each inner row; None for rows that sit this round out."""
    judged: np.ndarray
    """Inner rows that score it."""
    counts: bool
    """Whether its score is part of the trial's; else it only tells whether to go on."""


@dataclass(frozen=True, slots=True)
class Inner:
    """The inner table, and how trials go through it."""

    table: Table
    rounds: tuple[Round, ...]
    method: str
    """How it is cut, in words."""

    @property
    def judged(self) -> int:
        """Rows that score a trial."""
        return sum(len(one.judged) for one in self.rounds if one.counts)

    @property
    def learning(self) -> int:
        """Rows that the last round of a trial learns from."""
        return self.rounds[-1].labels.count("train")


def trial_spec(resolved: RunSpec) -> RunSpec:
    """A resolved spec for a trial: its rows say themselves what they are for, and nothing is calibrated."""
    said = {"method": "files", "test_source": "inner rows", "validation_source": None, "test": 0.2, "validation": 0.2}
    split = resolved.split.model_copy(update=said)
    return _uncalibrated(resolved).model_copy(update={"split": split})


def _uncalibrated(spec: RunSpec) -> RunSpec:
    """Calibration would take rows from selecting; and what it adds is the same for all trials."""
    calibration = {name: "none" for name, part in spec.targets.items() if part.type in CALIBRATED}
    evaluate = spec.evaluate.model_copy(update={"conformal": None, "calibration": calibration})
    targets = {name: part.model_copy(update=_plain_threshold(part)) for name, part in spec.targets.items()}
    return spec.model_copy(update={"evaluate": evaluate, "targets": targets})


def _plain_threshold(part: Any) -> dict[str, float]:
    threshold = dict(part).get("threshold", 0.5)
    return {} if isinstance(threshold, int | float) else {"threshold": 0.5}


def inner_of(ready: Prepared) -> Inner:
    """Cut the training rows of a run for its trials.

    Args:
        ready: The prepared run. Nothing but its training rows is looked at.

    Raises:
        DataError: There are too few rows, or too few groups.
    """
    rows, split = ready.split.train, ready.split
    table = _apart(ready.table, rows)
    share = max(LEAST_TO_SELECT, len(split.validation) / (len(rows) + len(split.validation)))
    spec = _uncalibrated(_cut_alike(ready.spec))
    try:
        if spec.split.method == "time":
            return _by_time(table, spec, share)
        if len(rows) < FEW_ROWS:
            return _in_folds(table, spec, share)
        return _once(table, spec, share)
    except DataError as error:
        problem = f"the {len(rows):,} training rows cannot be cut again for trials: {error.problem}"
        raise DataError(problem, where="tune", hint=error.hint) from None


def _apart(table: Table, rows: np.ndarray) -> Table:
    own = taken(table, rows)
    digest = table.provenance.digest
    digest = digest_bytes(digest.encode(), rows.tobytes()) if digest else ""
    return replace(own, provenance=replace(table.provenance, digest=digest))


def _cut_alike(spec: RunSpec) -> RunSpec:
    """Rows are cut as the run's own were. Where a column or a file said it, by group or time if the spec knows them."""
    plain = {"validation_source": None, "test_source": None, "column": None}
    method: str | None = spec.split.method
    if method in ("column", "files"):
        method = "group" if spec.split.group else "time" if spec.split.time_column else None
    return spec.model_copy(update={"split": spec.split.model_copy(update={**plain, "method": method})})


def _cut(table: Table, spec: RunSpec, rows: np.ndarray, test: float, validation: float) -> tuple[np.ndarray, ...]:
    """Training, validation and test rows among some inner rows."""
    split = spec.split.model_copy(update={"test": test, "validation": validation})
    cut = prepare(_apart(table, rows), spec.model_copy(update={"split": split})).split
    return rows[cut.train], rows[cut.validation], rows[cut.test]


def _labels(count: int, train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> Labels:
    labels: Labels = [None] * count
    for name, rows in (("train", train), ("validation", validation), ("test", test)):
        for row in rows:
            labels[row] = name
    return labels


def _once(table: Table, spec: RunSpec, share: float) -> Inner:
    """One cut; a part of the rows first."""
    every = np.arange(len(table))
    train, validation, judged = _cut(table, spec, every, JUDGED, (1 - JUDGED) * share)
    hashes = row_hashes(stream_seed(spec.seed, "first look"), train)
    few = train[np.argsort(hashes, kind="stable")[: round(FIRST_LOOK * len(train))]]
    some, whole = (_labels(len(table), rows, validation, judged) for rows in (few, train))
    rounds = (Round("a quarter of the rows", some, judged, False), Round("all rows", whole, judged, True))
    return Inner(table, rounds, f"one {_word(spec)} cut")


def _in_folds(table: Table, spec: RunSpec, share: float) -> Inner:
    """Each row judges once: a third is taken out, then half of what is left."""
    rounds, every = [], np.arange(len(table))
    left = every
    for fold in range(FOLDS):
        judged = left if fold == FOLDS - 1 else _cut(table, spec, left, 1 / (FOLDS - fold), share)[2]
        left = np.setdiff1d(left, judged)
        learning = np.setdiff1d(every, judged)
        train, validation, _ = _cut(table, spec, learning, 0.0, share)
        labels = _labels(len(table), train, validation, judged)
        rounds.append(Round(f"fold {fold + 1} of {FOLDS}", labels, judged, True))
    return Inner(table, tuple(rounds), f"{FOLDS} {_word(spec)} folds")


def _by_time(table: Table, spec: RunSpec, share: float) -> Inner:
    """The last fifth is judged by what came before it, then the fifth before that: the past never knows the future."""
    rounds, left = [], np.arange(len(table))
    for number in range(2):
        train, validation, judged = _cut(table, spec, left, JUDGED / (1 - number * JUDGED), (1 - JUDGED) * share)
        rounds.append(Round(f"period {number + 1} of 2", _labels(len(table), train, validation, judged), judged, True))
        left = np.union1d(train, validation)
    return Inner(table, tuple(rounds), "2 periods of time, each judged by what came before it")


def _word(spec: RunSpec) -> str:
    if spec.split.method is None:  # as the recipe would
        return "stratified" if next(iter(spec.targets.values())).type in ("binary", "category") else "random"
    return spec.split.method


def in_parts(judged: np.ndarray, count: int, seed: int) -> Sequence[np.ndarray]:
    """Positions of judged rows in so many parts by chance, to tell how sure a score is."""
    hashes = row_hashes(stream_seed(seed, "parts of judged rows"), judged)
    return np.array_split(np.argsort(hashes, kind="stable"), count)
