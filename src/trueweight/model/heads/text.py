"""A target that is a text: written token by token.

Shape suffixes:
    N  rows
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from trueweight.data.bpe import (
    FIRST,
    Vocabulary,
    alphabet_of,
    learn_merges,
    tokens_of,
    vocabulary_from,
    vocabulary_of,
    vocabulary_to_json,
)
from trueweight.data.cells import Cells, ReadOptions, TextCells
from trueweight.data.column import FieldArrays
from trueweight.data.ragged import Ragged, starts_of
from trueweight.data.repeats import unrepeated
from trueweight.data.sample import BottomK
from trueweight.data.spelling import Spelling
from trueweight.errors import DataError, SpecError
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.decoders.ctc import Aligning, unused
from trueweight.model.decoders.transformer import TransformerDecoderPart
from trueweight.model.heads.labels import read_as
from trueweight.model.word_times import spans_of_words
from trueweight.nn.spelling import spelt
from trueweight.nn.token_ngrams import counted_ngrams
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import Conflict, DecoderPart, PartSpec, of_the_other
from trueweight.spec.data import MISSING_MARKERS

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.copying import Copying
    from trueweight.nn.encoding import Form

__all__ = ["TextHead"]

_CHARACTERS = 2**24
"""That the vocabulary is learnt from."""

_LONGEST = 512
"""Most tokens by default."""

_PERCENTILE = 0.99
"""Share of training texts that are learnt to their end by default."""


class TextHead(PartSpec):
    """Writes a text: a translation, a summary, a transcript, an answer. Without features it is a language model, and
    what the column holds when it is asked is how the text begins.

    Facts learnt: "count" (training rows with a text), "merges" of the byte-pair encoding, "max_tokens", "tokens" (mean
    number, with the end), "length" (mean characters), "cut" (share of training texts that are longer than
    ``max_tokens``), "usual" (the most frequent text, if at least ten rows have it),
    "unrepeated" (tokens of a run that hardly any text holds twice); where there is a text to copy from,
    "copied" (share of words that stand in it), "copied_by_chance" (in another row's), and "copied_from", its column, if
    it is copied from.

    Source: Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks", arXiv:1409.3215.

    Example:
        ``fr: {type: text, decoder: {type: transformer, layers: 2}, label_smoothing: 0.1}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "label_smoothing": [0.0, 0.1, 0.2],
        "vocabulary_size": [512, 2048, 8192],
    }

    type: Literal["text"] = "text"
    """Name of this part."""

    decoder: DecoderPart = Field(default_factory=TransformerDecoderPart)
    """What writes."""

    tokens: Literal["bpe", "characters"] = "bpe"
    """What is written at a time: frequent runs of bytes, or single characters."""

    vocabulary_size: Annotated[int, Field(ge=258, le=2**17)] | None = None
    """Most tokens. Null: four times the root of the characters there are, from 512 to 16,384."""

    like: str | None = None
    """Another column of texts, read or written, whose tokens are this one's too: one vocabulary, learnt from both, and
    one table of tokens. Null: its own."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens after which a text is cut off, when learnt from and when written. Null: as many as 99 % of training rows
    have, at most 512."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that is spread over all tokens in the loss: Szegedy et al. 2015, arXiv:1512.00567, section 7."""

    copying: bool | Literal["auto"] = "auto"
    """Whether tokens of the text that is read can be written as they stand there, names and numbers that were hardly
    ever seen among them; both columns then share one vocabulary. It takes one text, read token by token. auto: where
    training rows say at least a tenth of their words again, beyond what they share with other rows' texts."""

    beams: Annotated[int, Field(ge=1)] = 1
    """Texts that are followed side by side when answers are written; 1 takes the likeliest token each time, and can be
    streamed. Left out, sentences that are written from texts get four; see ``docs/recipes.md``."""

    length_penalty: Annotated[float, Field(ge=0)] = 1.0
    """Of beams: log probabilities are divided by ``((5 + length) / 6) ** length_penalty``."""

    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    """Above 1 makes tokens that were written already less likely."""

    no_repeat: Annotated[int, Field(ge=0)] | None = None
    """No run of so many tokens is written twice, against texts that turn in circles; 0 lets any be. Null: the least
    number, from 2 to 16, of which at most one training text in a hundred holds a run twice, and 0 where there is none.
    What a language model goes on from does not count."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Options that the decoder has no use for; of a shared vocabulary, the other column says what it is."""
        yield from unused(raw)
        yield from of_the_other(raw, {"vocabulary_size": None, "tokens": "bpe"})

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw cells as texts, letters as they are. Only an empty cell says nothing: "NA" and "-" are texts,
        unless the spec has a list of its own of what means no value."""
        if options.missing_values == MISSING_MARKERS:
            options = replace(options, missing_values=("",))
        return read_as("text", raw, options, lowercase=False, normalize=False)

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, name: str, weight_N: np.ndarray | None = None,
        spelling: Spelling | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """See the class. With a ``spelling``, tokens are those of an older model and are not learnt.

        Raises:
            DataError: No row has a text.
        """
        del weight_N  # which tokens there are does not depend on it
        where, known = f"targets.{name}", _texts(cells)
        given = rows[~known.missing_N[rows]]
        if not len(given):
            said = f"all {len(rows)} training rows of {name!r} are empty: there is nothing to learn to write"
            raise DataError(said, where=where, hint="is it the right column?")
        few = np.intersect1d(sample.rows, given)
        texts = known.text_N.take(pa.array(few if len(few) else given))
        length_N = np.asarray(pc.utf8_length(texts)).astype(np.int64)
        some = texts.slice(0, int(np.searchsorted(np.cumsum(length_N), _CHARACTERS)) + 1).to_pylist()
        size = self.vocabulary_size or int(min(16_384, max(512, 4 * float(np.sqrt(sum(map(len, some)))))))
        merges: Vocabulary = () if spelling is None else spelling.merges
        if spelling is None:
            merges = learn_merges(some, size=size, least=_LEAST_ROWS, characters=self.tokens == "characters")
        every = tokens_of(some, merges)
        count_N, ngrams = every.lengths, dict[str, Any]()
        most = int(min(_LONGEST, max(1, np.ceil(np.quantile(count_N, _PERCENTILE)))))
        if isinstance(self.decoder, Aligning):  # a text that is cut cannot be aligned with its sound
            most = int(max(1, count_N.max()))
            if self.decoder.ngrams:
                spelt: list[list[int]] = [every.value_MC[a:b, 0].tolist() for a, b in pairwise(every.start_N1)]
                ngrams = {"ngrams": counted_ngrams(spelt, self.decoder.ngrams, _LEAST_ROWS)}
        most = self.max_tokens or most
        return ngrams | {
            "count": len(given), "merges": vocabulary_to_json(merges), "max_tokens": most,
            "tokens": float(np.minimum(count_N, most).mean()) + 1, "length": float(length_N.mean()),
            "cut": float((count_N > most).mean()), "usual": _usual(some),
            "unrepeated": unrepeated(every, most),
        }  # fmt: skip

    def prompts(self, cells: Cells, learnt: Mapping[str, Any]) -> FieldArrays:
        """ "token", ragged: all of each text, which is what a language model goes on from."""
        return {"token": tokens_of(_texts(cells).text_N.to_pylist(), _merges(learnt))}

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> FieldArrays:
        """ "token", ragged; "whole": whether the text was not cut; "present"."""
        known = _texts(cells)
        every = tokens_of(known.text_N.to_pylist(), _merges(learnt))
        most, length_N = learnt["max_tokens"], every.lengths
        kept_N = np.minimum(length_N, most)
        start_N1 = starts_of(kept_N)
        place = np.arange(start_N1[-1]) - np.repeat(start_N1[:-1] - every.start_N1[:-1], kept_N)
        return {
            "token": Ragged(every.value_MC[place], start_N1), "whole": (length_N <= most) & ~known.missing_N,
            "present": ~known.missing_N,
        }  # fmt: skip

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:  # noqa: ARG002
        """Texts as they are."""
        known = _texts(cells)
        return Truth(np.array([*known.text_N.to_pylist(), None], dtype=object)[:-1], ~known.missing_N)

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":
        """The decoder with its loss.

        Raises:
            SpecError: The model holds several networks in one, whose texts cannot be averaged.
        """
        from trueweight.nn.generate import Choice
        from trueweight.nn.texts import Texts

        if form.members > 1:
            hint = "set members: 1 in the encoder"
            raise SpecError(f"{form.members} networks in one cannot write one text", where="model.encoder", hint=hint)
        merges, most = _merges(learnt), learnt["max_tokens"]
        size = len(vocabulary_of(merges))
        if isinstance(self.decoder, Aligning):
            return self.decoder.build_head(form, size, learnt, beams=self.beams, reader=_read)  # type: ignore[no-any-return]
        reads = form.grid_rank > 0 or form.width > 1
        decoder: Any = self.decoder
        usual = Choice(
            steps=most, beams=self.beams, length_penalty=self.length_penalty,
            repetition_penalty=self.repetition_penalty,
            no_repeat=learnt.get("unrepeated", 0) if self.no_repeat is None else self.no_repeat,
        )  # fmt: skip
        return Texts(
            decoder.build(size, form.width if reads else None, most + 1), reads=reads,
            usual_tokens=learnt["tokens"], label_smoothing=self.label_smoothing, usual=usual,
            alphabet=alphabet_of(merges), reader=_read, copying=self._copying(form, learnt),
        )  # fmt: skip

    def _copying(self, form: "Form", learnt: Mapping[str, Any]) -> "Copying | None":
        """What copies, where the rows say so and what is read can be copied from."""
        from trueweight.nn.copying import Copying

        if "copied_from" not in learnt:
            return None
        if form.coded:
            return Copying(cast(Any, self.decoder).width, form.width)
        if self.copying == "auto":
            return None
        problem = f"what is read of {learnt['copied_from']!r} has lost its tokens: it was pooled, or cut otherwise"
        hint = "use encoder transformer, lstm or gru with pooling: none, or leave copying out"
        raise SpecError(problem, where="copying", hint=hint)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":  # noqa: ARG002
        """Refused.

        Raises:
            SpecError: Always.
        """
        hint = "use fitter: gradient"
        raise SpecError("a text cannot be solved for", where="model.members.fitter", hint=hint)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The most frequent text."""
        return TextPrediction(np.array([learnt["usual"]] * n, dtype=object), np.zeros(n), np.zeros(n, np.int64))

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``texts of about 34 characters, 2,113 tokens``."""
        return f"texts of about {learnt['length']:,.0f} characters, {len(vocabulary_of(_merges(learnt))):,} tokens"


_LEAST_ROWS = 10
"""Texts that a token needs: rarer ones would tell of single rows, and bytes can spell them."""


def _usual(texts: Sequence[str]) -> str:
    names, counts = np.unique(np.array(texts, dtype=object).astype(str), return_counts=True)
    best = int(counts.argmax())
    return str(names[best]) if counts[best] >= _LEAST_ROWS else ""


def _texts(cells: Cells) -> TextCells:
    if not isinstance(cells, TextCells):
        raise TypeError(f"labels must be TextCells, not {type(cells).__name__}")
    return cells


def _merges(learnt: Mapping[str, Any]) -> Vocabulary:
    return vocabulary_from(learnt["merges"])


def _read(out: Mapping[str, Any], facts: Mapping[str, Any]) -> Prediction:
    if "truth_logp" in out and "token" not in out:
        blank = np.array([""] * len(out["truth_logp"]), dtype=object)
        zero = np.zeros(len(blank))
        return TextPrediction(
            blank, zero, zero.astype(np.int64), out["truth_logp"], out["truth_tokens"],
            truth_bytes_N=out.get("truth_bytes"), written=False,
        )  # fmt: skip
    alphabet = alphabet_of(_merges(facts))
    text_N = _spelt(alphabet, out["token"], out["length"], out.get("bytes"))
    found = TextPrediction(text_N, out["logp"], out["tokens"])
    if "truth_logp" in out:
        return replace(found, truth_logp_N=out["truth_logp"], truth_tokens_N=out["truth_tokens"])
    if "start" in out:
        return replace(found, words_N=_words(text_N, out, facts))
    if "other_token" not in out:
        return found
    rows, several = out["other_logp"].shape
    flat = [out[f"other_{name}"].reshape(rows * several, *out[name].shape[1:]) for name in ("token", "length", "bytes")]
    other_NK, logp_NK = _spelt(alphabet, *flat).reshape(rows, several), out["other_logp"]
    other_NK[np.isneginf(logp_NK)] = None  # a beam that found fewer
    return replace(found, other_NK=other_NK, other_logp_NK=logp_NK)


def _words(text_N: np.ndarray, out: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    """The steps of each word."""
    rows = [tokens[:length].tolist() for tokens, length in zip(out["token"], out["length"], strict=True)]
    pieces = {number: piece if number >= FIRST else "" for piece, number in vocabulary_of(_merges(facts)).items()}
    spans = [
        [(int(a), int(b)) for a, b in zip(start[: len(row)], end[: len(row)], strict=True)]
        for row, start, end in zip(rows, out["start"], out["end"], strict=True)
    ]
    found = [
        spans_of_words(text, [pieces[number] for number in row], span)
        for text, row, span in zip(text_N, rows, spans, strict=True)
    ]
    return np.array([*found, None], dtype=object)[:-1]


def _spelt(
    alphabet: Sequence[bytes], token_NS: np.ndarray, length_N: np.ndarray, bytes_N: np.ndarray | None
) -> np.ndarray:
    """Texts, (N,) object; whole ones where nobody says how many bytes of each count."""
    most_N = [None] * len(token_NS) if bytes_N is None else bytes_N.tolist()
    told = zip(token_NS, length_N.tolist(), most_N, strict=True)
    return np.array([*(spelt(alphabet, row[:length].tolist(), most) for row, length, most in told), None], object)[:-1]
