"""Byte-level byte-pair encoding: any text as numbers, frequent strings as one each.

Shape suffixes:
    N  texts    T  tokens of the vocabulary
"""

import json
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from trueweight.data.foreign_tokens import ForeignTokens, byte_letters
from trueweight.data.ragged import Ragged, starts_of

__all__ = [
    "FIRST", "Merges", "Vocabulary", "alphabet_of", "framed_of", "learn_merges", "texts_of", "token_rows",
    "tokenizer_json", "tokens_of", "vocabulary_from", "vocabulary_of", "vocabulary_to_json",
]  # fmt: skip

Merges = tuple[tuple[str, str], ...]
"""Pairs that become one token, the first one first; each byte is written as one printable character."""

Vocabulary = Merges | ForeignTokens
"""Ours, or another maker's."""

FIRST = 2
"""Number of the first byte: 0 is padding, 1 unknown, which no text is: it has bytes."""

LONGEST = 24
"""Most bytes of a token: longer ones would be whole sentences of scripts without spaces."""

SHARD = 2048
"""Texts whose tokens are counted at once."""

_ALPHABET = tuple(sorted(pre_tokenizers.ByteLevel.alphabet()))


def learn_merges(texts: Sequence[str], *, size: int, least: int, characters: bool = False) -> Merges:
    """Merges of byte pairs whose tokens rest on at least ``least`` of the texts.

    Each word of a text counts once, so that what one text repeats a thousand times earns no token; tokens that still
    rest on fewer texts are then taken out, and with them what was made from them.
    Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword units",
    arXiv:1508.07909, section 3.2; over bytes as in Radford et al. 2019, "Language models are unsupervised multitask
    learners", section 2.2. No token has two digits, as in Chowdhery et al. 2022, "PaLM", arXiv:2204.02311, section 2.1:
    numbers are read and written place by place, and not as a few hundred names that rest on few rows each.

    Args:
        texts: To learn from.
        size: Most tokens, the 256 bytes included.
        least: Texts that a token needs.
        characters: Join the bytes of single characters only.
    """
    tokenizer = _blank(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), _bytes_of(use_regex=True)]
    )
    if characters:
        each = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([each, _bytes_of(use_regex=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=max(size, len(_ALPHABET)), min_frequency=least, initial_alphabet=list(_ALPHABET),
        show_progress=False, max_token_length=LONGEST,
    )  # fmt: skip
    tokenizer.train_from_iterator((" ".join(dict.fromkeys(text.split())) for text in texts), trainer)
    return _pruned(_merges_of(tokenizer), texts, least)


def _merges_of(tokenizer: Tokenizer) -> Merges:
    return tuple((left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"])


def _pruned(merges: Merges, texts: Sequence[str], least: int) -> Merges:
    """Without merges whose token is in fewer texts. What a token is made of is in at least as many."""
    rows_T = token_rows(merges, texts)
    return tuple(merge for number, merge in enumerate(merges) if rows_T[FIRST + len(_ALPHABET) + number] >= least)


def token_rows(merges: Merges, texts: Sequence[str]) -> np.ndarray:
    """How many texts hold each token, by itself or within a longer one, (T,) int64."""
    vocabulary = vocabulary_of(merges)
    parts = [(vocabulary[left + right], vocabulary[left], vocabulary[right]) for left, right in reversed(merges)]
    rows_T = np.zeros(len(vocabulary), np.int64)
    for first in range(0, len(texts), SHARD):
        ragged = tokens_of(texts[first : first + SHARD], merges)
        holds_TN = np.zeros((len(vocabulary), len(ragged)), bool)
        holds_TN[ragged.value_MC[:, 0], np.repeat(np.arange(len(ragged)), ragged.lengths)] = True
        for whole, left, right in parts:  # who holds a token holds what it is made of
            holds_TN[left] |= holds_TN[whole]
            holds_TN[right] |= holds_TN[whole]
        rows_T += holds_TN.sum(1)
    return rows_T


def vocabulary_of(merges: Vocabulary) -> dict[str, int]:
    """Number of each token."""
    if isinstance(merges, ForeignTokens):
        return merges.names()
    # A raw space is in no token, so that these two names can be nobody's.
    names = (" padding", " unknown", *_ALPHABET, *dict.fromkeys(left + right for left, right in merges))
    return {name: number for number, name in enumerate(names)}


@lru_cache(maxsize=8)
def alphabet_of(merges: Vocabulary) -> tuple[bytes, ...]:
    """The bytes of each token, by its number; none for numbers below :data:`FIRST`."""
    if isinstance(merges, ForeignTokens):
        return merges.alphabet()
    byte_of = byte_letters()
    names = list(vocabulary_of(merges))
    return (*[b""] * FIRST, *(bytes(byte_of[letter] for letter in name) for name in names[FIRST:]))


def _blank(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _bytes_of(use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _bytes_of(*, use_regex: bool) -> pre_tokenizers.ByteLevel:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


@lru_cache(maxsize=8)
def _tokenizer(merges: Merges) -> Tokenizer:
    return _blank(models.BPE(vocabulary_of(merges), list(merges)))


def tokens_of(texts: Sequence[str], merges: Vocabulary) -> Ragged:
    """Texts as token numbers, int32, all of them."""
    if isinstance(merges, ForeignTokens):
        return merges.tokens(texts, framed=False)
    found = [encoding.ids for encoding in _tokenizer(merges).encode_batch_fast(list(texts), add_special_tokens=False)]
    start_N1 = starts_of([len(ids) for ids in found])
    value = np.fromiter((number for ids in found for number in ids), np.int32, int(start_N1[-1]))
    return Ragged(value[:, None], start_N1)


def texts_of(rows: Sequence[Sequence[int]], merges: Vocabulary) -> list[str]:
    """The inverse of :func:`tokens_of`; bytes that are no UTF-8 become replacement marks, numbers below
    :data:`FIRST` nothing."""
    if isinstance(merges, ForeignTokens):
        return merges.texts(rows)
    spelt = [[number for number in row if number >= FIRST] for row in rows]
    found: list[str] = _tokenizer(merges).decode_batch(spelt, skip_special_tokens=False)
    return found


def framed_of(texts: Sequence[str], merges: Vocabulary, most: int | None) -> Ragged:
    """Texts to be read: with what another maker's model expects around them, and then cut off so that it stays."""
    return (
        merges.tokens(texts, framed=True, most=most) if isinstance(merges, ForeignTokens) else tokens_of(texts, merges)
    )


def vocabulary_to_json(merges: Vocabulary) -> Any:
    """As facts hold it: pairs, or a mapping for another maker's."""
    return merges.to_json() if isinstance(merges, ForeignTokens) else [list(merge) for merge in merges]


def vocabulary_from(raw: Any) -> Vocabulary:
    """The inverse of :func:`vocabulary_to_json`. Facts are never edited: the same ones give the same vocabulary again,
    since a server asks for it with every text, and thousands of pairs take longer than the text's own tokens."""
    known = _KNOWN.get(id(raw))
    if known is not None and known[0] is raw:
        return known[1]
    found = ForeignTokens.from_json(raw) if isinstance(raw, Mapping) else _Hashed((left, right) for left, right in raw)
    with _KNOWING:
        if len(_KNOWN) >= _MOST_KNOWN:
            del _KNOWN[next(iter(_KNOWN))]
        _KNOWN[id(raw)] = (raw, found)  # which keeps it, so that its number stays its own
    return found


class _Hashed(tuple[tuple[str, str], ...]):  # noqa: SLOT001 - the hash needs a place
    """Merges whose hash is worked out once."""

    def __hash__(self) -> int:
        found: int | None = self.__dict__.get("hash")
        if found is None:
            found = self.__dict__["hash"] = super().__hash__()
        return found


_MOST_KNOWN = 8
_KNOWN: dict[int, tuple[Any, Vocabulary]] = {}
_KNOWING = threading.Lock()


def tokenizer_json(merges: Merges, *, lowercase: bool, normalize: bool) -> str:
    """Our own tokens as a ``tokenizer.json`` that gives the same numbers."""
    tokenizer = _blank(models.BPE(vocabulary_of(merges), list(merges)))
    steps = [*([normalizers.NFKC()] if normalize else []), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    text: str = tokenizer.to_str()
    return text
