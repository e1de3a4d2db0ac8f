"""What was measured for one run, remembered for the next of the same on the same machine, which then begins at once."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from trueweight.errors import VerifyError
from trueweight.evidence.meters import machine
from trueweight.files import cache_dir, digest_compact, private_dir, read_json, write_json

__all__ = ["Pace", "pace_path", "usual"]

_MOST = 4.0
"""How far one run may move what is remembered: a machine that slept, or a clock that jumped, says little."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How one member trains here."""

    batch_size: int
    """Rows per step."""
    memory_bytes: int
    """Predicted need."""
    seconds_per_step: float
    seconds_per_look: float

    @classmethod
    def recalled(cls, path: Path | None) -> "Pace | None":
        """What is remembered there; None if it is nothing, or cannot be read."""
        if path is None or not path.is_file():
            return None
        try:
            raw = read_json(path)
        except VerifyError:
            return None
        whole = isinstance(raw, dict) and raw.keys() == {f.name for f in fields(cls)}
        if not whole or not all(isinstance(value, int | float) and value > 0 for value in raw.values()):
            return None
        return cls(**raw)

    def remember(self, path: Path | None) -> None:
        """For the next run."""
        if path is not None:
            write_json(path, asdict(self))

    def corrected(self, ratio: float) -> "Pace":
        """After a run that took ``ratio`` times as long as this said.

        It only ever gets faster: whatever else the machine does makes runs slower, and a plan of too many steps is cut
        back, while one of too few wastes the budget.
        """
        factor = min(max(ratio, 1 / _MOST), 1.0)
        step, look = self.seconds_per_step * factor, self.seconds_per_look * factor
        return replace(self, seconds_per_step=step, seconds_per_look=look)

    def faster(self, per_step: float, per_look: float) -> "Pace":
        """The smaller of these times and those."""
        step, look = min(self.seconds_per_step, per_step), min(self.seconds_per_look, per_look)
        return replace(self, seconds_per_step=step, seconds_per_look=look)


def pace_path(*parts: Any) -> Path:
    """Where in the cache a pace is kept, by everything that decides it: the parts given, the machine, and the versions.

    Args:
        parts: Plain JSON.
    """
    address = digest_compact([*parts, machine(), torch.get_num_threads()])
    return private_dir(cache_dir() / "paces") / f"{address}.json"


def usual(times: list[float]) -> float:
    """Seconds of a step, from a few: the lower quartile, since whatever else the machine does only adds to them.

    A plan of too many steps is cut back when its run turns out slow; one of too few would waste the budget.
    """
    return sorted(times)[len(times) // 4]
