"""What encoder parts share in reading pictures, sounds, series and texts. Imports torch only when called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from trueweight.data.field import Layout
from trueweight.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["Pooling", "pooled_by", "sequence_stem", "unread_by"]

Pooling: TypeAlias = Literal["none", "mean", "max", "last", "attention", "flatten"]
"""How tokens become one vector; none leaves them to what follows, which takes their mean if it wants one vector."""


def unread_by(encoder: Any, layout: Layout, augmentations: Sequence[Any]) -> frozenset[str]:
    """Arrays of a column that an encoder has no use for: texts come as n-grams and as tokens, and it reads one of them.

    Args:
        encoder: A part of kind encoder; ``ngrams`` says which of the two it reads.
        layout: Of the column.
        augmentations: Parts that change the column before; what they read is kept.
    """
    if not {"bag", "token"} <= layout.senses.keys():
        return frozenset()
    others = {"token"} if encoder.ngrams else {"bag", "weight"}
    return frozenset(others - {part.reads for part in augmentations})


def sequence_stem(layout: Layout, width: int | None, encoder: str) -> "nn.Module":
    """A module from column tensors to a sequence of tokens.

    Args:
        layout: Of a column of text, sound, series or pictures; pictures are read line by line.
        width: Of the tokens; None passes numbers on as wide as they are.
        encoder: Who asks, for the message.

    Raises:
        SpecError: The columns are no sequence.
    """
    from trueweight.nn.stems import FrameStem, RowStem, TokenStem

    if (token := layout.senses.get("token")) is not None:
        return TokenStem(token.vocabulary, width or 64)
    if (frame := layout.senses.get("frame")) is not None:
        return FrameStem(frame.mean, frame.std, width)
    if (pixel := layout.senses.get("pixel")) is not None:
        return RowStem(pixel.grid, pixel.mean, pixel.std, width)
    raise SpecError(
        f"encoder {encoder!r} reads texts, pictures, sounds and series, and these columns are none",
        where="encoder",
        hint="name it under the column that it should read: features.NAME.encoder",
    )


def pooled_by(kind: Pooling, module: "nn.Module", form: "Form") -> "nn.Module":
    """The module with a pooling behind it, or as it is.

    Raises:
        SpecError: The rows differ in length, and cannot be laid flat.
    """
    from trueweight.nn.pooling import Pooled

    if kind == "none":
        return module
    try:
        return Pooled(module, kind, form)
    except ValueError as error:
        raise SpecError(str(error), where="encoder.pooling") from None
