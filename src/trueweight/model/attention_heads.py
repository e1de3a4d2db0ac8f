"""How heads of attention share a width: what the specs of transformers have in common."""

from collections.abc import Iterator, Mapping
from typing import Any

from trueweight.spec.base import Conflict

__all__ = ["HEADS", "WIDTH", "share_of", "uneven_heads"]

WIDTH, HEADS = 128, 4
"""Unless asked for."""


def share_of(options: Mapping[str, Any]) -> int:
    """Places of each head; 0 where width or heads make no sense by themselves, or do not go together."""
    width, heads = options.get("width", WIDTH), options.get("heads", HEADS)
    whole = all(isinstance(value, int) and value > 0 for value in (width, heads))
    return width // heads if whole and not width % heads else 0


def uneven_heads(options: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[Conflict]:
    """A width that the heads cannot share evenly.

    Args:
        options: With what a layout fills in.
        raw: As written.
    """
    width, heads = options.get("width", WIDTH), options.get("heads", HEADS)
    whole = all(isinstance(value, int) and value > 0 for value in (width, heads))
    if whole and width % heads:
        problem = f"width {width} cannot be shared evenly by {heads} heads"
        yield Conflict(("heads" if "heads" in raw else "width",), problem)
