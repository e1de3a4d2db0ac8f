"""Which tensor of another maker is which of ours: read by name and shape, written back the same way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trueweight.errors import SpecError, VerifyError
from trueweight.files import shortened
from trueweight.nn.bodies import Option

__all__ = [
    "FIRST", "Architecture", "Link", "number_of", "numbers_of", "refuse_unless", "tensors_of", "theirs_of",
]  # fmt: skip

FIRST = 2
"""Rows of our table in front of theirs: the end of a text and its beginning."""

_TOLD = 20
"""Lines of tensors that do not fit: a wrong number of layers alone would make hundreds."""

_LARGEST = 1e12
"""Of numbers that a config gives: a greater one is a mistake, and no float may be made of some."""


@dataclass(frozen=True, slots=True)
class Link:
    """One tensor of theirs."""

    theirs: str
    ours: tuple[str, ...]
    """Names of ``nn.bodies`` that it holds, one below the other."""
    shape: tuple[int, ...]
    """As it is stored."""
    turned: bool = False
    """Whether its rows are our columns."""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Architecture:
    """How one kind of model is laid out."""

    name: str
    """``model_type`` of its config."""
    options: Callable[[Mapping[str, Any]], dict[str, Option]]
    """Our options of a config; raises SpecError where a part of ours cannot be so."""
    links: Callable[[Mapping[str, Option]], list[Link]]
    config: Callable[[Mapping[str, Option], bool], dict[str, Any]]
    """Their config of our options, with a head or without."""
    prefix: str
    """In front of all names where the model has a head."""
    head: str
    """What a model with a head is called."""
    bare: str
    """And without."""
    beside: tuple[str, ...]
    """How names begin, or end, that are no part of the body: heads, buffers."""


def numbers_of(config: Mapping[str, Any], names: Sequence[str], kind: str) -> list[int]:
    """Whole numbers above zero that a config must have.

    Raises:
        VerifyError: Some are missing or no such numbers; names them all.
    """
    wrong = [name for name in names if type(config.get(name)) is not int or config[name] < 1]
    if wrong:
        told = ", ".join(f"{name} ({config.get(name, 'missing')!r})" for name in wrong)
        hint = "each should be a whole number above zero"
        raise VerifyError(
            f"the config of this {kind} model cannot be understood: {told}", where="config.json", hint=hint
        )
    return [config[name] for name in names]


def number_of(config: Mapping[str, Any], name: str, usual: float, kind: str) -> float:
    """A number above zero that a config may leave out.

    Raises:
        VerifyError: It is something else.
    """
    value = config.get(name)
    if value is None:
        return usual
    if type(value) not in (int, float) or not 0 < value < _LARGEST:
        problem = f"the config of this {kind} model cannot be understood: {name} ({shortened(repr(value), 40)})"
        raise VerifyError(problem, where="config.json", hint="it should be a number above zero")
    return float(value)


def refuse_unless(config: Mapping[str, Any], usual: Mapping[str, Sequence[Any]], kind: str) -> None:
    """Refuse a config with options that our parts do not have.

    Args:
        config: Theirs.
        usual: Values that we can read; the first is what a missing key means.
        kind: For the message.

    Raises:
        SpecError: Names all of them.
    """
    wrong = [name for name, values in usual.items() if config.get(name, values[0]) not in values]
    if wrong:
        told = ", ".join(f"{name}: {config[name]!r}" for name in wrong)
        known = "; ".join(f"{name} may be {' or '.join(repr(v) for v in usual[name])}" for name in wrong)
        problem = f"this {kind} model is built in a way that no part of Trueweight is: {told}"
        raise SpecError(problem, where="config.json", hint=known)


def tensors_of(
    links: Sequence[Link], found: Mapping[str, Tensor], known: Architecture, where: str
) -> dict[str, Tensor]:
    """Theirs by our names.

    Args:
        links: What there should be.
        found: What there is.
        known: How such models are laid out.
        where: The folder, for messages.

    Raises:
        VerifyError: Tensors are missing, of other shapes, hold no weights, or there are more; tells them with shapes.
    """
    found = {_plain(name, found, known): t for name, t in found.items()}
    names = {link.theirs: link for link in links}
    wrong = [f"missing: {link.theirs} {link.shape}" for link in links if link.theirs not in found and not link.optional]
    wrong += [
        f"of another shape: {name} is {tuple(found[name].shape)} and should be {link.shape}"
        for name, link in names.items() if name in found and tuple(found[name].shape) != link.shape
    ]  # fmt: skip
    wrong += [
        f"not known: {name} {tuple(t.shape)}"
        for name, t in found.items()
        if name not in names and not name.startswith(known.beside) and not name.endswith(known.beside)
    ]
    wrong += [f"{name} {told}" for name in names if name in found and (told := _no_weights(found[name]))]
    if wrong:
        counted = f"{len(wrong):,} tensor{'s do' if len(wrong) > 1 else ' does'}"
        problem = f"{counted} not fit the config of this {known.name} model"
        hint = "is config.json the one that the weights were saved with?"
        more = [f"and {len(wrong) - _TOLD:,} more"] if len(wrong) > _TOLD else []
        raise VerifyError("\n  ".join([problem, *wrong[:_TOLD], *more]), where=where, hint=hint)
    taken: dict[str, Tensor] = {}
    for link in links:
        if link.theirs in found:
            whole = found[link.theirs].T if link.turned else found[link.theirs]
            parts = whole.chunk(len(link.ours)) if len(link.ours) > 1 else (whole,)  # counts have no axis to cut
            taken |= dict(zip(link.ours, parts, strict=True))
    return taken


def _no_weights(tensor: Tensor) -> str:
    """What is wrong with the numbers themselves; counts, which have no axis, may be whole."""
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        return f"holds whole numbers ({kind}): was it made smaller by another library?" if tensor.ndim else ""
    return "" if bool(tensor.isfinite().all()) else "holds numbers that are not finite"


def theirs_of(links: Sequence[Link], ours: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The inverse of :func:`tensors_of`."""
    made = {}
    for link in links:
        if all(name in ours for name in link.ours):
            whole = torch.cat([ours[name] for name in link.ours]) if len(link.ours) > 1 else ours[link.ours[0]]
            made[link.theirs if link.theirs == "lm_head.weight" else prefix + link.theirs] = (
                whole.T if link.turned else whole
            ).contiguous()
    return made


def _plain(name: str, found: Mapping[str, Tensor], known: Architecture) -> str:
    """Without what a head puts in front, and as newer versions call it."""
    if any(other.startswith(known.prefix) for other in found):
        name = name.removeprefix(known.prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
