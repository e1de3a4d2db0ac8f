"""Encoders of table columns: the fixed featuriser of linear models, and the perceptron with embeddings.

Shape suffixes in this file:
    R  rows    B  rows * members    C  numeric columns    F  flags    K  columns of codes    P  places
"""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trueweight.nn.category import CodeEmbedding, OneHot
from trueweight.nn.encoding import Ahead, Encoding, Form, Tensors, ahead_of
from trueweight.nn.entries import Entries
from trueweight.nn.members import MemberScale
from trueweight.nn.numeric import Embedding, smooth_clip
from trueweight.nn.summaries import WeightedBag

__all__ = ["Featurizer", "PerceptronEncoder", "TableEmbedding"]

ONE_HOT_LEVELS = 9
"""Most codes (missing and rare included) for which one-hot is not wider than a learnt embedding would be."""


class Featurizer(nn.Module):
    """Numbers, flags, one-hot codes and plain features of the senses side by side, without weights: one token of
    width P.

    Args:
        numbers: C.
        flags: F.
        levels: For each column of codes, how many codes get a place; codes beyond count as rare.
        senses: Modules without weights from tensors to (R, width), each with a ``width``.
    """

    def __init__(self, numbers: int, flags: int, levels: Sequence[int], senses: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.names = [name for name, width in (("number", numbers), ("flag", flags)) if width]
        self.one_hot = OneHot(range(len(levels)), levels) if levels else None
        self.senses = nn.ModuleList(senses)
        width = numbers + flags + sum(levels) + sum(cast(int, sense.width) for sense in senses)
        self.form = Form(width=width, sparse=any(isinstance(sense, WeightedBag) for sense in senses))

    def forward(self, x: Tensors) -> Encoding:
        """Join the arrays."""
        parts = [*self._plain(x), *(sense(x) for sense in self.senses)]
        # A text alone has tens of thousands of places: no need to copy them.
        return Encoding((parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).unsqueeze(1))

    def entries(self, x: Tensors) -> Entries:
        """What is not zero of it."""
        read = [sense.entries(x) if isinstance(sense, WeightedBag) else Entries.of(sense(x)) for sense in self.senses]
        return Entries.beside([*map(Entries.of, self._plain(x)), *read])

    def _plain(self, x: Tensors) -> list[Tensor]:
        parts = [x[name] for name in self.names]
        return parts if self.one_hot is None else [*parts, self.one_hot(x["code"])]


class TableEmbedding(nn.Module):
    """All columns of a table as one vector: embedded numbers, flags, one-hot and embedded codes.

    Args:
        number: Embeds the number array, (R, C) -> (R, C * width), which it clips softly first; None when there are no
            numbers.
        number_chunks: Widths that ``number`` gives to each column.
        flags: F.
        cardinalities: Codes of each column of ``code``.
        category_width: Width of a learnt embedding; None: by the rule ``4 * levels^(1/4)``, from 8 to 32, for the
            largest column, and one-hot for columns of up to nine codes.
    """

    def __init__(
        self,
        number: Embedding | None,
        number_chunks: Sequence[int],
        flags: int,
        cardinalities: Sequence[int],
        category_width: int | None,
    ) -> None:
        super().__init__()
        limit = ONE_HOT_LEVELS if category_width is None else 0
        few = [k for k, count in enumerate(cardinalities) if count <= limit]
        many = [k for k, count in enumerate(cardinalities) if count > limit]
        width = category_width or _embedding_width(max(cardinalities, default=0))
        self.number: Embedding | None = number
        self.has_flags = flags > 0
        self.one_hot = OneHot(few, [cardinalities[k] for k in few]) if few else None
        self.embedding = CodeEmbedding(many, [cardinalities[k] for k in many], width) if many else None
        self.chunks = [*number_chunks, *[1] * flags, *(cardinalities[k] for k in few), *[width] * len(many)]

    def forward(self, x: Tensors) -> Tensor:
        """(R, sum of chunks)."""
        parts = [] if self.number is None else [self._embedded(self.number, x)]
        if self.has_flags:
            parts.append(x["flag"])
        if self.one_hot is not None:
            parts.append(self.one_hot(x["code"]))
        if self.embedding is not None:
            parts.append(self.embedding(x["code"]))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _embedded(self, number: Embedding, x: Tensors) -> Tensor:
        clipped_RC = x.get(ahead_of("number"))
        embedded: Tensor = number(x["number"]) if clipped_RC is None else number.of_clipped(clipped_RC)
        return embedded


class PerceptronEncoder(nn.Module):
    """Embedding, adapters of the members, trunk: one token per row and member.

    Args:
        embedding: Gives (R, D).
        trunk: (B, D) -> (B, width).
        width: Of the trunk's output.
        members: Networks inside this one; 1 has no adapters and is a plain perceptron.
    """

    def __init__(self, embedding: TableEmbedding, trunk: nn.Module, width: int, members: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.adapter = MemberScale(members, embedding.chunks) if members > 1 else nn.Identity()
        self.trunk = trunk
        self.form = Form(width=width, members=members)

    def ahead(self) -> Mapping[str, Ahead]:
        """See ``nn.encoding.Foreseeing``."""
        return {} if self.embedding.number is None else {"number": smooth_clip}

    def forward(self, x: Tensors) -> Encoding:
        """Encode."""
        x_BD = self.embedding(x)
        tokens_BD = self.trunk(self.adapter(x_BD) if self.form.members > 1 else x_BD)
        return Encoding.single(tokens_BD, self.form.members)


def _embedding_width(levels: int) -> int:
    return min(32, max(8, round(4 * math.sqrt(math.sqrt(levels)))))
