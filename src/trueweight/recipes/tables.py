"""The recipe for tables: a solved linear model blended with one MLP.

Each constant names where it comes from. They were chosen on the calibration list of
``benchmarks/lists.py`` and never on the benchmark list.
"""

from dataclasses import dataclass
from typing import Any

__all__ = ["CLASS_METRICS", "LANGUAGE_METRICS", "METRICS", "PRESETS", "ROWS_PER_SECOND", "Preset"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One answer to "how much time may quality cost?"."""

    members: tuple[str, ...]
    """Which models are blended."""
    seconds: float
    """Default budget of fitting."""
    epochs: int
    """Most passes over the training rows: small tables are done long before the seconds are."""
    encoder: dict[str, Any]
    """Options of the ``mlp`` encoder."""
    optimizer: dict[str, Any]
    max_grad_norm: float | None


# TabM-mini with piecewise-linear embeddings: Gorishniy et al. 2024 (arXiv:2410.24210), the backbone with the best
# mean rank there. k = 32 and d = 512 in the paper; 8 and 256 here, because two laptop cores must finish in a minute.
_MLP = {
    "type": "mlp",
    "hidden_sizes": [256, 256],
    "dropout": 0.0,  # the median of TabM's tuned settings; on the calibration list 0.1 was no better, and slower
    "numerical_embedding": "piecewise_linear",
    "embedding_size": 8,
    "members": 8,
}

REALMLP = {"type": "realmlp", "hidden_sizes": [256, 256, 256], "members": 4}
"""RealMLP-TD's widths (arXiv:2407.04491), four networks from different first weights. On 16 cuts of six calibration
sets, added to a blend of linear and mlp (the same fitted members, at no cost of time), the test loss fell in 8, stayed
in 3 and rose in 5, most on breast_cancer: so it joins the blend where there is time, and not the standard one."""

# AutoGluon's shipped TabM: weight decay 3e-4, clip 1.0. Its rate is 2e-3; on the calibration list 3e-3 was as good
# on small tables and better where the budget ends early.
_ADAMW = {"type": "adamw", "learning_rate": 3e-3, "weight_decay": 3e-4}

# Seconds are how long one may be asked to wait, and passes an upper bound for tables that are done sooner: choices, not
# measurements. Early stopping begins the cooldown long before where more passes do not help. ``fast`` has a network
# only where nothing can be solved or an encoder is named: its seconds end it, since one pass would teach it nothing.
PRESETS: dict[str, Preset] = {
    "fast": Preset(("linear",), 30.0, 40, _MLP, _ADAMW, 1.0),
    "standard": Preset(("linear", "mlp"), 60.0, 40, _MLP, _ADAMW, 1.0),
    "best": Preset(("linear", "mlp", "realmlp"), 600.0, 100, _MLP | {"members": 16, "embedding_size": 16}, _ADAMW, 1.0),
}

ROWS_PER_SECOND = 120_000
"""Rows that one network of the ``mlp`` learns from in a second on two laptop cores, measured on narrow tables. On bikes
(50,000 training rows), one network for 40 passes reached an rmse of 73, eight for 12 passes 87 in more time."""

METRICS: dict[str, list[str]] = {
    "number": ["rmse", "mae", "r2", "mape"],
    "binary": ["roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "log_loss", "brier_score"],
    "category": ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss", "brier_score"],
    "set": ["f1_macro", "f1_micro", "log_loss"],
    "vector": ["rmse", "mae", "r2"],
    "masked": ["masked_accuracy", "masked_bits"],
    "text": ["chrf", "bleu", "exact_match"],
}
"""What is measured when nothing is asked for, the most telling first."""

LANGUAGE_METRICS = ["bits_per_byte", "perplexity"]
"""Of texts that nothing is read for. Bits first: they do not depend on what tokens a model has."""

CLASS_METRICS = ("precision", "recall", "f1")
"""Measured per class as well."""
