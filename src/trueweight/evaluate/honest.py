"""The check "honesty": can the scores be trusted?"""

from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.leakage import leaks
from trueweight.evidence.record import Entry

__all__ = ["honesty"]


def honesty(judging: Judging) -> list[Entry]:
    """Near-duplicates across the split, and leaks."""
    return [*duplicates(judging), *leaks(judging)]
