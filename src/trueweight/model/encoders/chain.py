"""Encoders one after another, each reading what the one before gives."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.spec.base import EncoderPart, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["ChainEncoder", "Following"]


@runtime_checkable
class Following(Protocol):
    """An encoder part that can also read what another encoder gives."""

    def build_on(self, form: "Form") -> "nn.Module":
        """A module from Encoding to Encoding, with a ``form``."""
        ...


class ChainEncoder(PartSpec):
    """Several encoders in a row, such as a convolution whose steps a recurrent network reads.

    A list is short for it: ``encoder: [cnn, lstm]``.

    Example:
        ``encoder: {type: chain, parts: [cnn, {type: lstm, hidden_size: 128}]}``
    """

    weightless: ClassVar[bool] = False

    type: Literal["chain"] = "chain"
    """Name of this part."""

    parts: Annotated[list[EncoderPart], Field(min_length=2)]
    """The first reads the column; the others must be able to follow: lstm, gru, transformer, cnn."""

    @property
    def ngrams(self) -> bool:
        """As its first part."""
        first: Any = self.parts[0]
        return bool(first.ngrams)

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.chain.Chain``.

        Raises:
            SpecError: A part that cannot follow another.
        """
        from trueweight.nn.chain import Chain

        first: Any = self.parts[0]
        modules: list[Any] = [first.build(layout)]
        for part in self.parts[1:]:
            modules.append(_follower(part).build_on(modules[-1].form))
        return Chain(modules[0], modules[1:])

    def build_on(self, form: "Form") -> "nn.Module":
        """The same parts behind another encoder."""
        from torch import nn

        modules: list[Any] = []
        for part in self.parts:
            modules.append(_follower(part).build_on(modules[-1].form if modules else form))
        chained = nn.Sequential(*modules)
        chained.form = modules[-1].form
        return chained


def _follower(part: PartSpec) -> Following:
    if not isinstance(part, Following):
        hint = "put it first, or let lstm, gru, transformer or cnn follow"
        raise SpecError(f"encoder {part.type!r} cannot follow another one", where="encoder", hint=hint)
    return part
