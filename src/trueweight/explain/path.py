"""One row of a network leaf on the way from "as usual" to itself, part by part.

What a network takes as numbers (standardised numbers, flags, pixels, spectra, weights of n-grams) is mixed where it
comes in. Categories and tokens are no numbers: there, what their embedding gives is mixed.

Shape suffixes:
    S  mixtures    Q  all mixed places of a row
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.bpe import vocabulary_of
from trueweight.data.cells import TextCells
from trueweight.data.column import Codec
from trueweight.data.columns.audio import AudioCodec
from trueweight.data.field import Field
from trueweight.data.reading import cells_of
from trueweight.data.table import Table
from trueweight.data.text_codec import TextCodec
from trueweight.explain.ngrams import ngram_parts
from trueweight.explain.record import Part
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.nn.category import CodeEmbedding, OneHot
from trueweight.nn.decoding import GREEDY
from trueweight.nn.encoding import Tensors
from trueweight.nn.stems import TokenStem
from trueweight.progress import may_stop

__all__ = ["RowPath", "row_paths"]

_CONTINUOUS = ("number", "flag", "pixel", "frame", "weight")
MOST_CELLS, MOST_SPANS, MOST_BANDS = 28, 40, 8
"""Into how many parts a picture's side, a series in time, and its channels are told at most."""

CHUNK = {True: 64, False: 2048}
"""Mixtures at once, with and without pictures, sounds, series or texts."""


@dataclass(frozen=True)
class _Place:
    """An array that is mixed."""

    key: tuple[str, str]
    """Field, and array or number of the module."""
    x: Tensor
    b: Tensor
    """Of the row and as usual, (…), float64."""
    part: np.ndarray
    """(…) int64: number of the part that each element belongs to."""


@dataclass(frozen=True)
class RowPath:
    """Asks the network about mixtures of one row."""

    network: nn.Module
    batch: Batch
    target: str
    learnt: Mapping[str, Any]
    index: int
    parts: tuple[Part, ...]
    places: tuple[_Place, ...]
    modules: Mapping[tuple[str, str], nn.Module]
    sensed: bool

    def answers(self, share_SQ: np.ndarray) -> np.ndarray:
        """The number explained where each part has come so far, (S,).

        Args:
            share_SQ: For each part, from 0 (as usual) to 1 (the row's).
        """
        found: list[np.ndarray] = []
        with torch.no_grad():
            found += [
                self._run([self._mixed(p, some) for p in self.places], len(some)).numpy()
                for some in _chunks(share_SQ, CHUNK[self.sensed])
            ]
        return np.concatenate(found)

    def slopes(self, alpha_S: np.ndarray) -> np.ndarray:
        """How fast the answer moves with each part, where all have come ``alpha`` of their way, (S, Q)."""
        found = []
        for some in _chunks(alpha_S, CHUNK[self.sensed]):
            alpha = torch.from_numpy(some)
            mixes = [_between(p, alpha.view(-1, *[1] * p.x.dim())).requires_grad_() for p in self.places]
            grads = torch.autograd.grad(self._run(mixes, len(some)).sum(), mixes, allow_unused=True)
            total_SQ = torch.zeros(len(some), len(self.parts), dtype=torch.float64)
            for place, grad in zip(self.places, grads, strict=True):
                if grad is not None:
                    moved = (grad * (place.x - place.b)).flatten(1)
                    total_SQ.index_add_(1, torch.from_numpy(place.part.ravel()), moved)
            found.append(total_SQ.numpy())
        return np.concatenate(found)

    def unread(self) -> frozenset[tuple[str, str]]:
        """Arrays that the network does not look at, such as tokens where it reads n-grams."""
        mixes = [_between(p, torch.full([1] * (p.x.dim() + 1), 0.5).double()).requires_grad_() for p in self.places]
        grads = torch.autograd.grad(self._run(mixes, 1).sum(), mixes, allow_unused=True)
        return frozenset(place.key for place, grad in zip(self.places, grads, strict=True) if grad is None)

    def _mixed(self, place: _Place, share_SQ: np.ndarray) -> Tensor:
        return _between(place, torch.from_numpy(share_SQ[:, place.part]))

    def _run(self, mixes: Sequence[Tensor], count: int) -> Tensor:
        by_key = {place.key: mix for place, mix in zip(self.places, mixes, strict=True)}
        inputs = {
            field: {name: by_key.get((field, name), _repeated(t, count)) for name, t in tensors.items()}
            for field, tensors in self.batch.inputs.items()
        }
        network: Any = self.network
        with _hooked(self.modules, by_key):
            rows = torch.zeros(count, dtype=torch.int64)
            outputs = network.answer(Batch(rows, inputs, {}), GREEDY, {})[self.target]
        if "probability" in outputs:
            return cast(Tensor, outputs["probability"][:, self.index])
        value = outputs["value"][:, self.index] * self.learnt["std"] + self.learnt["mean"]
        return cast(Tensor, torch.expm1(value) if self.learnt.get("transform") == "log1p" else value)


def _chunks(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(array), size):
        may_stop()
        yield array[start : start + size]


def _between(place: _Place, share: Tensor) -> Tensor:
    return place.b + share * (place.x - place.b)


def _repeated(t: Tensor, count: int) -> Tensor:
    t = t.double() if t.is_floating_point() else t
    return t.expand(count, *t.shape[1:])


@contextmanager
def _hooked(modules: Mapping[tuple[str, str], nn.Module], mixes: Mapping[tuple[str, str], Tensor]) -> Iterator[None]:
    """Let modules of embeddings give mixtures instead."""

    def instead(mix: Tensor, *_: Any) -> Tensor:
        return mix

    handles = [m.register_forward_hook(partial(instead, mixes[key])) for key, m in modules.items() if key in mixes]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def row_paths(
    leaf: NetworkPredictor, target: str, table: Table, usual: Table, indices: Sequence[int]
) -> Iterator[RowPath]:
    """A path for each row of a table.

    Args:
        leaf: The network.
        target: Which of its answers.
        table: The rows.
        usual: One row that stands for what is usual in plain columns.
        indices: For each row the column of the answer that is explained.
    """
    network = deepcopy(leaf.network).double().eval().requires_grad_(False)
    feed, base = leaf.feed(table), leaf.feed(usual).batch(torch.arange(1))
    modules = _embeddings(network)
    learnt = leaf.signature.columns[target].learnt
    texts = _texts(leaf, table)
    sensed = any(field.sensed for field in leaf.fields.values())
    unread: frozenset[tuple[str, str]] | None = None
    for row, index in enumerate(indices):
        batch = feed.batch(torch.tensor([row]))
        here = {name: str(cells[row].as_py()) for name, cells in texts.items()}

        def path(
            unread: frozenset[tuple[str, str]], batch: Batch = batch, here: Any = here, index: int = index
        ) -> RowPath:
            book = _Book(leaf, batch, base, here, unread)
            for name in network.fields:
                book.add(name, {key: module for key, module in modules.items() if key[0] == name})
            parts, places = tuple(book.parts), tuple(book.places)
            return RowPath(network, batch, target, learnt, index, parts, places, modules, sensed)

        if unread is None:
            unread = path(frozenset()).unread()
        yield path(unread)


def _texts(leaf: NetworkPredictor, table: Table) -> dict[str, pa.Array]:
    """Texts as they are read, by column."""
    columns = [name for field in leaf.fields.values() for name in field.codecs]
    read = ((n, cells_of(table, leaf.signature.columns[n], leaf.signature.options)) for n in columns)
    return {name: cells.text_N for name, cells in read if isinstance(cells, TextCells)}


def _embeddings(network: Any) -> dict[tuple[str, str], nn.Module]:
    """Modules that turn numbers of categories and tokens into vectors, by field."""
    found: dict[tuple[str, str], nn.Module] = {}
    for i, name in enumerate(network.fields):
        for place, module in enumerate(network.encoders[f"f{i}"].modules()):
            if isinstance(module, OneHot | CodeEmbedding):
                found[name, f"module {place}"] = module
            elif isinstance(module, TokenStem):
                found[name, f"module {place}"] = module.embedding
    return found


class _Book:
    """Collects the places of one row, and the parts they belong to."""

    def __init__(
        self, leaf: NetworkPredictor, batch: Batch, base: Batch, texts: Mapping[str, str],
        unread: frozenset[tuple[str, str]],
    ) -> None:  # fmt: skip
        self.leaf, self.batch, self.base, self.texts, self.unread = leaf, batch, base, texts, unread
        self.parts: dict[Part, int] = {}
        self.places: list[_Place] = []

    def add(self, name: str, modules: Mapping[tuple[str, str], nn.Module]) -> None:
        """All places of one field."""
        field, x = self.leaf.fields[name], self.batch.inputs[name]
        for key in _CONTINUOUS:
            if key in x and (name, key) not in self.unread:
                mine = x[key][0].double()
                usual = self._usual(field, name, key, mine)
                parts = self._ngrams(field, x) if key == "weight" else _parts_of(field, key, mine.shape)
                self.places.append(_Place((name, key), mine, usual, self._numbers(parts)))
        for place, module in modules.items():
            if place not in self.unread:
                self.places.append(self._embedded(field, name, place, module))

    def _ngrams(self, field: Field, x: Tensors) -> np.ndarray:
        column, codec = _text_codec(field)
        code_T = x["bag"][0, :, 0].numpy()
        return ngram_parts(column, codec, self.texts.get(column, ""), code_T)[:, None]

    def _usual(self, field: Field, name: str, key: str, mine: Tensor) -> Tensor:
        sense = field.layout().senses.get(key)
        if sense is None:
            return mine if field.sensed else self.base.inputs[name][key][0].double()
        if key == "weight":
            return torch.zeros_like(mine)
        mean = torch.tensor(sense.mean, dtype=torch.float64) * (255.0 if key == "pixel" else 1.0)
        return mean.expand_as(mine).clone()

    def _embedded(self, field: Field, name: str, key: tuple[str, str], module: nn.Module) -> _Place:
        if isinstance(module, OneHot | CodeEmbedding):
            mine = module.forward(self.batch.inputs[name]["code"])[0]
            usual = module.forward(self.base.inputs[name]["code"])[0]
            columns = [column for column, codec in field.codecs.items() if "code" in codec.shapes()]
            chosen = [columns[k] for k in module.column_K.tolist()]
            each = len(mine) // max(1, len(chosen))
            owners = chosen if isinstance(module, CodeEmbedding) else [chosen[k] for k in module.owner_P.tolist()]
            spread = [o for o in owners for _ in range(each)] if isinstance(module, CodeEmbedding) else owners
            return _Place(
                key, mine.double(), usual.double(), self._numbers(np.array([Part(o) for o in spread], object))
            )
        token_T = self.batch.inputs[name]["token"][0, :, 0].long()
        mine = cast(Tensor, module.forward(token_T)).double()
        parts = _token_parts(field, token_T.numpy())
        spread_TD = np.repeat(parts[:, None], mine.shape[1], axis=1)
        return _Place(key, mine, torch.zeros_like(mine), self._numbers(spread_TD))

    def _numbers(self, parts: np.ndarray) -> np.ndarray:
        flat = [self.parts.setdefault(part, len(self.parts)) for part in parts.ravel()]
        return np.asarray(flat, np.int64).reshape(parts.shape)


def _parts_of(field: Field, key: str, shape: Sequence[int]) -> np.ndarray:
    """The part of each element of an array of one row, (…) objects."""
    owners = [c for c, codec in field.codecs.items() for _ in range(codec.shapes().get(key, 0))]
    if key == "pixel":
        return _pixel_parts(owners[0], shape)
    if key == "frame":
        return _frame_parts(owners[0], field.codecs[owners[0]], shape)
    found = np.empty(shape, object)
    found[:] = [Part(owner) for owner in owners]
    return found


def _pixel_parts(column: str, shape: Sequence[int]) -> np.ndarray:
    found = np.empty(shape, object)
    rows, columns = (np.linspace(0, side, min(side, MOST_CELLS) + 1).round().astype(int) for side in shape[:2])
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            found[top:bottom, left:right] = Part(column, (int(top), int(left), int(bottom), int(right)))
    return found


def _frame_parts(column: str, codec: Codec, shape: Sequence[int]) -> np.ndarray:
    found = np.empty(shape, object)
    words = [word.removeprefix(f"{column} ").removeprefix("at ") for word in codec.labels()["frame"]]
    # Of sounds in milliseconds, as people and the other methods count.
    unit = 1000 * codec.spectrum.hop / codec.spectrum.rate if isinstance(codec, AudioCodec) else 1.0
    steps = np.linspace(0, shape[0], min(shape[0], MOST_SPANS) + 1).round().astype(int)
    bands = np.linspace(0, shape[1], min(shape[1], MOST_BANDS) + 1).round().astype(int)
    for start, end in pairwise(steps):
        for low, high in pairwise(bands):
            shown = words[low] if high - low == 1 else f"{words[low]} to {words[high - 1]}"
            found[start:end, low:high] = Part(column, (round(start * unit), round(end * unit)), shown)
    return found


def _token_parts(field: Field, token_T: np.ndarray) -> np.ndarray:
    column, codec = _text_codec(field)
    assert codec.merges is not None  # or there would be no tokens
    words = {number: word for word, number in vocabulary_of(codec.merges).items()}
    found = np.empty(len(token_T), object)
    for place, token in enumerate(token_T.tolist()):
        found[place] = Part(column, (place,), words.get(token, "?"))
    return found


def _text_codec(field: Field) -> tuple[str, TextCodec]:
    return next((column, codec) for column, codec in field.codecs.items() if isinstance(codec, TextCodec))
