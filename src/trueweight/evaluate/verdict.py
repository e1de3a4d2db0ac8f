"""Is it better than the simple model? Paired differences on the same rows, and the answer in words."""

import math
from collections.abc import Mapping

from trueweight.evaluate.quality import Ask, now
from trueweight.evidence.record import Entry, Method
from trueweight.metrics.compare import Difference, paired_all
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
    """For each target: paired differences for its metrics, and one verdict on the first that is defined.

    Args:
        ours: The model's predictions, by target.
        theirs: The baseline's, for the same rows.
        truths: What really happened.
        ask: Metrics and interval.
        baseline: Name of the baseline.
    """
    entries, how = [], ask.evaluate.interval
    seed = stream_seed(ask.seed, "interval") % 2**32
    for target, truth in truths.items():
        asked = [metric(name) for name in (ask.evaluate.metrics or {}).get(target, [])]
        found = paired_all(
            asked, ours[target], theirs[target], truth, level=how.level, n_resamples=ask.draws(len(truth)), seed=seed
        )
        entries += [_entry(one, target, baseline, ask, ask.draws(len(truth))) for one in found]
        # A baseline has no intervals to compare; where nothing is defined, the first metric says why.
        telling = [one for one in found if math.isfinite(one.value)] or found
        entries += [_verdict(one, target, baseline, ask) for one in telling[:1]]
    return entries


def _entry(found: Difference, target: str, baseline: str, ask: Ask, draws: int) -> Entry:
    known, name = math.isfinite(found.value), found.metric
    method = Method("paired difference", "1", {"baseline": baseline, "n_resamples": draws})
    return Entry(
        id=f"comparison/{target}/{name}/{baseline}", axis="comparison", metric=name, target=target,
        value=found.value if known else None, interval=found.interval() if known else None, n=found.n, method=method,
        status="measured" if known else "not_applicable", reason=found.reason or (None if known else "undefined"),
        data=ask.data, produced_at=now(), depends_on=_sources(target, name, baseline, ask),
    )  # fmt: skip


def _sources(target: str, name: str, baseline: str, ask: Ask) -> tuple[str, str]:
    return f"quality/{target}/{name}/{ask.role}", f"baseline/{baseline}/{target}/{name}/{ask.role}"


def _verdict(found: Difference, target: str, baseline: str, ask: Ask) -> Entry:
    return Entry(
        id=f"verdict/{target}/{baseline}", axis="verdict", metric=found.metric, target=target,
        value=verdict(found, baseline), n=found.n, data=ask.data, produced_at=now(),
        depends_on=(f"comparison/{target}/{found.metric}/{baseline}",),
    )  # fmt: skip
