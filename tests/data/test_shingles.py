"""Sketches of texts tell how much two texts share, and shingles say it exactly."""

import numpy as np
import pytest

from trueweight.data.shingles import BINS, WIDTH, jaccard, shingles_of, sketches

WORDS = np.array([f"{a}{b}{c}o" for a in "bdfgklm" for b in "aeiou" for c in "nrst"])


def text(rng: np.random.Generator, words: int = 120) -> str:
    return " ".join(rng.choice(WORDS, words))


def slow_jaccard(one: str, other: str) -> float:
    a, b = ({s[i : i + WIDTH] for i in range(len(s) - WIDTH + 1)} for s in (one.encode(), other.encode()))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("changed", [0, 3, 20, 60, 120])
def test_the_index_is_that_of_the_sets_and_the_sketches_come_near_it(changed: int) -> None:
    rng, exact, likely = np.random.default_rng(changed), [], []
    for _ in range(20):
        one = text(rng)
        words = one.split()
        words[:changed] = rng.choice(WORDS, changed)
        other = " ".join(words)
        exact.append(jaccard(shingles_of(one), shingles_of(other)))
        assert exact[-1] == pytest.approx(slow_jaccard(one, other))
        sketch_NB, _ = sketches([one, other])
        likely.append(float((sketch_NB[0] == sketch_NB[1]).mean()))
    # 20 sketches of 64 bins: the standard error of their mean is at most 0.5 / sqrt(20 * 64) = 0.014.
    assert np.mean(likely) == pytest.approx(np.mean(exact), abs=0.05)


def test_spaces_and_capitals_do_not_matter_and_short_texts_have_none() -> None:
    assert jaccard(shingles_of("The  same\ntext here"), shingles_of("the same text here")) == 1.0
    assert len(shingles_of("short")) == 0
    sketch_NB, count_N = sketches(["short", "这是一段中文的文字"])
    assert sketch_NB.shape == (2, BINS)
    assert count_N[0] == 0 < count_N[1]
