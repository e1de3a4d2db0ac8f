"""The recipe for weights that were taken over and learn on: steps so small that what they know is not lost."""

from collections.abc import Mapping
from typing import Any

from trueweight.spec.base import PartSpec
from trueweight.spec.run import RunSpec

__all__ = ["gently"]

RATES: Mapping[str, float] = {"whole": 1e-4, "last_layers": 1e-4, "lora": 1e-3}
"""At :data:`WIDTH`. BERT is tuned at 2e-5 to 5e-5 (Devlin et al. 2018, arXiv:1810.04805, appendix A.3), smaller
encoders at 1e-4; the small matrices of LoRA at about ten times as much (Biderman et al. 2024, "LoRA Learns Less and
Forgets Less", arXiv:2405.09673, section 3). With the 3e-3 of new networks, all-MiniLM-L6-v2 on 500 reviews ended at an
AUC of 0.5: it had forgotten everything."""

WIDTH = 384
"""Of the encoder that rates are named for. Others get them by the ratio of widths: Yang et al. 2022, "Tensor Programs
V", arXiv:2203.03466, where rates of hidden layers fall with the width."""

DECAY = 0.01


def gently(spec: RunSpec, default: Mapping[str, Any]) -> Mapping[str, Any]:
    """The optimiser for encoders of texts that start from others; another where nothing of the kind learns on.

    Args:
        spec: As asked for, with what the older model says of its columns.
        default: Of the preset.
    """
    start = spec.model.start
    widths = [width for part in spec.features.values() if (width := _width(part))]
    if start is None or start.train not in RATES or not widths:
        return default
    usual = float(default.get("other_learning_rate", default["learning_rate"]))
    rate = min(usual, float(f"{RATES[start.train] * WIDTH / max(widths):.2g}"))
    return {"type": "adamw", "learning_rate": rate, "weight_decay": DECAY}


def _width(part: PartSpec) -> int:
    """Of a transformer that reads tokens; 0 for whatever else reads the column."""
    if part.type != "text":
        return 0
    encoder = part.model_dump()["encoder"]
    one = encoder[0] if isinstance(encoder, list) and encoder else encoder
    return int(one["width"]) if isinstance(one, dict) and one.get("type") == "transformer" else 0
