"""Columns of text that share one vocabulary share one table of tokens, whether they are read or written."""

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from trueweight.data.field import Field
from trueweight.data.text_codec import TextCodec
from trueweight.errors import SpecError
from trueweight.model.target import HeadType
from trueweight.nn.decoder import TransformerDecoder
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.stems import TokenStem

__all__ = ["tie_tables"]


def tie_tables(
    encoders: Mapping[str, nn.Module], fields: Mapping[str, Field], heads: Mapping[str, nn.Module],
    targets: Mapping[str, tuple[HeadType, Mapping[str, Any]]],
) -> None:  # fmt: skip
    """Let columns that are ``like`` each other look tokens up in one table; a target that copies and what it copies
    from do so where their widths allow it.

    Source: Press and Wolf 2017, "Using the output embedding to improve language models", arXiv:1608.05859, section 3,
    which ties all three tables of a translator.

    Args:
        encoders: Modules by field.
        fields: Columns with their codecs, by field.
        heads: Modules by target.
        targets: Heads' specs and what they learnt, by target.

    Raises:
        SpecError: Tables that are to be one have different widths.
    """
    likes, copied = _likes(fields, targets), _copied(targets)
    if not likes and not copied:
        return
    written = {name: table for name, head in heads.items() if (table := _written(head)) is not None}
    read = {
        next(iter(fields[name].codecs)): stem for name, encoder in encoders.items()
        if fields[name].sensed and (stem := _stem(encoder)) is not None
    }  # fmt: skip
    for root in dict.fromkeys(_root(name, likes) for name in likes):
        names = [name for name in [*written, *read] if _root(name, likes) == root]
        if len(names) > 1:
            _tie(names, written, read)
    for name, source in copied.items():
        if name in written and source in read and written[name].weight.shape == read[source].embedding.weight.shape:
            _tie([name, source], written, read)


def _copied(targets: Mapping[str, tuple[HeadType, Mapping[str, Any]]]) -> dict[str, str]:
    return {name: learnt["copied_from"] for name, (_, learnt) in targets.items() if "copied_from" in learnt}


def _likes(
    fields: Mapping[str, Field], targets: Mapping[str, tuple[HeadType, Mapping[str, Any]]]
) -> dict[str, str]:  # fmt: skip
    found = {
        column: codec.like for field in fields.values() for column, codec in field.codecs.items()
        if isinstance(codec, TextCodec) and codec.like is not None
    }  # fmt: skip
    texts = {name: cast(Any, part).like for name, (part, _) in targets.items() if part.type == "text"}
    return found | {name: like for name, like in texts.items() if like is not None}


def _root(name: str, likes: Mapping[str, str]) -> str:
    while name in likes:
        name = likes[name]
    return name


def _tie(names: list[str], written: Mapping[str, nn.Embedding], read: Mapping[str, TokenStem]) -> None:
    """One that writes lends its table where there is one: those that only read begin without a row for the end."""
    tables = {name: written[name] if name in written else read[name].embedding for name in names}
    first = tables[names[0]]
    for name in names[1:]:
        if tables[name].weight.shape != first.weight.shape:
            widths = " and ".join(f"that of {one!r} is {tables[one].embedding_dim} wide" for one in (names[0], name))
            hint = "give the encoders and decoders of columns that are like each other the same width"
            raise SpecError(f"they cannot share one table of tokens: {widths}", where=f"{name}.like", hint=hint)
        tables[name].weight = first.weight
    for name in names:
        if name in read:
            read[name].shared = True


def _written(head: nn.Module) -> nn.Embedding | None:
    found = [inner for inner in head.modules() if isinstance(inner, TransformerDecoder | LstmDecoder)]
    return found[0].embedding if len(found) == 1 else None


def _stem(encoder: nn.Module) -> TokenStem | None:
    found = [inner for inner in encoder.modules() if isinstance(inner, TokenStem)]
    return found[0] if len(found) == 1 else None
