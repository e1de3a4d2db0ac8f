"""Metrics of texts against sacrebleu, rouge-score's definition, laws and values by hand."""

import numpy as np
import pytest

from trueweight.metrics.interval import estimate
from trueweight.metrics.registry import metric
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.texts import chrf_of_rows, edits, words_13a
from trueweight.metrics.truth import Truth

NAMES = ("exact_match", "character_error_rate", "word_error_rate", "chrf", "bleu", "rouge_l")

MEANT = [
    "The cat sat on the mat.", "It costs 1,234.50 euros - or so (they say)!", "Ça va? Très bien, merci.", "x",
    'he said: "no" & left; 3-4 of them did', "一只猫坐在垫子上。", "", "a b c d e f g",
]  # fmt: skip
SAID = [
    "The cat sat on a mat.", "It costs 1234.50 euros, or so they say!", "Ca va? bien merci", "y",
    'he said "no" and left; 3-4 did', "一只狗坐在垫子上。", "something", "",
]  # fmt: skip


def answers(said: list[str]) -> TextPrediction:
    zero = np.zeros(len(said))
    return TextPrediction(np.array(said, dtype=object), zero, zero.astype(np.int64))


def truth(meant: list[str], weight: list[float] | None = None) -> Truth:
    value = np.array(meant, dtype=object)
    return Truth(value, np.ones(len(meant), bool), None if weight is None else np.array(weight))


def random_texts(seed: int, rows: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    words = ["red", "house", "2.5", "don't", "(over)", "the", "a,", "b.", "§", "naïve", "x-1", "--", "&amp;"]
    make = lambda: " ".join(rng.choice(words, rng.integers(0, 12)))  # noqa: E731
    return [make() for _ in range(rows)], [make() for _ in range(rows)]


@pytest.mark.parametrize(("said", "meant"), [(SAID, MEANT), *(random_texts(seed, 20) for seed in range(6))])
def test_bleu_and_chrf_are_sacrebleus(said: list[str], meant: list[str]) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    assert metric("chrf").compute(answers(said), truth(meant)) * 100 == pytest.approx(
        sacrebleu.corpus_chrf(said, [meant]).score, abs=1e-9
    )
    assert metric("bleu").compute(answers(said), truth(meant)) * 100 == pytest.approx(
        sacrebleu.corpus_bleu(said, [meant]).score, abs=1e-9
    )


def test_words_are_parted_as_published_scores_part_them() -> None:
    words = ["It", "costs", "1,234.50", "euros", "(", "or", "3", "-", "4", ")", "."]
    assert words_13a("It costs 1,234.50 euros (or 3-4).") == words


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_itself_is_perfect_and_nothing_is_not(name: str) -> None:
    one = metric(name)
    meant = [text for text in MEANT if text]
    perfect, nothing = (one.compute(answers(said), truth(meant)) for said in (meant, [""] * len(meant)))
    best, worst = (1.0, 0.0) if one.greater_is_better else (0.0, 1.0)
    assert perfect == pytest.approx(best)
    assert nothing == pytest.approx(worst)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_weight_two_is_two_rows(name: str) -> None:
    one = metric(name)
    weighted = one.compute(answers(SAID), truth(MEANT, [1, 2, 1, 1, 1, 1, 1, 1]))
    twice = one.compute(answers([*SAID, SAID[1]]), truth([*MEANT, MEANT[1]]))
    assert weighted == pytest.approx(twice)


def slow_edits(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    kept = slow_edits(a[1:], b[1:]) + (a[0] != b[0])
    return min(kept, slow_edits(a[1:], b) + 1, slow_edits(a, b[1:]) + 1)


def test_edits_equal_the_recursive_definition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = ("".join(rng.choice(list("abc"), rng.integers(0, 6))) for _ in range(2))
        assert edits(a, b) == slow_edits(a, b)
    assert edits("kitten", "sitting") == 3


def test_error_rates_by_hand() -> None:
    said, meant = ["one two", "three"], ["one two three", "three"]
    assert metric("word_error_rate").compute(answers(said), truth(meant)) == pytest.approx(1 / 4)
    assert metric("character_error_rate").compute(answers(said), truth(meant)) == pytest.approx(6 / 18)
    assert metric("rouge_l").compute(answers(said), truth(meant)) == pytest.approx((4 / 5 + 1) / 2)


def test_perplexity_and_bits_come_from_the_truths_probability() -> None:
    forced = answers(["", ""]).scored_by(
        TextPrediction(
            np.array(["", ""], dtype=object),
            np.zeros(2),
            np.zeros(2, np.int64),
            truth_logp_N=np.log([1 / 8, 1 / 2]),
            truth_tokens_N=np.array([3, 1]),
        )  # fmt: skip
    )
    known = truth(["ab", "é"])  # 2 and 2 bytes
    assert metric("perplexity").compute(forced, known) == pytest.approx(16 ** (1 / 4))
    assert metric("bits_per_byte").compute(forced, known) == pytest.approx(4 / 4)
    unknown = metric("perplexity").statistic(answers(["", ""]), known)
    assert "not asked for" in unknown.reason


@pytest.mark.parametrize("name", ["chrf", "bleu", "word_error_rate"])
def test_intervals_hold_the_value(name: str) -> None:
    said, meant = random_texts(1, 60)
    found = estimate(metric(name), answers(said), truth(meant), n_resamples=200)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


def test_texts_that_are_all_empty_have_no_score() -> None:
    assert np.isnan(metric("word_error_rate").compute(answers([""]), truth([""])))


def test_bits_are_counted_over_the_bytes_that_were_scored() -> None:
    """A text of which half was scored, at one bit a byte."""
    texts = np.array(["abcd", "ef"], dtype=object)
    known = Truth(texts, np.ones(2, bool))
    scored = TextPrediction(texts, np.zeros(2), np.zeros(2, np.int64), -np.log(2) * np.array([2.0, 2.0]),
                            np.array([2, 2]), truth_bytes_N=np.array([2, 2]))  # fmt: skip
    assert metric("bits_per_byte").compute(scored, known) == pytest.approx(1.0)
    assert metric("bits_per_byte").compute(scored.take(np.array([0])), known.take(np.array([0]))) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["chrf", "bleu", "exact_match", "rouge_l", "word_error_rate", "character_error_rate"])
def test_what_was_not_written_has_no_score(name: str) -> None:
    texts = np.array(["abcd", ""], dtype=object)
    silent = TextPrediction(np.array(["", ""], dtype=object), np.zeros(2), np.zeros(2, np.int64), written=False)
    assert np.isnan(metric(name).compute(silent, Truth(texts, np.ones(2, bool))))


def test_likeness_of_a_row_is_the_score_of_that_row_alone() -> None:
    said = np.array(["the cat", "a dog", "", "mat"], dtype=object)
    known = Truth(np.array(["the cats", "a cat", "x", "mat"], dtype=object), np.ones(4, bool))
    answer = TextPrediction(said, np.zeros(4), np.zeros(4, np.int64))
    alone = [metric("chrf").compute(answer.take(np.array([i])), known.take(np.array([i]))) for i in range(4)]
    np.testing.assert_allclose(chrf_of_rows(answer, known), alone)
