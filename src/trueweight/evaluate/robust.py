"""The check "robustness": suites of corruptions, for every column that has some."""

from trueweight.evaluate.judging import Judging
from trueweight.evaluate.robustness import corruptions
from trueweight.evidence.record import Entry

__all__ = ["robustness"]


def robustness(judging: Judging) -> list[Entry]:
    """Everything about robustness that is measured without being asked for."""
    return corruptions(judging)
