"""One measured fact, and the list of them that travels with a model (schema 1; see docs/evidence.md)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Literal, get_args

from trueweight.errors import VerifyError
from trueweight.files import require_types, shortened

__all__ = ["NOT_AGAIN", "SCHEMA", "Curve", "Data", "Entry", "Evidence", "Interval", "Method", "Status"]

SCHEMA = 1

NOT_AGAIN = ("cost", "fit", "ledger", "search")
"""Axes that are not measured again: seconds never come out twice, looks add up, and a search takes its whole budget."""

Status = Literal["measured", "estimated", "bounded", "claimed", "not_run", "not_applicable", "failed"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the value would lie on other data of the same kind."""

    low: float
    high: float
    level: float
    """Share of repetitions that such an interval covers, e.g. 0.95."""
    method: str
    """How it was found: "bootstrap", "clopper-pearson", "paired bootstrap"."""


@dataclass(frozen=True, slots=True)
class Method:
    """What computed the value, exactly enough to compute it again."""

    name: str
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """Which rows the value was computed on."""

    digest: str
    role: str
    """"train", "validation", "calibration", "test", "all", or "other" for rows that came later."""


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a few points, for what one number cannot tell: "roc", "reliability", the score over training."""

    x: str
    """What goes along, in the words of metrics: "false_positive_rate"."""
    y: str
    """What goes up."""
    points: tuple[Point, ...]
    """At most some 60 pairs (x, y), each of at least ``bundle.min_group`` rows if it is of rows at all."""
    band: tuple[Point, ...] = ()
    """Low and high end around each y, or nothing."""
    n: tuple[int, ...] = ()
    """Rows that each point adds, or nothing."""

    def __post_init__(self) -> None:
        if any(beside and len(beside) != len(self.points) for beside in (self.band, self.n)):
            raise ValueError(f"a curve of {self.y!r} has {len(self.points)} points, but other counts beside them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact. An estimate has n and an interval; readings and counts have neither and say so by null."""

    id: str
    """Unique in its list, stable between runs: "quality/fraud/roc_auc/test"."""
    axis: str
    """What it is about: "quality", "baseline", "comparison", "verdict", "data", "cost" and so on, or the name of the
    check that found it, such as "honesty"."""
    metric: str
    target: str | None = None
    slice: str | None = None
    value: float | int | str | None = None
    unit: str | None = None
    interval: Interval | None = None
    n: int | None = None
    """Rows (or clusters) that the value rests on."""
    status: Status = "measured"
    reason: str | None = None
    """Why, for statuses other than measured."""
    method: Method | None = None
    data: Data | None = None
    cost: Mapping[str, float] | None = None
    """Seconds (and joules, where there is a meter) that finding the value took."""
    reproduce: str | None = None
    """A command that measures it again."""
    depends_on: tuple[str, ...] = ()
    produced_at: str | None = None
    """UTC, ISO 8601."""
    code_digest: str | None = None
    curve: Curve | None = None
    """A line behind the fact. ``value`` is then the number of its points, unless the fact has a value of its own."""

    def __post_init__(self) -> None:
        if self.status in ("not_run", "not_applicable", "failed") and not self.reason:
            raise ValueError(f"{self.id}: status {self.status} needs a reason")


@dataclass(frozen=True, slots=True)
class Evidence(Sequence[Entry]):
    """The facts of one model, in the order they were found."""

    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.id in seen:
                raise ValueError(f"two entries are called {entry.id!r}")
            seen.add(entry.id)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        return self.entries[index]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def find(self, id: str) -> Entry:
        """The entry with this id.

        Raises:
            KeyError: There is none.
        """
        for entry in self.entries:
            if entry.id == id:
                return entry
        raise KeyError(id)

    def select(self, *, axis: str | None = None, target: str | None = None, metric: str | None = None) -> list[Entry]:
        """Entries that match everything given."""
        wanted = {"axis": axis, "target": target, "metric": metric}
        fixed = {key: value for key, value in wanted.items() if value is not None}
        return [e for e in self.entries if all(getattr(e, key) == value for key, value in fixed.items())]

    def _repr_html_(self) -> str:
        """A table for notebooks; what was not measured is shown with its reason."""
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(e))}</tr>" for e in self)
        head = "".join(f"<th>{name}</th>" for name in ("id", "value", "interval", "n", "status"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``evidence.json``."""
        return {"schema": SCHEMA, "entries": [_plain(entry) for entry in self.entries]}

    @classmethod
    def from_json(cls, raw: Any) -> "Evidence":
        """The inverse of :meth:`to_json`.

        Raises:
            VerifyError: Not evidence of this schema.
        """
        try:
            if raw["schema"] != SCHEMA:
                raise VerifyError(f"evidence has schema {raw['schema']!r}, this version reads {SCHEMA}")
            return cls(tuple(_entry(item) for item in raw["entries"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VerifyError(f"evidence.json does not hold evidence: {error}") from None


def _cells(entry: Entry) -> tuple[str, ...]:
    value = f"{entry.value:.4g}" if isinstance(entry.value, float) else str("–" if entry.value is None else entry.value)
    unit = f" {entry.unit}" if entry.unit and entry.value is not None else ""
    found = entry.interval
    interval = f"{found.low:.4g} … {found.high:.4g}" if found else ""
    status = entry.status.replace("_", " ") + (f": {entry.reason}" if entry.reason else "")
    return entry.id, value + unit, interval, "" if entry.n is None else f"{entry.n:,}", status


def _plain(entry: Entry) -> dict[str, Any]:
    raw = asdict(entry)
    raw["depends_on"] = list(entry.depends_on)
    if entry.curve is None:
        del raw["curve"]  # most facts have none
    else:
        raw["curve"] = {"x": entry.curve.x, "y": entry.curve.y, "points": [list(p) for p in entry.curve.points]}
        raw["curve"] |= {"band": [list(ends) for ends in entry.curve.band]} if entry.curve.band else {}
        raw["curve"] |= {"n": list(entry.curve.n)} if entry.curve.n else {}
    return raw


_TEXTS = ("target", "slice", "unit", "reason", "reproduce", "produced_at", "code_digest")

_TYPES: dict[type, dict[str, Any]] = {
    Entry: {
        "id": str, "axis": str, "metric": str, "status": str, "value": float | int | str | None, "n": int | None,
        "interval": Mapping | None, "method": Mapping | None, "data": Mapping | None, "cost": Mapping | None,
        "depends_on": list | tuple, "curve": Mapping | None, **dict.fromkeys(_TEXTS, str | None),
    },
    Interval: {"low": float | int, "high": float | int, "level": float | int, "method": str},
    Method: {"name": str, "version": str, "parameters": Mapping, "seed": int | None},
    Data: {"digest": str, "role": str},
    Curve: {"x": str, "y": str, "points": list | tuple, "band": list | tuple, "n": list | tuple},
}  # fmt: skip
"""What may stand in ``evidence.json``; its digests may be forged."""


def _entry(raw: dict[str, Any]) -> Entry:
    nested = {"interval": Interval, "method": Method, "data": Data}
    require_types(raw, _TYPES[Entry], f"the fact {shortened(str(raw['id']), 60)!r}")
    if raw.get("status", "measured") not in get_args(Status):
        raise VerifyError(f"the fact {raw['id']!r} has the status {raw['status']!r}, which there is not")
    cost = raw.get("cost") or {}
    require_types(cost, dict.fromkeys(cost, float | int), f"the cost of {raw['id']!r}")
    for key, kind in nested.items():
        require_types(raw.get(key) or {}, _TYPES[kind], f"the {key} of {raw['id']!r}")
    built = {key: kind(**raw[key]) for key, kind in nested.items() if raw.get(key) is not None}
    if (ends := built.get("interval")) is not None and not ends.low <= ends.high:
        raise VerifyError(f"the interval of {raw['id']!r} goes from {ends.low!r} down to {ends.high!r}")
    if raw.get("curve") is not None:
        built["curve"] = _curve(raw["curve"], f"the curve of {raw['id']!r}")
    return Entry(**{**raw, **built, "depends_on": tuple(raw.get("depends_on", ()))})


def _curve(raw: Mapping[str, Any], what: str) -> Curve:
    require_types(raw, _TYPES[Curve], what)
    if not all(type(count) is int for count in raw.get("n", ())):
        raise VerifyError(f"{what} has a count that is no whole number")
    points, band = _points(raw["points"], what), _points(raw.get("band", ()), what)
    return Curve(raw["x"], raw["y"], points, band, tuple(raw.get("n", ())))


def _points(raw: Sequence[Any], what: str) -> tuple[Point, ...]:
    for pair in raw:
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(end) in (float, int) for end in pair):
            raise VerifyError(f"{what} has a point {shortened(repr(pair), 60)}, which is no pair of numbers")
    return tuple((float(x), float(y)) for x, y in raw)
