"""The attack on words against trying everything, its own budget, and what it must leave alone."""

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.evaluate.judged import judged

from trueweight.data.table import Table
from trueweight.evaluate.attack_texts import rewritten, swapped_letters, text_attacks, worst_texts
from trueweight.evaluate.judging import Judging
from trueweight.metrics.prediction import ClassPrediction
from trueweight.spec.robustness import TextAttackSpec

WORDS = ["storm", "water", "roof", "cellar", "garden", "window", "door", "night"]
TELLING = ["help", "urgent", "now", "thanks", "fine", "later"]


@cache
def letters(attack: tuple[int, ...] = ()) -> Judging:
    """A linear model of n-grams; two or three of seven words tell the class. One text is missing."""
    rng = np.random.default_rng(0)
    texts: list[str | None] = []
    kinds = rng.integers(0, 2, 240)
    for kind in kinds:
        words = [*rng.choice(WORDS, 4), *rng.choice(TELLING[3 * kind : 3 * kind + 3], 2), rng.choice(TELLING)]
        texts.append(" ".join(rng.permutation(words)))
    texts[5::40] = [None] * len(texts[5::40])
    wish: dict[str, Any] = {"features": {"note": "text"}, "targets": {"won": "binary"}}
    if attack:
        wish["evaluate"] = {"robustness": {"text_attack": {"words": attack[0]}}}
    return judged({"note": texts, "won": np.where(kinds, "yes", "no")}, wish)


def attacked(judging: Judging, words: int, *changes: Any) -> list[str | None]:
    how = TextAttackSpec(words=words, changes=list(changes) or ["delete", "swap"])
    found = worst_texts(judging, judging.table, judging.truths["won"], "won", how)
    assert found is not None
    texts: list[str | None] = found.column("note").to_pylist()
    return texts


def doubts(judging: Judging, texts: list[str], truth: int) -> np.ndarray:
    """Squared distance of the true class's probability from 1."""
    answer = judging.predictor.predict(Table.of({"note": texts}))["won"]
    assert isinstance(answer, ClassPrediction)
    return np.square(1 - answer.probability_NC[:, truth].astype(np.float64))


@pytest.mark.parametrize("words", [1, 2])
def test_no_choice_of_words_left_out_is_worse_than_what_is_found(words: int) -> None:
    judging = letters()
    before, after = judging.table.column("note").to_pylist(), attacked(judging, words, "delete")
    truth_N, ratios = judging.truths["won"].value, []
    for text, changed, truth in list(zip(before, after, truth_N.tolist(), strict=True))[:24]:
        if text is None:
            assert changed is None
            continue
        pieces = text.split()
        ways = [gone for k in range(words + 1) for gone in itertools.combinations(range(len(pieces)), k)]
        every = [" ".join(p for i, p in enumerate(pieces) if i not in gone) for gone in ways]
        worst, found = doubts(judging, every, truth).max(), doubts(judging, [changed or ""], truth)[0]
        assert changed in every
        assert found <= worst + 1e-6
        ratios.append((found + 1e-6) / (worst + 1e-6))  # an answer may be sure whatever is left out
    # One word: all are tried. Two: one after the other need not be the worst pair, but mostly is.
    assert min(ratios) > (0.999 if words == 1 else 0.7)
    assert np.mean(ratios) > (0.999 if words == 1 else 0.97)


@pytest.mark.parametrize("words", [1, 3])
def test_no_more_words_are_changed_than_declared_and_swaps_keep_their_letters(words: int) -> None:
    judging = letters()
    pairs = list(zip(judging.table.column("note").to_pylist(), attacked(judging, words, "swap"), strict=True))
    changed = 0
    for text, other in pairs:
        assert (text is None) == (other is None)
        ours, theirs = (text or "").split(), (other or "").split()
        assert len(ours) == len(theirs)
        different = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
        assert len(different) <= words
        assert all(sorted(a) == sorted(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 2 for a, b in different)
        changed += len(different)
    assert changed > len(pairs) * words // 2
    left = attacked(judging, words, "delete")
    gone = [len((a or "").split()) - len((b or "").split()) for (a, _), b in zip(pairs, left, strict=True)]
    assert max(gone) == words
    assert min(gone) >= 0


def test_more_words_are_never_better_for_the_model_and_entries_are_bounds() -> None:
    accuracy = []
    for words in (1, 2, 4):
        entries = {e.metric: e for e in text_attacks(letters((words,)))}
        assert {e.status for e in entries.values()} == {"bounded"}
        accuracy.append(entries["accuracy_text_attacked"].value)
        assert entries["accuracy_text_attacked_change"].value <= 0  # type: ignore[operator]
    assert accuracy == sorted(accuracy, reverse=True)  # type: ignore[type-var]
    assert accuracy[-1] < accuracy[0]  # type: ignore[operator]


def test_the_same_entries_come_out_again() -> None:
    judging = letters((2,))
    found, again = text_attacks(judging), text_attacks(judging)
    assert [(e.id, e.value, e.interval) for e in found] == [(e.id, e.value, e.interval) for e in again]


def test_texts_are_written_anew_with_the_spaces_that_belong_to_them() -> None:
    assert rewritten("one  two\nthree", {}) == "one  two\nthree"
    assert rewritten("one  two\nthree", {1: ""}) == "one\nthree"
    assert rewritten("one two", {0: ""}) == "two"
    assert rewritten("one two", {0: "", 1: ""}) == ""
    assert rewritten("one two three", {0: "eno", 2: "X"}) == "eno two X"
    assert rewritten("水很多", {1: ""}) == "水多"
    assert swapped_letters("word") == "wrod"
    assert swapped_letters("aab") == "aba"
    assert swapped_letters("aaaa") is None
    assert swapped_letters("x") is None


def test_nothing_is_changed_unasked_or_where_there_are_no_words() -> None:
    (entry,) = text_attacks(letters())
    assert (entry.status, entry.metric) == ("not_applicable", "text_attack")
    rng = np.random.default_rng(0)
    wish = {"targets": {"won": "binary"}, "evaluate": {"robustness": {"text_attack": {"words": 2}}}}
    (entry,) = text_attacks(judged({"x": rng.normal(size=90), "won": rng.choice(["yes", "no"], 90)}, wish))
    assert entry.status == "not_applicable"
