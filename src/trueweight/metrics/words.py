"""Numbers and verdicts as people read them."""

import math

from trueweight.metrics.compare import Difference

__all__ = ["brief", "counted", "digits_for", "plain", "shown", "signed", "verdict"]

_MINUS, _ELLIPSIS = "−", "…"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 row``, ``1,200 rows``: a count with its noun, and what follows it if that changes too."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def digits_for(half_width: float | None, value: float) -> int:
    """Decimals that are worth showing: two significant digits of the interval's half width, may be negative.

    Without an interval, three significant digits of the value.
    """
    if half_width is not None and math.isfinite(half_width) and half_width > 0:
        return 1 - math.floor(math.log10(half_width))
    if value == 0 or not math.isfinite(value):
        return 2
    return 2 - math.floor(math.log10(abs(value)))


def plain(value: float, decimals: int, *, ascii: bool = False) -> str:
    """A number with so many decimals; negative ones round to tens, hundreds, …; with a real minus sign."""
    if not math.isfinite(value):
        text = "nan" if math.isnan(value) else "-inf" if value < 0 else "inf"
    elif decimals > 6:
        text = f"{value:.3g}"  # 0.000000123 is read worse than 1.23e-07
    else:
        rounded = round(value, decimals) + 0.0  # + 0.0: no "-0.00"
        text = f"{rounded:,.{max(decimals, 0)}f}"
        # Rounding may leave a zero with a sign only in the text.
        text = text.removeprefix("-") if not any(c in "123456789" for c in text) else text
    return text if ascii else text.replace("-", _MINUS, 1) if text.startswith("-") else text


def brief(value: float, digits: int = 3) -> str:
    """A number of so many significant digits within a sentence, with a real minus sign: "−0.0123"."""
    return f"{value:.{digits}g}".replace("-", _MINUS)


def signed(value: float, decimals: int, *, ascii: bool = False) -> str:
    """The same, with a plus sign before what is not negative."""
    text = plain(value, decimals, ascii=ascii)
    return text if text[0] in {"-", _MINUS} or math.isnan(value) else f"+{text}"


def shown(value: float, low: float | None, high: float | None, *, ascii: bool = False) -> tuple[str, str]:
    """A value and its interval, as two cells of a table: ("0.831", "0.792 … 0.869"). No interval: ""."""
    between = "..." if ascii else _ELLIPSIS
    if low is None or high is None:
        return plain(value, digits_for(None, value), ascii=ascii), ""
    decimals = digits_for((high - low) / 2, value)
    ends = f"{plain(low, decimals, ascii=ascii)} {between} {plain(high, decimals, ascii=ascii)}"
    return plain(value, decimals, ascii=ascii), ends


def verdict(difference: Difference, rival: str, *, ascii: bool = False) -> str:
    """One sentence on whether a (ours) is better than b, called ``rival``.

    For example: "Better than linear?  Not shown: roc_auc +0.012 (−0.009 … +0.033), same rows."
    """
    answer = {"a": "Yes", "b": "No, worse", "not shown": "Not shown"}[difference.better]
    return f"Better than {rival}?  {answer}: {difference.metric} {_spelled(difference, ascii=ascii)}."


def _spelled(difference: Difference, *, ascii: bool) -> str:
    value, low, high = difference.value, difference.low, difference.high
    because = f"; {difference.reason}" if difference.reason else ""
    if math.isnan(value):
        return f"is not defined{because}"
    if low is None or high is None:
        return f"{signed(value, digits_for(None, value), ascii=ascii)}, no interval{because}"
    decimals = digits_for((high - low) / 2, value)
    between = "..." if ascii else _ELLIPSIS
    ends = f"{signed(low, decimals, ascii=ascii)} {between} {signed(high, decimals, ascii=ascii)}"
    same = "same rows" if difference.clusters is None else f"same rows in {counted(difference.clusters, 'group')}"
    return f"{signed(value, decimals, ascii=ascii)} ({ends}), {same}{because}"
