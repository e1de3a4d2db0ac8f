"""The n-gram model against its definition, written plainly, and against laws."""

from collections import Counter, defaultdict
from fractions import Fraction as F

import numpy as np
import pytest

from trueweight.model.kneser_ney import _END, KneserNey, _discounts

TEXTS = ["abracadabra", "abra", "cadabra", "a", "", "bracket", "abacus", "a cab", "a bad crab", "dab"]


def plain(order: int, texts: list[str]) -> "defaultdict[int, dict[tuple[int, ...], int]]":
    """Counts of n-grams by length, as tuples."""
    counts: defaultdict[int, dict[tuple[int, ...], int]] = defaultdict(Counter)
    for text in texts:
        symbols = [256] * (order - 1) + list(text.encode()) + [_END]
        for i in range(order - 1, len(symbols)):
            counts[order][tuple(symbols[i - order + 1 : i + 1])] += 1
    for length in range(order - 1, 0, -1):
        counts[length] = Counter(gram[1:] for gram in counts[length + 1])
    return counts


def slow(counts: "defaultdict[int, dict[tuple[int, ...], int]]", context: tuple[int, ...], byte: int) -> float:
    length = len(context) + 1
    shorter = 1 / 257 if length == 1 else slow(counts, context[1:], byte)
    mine = {gram: c for gram, c in counts[length].items() if gram[:-1] == context}
    if not mine:
        return shorter
    discounts = _discounts(np.array(list(counts[length].values())))
    count, total = mine.get((*context, byte), 0), sum(mine.values())
    spared = sum(discounts[min(c, 3)] for c in mine.values())
    return (count - discounts[min(count, 3)] + spared * shorter) / total


@pytest.mark.parametrize("order", [1, 2, 4])
def test_it_equals_its_definition(order: int) -> None:
    model, counts = KneserNey.fit(TEXTS, order), plain(order, TEXTS)
    for text in ["abba", "crab", "", "zé"]:
        symbols = [256] * (order - 1) + list(text.encode()) + [_END]
        expected = sum(
            np.log(slow(counts, tuple(symbols[i - order + 1 : i]), symbols[i])) for i in range(order - 1, len(symbols))
        )
        assert model.logp([text])[0] == pytest.approx(expected, rel=1e-9)


def test_probabilities_of_the_next_byte_sum_to_one() -> None:
    counts = plain(3, TEXTS)
    for context in [(97, 98), (122, 122), (256, 97)]:
        assert sum(slow(counts, context, byte) for byte in [*range(256), _END]) == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_of_what_is_shipped_sum_to_one_in_any_context(order: int) -> None:
    """Over all 256 bytes and the end: of contexts that are frequent, rare, unseen, and of a text's beginning."""
    model = KneserNey.fit(TEXTS, order)
    for text in [b"", b"a", b"abra", b"crab", b"zzzz", b"a bad", b"\xff\x00\xff\x00"]:
        context = [*[256] * (order - 1), *text][len(text) :]
        number = sum(symbol * 258**place for place, symbol in enumerate(reversed(context), 1))
        share = model._share(np.uint64(number) + np.array([*range(256), _END], np.uint64))
        assert share.min() > 0
        assert share.sum() == pytest.approx(1, abs=1e-12)


def test_a_small_example_by_hand() -> None:
    """Bigrams of "abab" and "aab", in fractions, by Chen and Goodman 1999: interpolation as in section 3, discounts by
    equation 17, and as counts of single bytes how many different ones stand before them (Kneser and Ney 1995).

    Bigrams, B the beginning and E the end: Ba 2, ab 3, ba 1, aa 1, bE 2. Of count 1 there are two, of 2 two, of 3 one:
    Y = 2 / (2 + 2 * 2) = 1/3, D1 = 1 - 2Y * 2/2 = 1/3, D2 = 2 - 3Y * 1/2 = 3/2, D3 = 3 - 4Y * 0/1 = 3. Single bytes by
    what stands before: a 3 (B, b, a), b 1 (a), E 1 (b): of count 1 two, of 2 none. Equation 17 needs those of 2, and
    without them one half is taken of each.
    """
    end, half = _END, F(1, 2)
    unseen = F(1, 257)
    one = {symbol: (count - half + 3 * half * unseen) / 5 for symbol, count in {97: 3, 98: 1, end: 1}.items()}
    # After a, of 4: b three times, less 3, and a once, less 1/3. After b, of 3: the end twice, less 3/2, and a once.
    after_a = {98: (3 - 3 + F(10, 3) * one[98]) / 4, 97: (1 - F(1, 3) + F(10, 3) * one[97]) / 4}
    after_b = {end: (2 - F(3, 2) + F(11, 6) * one[end]) / 3, 97: (1 - F(1, 3) + F(11, 6) * one[97]) / 3}
    first = (2 - F(3, 2) + F(3, 2) * one[97]) / 2
    model = KneserNey.fit(["abab", "aab"], 2)
    texts = {
        "ab": first * after_a[98] * after_b[end],
        "aab": first * after_a[97] * after_a[98] * after_b[end],
        "aba": first * after_a[98] * after_b[97] * F(10, 3) * one[end] / 4,  # never seen, the end after a
        "az": first * F(10, 3) * (3 * half * unseen / 5) / 4 * one[end],  # z was never seen, nor anything behind it
    }
    found = np.exp(model.logp(list(texts)))
    np.testing.assert_allclose(found, [float(share) for share in texts.values()], rtol=1e-12)


def test_what_was_counted_is_all_there_is_to_keep() -> None:
    model = KneserNey.fit(TEXTS, 4)
    twin = KneserNey.of_counts(*model.counts, 4)
    np.testing.assert_array_equal(model.logp(["abba", "crab", ""]), twin.logp(["abba", "crab", ""]))


def test_a_text_without_its_end_is_as_probable_as_all_that_go_on_from_it() -> None:
    """log P(text) = log P(text and end) - log P(end after text), which the definition gives."""
    model, counts = KneserNey.fit(TEXTS, 3), plain(3, TEXTS)
    for text in ["ab", "crab", "a"]:
        context = tuple(([256] * 2 + list(text.encode()))[-2:])
        whole, cut = model.logp([text])[0], model.logp([text], np.array([False]))[0]
        assert whole - cut == pytest.approx(np.log(slow(counts, context, _END)))
    assert len(model.logp([])) == 0


def test_it_writes_the_likeliest_byte_each_time() -> None:
    model, counts = KneserNey.fit(TEXTS, 3), plain(3, TEXTS)
    found, context = model.written(b"ab", 6), [97, 98]
    for byte in [*found, *([_END] if len(found) < 6 else [])]:
        share = {one: slow(counts, tuple(context), one) for one in [*range(256), _END]}
        assert share[byte] == pytest.approx(max(share.values()))
        context = [context[1], byte]


def test_longer_contexts_predict_better_and_texts_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    words = ["the cat sat", "on the mat", "and the dog", "ate the hat"]
    texts = [" ".join(rng.choice(words, 4)) for _ in range(200)]
    new = [" ".join(rng.choice(words, 4)) for _ in range(50)]
    bits = [-KneserNey.fit(texts, order).logp(new).sum() for order in (1, 2, 3, 5)]
    assert sorted(bits, reverse=True) == bits
    both = KneserNey.fit(texts).logp(new)
    assert both[3] == KneserNey.fit(texts).logp([new[3]])[0]
