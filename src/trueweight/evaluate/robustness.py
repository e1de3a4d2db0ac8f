"""The check "robustness": suites of corruptions, for every column that has some."""

from trueweight.evaluate.attack import attacks
from trueweight.evaluate.attack_texts import text_attacks
from trueweight.evaluate.corruptions import corruptions
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.shortcuts import shortcuts
from trueweight.evidence.record import Entry

__all__ = ["robustness"]


def robustness(judging: Judging) -> list[Entry]:
    """Suites of damage, places that decide alone, and the attacks that the spec asks for."""
    return [*corruptions(judging), *shortcuts(judging), *attacks(judging), *text_attacks(judging)]
