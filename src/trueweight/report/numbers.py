"""Numbers of evidence as people read them."""

from trueweight.evidence.record import Entry
from trueweight.metrics.words import digits_for, plain, shown, signed

__all__ = ["ends", "in_bytes", "is_share", "number", "percent", "short", "spoken", "value_of"]

_SHARES = ("accuracy", "balanced_accuracy", "coverage", "recall", "precision")


def value_of(entry: Entry) -> float | None:
    """The value if it is a number."""
    return None if entry.value is None or isinstance(entry.value, str) else float(entry.value)


def short(text: str, most: int = 80) -> str:
    """A text on one line, cut where nobody would read on."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def number(entry: Entry) -> str:
    """The value alone: "0.831", "1,204", a sentence, or a dash."""
    if entry.value is None:
        return "–"
    if isinstance(entry.value, str):
        return short(entry.value, 200)
    if isinstance(entry.value, int):
        return f"{entry.value:,}"
    low, high = (entry.interval.low, entry.interval.high) if entry.interval else (None, None)
    return shown(entry.value, low, high)[0]


def ends(entry: Entry) -> tuple[str, str] | None:
    """Both ends of the interval, rounded like the value."""
    if entry.interval is None or (value := value_of(entry)) is None:
        return None
    decimals = digits_for((entry.interval.high - entry.interval.low) / 2, value)
    return plain(entry.interval.low, decimals), plain(entry.interval.high, decimals)


def is_share(entry: Entry) -> bool:
    """Whether the value is a share of rows, which is said in percent."""
    return entry.unit == "share" or entry.metric.partition("[")[0] in _SHARES


def percent(value: float, half_width: float | None = None) -> str:
    """A share in percent, with as many digits as are known."""
    hundred = 100 * value
    digits = 1 if half_width is None else min(2, max(0, digits_for(100 * half_width, hundred) - 1))
    return f"{plain(hundred, digits)} %"


def spoken(entry: Entry, *, plus: bool = False) -> tuple[str, str, str]:
    """Value and ends for sentences: shares in percent, others as they are; ends are "" without interval."""
    value = value_of(entry)
    if value is None:
        return number(entry), "", ""
    half = (entry.interval.high - entry.interval.low) / 2 if entry.interval else None
    if is_share(entry) and not plus:
        said = [
            percent(x, half) for x in (value, *((entry.interval.low, entry.interval.high) if entry.interval else ()))
        ]
    else:
        write, decimals = (signed if plus else plain), digits_for(half, value)
        said = [
            write(x, decimals) for x in (value, *((entry.interval.low, entry.interval.high) if entry.interval else ()))
        ]
    return (said[0], said[1], said[2]) if len(said) == 3 else (said[0], "", "")


def in_bytes(count: int) -> str:
    """A size: "394 kB"."""
    size, units = float(count), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
