"""All metrics that come with Trueweight, by scikit-learn's names."""

from collections.abc import Callable, Mapping
from functools import partial

from trueweight.metrics import classes, labels, masked, numbers, sets, texts
from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.metric import Form, Metric
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, SetPrediction, VectorPrediction
from trueweight.metrics.ranking import AVERAGE_PRECISION, ROC_AUC, Area
from trueweight.metrics.text_prediction import TextPrediction

__all__ = ["PER_LABEL", "SCORES"]

_HALVES: Mapping[str, tuple[labels.Score, str]] = {
    "precision": (labels.precision, "share of answers that are right"),
    "recall": (labels.recall, "share of true occurrences that are found"),
    "f1": (labels.f1, "harmonic mean of precision and recall"),
}
_AREAS: Mapping[str, tuple[Area, str]] = {
    "roc_auc": (ROC_AUC, "probability that a positive row scores above a negative one"),
    "average_precision": (AVERAGE_PRECISION, "area under the precision-recall curve"),
}


def _both(for_classes: Form, for_sets: Form) -> dict[type, Form]:
    return {ClassPrediction: for_classes, SetPrediction: for_sets}


def _averages(name: str, score: labels.Score, words: str) -> list[Metric]:
    def forms(average: str, set_average: str) -> dict[type, Form]:
        return _both(partial(classes.overall, score, average), partial(sets.overall, score, set_average))

    return [
        Metric(name, True, forms("auto", "macro"), f"{words}: of the positive class, or mean over classes"),
        Metric(f"{name}_macro", True, forms("macro", "macro"), f"{words}: mean over classes"),
        Metric(f"{name}_micro", True, forms("micro", "micro"), f"{words}: all classes counted together"),
    ]


def _area(name: str, area: Area, words: str) -> Metric:
    forms = _both(partial(classes.curve, area, None), partial(sets.curve, area, None))
    return Metric(name, True, forms, f"{words}; many classes: each against the rest, mean")


def _number(name: str, greater: bool, form: Form, words: str, unit: str | None = "target") -> Metric:
    return Metric(name, greater, {NumberPrediction: form}, words, unit)


def _real(name: str, greater: bool, forms: tuple[Form, Form], words: str, unit: str | None = "target") -> Metric:
    return Metric(name, greater, {NumberPrediction: forms[0], VectorPrediction: forms[1]}, words, unit)


SCORES: tuple[Metric, ...] = (
    Metric("accuracy", True, _both(classes.accuracy, sets.accuracy), "share of rows answered exactly right"),
    Metric("balanced_accuracy", True, {ClassPrediction: classes.balanced_accuracy}, "mean recall of the classes"),
    *[m for name, (score, words) in _HALVES.items() for m in _averages(name, score, words)],
    *[_area(name, area, words) for name, (area, words) in _AREAS.items()],
    Metric("log_loss", False, _both(classes.log_loss, sets.log_loss), "mean of -log probability of the truth", "nats"),
    Metric("brier_score", False, _both(classes.brier_score, sets.brier_score), "mean squared error of probabilities"),
    Metric("hamming_loss", False, {SetPrediction: sets.hamming_loss}, "share of labels wrongly in or out"),
    _real("mae", False, (numbers.mae, numbers.vector_mae), "mean absolute error"),
    _real("rmse", False, (numbers.rmse, numbers.vector_rmse), "root mean squared error"),
    _real("r2", True, (numbers.r2, numbers.vector_r2), "share of variance explained", None),
    _number("mape", False, numbers.mape, "mean absolute error as a fraction of the truth", None),
    Metric(
        "coverage",
        True,
        {NumberPrediction: numbers.coverage, ClassPrediction: classes.coverage},
        "share of true values inside the predicted interval or set",
    ),
    Metric("set_size", False, {ClassPrediction: classes.set_size}, "mean number of classes in the predicted set"),
    _number("interval_width", False, numbers.interval_width, "mean width of the predicted interval"),
    *[Metric(name, greater, {TextPrediction: form}, words) for name, (greater, form, words) in texts.FORMS.items()],
    *[Metric(name, more, {MaskedPrediction: form}, words) for name, (more, form, words) in masked.FORMS.items()],
)
"""One entry per name."""


def _label_metric(name: str, score: labels.Score, words: str, label: str) -> Metric:
    forms = _both(partial(classes.label_score, score, label), partial(sets.label_score, score, label))
    return Metric(f"{name}[{label}]", True, forms, f"{words}, for {label}")


def _label_area(name: str, area: Area, words: str, label: str) -> Metric:
    forms = _both(partial(classes.curve, area, label), partial(sets.curve, area, label))
    return Metric(f"{name}[{label}]", True, forms, f"{words}, for {label}")


PER_LABEL: Mapping[str, Callable[[str], Metric]] = {
    **{name: partial(_label_metric, name, score, words) for name, (score, words) in _HALVES.items()},
    **{name: partial(_label_area, name, area, words) for name, (area, words) in _AREAS.items()},
}
"""Metrics that can be asked of one label, as in ``precision[spam]``."""
