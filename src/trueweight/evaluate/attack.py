"""Projected gradient ascent: the change of a row, within a radius, that makes the model most wrong.

Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", arXiv:1706.06083, section 2.
As there, steps are taken along the sign of the gradient (linf) or along the gradient itself (l2), and the step is 2.5
times the radius over the number of steps. We also start from the row itself, and keep the worst point that was met.

Shape suffixes:
    N  rows    B  rows of a batch    H  height    W  width    C  channels    K  columns of numbers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trueweight.data.reading import cells_of
from trueweight.data.table import Table
from trueweight.evaluate.attack_scores import Attack, attacked_scores, no_attack
from trueweight.evaluate.changed_rows import changed_copies, some_rows
from trueweight.evaluate.corrupt_pictures import Pictures, load_pictures, write_pictures
from trueweight.evaluate.corrupt_tables import NUMBERS
from trueweight.evaluate.gradients import Leaf, Varied, labels_of, leaves, losses
from trueweight.evaluate.judging import Judging
from trueweight.evidence.record import Entry, Method
from trueweight.seeds import stream_seed
from trueweight.spec.robustness import AttackSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["attacked", "attacks", "farthest", "scores_of"]

ROWS = 200
"""Judged rows that are attacked, at most."""

BATCH = 100

_PACE = 2.5
"""Of the way that all steps together could go, in radii."""


_NO_SLOPE = (
    "boosted trees take part in the answer: they have no slope to climb, and an attack that does not see them would "
    "make the model look stronger than it is"
)


def attacks(judging: Judging) -> list[Entry]:
    """Scores of rows that were changed against the model, if the spec asks for it."""
    how = judging.ask.evaluate.robustness.attack
    if how is None:
        why = "not asked for: evaluate.robustness.attack names a norm and a radius"
        return [no_attack(judging, "attack", "not_applicable", why)]
    table, entries = judging.table.take(some_rows(judging, ROWS)), list[Entry]()
    for target in judging.truths:
        if any(leaf.predictor.boosted for leaf in leaves(judging.predictor, target, table.head(1))):
            entries.append(no_attack(judging, f"attack/{target}", "not_run", _NO_SLOPE))
            continue
        changed = attacked(judging, table, target, how)
        if changed is None:
            continue
        clean, _ = changed_copies(judging, table)
        entries += scores_of(judging, target, clean, changed, how)
    why = "no network reads a column of pictures or numbers, which alone can be changed little by little"
    return entries or [no_attack(judging, "attack", "not_applicable", why)]


def scores_of(judging: Judging, target: str, clean: Table, changed: Table, how: AttackSpec) -> list[Entry]:
    """Scores of changed rows, or a failed entry where a row is changed by more than was declared.

    Args:
        judging: The model.
        target: What it was to be wrong about.
        clean: The rows as they are.
        changed: The same rows changed.
        how: What was declared.
    """
    far = farthest(judging, clean, changed, how.norm)
    if far > how.radius * (1 + _ROUNDING):
        why = f"a row of {target!r} was changed by {far:g}, more than the radius {how.radius:g} that was declared"
        return [no_attack(judging, f"attack/{target}", "failed", why)]
    before, after = (judging.predictor.predict(t)[target] for t in (clean, changed))
    told = judging.truths[target].take(some_rows(judging, ROWS))
    known = how.model_dump(mode="json") | {"rows": len(told), "farthest": round(far, 6)}
    method = Method("projected gradient ascent", "1", known, judging.ask.seed)
    words = f"changed by up to {how.radius:g} ({how.norm})"
    return attacked_scores(judging, target, before, after, told, Attack("attacked", words, method))


_ROUNDING = 1e-6


def farthest(judging: Judging, one: Table, other: Table, norm: str) -> float:
    """How far apart rows of two tables are at most, in the attack's own units, by their cells alone.

    Args:
        judging: Whose columns they are.
        one: Rows.
        other: As many.
        norm: linf or l2, of each picture and of all numbers of a row.
    """
    before, after = _start(judging, one), _start(judging, other)
    steps = [
        (after.pictures[name].pixel_NHWC.astype(np.float64) - p.pixel_NHWC).reshape(len(one), -1) / 255
        for name, p in before.pictures.items()
    ]
    moved = [(after.numbers[name].value_N - n.value_N) / before.std[name] for name, n in before.numbers.items()]
    steps += [np.nan_to_num(np.stack(moved, axis=1))] if moved else []
    sizes = [np.abs(s).max(1) if norm == "linf" else np.sqrt(np.square(s).sum(1)) for s in steps]
    return max((float(size_N.max()) for size_N in sizes if len(size_N)), default=0.0)


@dataclass(frozen=True)
class _Start:
    """The rows as they are, in the form in which they are changed."""

    pictures: Mapping[str, Pictures]
    numbers: Mapping[str, Any]
    """Loaded cells of :data:`NUMBERS`."""
    std: Mapping[str, float]
    """Of training rows, by column of numbers."""


def attacked(judging: Judging, table: Table, target: str, how: AttackSpec) -> Table | None:
    """The rows changed against the model, as cells; None where nothing can be changed.

    Args:
        judging: The model.
        table: Rows with the target.
        target: What the model is to be wrong about.
        how: Norm, radius, and how hard to try.
    """
    clean, _ = changed_copies(judging, table)
    start = _start(judging, clean)
    found = leaves(judging.predictor, target, clean)
    if not found or not (start.pictures or start.numbers):
        return None
    y = labels_of(judging.predictor, target, table)
    training = [leaf.predictor.network.training for leaf in found]
    try:
        for leaf in found:
            leaf.predictor.network.eval()
        best = [_search(found, target, start, np.arange(len(table))[i : i + BATCH], y, how, judging.ask.seed)
                for i in range(0, len(table), BATCH)]  # fmt: skip
    finally:
        for leaf, was in zip(found, training, strict=True):
            leaf.predictor.network.train(was)
    return _written(clean, start, best, how)


def _start(judging: Judging, table: Table) -> _Start:
    signature = judging.predictor.signature
    facts = {f.name: f for f in signature.features() if f.name in table.names}
    cells = {name: cells_of(table, f, signature.options) for name, f in facts.items() if f.type in ("image", "number")}
    pictures = {n: load_pictures(cells[n], f) for n, f in facts.items() if f.type == "image"}
    numbers = {n: NUMBERS.load(cells[n], f) for n, f in facts.items() if f.type == "number"}
    return _Start(
        {n: p for n, p in pictures.items() if p is not None},
        {n: v for n, v in numbers.items() if v is not None},
        {n: float(facts[n].learnt["std"]) for n, v in numbers.items() if v is not None},
    )


def _search(
    found: list[Leaf], target: str, start: _Start, rows: np.ndarray, y: Mapping[str, Tensor], how: AttackSpec, seed: int
) -> list[np.ndarray]:
    """The worst change that was met, for pictures (0 to 1) column by column, then all numbers (standard deviations)."""
    import torch

    rows_B = torch.from_numpy(rows)
    labels = {name: t[rows_B] for name, t in y.items()}
    chance = torch.Generator().manual_seed(stream_seed(seed, "attack", int(rows[0])) % 2**63)
    blocks = _blocks(start, rows)
    none = [torch.zeros_like(block) for block in blocks]

    def loss(change: list[Tensor]) -> Tensor:
        return losses(found, target, rows_B, _moved(start, rows, change), labels)

    with torch.no_grad():
        worst, best = loss(none), [block.clone() for block in none]
    for turn in range(how.restarts):
        change = none if turn == 0 else [_random(block, how, chance) for block in none]
        change = _held(change, blocks, how)
        for _ in range(how.steps):
            leaf = [c.detach().requires_grad_() for c in change]
            total = loss(leaf).sum()
            slopes = torch.autograd.grad(total, leaf, allow_unused=True)
            change = [c if g is None else c.detach() + _step(g, how) for c, g in zip(leaf, slopes, strict=True)]
            change = [c.detach() for c in _held(change, blocks, how)]
            with torch.no_grad():
                met = loss(change)
            better = met > worst
            worst = torch.where(better, met, worst)
            best = [c.where(_like(better, c), b) for c, b in zip(change, best, strict=True)]
    return [block.double().numpy() for block in best]


def _blocks(start: _Start, rows: np.ndarray) -> list[Tensor]:
    """What is changed: pixels from 0 to 1 of each column of pictures, and numbers, of whose values nothing matters."""
    import torch

    pixels = [torch.from_numpy(p.pixel_NHWC[rows]).float() / 255 for p in start.pictures.values()]
    return pixels + ([torch.zeros(len(rows), len(start.numbers), dtype=torch.float64)] if start.numbers else [])


def _moved(start: _Start, rows: np.ndarray, change: list[Tensor]) -> Varied:
    import torch

    pixels = {
        name: torch.from_numpy(p.pixel_NHWC[rows]).float() / 255 + change[i]
        for i, (name, p) in enumerate(start.pictures.items())
    }
    numbers, given = {}, {}
    for place, (name, loaded) in enumerate(start.numbers.items()):
        value_B = torch.from_numpy(np.nan_to_num(loaded.value_N[rows]))
        given[name] = torch.from_numpy(~np.isnan(loaded.value_N[rows]))
        numbers[name] = value_B + start.std[name] * change[-1][:, place]
    return Varied(pixels, numbers, given)


def _like(mark_B: Tensor, block: Tensor) -> Tensor:
    return mark_B.reshape([len(mark_B)] + [1] * (block.dim() - 1))


def _length(block: Tensor) -> Tensor:
    return block.flatten(1).square().sum(1).sqrt().clamp_min(1e-30)


def _random(block: Tensor, how: AttackSpec, chance: Any) -> Tensor:
    """A point within the radius."""
    import torch

    if how.norm == "linf":
        return (2 * torch.rand(block.shape, generator=chance, dtype=block.dtype) - 1) * how.radius
    way = torch.randn(block.shape, generator=chance, dtype=block.dtype)
    far = torch.rand(len(block), generator=chance, dtype=block.dtype)
    return way * _like(how.radius * far / _length(way), way)


def _step(slope: Tensor, how: AttackSpec) -> Tensor:
    pace = _PACE * how.radius / how.steps
    return pace * (slope.sign() if how.norm == "linf" else slope / _like(_length(slope), slope))


def _held(change: list[Tensor], blocks: list[Tensor], how: AttackSpec) -> list[Tensor]:
    """Within the radius, and pixels from 0 to 1."""
    held = []
    for block, start in zip(change, blocks, strict=True):
        if how.norm == "linf":
            near = block.clamp(-how.radius, how.radius)
        else:
            near = block * _like((how.radius / _length(block)).clamp_max(1), block)
        # Pixels alone have four axes.
        held.append((start + near).clamp(0, 1) - start if block.dim() == 4 else near)
    return held


def _written(clean: Table, start: _Start, best: list[list[np.ndarray]], how: AttackSpec) -> Table:
    """The changed rows as cells: whole steps of pixels, none beyond the radius."""
    data, blocks = clean.data, [np.concatenate(parts) for parts in zip(*best, strict=True)]
    for (name, pictures), block_NHWC in zip(start.pictures.items(), blocks, strict=False):
        steps = 255 * block_NHWC
        # Towards the picture where the radius allows no more; float32 must not turn 8 steps into 7.
        limit = np.floor(255 * how.radius + 1e-4) if how.norm == "linf" else np.inf
        whole = (
            np.clip(np.rint(steps), -limit, limit) if how.norm == "linf" else np.trunc(steps + np.sign(steps) * 1e-4)
        )
        pixel = np.clip(pictures.pixel_NHWC + whole, 0, 255).astype(np.uint8)
        array = write_pictures(replace(pictures, pixel_NHWC=pixel))
        data = data.set_column(data.column_names.index(name), name, array)
    for place, (name, loaded) in enumerate(start.numbers.items()):
        moved = replace(loaded, value_N=loaded.value_N + start.std[name] * blocks[-1][:, place])
        data = data.set_column(data.column_names.index(name), name, NUMBERS.write(moved))
    return replace(clean, data=data)
