"""No decoder at all: every step of what was read says a token or nothing."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import Field

from trueweight.errors import SpecError
from trueweight.spec.base import Conflict, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["Aligning", "CtcDecoderPart", "unused"]

_WEIGHT = 0.5


@runtime_checkable
class Aligning(Protocol):
    """A decoder part that reads a text off the steps of an encoding, in their order."""

    ngrams: int | None

    def build_head(self, form: "Form", vocabulary: int, learnt: Mapping[str, Any], *, beams: int, reader: Any) -> Any:
        """A module that keeps the ``Head`` protocol."""
        ...


_WRITERS_OWN = {"label_smoothing": 0.0, "length_penalty": 1.0, "repetition_penalty": 1.0, "no_repeat": None}
"""Options of a text that mean something to decoders that write alone, and their defaults."""


def unused(raw: Mapping[str, Any]) -> Iterator[Conflict]:
    """Options of a text, as written, that its decoder has no use for, and beams that its n-grams need."""
    decoder = raw.get("decoder")
    kind = decoder if isinstance(decoder, str) else decoder.get("type") if isinstance(decoder, Mapping) else None
    if kind != "ctc":
        return
    for name, usual in _WRITERS_OWN.items():
        if raw.get(name, usual) != usual:
            yield Conflict((name,), "means nothing to decoder ctc, which reads texts off: leave it out", key=True)
    if isinstance(decoder, Mapping) and decoder.get("ngrams") and raw.get("beams", 1) == 1:
        problem = "n-grams weigh beams, and there is one: set beams beside decoder, such as 16"
        yield Conflict(("decoder", "ngrams"), problem)


class CtcDecoderPart(PartSpec):
    """Reads the text off the sound, step by step and in order: for speech to text in the same language. Translations,
    whose words change places, need a decoder that writes (lstm, transformer).

    Source: Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data with
    recurrent neural networks"; beams with a language model of Hannun et al. 2014, arXiv:1408.2873.

    Example:
        ``transcript: {type: text, tokens: characters, decoder: {type: ctc, ngrams: 5}, beams: 16}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "dropout": [0.0, 0.1, 0.3],
        "ngram_weight": [0.2, 0.5, 1.0],
    }

    type: Literal["ctc"] = "ctc"
    """Name of this part."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the encoding's values that are zeroed before the logits in each training step."""

    ngrams: Annotated[int, Field(ge=1, le=8)] | None = None
    """Beams also weigh texts by how the training texts go on, by runs of so many tokens that at least ten of them hold.
    Null: by the sound alone."""

    ngram_weight: Annotated[float, Field(ge=0)] | None = None
    """Of the log probability that ``ngrams`` give, beside that of the sound. Null: 0.5."""

    length_bonus: float = 0.0
    """Added for each token when beams are weighed: language models make texts short, and this makes up for it."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """A weight of nothing."""
        if raw.get("ngram_weight") is not None and raw.get("ngrams") is None:
            yield Conflict(("ngram_weight",), "weighs n-grams, and there are none: set ngrams, such as 5", key=True)

    def build(self, vocabulary: int, memory_width: int | None, length: int) -> "nn.Module":
        """Refused: it is no decoder that writes.

        Raises:
            SpecError: Always.
        """
        del vocabulary, memory_width, length
        raise SpecError("ctc does not write token by token", where="decoder", hint="use lstm or transformer")

    def build_head(self, form: "Form", vocabulary: int, learnt: Mapping[str, Any], *, beams: int, reader: Any) -> Any:
        """A ``nn.ctc.CtcTexts``.

        Raises:
            SpecError: What was read has no steps.
        """
        from trueweight.nn.ctc import CtcTexts
        from trueweight.nn.ctc_search import Weighing
        from trueweight.nn.token_ngrams import Ngrams

        if form.grid_rank != 1:
            raise SpecError(
                "decoder 'ctc' reads a text off steps in time, and what reaches it has none", where="decoder",
                hint="learn from one column of sounds or series, with an encoder that keeps its steps (pooling: none),"
                " or use a decoder that writes: lstm, transformer",
            )  # fmt: skip
        known = Ngrams(learnt["ngrams"], vocabulary) if self.ngrams else None
        weight = _WEIGHT if self.ngram_weight is None else self.ngram_weight
        return CtcTexts(
            form.width, vocabulary, usual_tokens=learnt["tokens"], dropout=self.dropout, most=2 * learnt["max_tokens"],
            weighing=Weighing(known, weight, self.length_bonus), beams=beams, reader=reader,
        )  # fmt: skip
