"""A predictor's loss as a function of its input, with gradients: the whole tree, for columns that vary smoothly.

Only to find the direction in which to change a row. What the change does is measured by the predictor itself.

Shape suffixes:
    B  rows    H  height    W  width    C  channels    K  columns of numbers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trueweight.data.columns.number import NumberCodec
from trueweight.data.reading import cells_of, column_part
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import GREEDY, Predictor

if TYPE_CHECKING:
    from torch import Tensor

    from trueweight.data.batch import Batch
    from trueweight.data.feed import Feed
    from trueweight.data.table import Table
    from trueweight.nn.encoding import Tensors

__all__ = ["Leaf", "Varied", "labels_of", "leaves", "losses"]


@dataclass(frozen=True)
class Varied:
    """What may vary of some rows."""

    pixels: Mapping[str, Tensor]
    """By column: (B, H, W, C) float, from 0 to 1, as the model sees pictures."""
    numbers: Mapping[str, Tensor]
    """By column: (B,) float64, in the column's unit."""
    given: Mapping[str, Tensor]
    """By column of numbers: (B,) bool, cells that are there. Others are encoded as they were."""


@dataclass(frozen=True)
class Leaf:
    """A network of the tree, its rows encoded."""

    predictor: NetworkPredictor
    share: float
    """Of the target's answer."""
    feed: Feed


def leaves(predictor: Predictor, target: str, table: Table, share: float = 1.0) -> list[Leaf]:
    """Every network that has a part in a target's answer. Constants have none, and change no direction.

    A node with one member (a calibration, an interval) hands the question on: it rises and falls with its member.
    """
    if isinstance(predictor, NetworkPredictor):
        return [Leaf(predictor, share, predictor.feed(table))] if target in predictor.network.targets else []
    members = predictor.members()
    weights: Sequence[float] = [1.0] * len(members)
    if isinstance(predictor, BlendPredictor):
        weights = predictor.weights.get(target, [0.0] * len(members))
    elif len(members) > 1:
        weights = [1.0 / len(members)] * len(members)
    found = (leaves(m, target, table, share * w) for m, w in zip(members, weights, strict=True) if w > 0)
    return [leaf for some in found for leaf in some]


def labels_of(predictor: Predictor, target: str, table: Table) -> Tensors:
    """The target's tensors as training has them, "present" among them."""
    import torch

    facts = predictor.signature.columns[target]
    cells = cells_of(table, facts, predictor.signature.options)
    arrays = column_part(facts).encode(cells, facts.learnt)  # type: ignore[attr-defined]
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def losses(found: Sequence[Leaf], target: str, rows_B: Tensor, varied: Varied, y: Tensors) -> Tensor:
    """(B,) the loss of each row: cross entropy of classes and sets, squared error of numbers, in the mixed answer.

    Args:
        found: Of :func:`leaves`.
        target: Its name.
        rows_B: Positions of the rows in the leaves' feeds.
        varied: Their columns that vary, of the same rows.
        y: The target's tensors, of the same rows.
    """
    import torch

    mixed: Tensor | None = None
    for leaf in found:
        network = leaf.predictor.network
        batch = _varied(leaf, leaf.feed.batch(rows_B), varied)
        out = network.head(target).outputs(network.encode(batch), GREEDY, {})
        part = leaf.share * (out["probability"] if "probability" in out else out["value"])
        mixed = part if mixed is None else mixed + part
    assert mixed is not None  # by the caller: there is a leaf
    if "index" in y:
        # Far below what float32 can hold, so that a sure answer still has a slope.
        return -torch.log(mixed.gather(1, y["index"].long().unsqueeze(1)).squeeze(1).clamp_min(1e-30))
    if "hot" in y:
        p, hot = mixed.clamp(1e-7, 1 - 1e-7), y["hot"].to(mixed.dtype)
        return -(hot * p.log() + (1 - hot) * (1 - p).log()).mean(1)
    value = y["value"].to(mixed.dtype)
    return (mixed - value.view(len(value), -1)).square().mean(1)


def _varied(leaf: Leaf, batch: Batch, varied: Varied) -> Batch:
    inputs = {name: dict(tensors) for name, tensors in batch.inputs.items()}
    for name, tensors in inputs.items():
        place = 0
        for column, codec in leaf.predictor.fields[name].codecs.items():
            if column in varied.pixels and "pixel" in tensors:
                tensors["pixel"] = 255 * varied.pixels[column]
            if isinstance(codec, NumberCodec) and codec.scale and column in varied.numbers:
                cell_B = _encoded(codec, varied.numbers[column]).to(tensors["number"].dtype)
                old_BK = tensors["number"]
                new_B = cell_B.where(varied.given[column], old_BK[:, place])
                tensors["number"] = _with_column(old_BK, place, new_B)
            place += codec.shapes().get("number", 0)
    return replace(batch, inputs=inputs)


def _with_column(old_BK: Tensor, place: int, new_B: Tensor) -> Tensor:
    import torch

    return torch.cat([old_BK[:, :place], new_B.unsqueeze(1), old_BK[:, place + 1 :]], dim=1)


def _encoded(codec: NumberCodec, value_B: Tensor) -> Tensor:
    """As the codec encodes values that are there."""
    import torch

    match codec.transform:
        case "none":
            moved_B = value_B
        case "log1p":
            moved_B = torch.log1p(value_B.clamp_min(0))
        case "signed_log1p":
            moved_B = torch.sign(value_B) * torch.log1p(value_B.abs())
    return (moved_B - codec.center) / codec.scale
