"""Texts as hashed n-grams, many texts at once and no Python per word.

Words are runs of letters, digits and marks. Scripts that put no spaces between words (Chinese, Japanese, Thai and their
neighbours) are read character by character; so are emoji and other signs. A row's n-grams are its words, pairs of
neighbouring words, three neighbouring characters of scripts without spaces (signs between them included), and pieces of
words.

Shape suffixes:
    N  texts    M  characters of some texts    W  words    G  n-grams
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.ragged import starts_of
from trueweight.data.threads import threads_ahead
from trueweight.seeds import row_hashes

__all__ = ["BUCKETS", "PIECES", "Counts", "frequent_words", "from_ngrams", "ngram_counts"]

T = TypeVar("T")

KIND_BITS = 22
BUCKETS = 2 ** (KIND_BITS + 1)
"""Numbers that n-grams are hashed to: the lower half for words and pairs, the upper half for pieces of words."""

PIECES = BUCKETS // 2
"""First bucket of pieces of words."""

CHUNK = 2**18
"""Characters that are hashed at once: about what the processor's cache can hold. Four times as many take twice the
time."""

_SPACE, _WORD, _LONE, _SIGN, _SYMBOL = range(5)
_MOST_OF_THREE = 2
"""Characters of scripts without spaces among three neighbours that are read as one; the third may be a sign."""
_CURLY = 0x2019
"""The apostrophe of printers, read as the plain one."""

_BASE = 0x9E3779B97F4A7C15
_STEP = np.uint64(_BASE)
_LETTER = 11
"""Names the hash of single characters; those of n-grams are named by how they are made."""
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0x3005, 0x3007),
    (0x3040, 0x30FF), (0x3100, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip
"""Thai, Lao, Burmese, Khmer, Tai, Japanese syllables, Bopomofo, and Han characters: blocks of Unicode 16."""


@cache
def _class_of(code: int) -> int:
    if 0xFE00 <= code <= 0xFE0F:  # they only choose how the sign before them is drawn
        return _SPACE
    category = unicodedata.category(chr(code))
    if category[0] in "LMN":
        return _LONE if any(low <= code <= high for low, high in _UNSPACED) else _WORD
    if category[0] == "P":
        return _SIGN
    return _SYMBOL if category[0] == "S" else _SPACE


@dataclass(frozen=True, slots=True)
class Counts:
    """N-grams of some texts, and how often they occur in each."""

    first: int
    """The first of the texts."""
    end: int
    """One after the last of them."""
    text_G: np.ndarray
    """int64, ascending: which text."""
    bucket_G: np.ndarray
    """int32, ascending and distinct in each text."""
    count_G: np.ndarray
    """int64 >= 1."""


def ngram_counts(texts: pa.Array, *, word_grams: int, pieces: tuple[int, int] | None) -> Iterator[Counts]:
    """N-grams of each text and how often they occur in it, some texts at a time: see :func:`from_ngrams`."""
    yield from from_ngrams(texts, lambda counts: counts, word_grams=word_grams, pieces=pieces)


def from_ngrams(
    texts: pa.Array, then: Callable[[Counts], T], *, word_grams: int, pieces: tuple[int, int] | None
) -> Iterator[T]:
    """What is made of the n-grams of some texts at a time, on several threads.

    Args:
        texts: N strings, none null, as they are to be read: upper and lower case differ.
        then: What is done with some texts' n-grams, by several threads at once.
        word_grams: 1 for words, 2 for pairs of neighbours too.
        pieces: Shortest and longest piece of a word in characters, the spaces before and after it included; None for
            no pieces.

    Yields:
        What came of it, in the order of the texts.
    """

    def counted(chunk: tuple[int, int]) -> T:
        rows = texts.slice(chunk[0], chunk[1] - chunk[0]).to_pylist()
        bucket_G, start_N1 = _by_text(_buckets(rows, word_grams, pieces), len(rows))
        for start, end in pairwise(start_N1.tolist()):
            bucket_G[start:end].sort()  # several times as fast as all at once, and not one Python object per n-gram
        is_first = np.ones(len(bucket_G), bool)
        is_first[1:] = bucket_G[1:] != bucket_G[:-1]
        is_first[start_N1[:-1][np.diff(start_N1) > 0]] = True
        place = np.flatnonzero(is_first)
        text_G = np.repeat(np.arange(*chunk), np.diff(np.searchsorted(place, start_N1)))
        return then(Counts(*chunk, text_G, bucket_G[place], np.diff(np.append(place, len(bucket_G)))))

    yield from threads_ahead(counted, _chunks(texts))


def frequent_words(texts: pa.Array, least: int, most: int) -> dict[str, int]:
    """The words that most texts hold, and how many do: those of at least ``least``, at most ``most`` of them."""
    counts: dict[int, int] = {}
    spelt: dict[int, str] = {}
    for first, last in _chunks(texts):
        rows = texts.slice(first, last - first).to_pylist()
        whole, code_M, start_N1 = _codes(rows)
        start_W, end_W, kind_W = _words(code_M)
        start_W, end_W = start_W[kind_W <= _LONE], end_W[kind_W <= _LONE]
        if not len(start_W):
            continue
        key_W, row_W = _hash_spans(_mixed(code_M), start_W, end_W), _row_of(start_N1, start_W)
        order_W = np.lexsort((row_W, key_W))
        key_W, row_W = key_W[order_W], row_W[order_W]
        new_W = np.append(True, key_W[1:] != key_W[:-1])
        once_W = new_W | np.append(True, row_W[1:] != row_W[:-1])  # a word counts once a text
        begin = np.flatnonzero(new_W)
        held = np.add.reduceat(once_W, begin, dtype=np.int64)
        place = order_W[begin]
        for key, texts_with, start, end in zip(
            key_W[begin].tolist(), held.tolist(), start_W[place].tolist(), end_W[place].tolist(), strict=True
        ):
            counts[key] = counts.get(key, 0) + texts_with
            spelt.setdefault(key, whole[start:end].replace(chr(_CURLY), "'"))
    found = {spelt[key]: rows for key, rows in counts.items() if rows >= least}
    ranked = sorted(found, key=lambda word: (-found[word], word))
    return {word: found[word] for word in ranked[:most]}


def _chunks(texts: pa.Array) -> Iterator[tuple[int, int]]:
    """Texts of about :data:`CHUNK` characters together."""
    length_N = np.asarray(pc.utf8_length(texts)).astype(np.int64) + 1
    end_N, first = np.cumsum(length_N), 0
    while first < len(texts):
        before = end_N[first] - length_N[first]
        end = max(first + 1, int(np.searchsorted(end_N, before + CHUNK, side="right")))
        yield first, end
        first = end


def _codes(rows: Sequence[str]) -> tuple[str, np.ndarray, np.ndarray]:
    """All texts in one, parted by line ends; its characters; where each text starts."""
    whole = "\n".join(rows)
    code_M = np.frombuffer(whole.encode("utf-32-le"), np.uint32)
    code_M = np.where(code_M == _CURLY, np.uint32(ord("'")), code_M)
    return whole, code_M, starts_of([len(text) + 1 for text in rows])


def _row_of(start_N1: np.ndarray, place_W: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.searchsorted(start_N1, place_W, side="right") - 1
    return found


def _classes(code_M: np.ndarray) -> np.ndarray:
    """uint8 class of each character; an apostrophe between letters belongs to the word."""
    present = np.flatnonzero(np.bincount(code_M))
    table = np.zeros(int(present[-1]) + 1, np.uint8)
    table[present] = [_class_of(code) for code in present.tolist()]
    kind_M: np.ndarray = table[code_M]
    mark = np.flatnonzero(code_M[1:-1] == ord("'")) + 1
    kind_M[mark[(kind_M[mark - 1] == _WORD) & (kind_M[mark + 1] == _WORD)]] = _WORD
    return kind_M


def _words(code_M: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, end and class of each word, lone character, run of one sign and symbol."""
    if not len(code_M):
        none = np.zeros(0, np.int64)
        return none, none, none
    kind_M = _classes(code_M)
    new_M = np.ones(len(code_M), bool)
    new_M[1:] = (kind_M[1:] != kind_M[:-1]) | (kind_M[1:] == _LONE) | (kind_M[1:] == _SYMBOL)
    new_M[1:] |= (kind_M[1:] == _SIGN) & (code_M[1:] != code_M[:-1])
    start = np.flatnonzero(new_M)
    end, kind = np.append(start[1:], len(code_M)), kind_M[start]
    said = kind != _SPACE
    return start[said], end[said], kind[said]


def _buckets(
    rows: Sequence[str], word_grams: int, pieces: tuple[int, int] | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of every n-gram, repeats included, its text and its bucket: lists of both, in the order of the texts."""
    _, code_M, start_N1 = _codes(rows)
    start_W, end_W, kind_W = _words(code_M)
    if not len(start_W):
        return []
    mixed_M = _mixed(code_M)
    text_W = _row_of(start_N1, start_W)
    hash_W = _hash_spans(mixed_M, start_W, end_W)
    found = [(text_W, _bucket(hash_W, 0))]
    same_W = text_W[:-1] == text_W[1:]
    touch_W = same_W & (start_W[1:] == end_W[:-1])
    wordy_W, lone_W = kind_W <= _LONE, kind_W == _LONE
    if word_grams > 1:
        # Signs part what is said: words on both sides of one are no neighbours. But a character of a script without
        # spaces and the sign beside it are: they tell where its sentence begins and ends.
        pair_W = (wordy_W[:-1] & wordy_W[1:] & same_W) | (touch_W & (lone_W[:-1] | lone_W[1:]))
        pair = np.flatnonzero(pair_W)
        found.append((text_W[pair], _bucket(hash_W[pair] * _STEP + hash_W[pair + 1], 1)))
    most_W = lone_W[:-2].astype(np.int8) + lone_W[1:-1] + lone_W[2:] >= _MOST_OF_THREE
    three = np.flatnonzero(touch_W[:-1] & touch_W[1:] & most_W)
    twice = (hash_W[three] * _STEP + hash_W[three + 1]) * _STEP + hash_W[three + 2]
    found.append((text_W[three], _bucket(twice, 2)))
    if pieces is not None:
        plain = kind_W == _WORD
        found += _pieces(mixed_M, start_W[plain], end_W[plain], text_W[plain], pieces)
    return found


def _by_text(found: Sequence[tuple[np.ndarray, np.ndarray]], texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Buckets of the first text, then of the second, and so on; where each text starts, and the end."""
    counts = [np.bincount(text_G, minlength=texts) for text_G, _ in found]
    start_N1 = starts_of(sum(counts, np.zeros(texts, np.int64)))
    bucket_G, free_N = np.empty(start_N1[-1], np.int32), start_N1[:-1].copy()
    for (_, some_G), count_N in zip(found, counts, strict=True):
        shift_N = free_N - starts_of(count_N)[:-1]
        bucket_G[np.arange(len(some_G)) + np.repeat(shift_N, count_N)] = some_G
        free_N += count_N
    return bucket_G, start_N1


def _mixed(code_M: np.ndarray) -> np.ndarray:
    """uint64 of each character, as good as random."""
    mixed_M: np.ndarray = row_hashes(_LETTER, np.arange(int(code_M.max()) + 1))[code_M]
    return mixed_M


@lru_cache(maxsize=2)
def _powers(base: int, count: int) -> np.ndarray:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _hash_spans(mixed_M: np.ndarray, start_W: np.ndarray, end_W: np.ndarray) -> np.ndarray:
    """One uint64 for each run of characters, by differences of running sums, modulo 2^64.

    Source: Karp and Rabin 1987, "Efficient randomized pattern-matching algorithms", over mixed characters.
    """
    size = max(2 * CHUNK, 1 << len(mixed_M).bit_length())
    power, inverse = _powers(_BASE, size), _powers(pow(_BASE, -1, 2**64), size)
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed_M * power[: len(mixed_M)], dtype=np.uint64)])
    found: np.ndarray = (running[end_W] - running[start_W]) * inverse[start_W]
    return found


def _bucket(hash_G: np.ndarray, kind: int) -> np.ndarray:
    found: np.ndarray = (row_hashes(kind, hash_G) >> np.uint64(64 - KIND_BITS)).astype(np.int32)
    return found


def _pieces(
    mixed_M: np.ndarray, start_W: np.ndarray, end_W: np.ndarray, text_W: np.ndarray, pieces: tuple[int, int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pieces of words, a space before and after each word: texts and buckets for each size."""
    length_W = end_W - start_W
    # Words end to end, each with a space before it, and one more at the end.
    begin_W = starts_of(length_W + 1)
    owner = np.repeat(np.arange(len(length_W)), length_W + 1)
    source = np.arange(len(owner)) - begin_W[owner] - 1 + start_W[owner]
    spaced = np.append(mixed_M[np.maximum(source, 0)], np.uint64(0))
    space = row_hashes(_LETTER, np.array([ord(" ")]))[0]
    spaced[begin_W] = space
    last = begin_W[owner + 1] - np.arange(len(owner))  # steps to the space behind the word
    rolled, found = spaced.copy(), []
    for size in range(2, pieces[1] + 1):
        rolled = rolled[:-1] * _STEP + spaced[size - 1 :]
        if size >= pieces[0]:
            place = np.flatnonzero(last[: len(rolled)] >= size - 1)
            found.append((text_W[owner[place]], _bucket(rolled[place], size) + np.int32(PIECES)))
    return found
