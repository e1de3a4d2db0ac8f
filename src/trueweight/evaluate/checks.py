"""The checks that every model goes through, in order."""

from collections.abc import Mapping

from trueweight.evaluate.calibration import calibration
from trueweight.evaluate.drift import drift
from trueweight.evaluate.explanation import explanation
from trueweight.evaluate.fairness import fairness
from trueweight.evaluate.honesty import honesty
from trueweight.evaluate.judging import Check
from trueweight.evaluate.robustness import robustness
from trueweight.evaluate.slices import slices

__all__ = ["CHECKS"]

CHECKS: Mapping[str, Check] = {
    "honesty": honesty,
    "calibration": calibration,
    "slices": slices,
    "fairness": fairness,
    "drift": drift,
    "robustness": robustness,
    "explanation": explanation,
}
"""By the name that ``evaluate.checks`` knows. The axis of a check's entries is its name."""
