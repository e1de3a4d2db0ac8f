"""What a recipe says about columns of one sense: texts, pictures, sounds or series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Raw", "SenseRecipe"]

Raw = Mapping[str, Any]
"""A part as plain data: its ``type`` and what differs from the part's own defaults."""


@dataclass(frozen=True, slots=True)
class SenseRecipe:
    """The defaults of one column type."""

    encoder: Sequence[Raw]
    """One part, or several in a row."""
    augment: Sequence[Raw] = ()
    presets: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    """Encoders of the presets that take another one."""
    climbs: bool = False
    """Whether solved models are so good on such columns that a network is begun only where it promises
    something: see ``model.members.climbs``."""
    further: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    """By preset: encoders that further members climb to, one after the other."""
    options: Mapping[str, Raw] = field(default_factory=dict)
    """By preset: options of the column that are left open, and that what it climbs to needs."""
    rows_seen: int | None = None
    """Training examples, repeats included, after which a network has learnt what it will from such columns; None: it
    learns as long as the budget lasts."""

    def encoder_of(self, preset: str) -> Sequence[Raw]:
        """The encoder of a preset."""
        return self.presets.get(preset, self.encoder)
