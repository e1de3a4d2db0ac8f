"""Free text in any language and script."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from trueweight.data.bins import bins_of
from trueweight.data.cells import Cells, ReadOptions, TextCells
from trueweight.data.column import Codec
from trueweight.data.parse_free_texts import read_free_texts
from trueweight.data.parse_ngrams import BUCKETS, PIECES, frequent_words, ngram_counts
from trueweight.data.quantiles import inner_quantiles, tellable
from trueweight.data.ragged import Ragged
from trueweight.data.sample import BottomK
from trueweight.data.spelling import Spelling
from trueweight.spec.base import AugmentationPart, Conflict, EncoderPart, PartSpec, of_the_other, only_for

__all__ = ["WORD_ROWS", "TextColumn"]

_WORDS = 1000
"""Most words that are kept as they are written, for summaries and made-up texts."""

WORD_ROWS = 2048
"""Rows whose words are looked at for these."""

_WEIGHT_ROWS = 512
"""Rows whose n-grams' mean weight is taken for that of all."""

_SHARE_OF_PIECES = 0.5
"""Of the kept n-grams, where there are enough of both."""

_TOKEN_CHARACTERS = 2**24
"""Characters that the vocabulary of tokens is learnt from."""

_MOST_TOKENS = 512
"""Longest rows by default."""

_PERCENTILE = 0.97
"""Share of training rows that are read to their end by default."""

_BAGS_ONLY = ("bag", "linear")
"""Encoders that read no tokens, which are then not learnt either."""


class TextColumn(PartSpec):
    """Free text: sentences, reviews, messages, in any language and script.

    Read as n-grams with TF-IDF weights (words, pairs of words, pieces of words; characters of scripts without spaces)
    for ``linear`` and ``bag``, and as byte-pair tokens for other encoders. Facts learnt: "count" and "missing" (rows),
    "documents" (rows whose n-grams were counted), "buckets" and "rows" (hashes of the kept n-grams and how many rows
    hold each), "weight" (their mean), "words" (frequent words with their rows), "length" (mean number of characters),
    "bins" (rows between edges of it), "merges" and "max_tokens" of the byte-pair encoding, "tokens_cut" (share of rows
    that have more). N-grams, words and tokens of fewer than ``bundle.min_group`` rows are not kept.

    Sources: Joulin et al. 2017, "Bag of tricks for efficient text classification", arXiv:1607.01759, section 2, for
    hashed n-grams; Sennrich et al. 2016, arXiv:1508.07909, for byte-pair encoding.

    Example:
        ``review: {type: text, encoder: {type: bag, width: 64}}``
    """

    search_space = {"word_ngrams": [1, 2], "char_ngrams": [None, [2, 4], [3, 5]], "max_features": [8192, 32768]}

    type: Literal["text"] = "text"
    """Registered name."""

    lowercase: bool = True
    """Read capital letters as small ones."""

    normalize: bool = True
    """Read letters that Unicode calls compatible (NFKC: full-width ones, ligatures) as one."""

    word_ngrams: Annotated[int, Field(ge=1, le=2)] = 2
    """1 reads words, 2 pairs of neighbouring words too."""

    char_ngrams: tuple[Annotated[int, Field(ge=2, le=8)], Annotated[int, Field(ge=2, le=8)]] | None = (2, 4)
    """Shortest and longest piece of a word, in characters; null reads whole words only."""

    max_features: Annotated[int, Field(ge=16, le=2**20)] = 2**15
    """Most n-grams with a place of their own; those in most rows win."""

    max_ngrams: Annotated[int, Field(ge=8)] = 256
    """Most n-grams of one row; those of greatest weight win, and more would say little and cost time."""

    vocabulary_size: Annotated[int, Field(ge=258, le=2**17)] | None = None
    """Most tokens. Null: four times the root of the characters there are, from 512 to 16,384."""

    like: str | None = None
    """Another column of texts, read or written, whose tokens are this one's too: one vocabulary, learnt from both, and
    one table of tokens. Null: its own."""

    tokens: bool | None = None
    """Whether byte-pair tokens are learnt too. Null: where ``encoder`` or an augmentation reads them; another member's
    encoder of this column may need them as well."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens after which a row is cut off. Null: as many as 97 % of training rows have, at most 512."""

    encoder: EncoderPart | None = None
    """What reads this column; null takes the recipe's."""

    augment: list[AugmentationPart] | None = None
    """Changes of training examples; null takes the recipe's."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Of a shared vocabulary, the other column says the size."""
        yield from of_the_other(raw, {"vocabulary_size": None})

    @field_validator("augment")
    @classmethod
    def _changes_what_it_reads(cls, parts: list[PartSpec] | None) -> list[PartSpec] | None:
        return only_for("token", "texts", parts)

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> TextCells:
        """Interpret raw cells as texts."""
        return read_free_texts(raw, options, normalize=self.normalize, lowercase=self.lowercase)

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int, spelling: Spelling | None = None
    ) -> dict[str, Any]:
        """Facts from the rows given; nothing of fewer than ``min_group`` rows. With a ``spelling``, tokens are those of
        an older model and are not learnt."""
        assert isinstance(cells, TextCells)
        missing = int(cells.missing_N[rows].sum())
        given = sample.rows[~cells.missing_N[sample.rows]]
        texts = cells.text_N.take(pa.array(given))
        some = cells.text_N.take(pa.array(BottomK.of(given, k=WORD_ROWS).rows))
        words = frequent_words(some, min_group, _WORDS)
        length_N = _lengths(texts).astype(np.float64)
        length = float(length_N.mean()) if len(texts) else 0.0
        told = tellable(length_N, len(rows) - missing, len(rows), min_group)
        facts = {"count": len(rows) - missing, "missing": missing, "words": words, "length": length}
        facts |= {"bins": bins_of(told, min_group)}
        return facts | self._bag_facts(texts, min_group) | self._token_facts(texts, min_group, spelling)

    def _bag_facts(self, texts: pa.Array, min_group: int) -> dict[str, Any]:
        rows_B = np.zeros(BUCKETS, np.int32)
        for found in ngram_counts(texts, word_grams=self.word_ngrams, pieces=self.char_ngrams):
            np.add.at(rows_B, found.bucket_G, np.int32(1))
        kept = self._kept(rows_B, min_group)
        facts = {"documents": len(texts), "buckets": kept.tolist(), "rows": rows_B[kept].tolist()}
        return facts | {"weight": self._mean_weight(facts, texts.slice(0, _WEIGHT_ROWS))}

    def _mean_weight(self, facts: Mapping[str, Any], texts: pa.Array) -> float:
        """Of one n-gram in one row."""
        learnt = {**facts, "count": len(texts), "missing": 0, "weight": 1.0, "merges": None, "max_tokens": 0}
        cells = TextCells(missing_N=np.zeros(len(texts), bool), text_N=texts)
        weight = self.codec("", learnt).encode(cells).get("weight")
        return float(weight.value_MC.mean()) if isinstance(weight, Ragged) and len(weight.value_MC) else 1.0

    def _kept(self, rows_B: np.ndarray, min_group: int) -> np.ndarray:
        """Buckets of enough rows, those of most rows first to be taken, in ascending order."""
        words, pieces = (_ranked(rows_B, part, min_group) for part in (slice(0, PIECES), slice(PIECES, None)))
        most_pieces = max(round(_SHARE_OF_PIECES * self.max_features), self.max_features - len(words))
        pieces = pieces[:most_pieces]
        return np.sort(np.concatenate([words[: self.max_features - len(pieces)], pieces]))

    def _token_facts(self, texts: pa.Array, min_group: int, spelling: Spelling | None) -> dict[str, Any]:
        if not self.reads_tokens():
            return {"merges": None, "max_tokens": 0, "tokens_cut": 0.0}
        from trueweight.data.bpe import framed_of, learn_merges, vocabulary_to_json

        some = texts.slice(0, int(np.searchsorted(np.cumsum(_lengths(texts)), _TOKEN_CHARACTERS)) + 1).to_pylist()
        root = 4 * float(np.sqrt(sum(map(len, some))))
        size = self.vocabulary_size or int(min(16_384, max(512, root)))
        merges = learn_merges(some, size=size, least=min_group) if spelling is None else spelling.merges
        length_N = framed_of(some, merges, None).lengths
        usual = inner_quantiles(length_N, [_PERCENTILE], min_group)[0] if len(some) else 1.0
        most = self.max_tokens or int(min(_MOST_TOKENS, max(1, np.ceil(usual))))
        cut = float((length_N > most).mean()) if len(some) else 0.0
        return {"merges": vocabulary_to_json(merges), "max_tokens": most, "tokens_cut": cut}

    def reads_tokens(self) -> bool:
        """Whether anything reads this column as tokens, and not as n-grams alone."""
        if self.tokens is not None:
            return self.tokens
        return self.encoder is None or self.encoder.type not in _BAGS_ONLY or bool(self.augment)

    def codec(self, name: str, learnt: Mapping[str, Any]) -> Codec:
        """The codec for facts that :meth:`learn` found."""
        return self.codec_from_json(
            {
                "name": name, "word_ngrams": self.word_ngrams, "char_ngrams": self.char_ngrams,
                "max_ngrams": self.max_ngrams, "flags": learnt["missing"] > 0 and learnt["count"] > 0,
                "like": self.like,
                **{key: learnt[key] for key in ("buckets", "rows", "documents", "weight", "merges", "max_tokens")},
            }
        )  # fmt: skip

    def codec_from_json(self, raw: Mapping[str, Any]) -> Codec:
        """The inverse of ``TextCodec.to_json``."""
        from trueweight.data.text_codec import TextCodec

        return TextCodec.from_json(raw)

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Frequent words in a row that means nothing."""
        words = np.array(list(learnt["words"]) or ["text"], dtype=object)
        share = np.array(list(learnt["words"].values()) or [1], float)
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        length_N = rng.integers(1, 24, n)
        rows = [" ".join(rng.choice(words, size, p=share / share.sum())) for size in length_N]
        return pa.array(rows, pa.string(), mask=empty)

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``texts of about 310 characters, 30,211 n-grams``."""
        if not learnt["count"]:
            return "no values"
        tokens = "" if learnt["merges"] is None else f", {_tokens(learnt['merges']):,} tokens"
        return f"texts of about {learnt['length']:,.0f} characters, {len(learnt['buckets']):,} n-grams{tokens}"


def _ranked(rows_B: np.ndarray, part: slice, least: int) -> np.ndarray:
    """Buckets of one part with enough rows, those of most rows first."""
    found = np.flatnonzero(rows_B[part] >= least) + (part.start or 0)
    return found[np.argsort(-rows_B[found], kind="stable")]


def _tokens(merges: Any) -> int:
    return int(merges["rows"]) if isinstance(merges, Mapping) else len(merges) + 258


def _lengths(texts: pa.Array) -> np.ndarray:
    return np.asarray(pc.utf8_length(texts)).astype(np.int64)
