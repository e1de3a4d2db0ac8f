"""The optimiser of a run: the one asked for, else the recipe's, following a batch size that was asked for."""

from collections.abc import Mapping
from typing import Any

from trueweight.recipes.scaling import DECAYS, RATES, batch_size_for, scaled
from trueweight.registry import registry
from trueweight.spec.base import PartSpec
from trueweight.spec.run import SplitSpec, TrainSpec

__all__ = ["optimizer_of"]

_USUAL_SHARE = 0.64
"""Of the rows that train, where the split is by dates or files: a fifth tests, and of the rest a fifth selects."""


def optimizer_of(train: TrainSpec, default: Mapping[str, Any], split: SplitSpec, rows: int) -> PartSpec:
    """What moves the weights, with every rate that was left to us.

    A batch size that is left to us too is the one that rates were chosen at, and nothing is scaled. Who names the rate
    has chosen it for the batch: then nothing is scaled either.

    Args:
        train: As asked for.
        default: The recipe's optimiser.
        split: Resolved.
        rows: Of the table.
    """
    kind: Any = registry("optimizer")[default["type"]]
    part: Any = train.optimizer or kind.model_validate(dict(default))
    trained = max(1, round(rows * _share(split)))
    reference = min(batch_size_for(trained), trained)
    ratio = 1.0 if train.batch_size == "auto" else min(train.batch_size, trained) / reference
    options = part.model_dump()
    if ratio == 1.0 or (train.optimizer is not None and options["learning_rate"] != "auto"):
        return part  # type: ignore[no-any-return]  # a part
    named = set() if train.optimizer is None else part.model_fields_set
    # An auto without a number goes after another option.
    usual = {name: value for name, value in options.items() if value != "auto"} | {
        name: value for name, value in getattr(part, "usual", part.auto).items() if options[name] == "auto"
    }
    ours = {
        name: usual[name]
        for name in (*RATES, "betas", *DECAYS)
        if name in usual and (name not in named or options[name] == "auto")
    }
    kinds = {name: options[name] for name in ("type", "others") if name in options}
    new = {name: _short(value) for name, value in scaled(kinds | ours, ratio).items()}
    return type(part).model_validate(options | new)  # type: ignore[no-any-return]  # a part


def _share(split: SplitSpec) -> float:
    """Of the rows that train."""
    if isinstance(split.test, float) and isinstance(split.validation, float) and split.method != "files":
        return 1.0 - split.test - split.validation
    return _USUAL_SHARE


def _short(value: Any) -> Any:
    """Four digits of a rate, and of what a share falls short of 1: nobody wants to read seventeen."""
    if isinstance(value, tuple):
        return tuple(1 - float(f"{1 - share:.4g}") for share in value)
    return float(f"{value:.4g}") if isinstance(value, float) else value
