"""Metrics of written texts, each a function of sums over rows, so that intervals come from the same bootstrap as all.

Shape suffixes:
    N  rows    K  summed columns    R  resamples
"""

import html
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from trueweight.metrics.metric import Form
from trueweight.metrics.statistic import Array, Statistic, Sums, mean_of, ratio, share_of, undefined
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth

__all__ = [
    "FORMS", "bits_per_byte", "bleu", "character_error_rate", "chrf", "chrf_of_rows", "edits", "exact_match",
    "perplexity", "rouge_l", "word_error_rate", "words_13a",
]  # fmt: skip

CHRF_ORDER, CHRF_BETA = 6, 2.0
BLEU_ORDER = 4


def _pairs(prediction: TextPrediction, truth: Truth) -> list[tuple[str, str]]:
    return list(zip(prediction.text_N.tolist(), truth.value.tolist(), strict=True))


def exact_match(prediction: TextPrediction, truth: Truth) -> Statistic:
    """Share of texts that equal the truth, letter by letter, but for spaces around them."""
    hit_N = np.array([a.strip() == b.strip() for a, b in _pairs(prediction, truth)], dtype=np.float64)
    return share_of(hit_N, None, truth.weight_N)


def edits(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Fewest items to insert, delete or replace that make ``one`` of ``other``: Levenshtein 1966."""
    if len(one) < len(other):
        one, other = other, one
    number: dict[Hashable, int] = {}
    a, b = (np.array([number.setdefault(item, len(number)) for item in some], np.int64) for some in (one, other))
    place = np.arange(len(b) + 1)
    row = place.copy()
    for i, item in enumerate(a, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (b != item))
        row[0], row[1:] = i, best
        # Insertions run along the row: what is left of them is a running minimum.
        row = np.minimum.accumulate(row - place) + place
    return int(row[-1])


def _error_rate(split: Callable[[str], Sequence[Hashable]], prediction: TextPrediction, truth: Truth) -> Statistic:
    items = [(split(a), split(b)) for a, b in _pairs(prediction, truth)]
    count_NK = np.array([[edits(a, b), len(b)] for a, b in items], dtype=np.float64).reshape(-1, 2)
    return _summed(count_NK, lambda sums: ratio(sums[:, 0], sums[:, 1]), truth, "the true texts are all empty")


def character_error_rate(prediction: TextPrediction, truth: Truth) -> Statistic:
    """Characters to change, over characters of the truth."""
    return _error_rate(lambda text: tuple(text.strip()), prediction, truth)


def word_error_rate(prediction: TextPrediction, truth: Truth) -> Statistic:
    """Words to change, over words of the truth."""
    return _error_rate(lambda text: tuple(text.split()), prediction, truth)


def perplexity(prediction: TextPrediction, truth: Truth) -> Statistic:
    """``exp`` of the mean negative log probability of a token of the truth, its end included."""
    if prediction.truth_logp_N is None or prediction.truth_tokens_N is None:
        return undefined("the truth's probability was not asked for", len(truth))
    count_NK = np.stack([-prediction.truth_logp_N, prediction.truth_tokens_N.astype(np.float64)], axis=1)
    return _summed(count_NK, lambda sums: np.exp(ratio(sums[:, 0], sums[:, 1])), truth, "the true texts are all empty")


def bits_per_byte(prediction: TextPrediction, truth: Truth) -> Statistic:
    """Negative log probability of the true texts to the base 2, over their bytes in UTF-8: whatever tokens a model has,
    this can be compared."""
    if prediction.truth_logp_N is None:
        return undefined("the truth's probability was not asked for", len(truth))
    bytes_N = prediction.truth_bytes_N
    if bytes_N is None:
        bytes_N = np.array([len(text.encode()) for text in truth.value.tolist()])
    count_NK = np.stack([-prediction.truth_logp_N / math.log(2), bytes_N.astype(np.float64)], axis=1)
    return _summed(count_NK, lambda sums: ratio(sums[:, 0], sums[:, 1]), truth, "the true texts are all empty")


def _summed(count_NK: Array, combine: Callable[[Array], Array], truth: Truth, reason: str) -> Statistic:
    weighted_NK = count_NK if truth.weight_N is None else count_NK * truth.weight_N[:, None]
    return Sums(weighted_NK, combine, reason="" if weighted_NK.any() else reason)


def _ngrams(items: Sequence[Hashable], size: int) -> Counter[Hashable]:
    return Counter(tuple(items[i : i + size]) for i in range(len(items) - size + 1))


def _matches(one: Counter[Hashable], other: Counter[Hashable]) -> int:
    return sum(min(count, other[item]) for item, count in one.items() if item in other)


def chrf(prediction: TextPrediction, truth: Truth) -> Statistic:
    """F-score of runs of 1 to 6 characters without spaces, recall counting twice: 0 to 1.

    Source: Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation". Precision and recall are means
    over the lengths that occur, as in sacrebleu 2.
    """
    return _summed(_chrf_counts(prediction, truth), _chrf_of, truth, "the true texts are all empty")


def chrf_of_rows(prediction: TextPrediction, truth: Truth) -> Array:
    """:func:`chrf` of each row by itself, (N,): its mean is not that of all rows together."""
    return _chrf_of(_chrf_counts(prediction, truth))


def _chrf_counts(prediction: TextPrediction, truth: Truth) -> Array:
    rows = []
    for said, meant in _pairs(prediction, truth):
        a, b = "".join(said.split()), "".join(meant.split())
        counts: list[int] = []
        for size in range(1, CHRF_ORDER + 1):
            one, other = _ngrams(a, size), _ngrams(b, size)
            counts += [one.total() if other else 0, other.total(), _matches(one, other)]
        rows.append(counts)
    return np.array(rows, dtype=np.float64).reshape(-1, 3 * CHRF_ORDER)


def _chrf_of(sums_RK: Array) -> Array:
    said, meant, both = (sums_RK[:, part::3] for part in range(3))
    counted = (said > 0) & (meant > 0)
    orders = counted.sum(1)
    precision, recall = (
        ratio((ratio(both, below, empty=0.0) * counted).sum(1), orders, empty=0.0) for below in (said, meant)
    )
    factor = CHRF_BETA**2
    return ratio((1 + factor) * precision * recall, factor * precision + recall, empty=0.0)


_SYMBOLS = re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])")
_AFTER = re.compile(r"([^0-9])([\.,])")
_BEFORE = re.compile(r"([\.,])([^0-9])")
_DASH = re.compile(r"([0-9])(-)")


def words_13a(text: str) -> list[str]:
    """Words and signs as NIST's mteval-v13a parts them, which is what published BLEU scores rest on."""
    text = html.unescape(text.replace("<skipped>", "").replace("-\n", "").replace("\n", " "))
    text = _SYMBOLS.sub(r" \1 ", f" {text} ")
    text = _BEFORE.sub(r" \1 \2", _AFTER.sub(r"\1 \2 ", text))
    return _DASH.sub(r"\1 \2 ", text).split()


def bleu(prediction: TextPrediction, truth: Truth) -> Statistic:
    """Geometric mean of the precision of runs of 1 to 4 words, times a penalty for being short: 0 to 1.

    Source: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation"; words as in
    :func:`words_13a`; a run length without a match counts half a match, then a quarter, and so on, as in sacrebleu.
    """
    rows = []
    for said, meant in _pairs(prediction, truth):
        a, b = words_13a(said), words_13a(meant)
        counts: list[int] = []
        for size in range(1, BLEU_ORDER + 1):
            one = _ngrams(a, size)
            counts += [_matches(one, _ngrams(b, size)), one.total()]
        rows.append([*counts, len(a), len(b)])
    count_NK = np.array(rows, dtype=np.float64).reshape(-1, 2 * BLEU_ORDER + 2)
    return _summed(count_NK, _bleu_of, truth, "the true texts are all empty")


def _bleu_of(sums_RK: Array) -> Array:
    hits, runs = sums_RK[:, : 2 * BLEU_ORDER : 2], sums_RK[:, 1 : 2 * BLEU_ORDER : 2]
    said, meant = sums_RK[:, -2], sums_RK[:, -1]
    missing = (hits == 0) & (runs > 0)
    smooth = np.where(missing, 0.5 ** np.cumsum(missing, axis=1), hits)
    precision = ratio(smooth, runs, empty=0.0)
    mean = np.exp(np.log(np.maximum(precision, 1e-300)).mean(1)) * (precision > 0).all(1) * (hits[:, 0] > 0)
    short = np.where(said >= meant, 1.0, np.exp(1 - ratio(meant, said, empty=np.inf)))
    return np.asarray(np.where(said > 0, mean * short, 0.0))


_LETTERS = re.compile(r"[^\W_]+")


def _lcs(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    number: dict[str, int] = {}
    a, b = (np.array([number.setdefault(item, len(number)) for item in some], np.int64) for some in (one, other))
    row = np.zeros(len(b) + 1, np.int64)
    for item in a:
        row[1:] = np.maximum(row[1:], row[:-1] + (b == item))
        row = np.maximum.accumulate(row)
    return int(row[-1])


def rouge_l(prediction: TextPrediction, truth: Truth) -> Statistic:
    """Mean F-score of the longest common run of words, gaps allowed: 0 to 1.

    Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries", section 3, over words of small letters.
    """
    found = []
    for said, meant in _pairs(prediction, truth):
        a, b = _LETTERS.findall(said.lower()), _LETTERS.findall(meant.lower())
        found.append(2 * _lcs(a, b) / (len(a) + len(b)) if a and b else float(not a and not b))
    return mean_of(np.array(found, dtype=np.float64), truth.weight_N)


def _of_writing(form: Form) -> Form:
    """The same, undefined where nothing was written: an empty text would be scored as an answer."""

    def measured(prediction: TextPrediction, truth: Truth) -> Statistic:
        if not prediction.written:
            return undefined("a language model is not asked to write what it would be told", len(truth))
        return form(prediction, truth)

    return measured


FORMS: dict[str, tuple[bool, Form, str]] = {
    "exact_match": (True, _of_writing(exact_match), "share of texts that equal the truth"),
    "character_error_rate": (
        False,
        _of_writing(character_error_rate),
        "characters to change, over characters of the truth",
    ),
    "word_error_rate": (False, _of_writing(word_error_rate), "words to change, over words of the truth"),
    "chrf": (True, _of_writing(chrf), "F-score of runs of 1 to 6 characters"),
    "bleu": (True, _of_writing(bleu), "precision of runs of 1 to 4 words, penalised where short"),
    "rouge_l": (True, _of_writing(rouge_l), "F-score of the longest common run of words"),
    "perplexity": (False, perplexity, "how many tokens the model hesitates between"),
    "bits_per_byte": (False, bits_per_byte, "bits that the true text costs, over its bytes"),
}
"""By name: whether greater is better, the form, words."""
