"""Does one small place decide? A watermark, a border, a click at the start: right here, and for a wrong reason.

A place of a picture that the model answers with class b is put into the same place of one that it answers with class a.
What this adds to the log-odds of b against a, over what the whole other picture would add, is the share of the
decision that the place carries. For a model that adds up its input, the shares of all places sum to one. Where what is
to be seen spreads over a picture, no sixteenth of it carries much; where a mark in a corner decides, that corner does,
and places apart from it do not. Half of the rows look for the place and the other half confirm it, so that looking in
many places costs no false alarms.

Occlusion goes back to Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2; that models do learn such marks is shown by
Lapuschkin et al. 2019, "Unmasking Clever Hans predictors", arXiv:1902.10178. The test by transplanting is ours.

Shape suffixes:
    N  rows    P  pastes    C  classes
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from statistics import NormalDist
from typing import Any

import numpy as np

from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts
from trueweight.data.table import Table
from trueweight.evaluate.changed_rows import some_rows
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, now
from trueweight.evaluate.shortcut_regions import PLACED, Place, Placed
from trueweight.evaluate.shortcut_words import WORDS
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.prediction import ClassPrediction
from trueweight.seeds import stream

__all__ = ["shortcuts"]

ROWS = 400
"""Judged rows among which places are put about, at most."""

CLASSES = 10
"""Classes that are looked at, those of most answers first."""

PIXELS = 64 * 64
"""Of pictures; of larger ones fewer classes are looked at, but two."""

SEARCH = 8
"""Pastes for each place and class while looking."""

CANDIDATES = 3
"""Places and classes that are looked at again."""

CONFIRM = 60
"""Pastes for each of these, and for the strongest place apart from it."""

TIMES = 2.0
"""A shortcut carries so many times as much as any place that it is held against."""

LEVEL = 0.99
"""Of the two-sided limits that decide, for all candidates together."""

_SMALLEST = 1e-9
"""Probabilities are kept above it: what is beyond is the same certainty."""

_FEWEST = 12
"""Rows of a class, and of others, without which nothing is looked for."""


def shortcuts(judging: Judging) -> list[Entry]:
    """For every target of classes and every column of pictures, sounds or series: what the strongest place carries."""
    signature = judging.predictor.signature
    facts = [f for f in signature.features() if f.name in judging.table.names]
    pairs = [(placed, column) for placed in (*PLACED, WORDS) for column in facts if column.type in placed.types]
    targets = [name for name, answer in judging.answers.items() if isinstance(answer, ClassPrediction)]
    if not pairs or not targets:
        return []
    table = judging.table.take(some_rows(judging, ROWS))
    clean = judging.predictor.predict(table)
    entries: list[Entry] = []
    for place, (placed, column) in enumerate(pairs):
        loaded = placed.load(cells_of(table, column, signature.options), column)
        if loaded is None:
            continue
        for target in targets:
            answer = clean[target]
            assert isinstance(answer, ClassPrediction)
            trial = _Trial(judging, table, placed, column, loaded, target, answer)
            entries += trial.entries(str(place))
    return _one_flag_each(judging.ask, targets, entries)


def _one_flag_each(ask: Ask, targets: Sequence[str], entries: Sequence[Entry]) -> list[Entry]:
    """The entries, and for each target one flag on them."""
    flags = []
    for target in targets:
        mine = [entry for entry in entries if entry.target == target]
        measured = [entry for entry in mine if entry.status == "measured"]
        faults = [entry for entry in measured if entry.reason]
        more: dict[str, Any] = {"value": int(bool(faults))}
        if faults:
            more["reason"] = faults[0].reason
        elif not measured:
            more = {"status": "not_run", "reason": mine[0].reason if mine else "nothing could be read"}
        flags.append(
            Entry(
                id=f"robustness/{target}/shortcut_flag/{ask.role}", axis="robustness", metric="shortcut_flag",
                target=target, unit="flag", data=ask.data, produced_at=now(), reproduce=ask.reproduce,
                depends_on=tuple(entry.id for entry in (faults or measured)), **more,
            )
        )  # fmt: skip
    told = [replace(entry, reason=None) if entry.status == "measured" else entry for entry in entries]
    return [*told, *flags]


def _candidates(seen: "Sequence[_Found]") -> "list[_Found]":
    """The strongest places at the edge, and the strongest inside, each with the class for which it is strongest."""
    ranked, best = sorted(seen, key=lambda one: one.error - one.share), dict[str, _Found]()
    for one in ranked:
        best.setdefault(one.place.words, one)
    edge, inside = ([one for one in best.values() if one.place.border is border] for border in (True, False))
    return [*edge[: CANDIDATES - 1], *inside[:1]]


def _apart(one: "_Found", seen: "Sequence[_Found]") -> "list[_Found]":
    """What a place is held against: those apart from it, for the same class. A place at the edge of a picture is held
    against the edge, since what is to be seen is inside, and may carry as much as a mark does."""
    apart = [other for other in seen if other.label == one.label and not other.place.touches(one.place)]
    edge = [other for other in apart if other.place.border]
    return edge if one.place.border and len(edge) > 1 else apart


@dataclass(frozen=True, slots=True)
class _Found:
    """What a place carried along."""

    place: Place
    label: int
    moved_P: np.ndarray
    """What each paste added to the log-odds of the donor's class against the receiver's."""
    whole_P: np.ndarray
    """What all of the donor would have added."""
    turned_P: np.ndarray
    """bool: the answer became another one."""

    @property
    def share(self) -> float:
        """Of the decision: a ratio of sums, so that rows count by how far apart the two are."""
        whole = float(self.whole_P.sum())
        return float(self.moved_P.sum()) / whole if whole else 0.0

    @property
    def error(self) -> float:
        """Standard error of the share, of a ratio of means (Cochran 1977, "Sampling techniques", section 2.11)."""
        count = len(self.whole_P)
        if count < 2 or not self.whole_P.sum():
            return float("inf")
        rest_P = self.moved_P - self.share * self.whole_P
        return float(rest_P.std(ddof=1) / (np.sqrt(count) * abs(self.whole_P.mean())))


@dataclass(frozen=True, slots=True)
class _Trial:
    """One column and one target."""

    judging: Judging
    table: Table
    placed: Placed
    column: ColumnFacts
    loaded: Any
    target: str
    answer: ClassPrediction

    def entries(self, key: str) -> list[Entry]:
        answer_N, there_N = self.answer.answer_N(), self.placed.there(self.loaded)
        looking_N = np.arange(len(answer_N)) % 2 == 0
        classes = self._classes(answer_N, there_N)
        if not classes:
            why = f"there are not {_FEWEST} rows of each of two classes among the answers to look for a place with"
            return [self._entry(key, status="not_run", reason=why)]
        places = self.placed.places(self.loaded, answer_N)
        if len(places) < 2:
            return [self._entry(key, status="not_run", reason="there are not two words that enough rows share")]
        wanted = [(place, label, SEARCH) for label in classes for place in places]
        seen = self._carried(wanted, answer_N, there_N & looking_N, "search")
        pairs = [(one, max(_apart(one, seen), key=lambda other: other.share)) for one in _candidates(seen)]
        again = [(one.place, one.label, CONFIRM) for pair in pairs for one in pair]
        sure = self._carried(again, answer_N, there_N & ~looking_N, "confirm")
        told = [self._told(key, one, rival) for one, rival in zip(sure[::2], sure[1::2], strict=True)]
        # The first that is a fault, else the strongest.
        return [next((entry for entry in told if entry.reason), max(told, key=lambda entry: float(entry.value or 0)))]

    def _classes(self, answer_N: np.ndarray, there_N: np.ndarray) -> list[int]:
        """Classes to look at: each needs rows in both halves, and others to put them into."""
        counts = np.bincount(answer_N[there_N], minlength=len(self.answer.classes))
        fit = [int(c) for c in np.argsort(-counts, kind="stable") if counts[c] >= _FEWEST]
        size = prod(self.column.learnt["size"]) if self.column.type == "image" else 1
        return fit[: max(2, min(CLASSES, CLASSES * PIXELS // size))] if len(fit) > 1 else []

    def _carried(
        self, wanted: Sequence[tuple[Place, int, int]], answer_N: np.ndarray, there_N: np.ndarray, purpose: str
    ) -> list[_Found]:
        """Put each place of rows answered with a class into rows answered otherwise."""
        rng = stream(self.judging.ask.seed, f"shortcut {purpose}", 0)
        donors, receivers, places = [], [], []
        for place, label, count in wanted:
            own, others = (np.flatnonzero(there_N & mark) for mark in (answer_N == label, answer_N != label))
            enough = count if len(own) and len(others) else 0
            donors.append(rng.choice(own, enough) if enough else np.zeros(0, np.int64))
            receivers.append(rng.choice(others, enough) if enough else np.zeros(0, np.int64))
            places += [place] * len(donors[-1])
        donor_P, receiver_P = np.concatenate(donors), np.concatenate(receivers)
        cells = self.placed.paste(self.loaded, receiver_P, donor_P, places)
        data = self.table.data.take(receiver_P)
        data = data.set_column(data.column_names.index(self.column.name), self.column.name, cells)
        found = self.judging.predictor.predict(replace(self.table, data=data))[self.target]
        assert isinstance(found, ClassPrediction)
        ends = np.cumsum([len(some) for some in donors])[:-1]
        label_P = np.repeat([label for _, label, _ in wanted], [len(some) for some in donors])
        before_P = self._odds(self.answer.probability_NC[receiver_P], label_P, answer_N[receiver_P])
        moved_P = self._odds(found.probability_NC, label_P, answer_N[receiver_P]) - before_P
        whole_P = self._odds(self.answer.probability_NC[donor_P], label_P, answer_N[receiver_P]) - before_P
        turned_P = found.answer_N() != answer_N[receiver_P]
        parts = (np.split(values, ends) for values in (moved_P, whole_P, turned_P))
        return [_Found(place, label, *some) for (place, label, _), *some in zip(wanted, *parts, strict=True)]

    @staticmethod
    def _odds(probability_PC: np.ndarray, label_P: np.ndarray, other_P: np.ndarray) -> np.ndarray:
        """Logarithm of the odds of one class against another, row by row."""
        rows = np.arange(len(label_P))
        log_PC = np.log(np.maximum(probability_PC, _SMALLEST))
        return np.asarray(log_PC[rows, label_P] - log_PC[rows, other_P])

    def _told(self, key: str, sure: _Found, rival: _Found) -> Entry:
        """The confirmed share; its reason is set where it is a fault, and moves to the flag."""
        # As many comparisons as candidates, each with two sides.
        width = NormalDist().inv_cdf(1 - (1 - LEVEL) / (2 * CANDIDATES)) * sure.error
        known = bool(np.isfinite(width) and np.isfinite(sure.share))
        low, high = sure.share - width, sure.share + width
        least = self.placed.edge if sure.place.border else self.placed.inside
        fault = known and low > least and low > TIMES * rival.share
        reason = (
            f"{sure.place.words} of the {self.placed.one} in {self.column.name!r} carries {sure.share:.0%} of what "
            f"decides {self.target!r} (the next place: {max(rival.share, 0):.0%}), and put into other "
            f"rows it turns {sure.turned_P.mean():.0%} of their answers: look there for a mark, a border or a label, "
            "and leave it out of all rows"
        )
        if not known:
            return self._entry(key, status="not_run", reason="too few rows of one class in one half of the rows")
        return self._entry(
            key, value=sure.share, unit="share", n=len(sure.moved_P), slice=sure.place.words, status="measured",
            interval=Interval(low, high, LEVEL, "ratio of means"), reason=reason if fault else None,
        )  # fmt: skip

    def _entry(self, key: str, **more: Any) -> Entry:
        ask = self.judging.ask
        method = Method(
            "transplanted place", "1",
            {"rows": len(self.table), "search": SEARCH, "confirm": CONFIRM, "times": TIMES}, ask.seed,
        )  # fmt: skip
        return Entry(
            id=f"robustness/{self.target}/carried_by_a_place/{ask.role}/{key}", axis="robustness",
            metric="carried_by_a_place", target=self.target, data=ask.data, method=method, produced_at=now(),
            reproduce=ask.reproduce, **more,
        )  # fmt: skip
