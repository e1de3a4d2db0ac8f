"""The checks that every model goes through, in order."""

from collections.abc import Mapping

from trueweight.evaluate.honest import honesty
from trueweight.evaluate.judging import Check

__all__ = ["CHECKS"]

CHECKS: Mapping[str, Check] = {"honesty": honesty}
"""By the name that ``evaluate.checks`` knows. The axis of a check's entries is its name."""
