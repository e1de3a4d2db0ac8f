"""Metrics by the names that specs and evidence use."""

from trueweight.errors import SpecError
from trueweight.metrics.metric import Metric
from trueweight.metrics.scores import PER_LABEL, SCORES
from trueweight.registry import Registry

__all__ = ["METRICS", "metric", "metrics_for"]

METRICS: Registry[Metric] = Registry("metric")
"""Ours, and those that other packages declare as entry points ``trueweight.metric``."""

for _metric in SCORES:
    METRICS.register(_metric.name)(_metric)

_OTHER_WORDS = {
    "accuracy_score": "accuracy", "auc": "roc_auc", "auroc": "roc_auc", "brier": "brier_score",
    "ap": "average_precision",
    "brier_score_loss": "brier_score", "cross_entropy": "log_loss", "f1_score": "f1", "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape", "mean_squared_error": "rmse", "mse": "rmse", "nll": "log_loss",
    "r2_score": "r2", "r_squared": "r2", "root_mean_squared_error": "rmse", "sensitivity": "recall",
}  # fmt: skip


def metric(name: str) -> Metric:
    """The metric called ``name``: ``roc_auc``, ``f1_macro``, or of one label, ``precision[spam]``.

    Raises:
        SpecError: There is none; the hint has the nearest name.
    """
    base, bracket, rest = name.partition("[")
    if bracket and rest.endswith("]"):
        if base in PER_LABEL:
            return PER_LABEL[base](rest[:-1])
        METRICS[base]  # an unknown name is the first thing to say
        raise SpecError(f"metric {base!r} cannot be asked of one label", hint=f"choose from {', '.join(PER_LABEL)}")
    if (ours := _OTHER_WORDS.get(name.lower())) and name not in METRICS:
        raise SpecError(f"unknown metric {name!r}", hint=f"did you mean {ours!r}?")
    return METRICS[name]


def metrics_for(prediction: type) -> list[str]:
    """Names of the metrics that can be computed for a type of prediction, sorted."""
    return [name for name in METRICS if prediction in METRICS[name].reads]
