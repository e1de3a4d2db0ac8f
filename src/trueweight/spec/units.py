"""Fields with units: durations as ``20m``, sizes as ``8GB``, shares as ``1%``. Stored as plain numbers."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

__all__ = [
    "Bytes", "Duration", "Share", "UpToAll", "describe_bytes", "describe_seconds", "parse_bytes", "parse_duration",
    "share_of",
]  # fmt: skip

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_duration(value: Any) -> Any:
    """Seconds of ``"1h30m"``, ``"90s"``, ``"2 min"`` or a number of seconds; other values pass through.

    Raises:
        ValueError: A text that is not a duration.
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    pieces = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text)
    if not pieces or re.sub(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", "", text) or any(u not in _SECONDS for _, u in pieces):
        raise ValueError("not a duration: write 90s, 20m, 1h30m or 30d")
    return sum(float(number) * _SECONDS[unit] for number, unit in pieces)


def parse_bytes(value: Any) -> Any:
    """Bytes of ``"8GB"``, ``"512 MiB"`` or a whole number; other values pass through.

    Raises:
        ValueError: A text that is not a size.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    unit = (match[2].upper() or "B") if match else ""
    if match is None or unit not in _BYTES:
        raise ValueError("not a size: write 8GB or 512MiB")
    return int(float(match[1]) * _BYTES[unit])


def _parse_share(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip().removesuffix("%")) / 100
    return value


def share_of(value: Any) -> float | None:
    """A share as a field would read it, or None for what is none."""
    try:
        found = _parse_share(value)
        return None if found is None or isinstance(found, bool) else float(found)
    except (TypeError, ValueError):
        return None


def describe_seconds(seconds: float) -> str:
    """A duration as people say it: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def describe_bytes(count: float) -> str:
    """A size as people say it: ``812 B``, ``3.4 MB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


_LONGEST = 10 * 365 * 86400

Duration = Annotated[
    float, BeforeValidator(parse_duration, json_schema_input_type=float | str), Field(gt=0, le=_LONGEST)
]
"""Seconds, more than 0."""

Bytes = Annotated[int, BeforeValidator(parse_bytes, json_schema_input_type=int | str), Field(gt=0)]
"""Bytes, more than 0."""

Share = Annotated[float, BeforeValidator(_parse_share, json_schema_input_type=float | str), Field(ge=0, lt=1)]
"""A share of the whole, from 0 to just under 1; ``1%`` is 0.01."""

UpToAll = Annotated[float, BeforeValidator(_parse_share, json_schema_input_type=float | str), Field(ge=0, le=1)]
"""A share of the whole, which may be all of it."""
