"""One trial: the spec with other options, fitted in rounds on inner rows, and its row in the table.

A table is a file of one JSON object a line (``trials.jsonl``). A line is added when its trial has ended, so that a kill
costs the trial in hand and nothing that was finished.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, get_args

import numpy as np

from trueweight.data.spill import taken
from trueweight.errors import TrueweightError, VerifyError
from trueweight.files import disk_errors, drop_folder, require_types, write_atomic
from trueweight.progress import listen
from trueweight.spec.run import RunSpec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare
from trueweight.train.selection import run_truths, selection_score
from trueweight.tune.inner import Inner, Round, in_parts, trial_spec

__all__ = ["Trial", "add_trial", "read_trials", "run_trial", "spread"]

State = Literal["complete", "pruned", "failed"]

PARTS = 5
"""Of the rows that judge a single cut, for telling how sure its score is."""

_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Quantiles of Student's t at 0.975, by the number of scores that a mean is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A row of the table."""

    number: int
    state: State
    values: Mapping[str, Any]
    """Value of each choice by key."""
    changed: Mapping[str, Any]
    """Options that differ from the spec's own, by name."""
    score: float | None
    """On inner rows that nothing of the trial has seen; lower is better. None: it failed."""
    rounds: tuple[float, ...]
    """Score after each round: the mean over folds so far, or that of the first look and then the whole."""
    parts: tuple[float, ...]
    """Scores of the folds, or of parts of the rows that judge."""
    seconds: float
    reason: str = ""
    """Why it failed or was given up."""

    @property
    def error(self) -> float | None:
        """Half the width of a 95 % interval of the score."""
        return spread(self.parts)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self) | {"error": self.error}


def spread(scores: Sequence[float]) -> float | None:
    """Half the width of a 95 % interval of the mean of a few scores, by Student's t; None of fewer than two.

    Folds share training rows, so that the true width is somewhat larger: Nadeau and Bengio 2003, "Inference for the
    generalization error".
    """
    if not 2 <= len(scores) <= max(_T):
        return None
    return _T[len(scores)] * float(np.std(scores, ddof=1)) / math.sqrt(len(scores))


GoesOn = Callable[[Sequence[float]], bool]
"""Whether a trial with these scores after its rounds so far is worth another round."""


def run_trial(
    number: int, spec: RunSpec, values: Mapping[str, Any], changed: Mapping[str, Any], inner: Inner, *,
    folder: Path, goes_on: GoesOn, told: Callable[[str], None],
) -> Trial:  # fmt: skip
    """Fit and score one setting.

    Args:
        number: Of the trial.
        spec: Resolved, with the setting's options.
        values: By key.
        changed: By name.
        inner: The rows.
        folder: For its checkpoints; gone afterwards.
        goes_on: Asked after each round but the last.
        told: Called with words for each round.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the trial counts for nothing.
    """
    started, rounds, scores, parts = perf_counter(), list[float](), list[float](), list[float]()
    folds = sum(one.counts for one in inner.rounds)
    state: State = "complete"
    reason = ""
    try:
        for place, one in enumerate(inner.rounds):
            told(one.words)
            score, found = _scored(spec, inner, one, folder / str(place))
            if not math.isfinite(score):
                state, reason = "failed", f"its score in {one.words} is {score}"
                break
            if one.counts:
                scores.append(score)
                parts = scores if folds > 1 else found
            rounds.append(float(np.mean(scores)) if scores else score)
            if place < len(inner.rounds) - 1 and not goes_on(rounds):
                state, reason = "pruned", f"after {one.words} worse than the middle of the others"
                break
    except TrueweightError as error:
        state, reason = "failed", error.problem
    finally:
        if folder.exists():
            drop_folder(folder)
    return Trial(
        number=number, state=state, values=values, changed=changed, reason=reason, rounds=tuple(rounds),
        score=None if state == "failed" else rounds[-1], parts=tuple(parts) if state == "complete" else (),
        seconds=round(perf_counter() - started, 3),
    )  # fmt: skip


def _scored(spec: RunSpec, inner: Inner, one: Round, folder: Path) -> tuple[float, list[float]]:
    """The score of one fit, and of parts of the rows that judge it."""
    with disk_errors(folder):
        folder.mkdir(parents=True)
    with listen(lambda _: None):
        ready = prepare(inner.table, trial_spec(spec), labels=one.labels)
        fitted = fit(ready, folder, None)
        if fitted.partial:
            raise KeyboardInterrupt  # half a fit says nothing
        answers = fitted.predictor.predict(taken(inner.table, one.judged))
    truths = {name: t.take(one.judged) for name, t in run_truths(ready.signature, inner.table, ready.weight_N).items()}
    whole = selection_score(ready.spec, ready.signature, answers, truths)
    parts = []
    for rows in in_parts(one.judged, PARTS, ready.spec.seed):
        some = {name: answer.take(rows) for name, answer in answers.items()}
        try:
            parts.append(
                selection_score(ready.spec, ready.signature, some, {n: t.take(rows) for n, t in truths.items()})
            )
        except TrueweightError:  # a metric that says nothing about so few rows
            continue
    return float(whole), [float(part) for part in parts if math.isfinite(part)]


_TYPES: dict[str, Any] = {
    "number": int, "state": str, "values": Mapping, "changed": Mapping, "score": float | int | None, "rounds": list,
    "parts": list, "seconds": float | int, "reason": str, "error": float | int | None,
}  # fmt: skip


def add_trial(path: Path, trial: Trial) -> None:
    """Add a trial's line to the table, for good.

    Raises:
        TrainError: There is no space.
    """
    line = json.dumps(trial.to_json(), allow_nan=False, ensure_ascii=False) + "\n"
    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_trials(path: Path) -> list[Trial]:
    """The trials of a table. A last line that a kill has cut short is taken out of the file.

    Raises:
        VerifyError: A line that is no trial.
    """
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomic(path, whole)
    return list(_parsed(path, whole.decode("utf-8")))


def _parsed(path: Path, text: str) -> Iterator[Trial]:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            raw = json.loads(line)
            require_types(raw, _TYPES, f"trial {number - 1}")
            if raw["state"] not in get_args(State):
                raise VerifyError(f"a trial has the state {raw['state']!r}, which there is not")
            raw.pop("error")
            yield Trial(**{**raw, "rounds": tuple(raw["rounds"]), "parts": tuple(raw["parts"])})
        except (ValueError, KeyError, TypeError, AttributeError, VerifyError) as error:
            told = error.problem if isinstance(error, VerifyError) else str(error)
            hint = "bring the file back as it was, or start anew without --resume"
            raise VerifyError(f"not a line of a table of trials: {told}", where=f"{path}:{number}", hint=hint) from None
