"""Is it better than the simple model? Paired differences on the same rows, and the answer in words."""

from collections.abc import Mapping

from trueweight.evaluate.quality import Ask, now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.compare import Difference, paired
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.metrics.words import verdict
from trueweight.seeds import stream_seed

__all__ = ["comparisons"]


def comparisons(
    ours: Mapping[str, Prediction], theirs: Mapping[str, Prediction], truths: Mapping[str, Truth], ask: Ask,
    baseline: str,
) -> list[Entry]:  # fmt: skip
    """For each target: paired differences for its metrics, and one verdict on the first of them.

    Args:
        ours: The model's predictions, by target.
        theirs: The baseline's, for the same rows.
        truths: What really happened.
        ask: Metrics and interval.
        baseline: Name of the baseline.
    """
    entries = []
    for target, truth in truths.items():
        names = (ask.evaluate.metrics or {}).get(target, [])
        for place, name in enumerate(names):
            found = _difference(name, ours[target], theirs[target], truth, ask)
            entries.append(_entry(found, target, name, baseline, ask))
            if place == 0:
                entries.append(_verdict(found, target, name, baseline, ask))
    return entries


def _difference(name: str, ours: Prediction, theirs: Prediction, truth: Truth, ask: Ask) -> Difference:
    how = ask.evaluate.interval
    seed = stream_seed(ask.seed, "interval") % 2**32
    return paired(metric(name), ours, theirs, truth, level=how.level, n_resamples=how.n_resamples, seed=seed)


def _entry(found: Difference, target: str, name: str, baseline: str, ask: Ask) -> Entry:
    bounds = None
    if found.low is not None and found.high is not None:
        bounds = Interval(found.low, found.high, found.level, "paired bootstrap")
    method = Method("paired difference", "1", {"baseline": baseline, "n_resamples": ask.evaluate.interval.n_resamples})
    return Entry(
        id=f"comparison/{target}/{name}/{baseline}", axis="comparison", metric=name, target=target,
        value=found.value, interval=bounds, n=found.n, method=method, data=ask.data, produced_at=now(),
        depends_on=(f"quality/{target}/{name}/{ask.role}", f"baseline/{baseline}/{target}/{name}/{ask.role}"),
    )  # fmt: skip


def _verdict(found: Difference, target: str, name: str, baseline: str, ask: Ask) -> Entry:
    return Entry(
        id=f"verdict/{target}/{baseline}", axis="verdict", metric=name, target=target,
        value=verdict(found, baseline), n=found.n, data=ask.data, produced_at=now(),
        depends_on=(f"comparison/{target}/{name}/{baseline}",),
    )  # fmt: skip
