"""What is judged, by which rows, and the checks that look further than scores.

A check is a function from a :class:`Judging` to entries. It draws at random only from streams of the run's seed, and
its work is sized by counts, never by a clock: ``verify --recompute`` must find the same values. What it cannot do it
says in an entry with the status "not_run" or "not_applicable" and a reason; it never leaves a gap.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import cast

import numpy as np

from trueweight.data.digest import digest_rows
from trueweight.data.sample import BottomK
from trueweight.data.table import Table
from trueweight.errors import TrueweightError, fault_of
from trueweight.evaluate.quality import Ask, now
from trueweight.evaluate.truths import truths_of
from trueweight.evidence.energy import EnergyMeter
from trueweight.evidence.record import Data, Entry
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import FORCED, GREEDY, Decoding, Predictor
from trueweight.train.prepare import Prepared

__all__ = [
    "Check",
    "Judging",
    "Training",
    "answers_of",
    "digest_of_role",
    "further",
    "judged_cases",
    "judging_of",
    "told_of_sample",
]

_LOG = logging.getLogger("trueweight.evaluate")


@dataclass(frozen=True, slots=True)
class Training:
    """What is known where the model was just trained, or where its data was given to ``verify``."""

    ready: Prepared
    rows: np.ndarray
    """Case numbers of the judged rows in ``ready.table``."""


@dataclass(frozen=True, slots=True)
class Judging:
    """Everything that a check may look at."""

    predictor: Predictor
    table: Table
    """The rows to judge by."""
    answers: Mapping[str, Prediction]
    """By target, for these rows."""
    truths: Mapping[str, Truth]
    """By target, for these rows."""
    ask: Ask
    """What the spec asks for, the seed, and what the rows are called."""
    training: Training | None = None
    """None where rows came later: there is no split to look at then."""
    cost: tuple[Entry, ...] = ()
    """What answering 1,000 rows costs, timed on these."""
    beside: dict[str, bytes] = field(default_factory=dict)
    """Files by name that checks leave for ``NAME.evidence``: rows are named there, and never in a bundle."""


Check = Callable[[Judging], list[Entry]]


def judged_cases(ready: Prepared, role: str) -> np.ndarray:
    """Cases that a model is judged by, ascending: those of the role ("test" or "validation"), but only a sample of them
    where texts are written token by token from what is read."""
    rows, most = _cases_of(ready, role), ready.spec.evaluate.written_rows
    targets = ready.signature.targets() if ready.signature.features() else []
    writes = any(facts.type == "text" and facts.spec["decoder"]["type"] != "ctc" for facts in targets)
    return BottomK.of(rows, k=most).rows if writes and most is not None and len(rows) > most else rows


def _cases_of(ready: Prepared, role: str) -> np.ndarray:
    return ready.split.test if role == "test" else ready.split.validation


def digest_of_role(ready: Prepared, role: str, judged: Data) -> str:
    """What the ledger of looks knows a role's rows by: all of them, however few are judged."""
    whole = _cases_of(ready, role)
    return judged.digest if len(judged_cases(ready, role)) == len(whole) else digest_rows(ready.table, whole)


def told_of_sample(judging: Judging) -> list[Entry]:
    """That only some of the rows are judged, where that is so."""
    ask, training = judging.ask, judging.training
    if training is None:
        return []
    whole = len(_cases_of(training.ready, ask.role))
    if len(training.rows) == whole:
        return []
    note = (
        f"{len(training.rows):,} of {whole:,} {ask.role} rows are judged, always the same ones: "
        "raise evaluate.written_rows to judge more"
    )
    return [Entry(id="data/note/judged", axis="data", metric="note", value=note, data=ask.data, produced_at=now())]


def judging_of(
    predictor: Predictor, table: Table, ask: Ask, cluster_N: np.ndarray | None = None, training: Training | None = None
) -> Judging:
    """Answers and truths of a table's rows, found once for all checks.

    Raises:
        DataError: The table has no target column.
    """
    truths = truths_of(predictor.signature, table, cluster_N)
    few, how = table.head(_AGAIN), _usual(predictor)
    with EnergyMeter(ask.evaluate.energy) as meter:
        found = predictor.predict(table, how=how)
        cost = meter.per_thousand(len(table), lambda: len(few) if predictor.predict(few, how=how) else 0)
    answers = _with_likelihoods(predictor, table, found)  # not timed: nobody who asks for answers waits for them
    return Judging(predictor, table, answers, truths, ask, training, tuple(cost))


def answers_of(predictor: Predictor, table: Table) -> Mapping[str, Prediction]:
    """Answers to rows whose truth the table holds. Of texts also how probable the truth is; a language model, which
    reads nothing, is not asked to write what it would be told."""
    return _with_likelihoods(predictor, table, predictor.predict(table, how=_usual(predictor)))


def _usual(predictor: Predictor) -> Decoding:
    """Whether answers are written, or the truth is only scored."""
    return FORCED if _writes(predictor) and not predictor.signature.features() else GREEDY


def _writes(predictor: Predictor) -> bool:
    return any(facts.type == "text" for facts in predictor.signature.targets())


def _with_likelihoods(
    predictor: Predictor, table: Table, answers: Mapping[str, Prediction]
) -> Mapping[str, Prediction]:
    """The answers, those that are texts with how probable the truth is."""
    if not _writes(predictor) or not predictor.signature.features():
        return answers
    forced, found = predictor.predict(table, how=FORCED), dict[str, Prediction]()
    for name, answer in answers.items():
        likely = forced[name]
        both = isinstance(answer, TextPrediction) and isinstance(likely, TextPrediction)
        found[name] = cast(TextPrediction, answer).scored_by(cast(TextPrediction, likely)) if both else answer
    return found


_AGAIN = 2000
"""Rows that are answered again and again where counters of energy need a longer window."""


def further(judging: Judging, checks: Mapping[str, Check]) -> list[Entry]:
    """Entries of every check that the spec asks for, and what each cost.

    Whatever goes wrong inside one becomes a failed entry: the model is there, and a fault of ours must not lose it.

    Args:
        judging: What they look at.
        checks: By name, in the order in which they run.
    """
    asked, entries = judging.ask.evaluate.checks, list[Entry]()
    for name, check in checks.items():
        if asked is not None and name not in asked:
            continue
        start, busy = perf_counter(), process_time()
        entries += _checked(name, check, judging)
        seconds, cpu = round(perf_counter() - start, 3), round(process_time() - busy, 3)
        entries.append(
            Entry(id=f"cost/check/{name}", axis="cost", metric=f"seconds of the check {name}", value=seconds, unit="s",
                  cost={"seconds": seconds, "cpu_seconds": cpu})
        )  # fmt: skip
    return entries


def _checked(name: str, check: Check, judging: Judging) -> list[Entry]:
    try:
        return check(judging)
    except TrueweightError as error:
        # Where it passes on what a foreign model said, that may hold a cell.
        reason = error.problem if error.__cause__ is None else fault_of(error)
    except Exception as error:  # see further()
        _LOG.warning("the check %s ended with %r", name, error, exc_info=_LOG.isEnabledFor(logging.DEBUG))
        reason = f"a fault of ours: {fault_of(error)}; the terminal showed the rest"
    return [Entry(id=f"{name}/check", axis=name, metric="check", status="failed", reason=reason, produced_at=now())]
