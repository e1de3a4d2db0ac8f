"""How rate, memory and decay follow the rows of a step, where they were chosen for another number of rows.

With ``r`` times the reference's rows in a step:

    rate * r**0.5    the noise of gradients falls with sqrt(r), and with it that of steps divided by their usual size:
                     Malladi et al. 2022, arXiv:2205.10287. Plain gradient descent takes r itself: Goyal et al. 2017,
                     arXiv:1706.02677
    beta2**r         the running mean square halves its weight after the same number of *rows*: Marek et al. 2025,
                     "Small Batch Size Training for Language Models", arXiv:2507.07101
    decay * r / f    with f what the rate was multiplied with. batch / (rate * decay * all rows) stays, and with it the
                     passes after which a weight is forgotten: Wang and Aitchison 2024, arXiv:2405.13698

Recipes name their rates at the batch size of :func:`batch_size_for`, so that at it nothing changes. On bikes (8,000
rows, 5 processor seconds, one seed) steps of 1,024 rows instead of 128 gave an rmse of 104 where rates followed and of
126 where they did not; steps of 32 rows 100 and 99.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["BATCHES", "DECAYS", "RATES", "batch_size_for", "rate_factor", "scaled"]

BATCHES = ((1_000, 32), (6_400, 128), (108_000, 256), (500_000, 512))
"""Rows per step of tables with fewer training rows than the first number."""
_LARGEST_BATCH = 1024

_POWERS: Mapping[str, float] = {"sgd": 1.0}
"""Of the batch size, by optimiser; 0.5 for all that divide by what gradients usually are."""

RATES = ("learning_rate", "other_learning_rate", "bias_learning_rate")
"""Options that are rates; all but the first are of whom ``others`` names, where an optimiser hands weights on."""

DECAYS = {"weight_decay": "learning_rate", "other_weight_decay": "other_learning_rate",
          "bias_weight_decay": "bias_learning_rate"}  # fmt: skip
"""Options that are decays, and the rates that they are multiplied with."""


def batch_size_for(rows: int) -> int:
    """Rows per step for a table of ``rows`` training rows, at which the recipes' rates were chosen.

    Source: the idea of AutoGluon's table for RealMLP and TabM (32 rows up to 2.8K, … 1024 above 108K), but no
    fewer than 128 from 1,000 rows on, because on a CPU smaller steps cost nearly as much time each, and no more than
    256 up to 108K: within one budget, more steps were better on the calibration list.
    """
    return next((size for limit, size in BATCHES if rows < limit), _LARGEST_BATCH)


def rate_factor(kind: str, ratio: float) -> float:
    """What the rate is multiplied with.

    Args:
        kind: The optimiser's type.
        ratio: Rows of a step, over those that the rate was chosen for.
    """
    return float(ratio ** _POWERS.get(kind, 0.5))


def scaled(options: Mapping[str, Any], ratio: float) -> dict[str, Any]:
    """An optimiser's options, for steps of ``ratio`` times the rows.

    Args:
        options: Its ``type``, ``others`` where it has them, and of rates, ``betas`` and decays those that are to
            follow. Everything else stays.
        ratio: See :func:`rate_factor`.
    """
    own, others = (rate_factor(kind, ratio) for kind in (options["type"], options.get("others", options["type"])))
    factors = {name: own if name == "learning_rate" else others for name in RATES}
    changed = {name: options[name] * factors[name] for name in RATES if name in options}
    if "betas" in options:
        mean, square = options["betas"]
        changed["betas"] = (mean, square**ratio)
    for name, rate in DECAYS.items():
        if name in options:
            changed[name] = options[name] * ratio / factors[rate]
    return {**options, **changed}
