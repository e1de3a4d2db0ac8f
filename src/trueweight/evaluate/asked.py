"""Are the metrics that a spec asks for known, and do they fit their targets? Asked before training, not after."""

from trueweight.errors import SpecError, TrueweightError
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metric, metrics_for
from trueweight.spec.run import RunSpec

__all__ = ["require_metrics"]

_ANSWERS = {
    "number": NumberPrediction, "binary": ClassPrediction, "category": ClassPrediction, "set": SetPrediction,
    "vector": VectorPrediction,
}  # fmt: skip


def require_metrics(spec: RunSpec) -> None:
    """Refuse metrics that do not exist or do not fit.

    Args:
        spec: As asked for or resolved.

    Raises:
        SpecError: Every such metric, each with what would fit.
    """
    asked = [(f"evaluate.metrics.{t}", t, name) for t, names in (spec.evaluate.metrics or {}).items() for name in names]
    if (chosen := spec.train.selection_metric) is not None:
        asked.append(("train.selection_metric", chosen.target, chosen.metric))
    wrong = [line for where, target, name in asked if (line := _mistake(spec, where, target, name))]
    if wrong:
        count = f"{len(wrong)} mistake{'s' * (len(wrong) > 1)}"
        raise SpecError(f"{count} in the metrics\n" + "\n".join(wrong))


def _mistake(spec: RunSpec, where: str, target: str, name: str) -> str:
    kind = spec.targets[target].type
    answer = _ANSWERS.get(kind)
    try:
        found = metric(name)
    except TrueweightError as error:
        return f"  {where}: {error.problem}; {error.hint}"
    if answer is None or answer in found.reads:
        return ""
    fitting = ", ".join(metrics_for(answer)[:8])
    return f"  {where}: {name!r} cannot be measured on {target!r}, which is a {kind}; choose from {fitting}"
