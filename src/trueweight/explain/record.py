"""What an explanation is: numbers for parts of rows, or curves, or changed rows; and what its checks say of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from trueweight.evidence.record import Interval

__all__ = [
    "SCHEMA", "Attribution", "Change", "Curve", "Example", "Explanation", "Explanations", "Part", "Proof", "Stage",
    "Weight",
]  # fmt: skip

SCHEMA = 1

Status = Literal["measured", "not_applicable", "failed"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a row: a column, or a place within one."""

    column: str
    place: tuple[int, ...] = ()
    """Of texts (word,), of pictures (top, left, bottom, right) in pixels, of series (first step, end), of sounds the
    same in milliseconds; () for the whole cell."""
    shown: str = ""
    """The cell, or the word."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much each part of one row moves its answer."""

    row: int
    """Number in the source, from 0."""
    output: str
    """The class or label whose probability is told; "" for numbers."""
    answer: float
    """Probability of the class, or the number."""
    baseline: float
    """The answer where every part is replaced."""
    parts: tuple[Part, ...]
    values: tuple[float, ...]
    """One for each part; above 0 raises the answer."""
    errors: tuple[float, ...] | None = None
    """Standard error of each, where it is an estimate."""
    gap: float | None = None
    """By how much the values miss ``answer - baseline``, as a share of it; where they are to sum up to it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The answer while one column takes one value after the other."""

    column: str
    output: str
    grid: tuple[Any, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Ends of a 95 % interval of the mean."""
    share: tuple[float, ...]
    """Of training rows near each value, as far as the Signature tells: where it is small, the curve is a guess."""
    rows: tuple[int, ...] = ()
    single: tuple[tuple[float, ...], ...] = ()
    """Individual conditional expectation: the same for some rows."""


@dataclass(frozen=True, slots=True)
class Change:
    """The smallest change found that turns one answer."""

    row: int
    before: str
    after: str | None
    """None where no change of up to four columns was found."""
    cells: tuple[tuple[str, str, str], ...] = ()
    """Column, cell before, cell after."""
    distance: float | None = None
    """Sum over changed columns: of numbers the share of training rows that lie between, of others 1."""


@dataclass(frozen=True, slots=True)
class Example:
    """A kept row that resembles one."""

    row: int
    kept: int
    """Number of the kept row."""
    distance: float
    """Mean over columns: of numbers the share of training rows between, of others 0 or 1."""
    same_answer: bool
    cells: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weight:
    """How much worse the score becomes when a column is shuffled."""

    column: str
    value: float
    interval: Interval | None
    metric: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of shuffling a network's weights from the answer downwards."""

    layers: int
    """Layers that were shuffled, counted from the answer, of the deepest network."""
    of: int
    """Layers there are."""
    likeness: float
    """Mean rank correlation of the explanations with those of the network as it is."""
    answers: float
    """Correlation of the answers with those of the network as it is."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One check of an explanation."""

    name: str
    """"deletion", "insertion", "randomised weights", "stability", "completeness", "turns"."""
    status: Literal["passed", "failed", "not_applicable"]
    value: float | None = None
    interval: tuple[float, float] | None = None
    n: int = 0
    reason: str = ""
    """What it found, in plain words."""
    stages: tuple[Stage, ...] = ()
    """Of randomised weights: how the explanation changed, layer by layer."""


Item = Attribution | Curve | Change | Example | Weight


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one method says of one target."""

    method: str
    target: str
    items: tuple[Item, ...] = ()
    column: str = ""
    """Of explanations within the cells of one column."""
    proofs: tuple[Proof, ...] = ()
    status: Status = "measured"
    """Failed if one of the proofs is: it is then not to be drawn."""
    reason: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def shown(self) -> bool:
        """Whether it may be drawn."""
        return self.status == "measured"

    def to_json(self) -> dict[str, Any]:
        """Plain data. Of a failed explanation only the checks are told, not what it says."""
        raw = asdict(self) | {"items": [_plain(item) for item in self.items] if self.shown else []}
        return {key: _finite(value) for key, value in raw.items()}


@dataclass(frozen=True, slots=True)
class Explanations(Sequence[Explanation]):
    """All that was found for some rows of a source."""

    entries: tuple[Explanation, ...]
    bundle: str = ""
    digest: str = ""
    """Of the source's rows."""
    seed: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        return self.entries[index]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.entries)

    def select(self, method: str, target: str | None = None) -> list[Explanation]:
        """Those of one method."""
        return [e for e in self.entries if e.method == method and target in (None, e.target)]

    def to_json(self) -> dict[str, Any]:
        """Plain data for a file."""
        return {
            "schema": SCHEMA, "bundle": self.bundle, "data": self.digest, "seed": self.seed,
            "explanations": [entry.to_json() for entry in self.entries],
        }  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        """One flat row for each number, for a table: method, target, status, row, column, place, value, …"""
        return [line for entry in self.entries for line in _lines(entry)]


def _plain(item: Item) -> dict[str, Any]:
    return {"kind": type(item).__name__.lower(), **asdict(item)}


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


COLUMNS = (
    "method", "target", "status", "row", "output", "column", "place", "cell", "value", "error", "low", "high", "reason",
)  # fmt: skip
"""Of :meth:`Explanations.lines`."""


def _lines(entry: Explanation) -> Iterator[dict[str, Any]]:
    blank: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "method": entry.method,
        "target": entry.target,
        "status": entry.status,
    }
    if not entry.shown:
        yield blank | {"column": entry.column or None, "reason": entry.reason}
        return
    for item in entry.items:
        for line in _of_item(item):
            yield blank | line


def _of_item(item: Item) -> Iterator[dict[str, Any]]:
    match item:
        case Attribution():
            errors = item.errors or (None,) * len(item.parts)
            for part, value, error in zip(item.parts, item.values, errors, strict=True):
                place = "-".join(map(str, part.place)) or None
                yield {"row": item.row, "output": item.output or None, "column": part.column, "place": place,
                       "cell": part.shown or None, "value": value, "error": error}  # fmt: skip
        case Curve():
            for value, mean, low, high in zip(item.grid, item.mean, item.low, item.high, strict=True):
                yield {"output": item.output or None, "column": item.column, "cell": str(value), "value": mean,
                       "low": low, "high": high}  # fmt: skip
        case Change():
            for column, before, after in item.cells:
                yield {"row": item.row, "output": item.after, "column": column, "cell": f"{before} -> {after}",
                       "value": item.distance}  # fmt: skip
            if item.after is None:
                yield {"row": item.row, "reason": "no change of up to four columns was found that turns the answer"}
        case Example():
            yield {"row": item.row, "place": str(item.kept), "value": item.distance}
        case Weight():
            ends = {} if item.interval is None else {"low": item.interval.low, "high": item.interval.high}
            yield {"column": item.column, "output": item.metric, "value": item.value, **ends}
