"""Tensors whose first axis is a slot, and which grow with what is put into them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor

__all__ = ["Store"]

Tensors = Mapping[str, Tensor]


class Store:
    """Tensors by name. What nobody has written is zero."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def put(self, slots: Sequence[int], given: Tensors, *, slots_at_most: int, clean: bool = False) -> None:
        """Put rows into slots, each tensor into the first places of the slot's.

        Args:
            slots: One for each row, in rising order.
            given: First axes the rows.
            slots_at_most: That there will ever be.
            clean: Make what is behind the given places zero.
        """
        alone = all(after == before + 1 for before, after in pairwise(slots))
        at: slice | list[int] = slice(slots[0], slots[-1] + 1) if alone else list(slots)
        for name, t in given.items():
            most = slots[-1] + 1
            held = self.tensors.get(name)
            if held is not None and len(held) < most:
                most = min(slots_at_most, 2 * most)
            held = self._fitted(name, t, most)
            if clean and held.shape[1:] != t.shape[1:]:
                held[at] = 0
            held[(at, *(slice(0, size) for size in t.shape[1:]))] = t

    def widen(self, like: Tensors) -> None:
        """Make slots at least as large as those of ``like``."""
        for name, t in like.items():
            self._fitted(name, t, 0)

    def move(self, sources: Sequence[int], goals: Sequence[int]) -> None:
        """Copy slots over others, which are not copied themselves. A slot that nothing was ever put into has nothing to
        copy."""
        for t in self.tensors.values():
            pairs = [pair for pair in zip(sources, goals, strict=True) if max(pair) < len(t)]
            if pairs:
                from_here, to_there = map(list, zip(*pairs, strict=True))
                t[to_there] = t[from_here]

    @property
    def bytes(self) -> int:
        """All that is held."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def some(self, start: int, slots: int) -> dict[str, Tensor]:
        """Some slots, not copied."""
        return {name: t[start : start + slots] for name, t in self.tensors.items()}

    def _fitted(self, name: str, like: Tensor, slots: int) -> Tensor:
        held = self.tensors.get(name)
        if held is None:
            found = like.new_zeros(slots, *like.shape[1:])
        else:
            shape = [max(pair) for pair in zip(held.shape, (slots, *like.shape[1:]), strict=True)]
            if shape == list(held.shape):
                return held
            found = held.new_zeros(shape)
            found[tuple(slice(0, size) for size in held.shape)] = held
        self.tensors[name] = found
        return found
