"""Are the metrics that a spec asks for known, and do they fit their targets? Asked before training, not after."""

from trueweight.data.signature import Signature
from trueweight.errors import SpecError, TrueweightError
from trueweight.metrics.labels import index_of
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metric, metrics_for
from trueweight.spec.document import Document, Path, dotted
from trueweight.spec.run import RunSpec

__all__ = ["metric_mistakes", "require_labels", "require_metrics"]

_ANSWERS = {
    "number": NumberPrediction, "binary": ClassPrediction, "category": ClassPrediction, "set": SetPrediction,
    "vector": VectorPrediction,
}  # fmt: skip


def require_metrics(spec: RunSpec, positions: Document | None = None) -> None:
    """Refuse metrics that do not exist or do not fit.

    Args:
        spec: As asked for or resolved.
        positions: Where the spec was written, if somebody knows.

    Raises:
        SpecError: Every such metric, each with what would fit.
    """
    if wrong := metric_mistakes(spec, positions):
        count = f"{len(wrong)} mistake{'s' * (len(wrong) > 1)}"
        raise SpecError(f"{count} in the metrics\n" + "\n".join(f"  {line}" for line in wrong))


def metric_mistakes(spec: RunSpec, positions: Document | None = None) -> list[str]:
    """A line for every metric that does not exist or does not fit, its place first if positions are known."""
    found = ((path, _mistake(spec, path, target, name)) for path, target, name in _asked(spec))
    return [f"{f'{positions.place(path)}: ' if positions else ''}{mistake}" for path, mistake in found if mistake]


def require_labels(spec: RunSpec, signature: Signature) -> None:
    """Refuse metrics of a class that the data has not, as ``recall[yess]``.

    Args:
        spec: As asked for or resolved.
        signature: Learnt from the training rows.

    Raises:
        SpecError: The first such metric, with the classes that there are.
    """
    for path, target, name in _asked(spec):
        label = name.partition("[")[2].removesuffix("]")
        learnt = signature.columns[target].learnt
        known = learnt.get("classes") or learnt.get("labels")
        if label and known:
            try:
                index_of(label, known)
            except SpecError as error:
                raise SpecError(error.problem, where=dotted(path[:3]), hint=error.hint) from None


def _asked(spec: RunSpec) -> list[tuple[Path, str, str]]:
    """Place, target and name of every metric that the spec names."""
    asked: list[tuple[Path, str, str]] = [
        (("evaluate", "metrics", target, number), target, name)
        for target, names in (spec.evaluate.metrics or {}).items()
        for number, name in enumerate(names)
    ]
    if (chosen := spec.train.selection_metric) is not None:
        asked.append((("train", "selection_metric"), chosen.target, chosen.metric))
    return asked


def _mistake(spec: RunSpec, path: Path, target: str, name: str) -> str:
    where = dotted(path[:3])
    kind = spec.targets[target].type
    answer = _ANSWERS.get(kind)
    try:
        found = metric(name)
    except TrueweightError as error:
        return f"{where}: {error.problem}; {error.hint}"
    if answer is None or answer in found.reads:
        return _without_intervals(spec, path, name, answer) if answer is not None else ""
    fitting = ", ".join(metrics_for(answer)[:8])
    return f"{where}: {name!r} cannot be measured on {target!r}, which is a {kind}; choose from {fitting}"


def _without_intervals(spec: RunSpec, path: Path, name: str, answer: type) -> str:
    """What is wrong with asking for intervals or sets where there are none: before calibration, or ever."""
    if name not in _OF_INTERVALS:
        return ""
    what = "intervals" if answer is NumberPrediction else "sets"
    fitting = ", ".join([m for m in metrics_for(answer) if m not in _OF_INTERVALS][:8])
    if path[0] == "train":
        return f"{dotted(path)}: {name!r} is of {what}, which are made after selecting; choose from {fitting}"
    if spec.evaluate.conformal is None:
        return f"{dotted(path[:3])}: {name!r} is of {what}, and evaluate.conformal is null; choose from {fitting}"
    return ""


_OF_INTERVALS = ("coverage", "interval_width", "set_size")
