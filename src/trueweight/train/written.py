"""Whether a network writes well, asked at the end of a fit: the best log loss and the best texts may be of two steps.

A text that is surer of itself has a worse log loss for every word that others would say otherwise, and may be the
better text all the same. Of 500 short descriptions of packages, after five passes of 27,000, ROUGE-L was 0.452 by the
last weights and 0.438 by those of the best log loss, of three quarters of the way, four beams; of 1,500 titles of
clothing reviews, after seven passes of 5,000, it was 0.112 and 0.130, one beam.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
from torch import nn

from trueweight.data.feed import Feed
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.model.network import Network
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.nn.decoding import Decoding
from trueweight.train.job import Score, Writing
from trueweight.train.prepare import Prepared

__all__ = ["rows_to_write", "writing_of"]

_TOKENS, _UNLIMITED = 8.0, 2**14
"""Tokens that are written for each second of the budget, twice, and where it has no time. A choice: 500 texts of some
14 tokens took 9 seconds of two cores by four beams, and one beam takes about a third of that."""

_FEWEST, _MOST = 128, 512
"""Texts: of fewer, chance would decide."""


def rows_to_write(rows: int, tokens: float, seconds: float | None) -> int:
    """How many texts are written; 0 for none.

    Args:
        rows: That there are.
        tokens: Of a text, on average.
        seconds: Of the fit; None: it has no limit.
    """
    most = _UNLIMITED if seconds is None else _TOKENS * seconds
    count = min(rows, _MOST, int(most / max(tokens, 1.0)))
    return count if count >= _FEWEST else 0


def writing_of(
    leaf: NetworkPredictor, ready: Prepared, looked_at: np.ndarray, feed_of: Callable[[np.ndarray], Feed],
    truths: Mapping[str, Truth],
) -> Writing | None:  # fmt: skip
    """How badly networks write, by the chrF of texts for validation rows, one beam.

    None where something else than texts is told, or texts go on from their beginnings or are read off sounds, or
    somebody says what to choose by.

    Args:
        leaf: With the network.
        ready: The run.
        looked_at: Validation rows by which the fit is watched.
        feed_of: Encoded rows.
        truths: Of all rows, by target.
    """
    spec, targets = ready.spec, ready.spec.targets
    writes = all(part.type == "text" and cast(Any, part).decoder.type != "ctc" for part in targets.values())
    if not writes or spec.train.selection_metric is not None or any(map(leaf.network.continues, targets)):
        return None
    present_N = np.logical_or.reduce([truths[name].present_N[looked_at] for name in targets])
    known = looked_at[present_N]
    tokens = sum(float(ready.signature.columns[name].learnt["tokens"]) for name in targets)
    share = {name: float(part.model_dump()["loss_weight"]) for name, part in targets.items()}

    def within(seconds: float | None) -> Score | None:
        if not (count := rows_to_write(len(known), tokens, seconds)):
            return None
        rows = known[np.linspace(0, len(known) - 1, count).round().astype(int)]
        feed, meant = leaf.reading(feed_of(rows)), {name: truths[name].take(rows) for name in targets}

        def badly(network: nn.Module) -> float:
            told = replace(leaf, network=cast(Network, network)).predict_feed(feed, how=Decoding(beams=1))
            found = {name: metric("chrf").compute(told[name], meant[name]) for name in targets}
            finite = {name: value for name, value in found.items() if np.isfinite(value)}
            total = sum(share[name] for name in finite)
            return -sum(share[name] * value for name, value in finite.items()) / total if total else np.inf

        return badly

    return within
