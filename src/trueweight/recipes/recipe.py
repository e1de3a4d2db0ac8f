"""What a recipe says about columns of one sense: texts, pictures, sounds or series."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Effort", "Patient", "Raw", "SenseRecipe"]

_NUMBERS = frozenset({"number", "vector"})

Raw = Mapping[str, Any]
"""A part as plain data: its ``type`` and what differs from the part's own defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What a preset is for columns of one sense, where it differs from the recipe for tables; None: it does not."""

    members: Sequence[str] = ()
    """Models that are blended beside those of the recipe for tables: "linear", "mlp" (the network)."""
    seconds: float | None = None
    """Default budget of fitting."""
    epochs: int | None = None
    """Most passes over the training rows."""
    optimizer: Raw | None = None
    """Other than that of the sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is chosen together for long runs on many rows, as plain data."""

    encoder: Raw
    augment: Sequence[Raw]
    head: Raw
    """Options of the target."""
    train: Raw
    """Options of ``train``."""


@dataclass(frozen=True, slots=True)
class SenseRecipe:
    """The defaults of one column type."""

    encoder: Sequence[Raw]
    """One part, or several in a row."""
    augment: Sequence[Raw] = ()
    presets: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    """Encoders of the presets that take another one."""
    quick: Sequence[Raw] = ()
    """The encoder where the budget is short: smaller, so that it takes enough steps; () for the same."""
    hurried: float = float("inf")
    """Rows for each second of the budget from which on ``quick`` is taken."""
    patient: Sequence[Raw] = ()
    """The encoder where there is much time for each of many rows: wider, since it has not learnt them by heart when the
    time is over; () for the same."""
    patience: float = 0.0
    """Pixels for each second of the budget up to which ``patient`` is taken: larger pictures take more time."""
    many: int = 0
    """Rows from which on it is."""
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
    efforts: Mapping[str, Effort] = field(default_factory=dict)
    """By preset."""
    optimizer: Raw | None = None
    """Who moves the weights; None: who moves those of tables."""
    for_numbers: Raw | None = None
    """The same where numbers are told; None: the same."""

    def optimizer_for(self, targets: Iterable[str]) -> Raw | None:
        """Who moves the weights of what tells targets of these types."""
        return self.for_numbers if self.for_numbers and _NUMBERS & set(targets) else self.optimizer

    def patient_with(self, rows: int, hurry: float, pixels: float) -> bool:
        """Whether there is much time for each of many rows.

        Args:
            rows: Of the table.
            hurry: Rows for each second of the budget; 0 where no clock ends the run.
            pixels: Of a row.
        """
        return bool(self.patient) and rows >= self.many and 0 < hurry * pixels <= self.patience

    def encoder_of(self, preset: str, hurry: float, *, patient: bool = False) -> Sequence[Raw]:
        """The encoder of a preset, where there are so many rows for each second, or much time for each."""
        if self.quick and hurry >= self.hurried:
            return self.quick
        return self.patient if patient else self.presets.get(preset, self.encoder)
