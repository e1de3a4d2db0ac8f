"""The checks that every model goes through, in order."""

from collections.abc import Mapping

from trueweight.evaluate.judging import Check
from trueweight.evaluate.robust import robustness

__all__ = ["CHECKS"]

CHECKS: Mapping[str, Check] = {"robustness": robustness}
"""By the name that ``evaluate.checks`` knows. The axis of a check's entries is its name."""
