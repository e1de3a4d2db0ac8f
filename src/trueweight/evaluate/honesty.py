"""The check "honesty": can the scores, and the labels behind them, be trusted?"""

from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.label_noise import label_noise, suspicious_rows
from trueweight.evaluate.leakage import leaks
from trueweight.evaluate.learning_curve import learning_curve
from trueweight.evaluate.refits import Refits, affordable, unsolved
from trueweight.evidence.record import Entry

__all__ = ["honesty"]


def honesty(judging: Judging) -> list[Entry]:
    """Near-duplicates across the split, leaks, wrong labels, and whether more rows would help."""
    training, refits, why = judging.training, None, "these rows came later: there is nothing to fit here"
    if training is not None:
        asked = judging.ask.evaluate.learning_curve
        why = unsolved(training.ready) or ("" if asked else affordable(training.ready)) or ""
        refits = None if why else Refits.of(training.ready)
    noise, suspicious = label_noise(judging, refits)
    if suspicious:
        judging.beside["suspicious-rows.csv"] = suspicious_rows(judging, suspicious)
    return [*duplicates(judging), *leaks(judging), *noise, *learning_curve(judging, refits, why)]
