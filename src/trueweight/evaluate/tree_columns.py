"""A table's columns as trees take them: numbers as they are, levels by number, gaps as gaps.

Pictures, sounds, series and texts become the few numbers that the linear model sees of them.

Shape suffixes:
    N  rows    P  places
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch

from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells, SetCells, VectorCells
from trueweight.data.feed import Feed
from trueweight.data.gist import GISTS
from trueweight.data.levels import level_numbers
from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.predictors.portions import CHUNK_ITEMS, CHUNK_PLACES, CHUNK_ROWS
from trueweight.model.protocols import Encoder
from trueweight.nn.pooling import pooled
from trueweight.recipes.resolve import linear_member
from trueweight.train.build import untrained
from trueweight.train.encoded import fields_of
from trueweight.train.prepare import Prepared

__all__ = ["TreeColumns"]

MOST_LEVELS = 254
"""Levels of a column that are told apart, the most frequent ones; trees know no more than 255."""

MOST_MEMBERS = 64
"""Members of a set that have a place."""

MOST_OF_SENSE = 300
"""Places of a picture, sound, series or text, those that are most often not 0 in training rows."""


@dataclass(frozen=True, slots=True)
class TreeColumns:
    """From tables to matrices of a fixed width."""

    signature: Signature
    leaf: NetworkPredictor | None
    """Whose encoders read the senses, none of which has weights to train; None where there are none."""
    kept: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Places of each field of the senses."""

    @classmethod
    def of(cls, ready: Prepared, train: Table) -> "TreeColumns":
        """For a run; which places of senses are kept depends on training rows alone."""
        signature = ready.signature
        if all(facts.type not in GISTS for facts in signature.features()):
            return cls(signature, None)
        leaf = untrained(ready, fields_of(ready), linear_member())
        feed = leaf.reading(leaf.feed(train))
        return cls(signature, leaf, {name: _often(leaf, name, feed) for name in _sensed(leaf)})

    def matrix(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """(N, P) float64, NaN for gaps, and which places hold numbers of levels, (P,) bool."""
        found, levels = [], []
        for facts in self.signature.features():
            if facts.type not in GISTS:
                place_NP = _of_column(facts, cells_of(table, facts, self.signature.options))
                found.append(place_NP)
                levels.append(np.full(place_NP.shape[1], facts.type in ("category", "binary")))
        if self.leaf is not None:
            feed = self.leaf.reading(self.leaf.feed(table))
            for name, kept in self.kept.items():
                found.append(_of_sense(self.leaf, name, feed, kept))
                levels.append(np.zeros(len(kept), bool))
        return np.concatenate(found, axis=1), np.concatenate(levels)


def _of_column(facts: ColumnFacts, cells: Cells) -> np.ndarray:
    """(N, P) of a plain column."""
    match cells:
        case NumberCells():
            return cells.value_N[:, None]
        case DateCells():
            return np.where(cells.missing_N, np.nan, cells.micros_N / 1e6)[:, None]
        case LevelCells():
            return _levels(facts.learnt["levels"][:MOST_LEVELS], cells)
        case SetCells():
            return _members(facts.learnt["levels"][:MOST_MEMBERS], cells)
        case VectorCells() if cells.value_ND.shape[1] == facts.learnt["width"]:
            return cells.value_ND
        case VectorCells():
            return np.full((len(cells), facts.learnt["width"]), np.nan)
        case _:
            raise TypeError(f"trees cannot read {type(cells).__name__}")


def _levels(known: Sequence[str], cells: LevelCells) -> np.ndarray:
    """The level's number, one more than there are for all others."""
    number_K = level_numbers(cells.levels, known).astype(np.float64)
    # A missing one, -1, finds the last.
    return np.asarray(np.append(np.where(number_K < 0, len(known), number_K), np.nan)[cells.code_N][:, None])


def _members(known: Sequence[str], cells: SetCells) -> np.ndarray:
    hot_NP = np.zeros((len(cells), len(known) + 1))
    number_K = level_numbers(cells.levels, known)
    row_M = np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))
    hot_NP[row_M, np.where(number_K < 0, len(known), number_K)[cells.code_M]] = 1.0
    return hot_NP


def _sensed(leaf: NetworkPredictor) -> list[str]:
    return [name for name in leaf.network.fields if leaf.fields[name].sensed]


def _pieces(leaf: NetworkPredictor, name: str, feed: Feed) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What the linear model sees of a field, some rows at a time: (positions, (B, P))."""
    encoder = cast(Encoder, leaf.network.encoders[f"f{leaf.network.fields.index(name)}"])
    rows = max(1, min(CHUNK_ROWS, CHUNK_PLACES // max(1, encoder.form.width)))
    for place, batch in feed.chunks(rows, CHUNK_ITEMS):
        with torch.no_grad():
            yield place, pooled(encoder(batch.inputs[name]))


def _often(leaf: NetworkPredictor, name: str, feed: Feed) -> torch.Tensor:
    """Places that are most often not 0, in their order."""
    count_P = torch.stack([(x_BP != 0).sum(0) for _, x_BP in _pieces(leaf, name, feed)]).sum(0)
    return torch.argsort(-count_P, stable=True)[:MOST_OF_SENSE].sort().values


def _of_sense(leaf: NetworkPredictor, name: str, feed: Feed, kept: torch.Tensor) -> np.ndarray:
    found_NP = np.zeros((len(feed), len(kept)))
    for place, x_BP in _pieces(leaf, name, feed):
        found_NP[place.numpy()] = x_BP[:, kept].double().numpy()
    return found_NP
