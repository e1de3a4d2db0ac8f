"""How far one column of the judged rows is from what training taught about it.

Shape suffixes:
    N  judged rows    K  bins, levels or words    D  width of a vector    R  draws
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from trueweight.data.bins import binned, edges_of
from trueweight.data.cells import Cells, LevelCells, SetCells, TextCells, VectorCells
from trueweight.data.columns.text import WORD_ROWS
from trueweight.data.gist import GISTS, gist_of
from trueweight.data.levels import level_numbers
from trueweight.data.parse_ngrams import frequent_words
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.two_samples import Counts, design_effect, ordered_apart, shares_apart, unordered_apart
from trueweight.evidence.record import Interval
from trueweight.metrics.several import normal_tail
from trueweight.metrics.words import brief, signed

__all__ = ["Shift", "label_shift", "shifts_of"]

_FAR = 0.1
"""Share of rows that would have to change their value (total variation, KS distance) that is worth a flag."""

_FAR_MISSING = 0.05
"""Difference of shares of missing values that is worth a flag."""

_FAR_WORD = 0.05
"""Difference of shares of texts with a word that is worth a flag: most words are in few texts."""

_FAR_MEAN = 0.25
"""Difference of means, in standard deviations, that is worth a flag: it moves a tenth of normal rows past the mean."""

_LEVELS, _WORDS = 50, 200
"""Most levels, members or words of a column that are compared; other levels are put together."""

_DRAWN = 400
"""Draws for intervals of distances."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One comparison of one column."""

    column: str
    measure: str
    """"ks_distance", "total_variation", "missing_difference", "member_difference", "word_difference",
    "mean_difference"."""
    value: float
    interval: Interval | None
    n: int
    """Judged rows that have a value."""
    p: float
    large: bool
    """Whether it matters, if it is no chance."""
    words: str


def shifts_of(
    facts: ColumnFacts, cells: Cells, cluster_N: np.ndarray | None, level: float, rng: np.random.Generator
) -> Iterator[Shift]:
    """Every comparison that the Signature's facts about a feature allow."""
    learnt, given = facts.learnt, ~cells.missing_N
    yield _missing(facts, cells.missing_N, cluster_N, level)
    cluster = None if cluster_N is None else cluster_N[given]
    if given.sum() < 2 or not learnt["count"]:
        return
    match cells:
        case LevelCells():
            yield from _levels(facts.name, learnt, cells, cluster, level, rng)
        case SetCells():
            yield from _members(facts.name, learnt, cells, cluster_N, level)
        case VectorCells():
            yield from _vector(facts.name, learnt, cells.value_ND[given], cluster, level)
        case _:
            yield from _number(facts, cells, cluster_N, level, rng)
    if isinstance(cells, TextCells):
        yield from _words(facts.name, learnt, cells, cluster_N, level)


def label_shift(
    facts: ColumnFacts, value_N: np.ndarray, cluster_N: np.ndarray | None, level: float, rng: np.random.Generator
) -> Iterator[Shift]:
    """Frequencies of a target's classes; a class never seen in training is one more."""
    names, known = facts.learnt.get("classes"), facts.learnt.get("counts")
    if names is None or known is None or not len(value_N):
        return
    place_N = np.where(value_N < 0, len(names), value_N)
    known_K = np.array([*known, 0], np.float64)
    yield from _unordered(facts.name, [*names, "a new class"], known_K, place_N, cluster_N, level, rng)


def _missing(facts: ColumnFacts, missing_N: np.ndarray, cluster_N: np.ndarray | None, level: float) -> Shift:
    effect = design_effect(missing_N.astype(np.int64), 2, cluster_N)
    known, rows = facts.learnt["missing"], facts.learnt["missing"] + facts.learnt["count"]
    found, seen = _two(int(missing_N.sum()), len(missing_N), known, rows, effect, level)
    now, then = missing_N.mean(), known / max(1, rows)
    return Shift(
        facts.name, "missing_difference", now - then, seen, len(missing_N), found, abs(now - then) >= _FAR_MISSING,
        f"{facts.name} is missing in {now:.0%} of rows, {then:.0%} in training",
    )  # fmt: skip


def _two(
    hits: int, rows: int, known_hits: int, known_rows: int, effect: float, level: float
) -> tuple[float, Interval | None]:
    """p-value and interval of a difference of shares.

    Source of the interval: Agresti and Caffo 2000, "Simple and effective confidence intervals for proportions",
    American Statistician 54(4): Wald's with one hit and one miss added to each sample.
    """
    p = shares_apart(hits, rows, known_hits, known_rows, effect)
    if not rows or not known_rows:
        return p, None
    sizes = (rows / effect + 2, known_rows / effect + 2)
    share, other = (hits / effect + 1) / sizes[0], (known_hits / effect + 1) / sizes[1]
    half = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(
        share * (1 - share) / sizes[0] + other * (1 - other) / sizes[1]
    )
    return p, Interval(float(share - other - half), float(share - other + half), level, "agresti-caffo")


def _number(
    facts: ColumnFacts, cells: Cells, cluster_N: np.ndarray | None, level: float, rng: np.random.Generator
) -> Iterator[Shift]:
    edges, known_K = edges_of(facts.learnt)
    value_N = gist_of(facts.type, cells)
    if value_N is None or not len(edges):
        return
    given = ~np.isnan(value_N)
    place_N = np.searchsorted(edges, value_N[given], side="left")
    effect = design_effect(place_N, len(known_K), None if cluster_N is None else cluster_N[given])
    counts = Counts(known_K, binned(value_N, edges), effect)
    if not counts.seen_K.sum():
        return
    p, distance = ordered_apart(counts, rng), _ks(*counts.shares())
    name = f"{GISTS[facts.type]} of {facts.name}" if facts.type in GISTS else facts.name
    below, then = (float(share_K[: len(known_K) // 2].sum()) for share_K in reversed(counts.shares()))
    edge = edges[len(known_K) // 2 - 1]
    shown = str(np.datetime64(int(edge), "s").astype("datetime64[D]")) if facts.type == "date" else brief(edge, 4)
    words = f"{name} is at most {shown} in {below:.0%} of rows, {then:.0%} in training (KS distance {distance:.2f})"
    seen = _drawn(counts, _ks, level, rng)
    yield Shift(facts.name, "ks_distance", distance, seen, int(given.sum()), p, distance >= _FAR, words)


def _ks(known_RK: np.ndarray, seen_RK: np.ndarray) -> Any:
    return np.abs(np.cumsum(known_RK - seen_RK, axis=-1)).max(-1)


def _tv(known_RK: np.ndarray, seen_RK: np.ndarray) -> Any:
    return np.abs(known_RK - seen_RK).sum(-1) / 2


def _drawn(counts: Counts, distance: Any, level: float, rng: np.random.Generator) -> Interval:
    """Both samples drawn again from their own shares."""
    drawn = []
    for count_K, share_K in zip((counts.known_K, counts.seen_K), counts.shares(), strict=True):
        rows = max(1, round(float(count_K.sum()) / counts.effect))
        drawn.append(rng.multinomial(rows, share_K / share_K.sum(), size=_DRAWN) / rows)
    low, high = np.quantile(distance(*drawn), [(1 - level) / 2, (1 + level) / 2])
    found = float(distance(*counts.shares()))  # samples that happen to be alike are less so when drawn again
    return Interval(min(found, float(low)), max(found, float(high)), level, "parametric bootstrap")


def _levels(
    name: str, learnt: Mapping[str, Any], cells: LevelCells, cluster: np.ndarray | None, level: float,
    rng: np.random.Generator,
) -> Iterator[Shift]:  # fmt: skip
    """Levels that were learnt, and all others together."""
    named = learnt["levels"][:_LEVELS]
    number_K = level_numbers(cells.levels, named)
    place_N = np.where(number_K < 0, len(named), number_K)[cells.code_N[~cells.missing_N]]
    counts = learnt["counts"][:_LEVELS]
    known_K = np.array([*counts, learnt["count"] - sum(counts)], np.float64)
    yield from _unordered(name, [*named, "a rare or new value"], known_K, place_N, cluster, level, rng)


def _unordered(
    name: str, labels: list[str], known_K: np.ndarray, place_N: np.ndarray, cluster: np.ndarray | None, level: float,
    rng: np.random.Generator,
) -> Iterator[Shift]:  # fmt: skip
    counts = Counts(
        known_K, np.bincount(place_N, minlength=len(known_K)), design_effect(place_N, len(known_K), cluster)
    )
    kept = (counts.known_K + counts.seen_K) > 0
    if kept.sum() < 2 or not counts.known_K.sum():
        return
    then_K, now_K = counts.shares()
    most, distance = int(np.abs(now_K - then_K).argmax()), float(_tv(then_K, now_K))
    short = Counts(counts.known_K[kept], counts.seen_K[kept], counts.effect)
    words = f"{name} is {labels[most]} in {now_K[most]:.0%} of rows, {then_K[most]:.0%} in training"
    seen, p = _drawn(short, _tv, level, rng), unordered_apart(short, rng)
    yield Shift(name, "total_variation", distance, seen, len(place_N), p, distance >= _FAR, words)


def _members(
    name: str, learnt: Mapping[str, Any], cells: SetCells, cluster_N: np.ndarray | None, level: float
) -> Iterator[Shift]:
    """The member whose share has changed most surely, of those that were learnt."""
    given = ~cells.missing_N
    row_M = np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))
    number_K = level_numbers(cells.levels, learnt["levels"])
    holds = {}
    for place, member in enumerate(learnt["levels"][:_LEVELS]):
        held_N = np.zeros(len(cells), bool)
        held_N[row_M[number_K[cells.code_M] == place]] = True
        holds[member] = (held_N[given], learnt["counts"][place])
    yield from _surest(name, "member_difference", "has", holds, learnt["count"], cluster_N, given, level, _FAR)


def _words(
    name: str, learnt: Mapping[str, Any], cells: TextCells, cluster_N: np.ndarray | None, level: float
) -> Iterator[Shift]:
    """The word whose share of texts has changed most surely, of those that were most frequent in training."""
    rows = BottomK.of(np.flatnonzero(~cells.missing_N), k=WORD_ROWS).rows
    texts = cells.text_N.take(rows)
    known = dict(list(learnt["words"].items())[:_WORDS])
    then = min(WORD_ROWS, learnt["documents"])
    if cluster_N is None:
        now = frequent_words(texts, 1, len(known) + 1_000_000)
        tests = {w: (_two(now.get(w, 0), len(rows), k, then, 1.0, level), now.get(w, 0)) for w, k in known.items()}
        yield from _told(name, "word_difference", "holds the word", tests, known, len(rows), then, _FAR_WORD)
        return
    held: dict[str, np.ndarray] = {word: np.zeros(len(rows), bool) for word in known}
    for place in range(len(rows)):
        for word in frequent_words(texts.slice(place, 1), 1, 1_000_000):
            if word in held:
                held[word][place] = True
    chosen = np.zeros(len(cells), bool)
    chosen[rows] = True
    holds = {word: (held[word], rows_of) for word, rows_of in known.items()}
    yield from _surest(name, "word_difference", "holds the word", holds, then, cluster_N, chosen, level, _FAR_WORD)


def _surest(
    name: str, measure: str, verb: str, holds: Mapping[str, tuple[np.ndarray, int]], then: int,
    cluster_N: np.ndarray | None, given: np.ndarray, level: float, far: float,
) -> Iterator[Shift]:  # fmt: skip
    cluster, rows = None if cluster_N is None else cluster_N[given], int(given.sum())
    tests = {}
    for what, (held_N, known) in holds.items():
        effect = design_effect(held_N.astype(np.int64), 2, cluster)
        tests[what] = (_two(int(held_N.sum()), rows, known, then, effect, level), int(held_N.sum()))
    counts = {what: known for what, (_, known) in holds.items()}
    yield from _told(name, measure, verb, tests, counts, rows, then, far)


def _told(
    name: str, measure: str, verb: str, tests: Mapping[str, tuple[tuple[float, Interval | None], int]],
    known: Mapping[str, int], rows: int, then: int, far: float,
) -> Iterator[Shift]:  # fmt: skip
    """The surest of several, its p-value times their number (Bonferroni): of those that matter, if there are any."""
    if not tests or not rows or not then:
        return
    gap = {what: hits / rows - known[what] / then for what, (_, hits) in tests.items()}
    best = min(tests, key=lambda what: (abs(gap[what]) < far, tests[what][0][0], -abs(gap[what])))
    (p, seen), hits = tests[best]
    words = f"{name} {verb} {best} in {hits / rows:.0%} of rows, {known[best] / then:.0%} in training"
    yield Shift(name, measure, gap[best], seen, rows, min(1.0, p * len(tests)), abs(gap[best]) >= far, words)


def _vector(
    name: str, learnt: Mapping[str, Any], value_ND: np.ndarray, cluster: np.ndarray | None, level: float
) -> Iterator[Shift]:
    """The place whose mean has moved most surely."""
    std_D = np.asarray(learnt["std"])
    if value_ND.shape[1] != learnt["width"] or not (std_D > 0).any():
        return
    places = np.flatnonzero(std_D > 0)
    scaled_ND = np.clip((value_ND[:, places] - np.asarray(learnt["mean"])[places]) / std_D[places], -8, 8)
    gap_D = scaled_ND.mean(0)
    high_ND = (scaled_ND > np.median(scaled_ND, axis=0)).astype(np.int64)
    effect_D = np.array([design_effect(high, 2, cluster) for high in high_ND.T])
    error_D = np.sqrt(effect_D * scaled_ND.var(0) / len(scaled_ND) + effect_D / learnt["count"])
    best = int((np.abs(gap_D) / np.where(error_D > 0, error_D, np.inf)).argmax())
    gap, error = float(gap_D[best]), float(error_D[best])
    p = min(1.0, 2 * normal_tail(abs(gap) / error) * len(places)) if error > 0 else 1.0
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    words = f"place {places[best]} of {name} is {signed(gap, 2)} standard deviations from its mean in training"
    seen = Interval(gap - half, gap + half, level, "normal")
    yield Shift(name, "mean_difference", gap, seen, len(value_ND), p, abs(gap) >= _FAR_MEAN, words)
