"""Whether a method's parameters come out again: the p of a test, its thresholds, how many draws it took."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["different_parameters"]

RELATIVE = 1e-4
"""Of numbers: as of values."""

ROUNDING = 1e-9
"""Of everything, and so of chances as small as this: they are not told apart."""

ROUNDED = {"p": 1e-2}
"""Of what is written with three or four digits: rounding in float32 may move the last of them."""


def different_parameters(before: Mapping[str, Any], after: Mapping[str, Any], whole: bool) -> str:
    """What is wrong with stored parameters, or nothing.

    Args:
        before: Stored in the bundle.
        after: Of the same method, measured again.
        whole: Whether the same version wrote both, so that a parameter may neither be lacking nor be added.
    """
    for key in before:
        if key not in after:
            if whole:
                return f"its method's {key!r} is not measured again, {_shown(before[key])} stored"
        elif not _agree(before[key], after[key], ROUNDED.get(key, RELATIVE)):
            return f"its method's {key!r} is {_shown(before[key])}, {_shown(after[key])} measured"
    left = next((key for key in after if key not in before), None)
    return f"its method's {left!r} is left out, {_shown(after[left])} measured" if whole and left is not None else ""


def _agree(before: Any, after: Any, relative: float) -> bool:
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, int | float) and isinstance(after, int | float):
        if isinstance(before, int) and isinstance(after, int):
            return before == after
        return abs(before - after) <= relative * abs(after) + ROUNDING * max(1.0, abs(after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_agree(before[k], after[k], relative) for k in after)
    if _is_list(before) and _is_list(after):
        return len(before) == len(after) and all(_agree(b, a, relative) for b, a in zip(before, after, strict=True))
    return bool(before == after)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
