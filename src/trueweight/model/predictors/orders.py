"""Rows that somebody wants written, and how they are read: no more of them than there are slots for, and of many small
orders all at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from trueweight.data.table import Table
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import Decoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trueweight.metrics.prediction import Prediction
    from trueweight.nn.encoding import Tensors
    from trueweight.nn.slots import Row
    from trueweight.nn.spelling import Spelling
    from trueweight.nn.texts import Begun

__all__ = ["READING", "Order", "Pace", "Reader", "Waiting"]

READING = 0.01
"""Seconds of reading between two tokens of those who are written, about."""

_FIRST = 4
"""Rows that are read at once, until it is seen how long that takes. Orders of no more are read together."""


@dataclass(slots=True)
class Pace:
    """How many of something are done at once, by how long that has taken."""

    now: int
    most: int
    seconds: float
    """That they may take."""

    def took(self, seconds: float) -> None:
        """So long, of as many as there may be."""
        if seconds < self.seconds / 2:
            self.now = min(2 * self.now, self.most)
        elif seconds > self.seconds:
            self.now = max(1, self.now // 2)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that was read and is not written yet."""

    row: Row
    memory: Tensors
    """That was read for it, and for others."""
    place: int
    """In the memory."""


@dataclass(eq=False)
class Order:
    """Rows of a table that somebody wants written."""

    table: Table
    how: Decoding
    seed: int
    spelling: Spelling | None
    """Of a single row that is told as it is written."""
    gone: bool = False
    """Set it when nobody wants the answer any more; may be set by any thread."""
    pieces: list[str] = field(default_factory=list)
    """What was said since somebody took it."""
    answer: Mapping[str, Prediction] | None = None
    """Once all rows are written."""
    failed: Exception | None = None
    """In the place of an answer: what came in between when rows were read or texts were put together."""
    read: int = 0
    """Rows that were read, or are in ``chunks``."""
    pace: Pace | None = None
    """Of rows that are read at once."""
    chunks: Iterator[tuple[Sequence[int], Begun]] | None = None
    """Rows that are decoded and not all encoded yet; None: there are none."""
    waiting: deque[Waiting] = field(default_factory=deque)
    """Rows that have no slot yet."""
    written: list[list[tuple[int, float]]] = field(default_factory=list)
    """Of each row, or each candidate of a row, the tokens so far and their log probabilities."""
    left: int = 0
    """Texts that are not complete."""
    slotted: int = 0
    """Texts that have had a slot."""
    prompted: int = 0
    """Tokens that these began with."""

    @property
    def unread(self) -> bool:
        """Whether there may be rows that nobody has read."""
        return self.chunks is not None or self.read < len(self.table)

    @property
    def small(self) -> bool:
        """Whether it is read with others: nobody has looked at it, and it is few rows of one candidate each."""
        return not self.read and not self.gone and self.how.samples == 1 and len(self.table) <= _FIRST

    def taken(self, most: int, tokens: int) -> list[Waiting]:
        """Some rows that were read, for so many slots, and with about so many tokens; one at least."""
        found: list[Waiting] = []
        while self.waiting and len(found) < most and tokens > 0:
            found.append(self.waiting.popleft())
            tokens -= len(found[-1].row.prompt) + 1
            self.prompted += len(found[-1].row.prompt)
        self.slotted += len(found)
        return found


class Reader:
    """Reads rows for one target of a leaf.

    Args:
        leaf: What writes.
        target: The text.
        most: Rows at once.
    """

    def __init__(self, leaf: NetworkPredictor, target: str, most: int) -> None:
        self._leaf, self._target, self._most = leaf, target, most
        self._pace = self._first_pace()

    def _first_pace(self) -> Pace:
        return Pace(min(_FIRST, self._most), self._most, READING)

    def together(self, orders: Iterable[Order], free: int) -> None:
        """Read small orders at once, as many as there are slots for and as can be read in a moment. What cannot be read
        so stays as it is: by itself it tells why."""
        small, rows, slots = list[Order](), 0, 0
        for order in orders:
            slots += len(order.table) if order.small else 1
            if slots > free or rows >= self._pace.now:
                break
            if order.small:
                small.append(order)
                rows += len(order.table)
        start = time.perf_counter()
        for some in _of_like_columns(small):
            if len(some) > 1:
                try:
                    self._read_together(some)
                except Exception:  # noqa: S112 - one of them spoils it for the others
                    continue
        if rows >= self._pace.now:
            self._pace.took(time.perf_counter() - start)

    def _read_together(self, orders: Sequence[Order]) -> None:
        owners = [(order, number) for order in orders for number in range(len(order.table))]
        table = replace(orders[0].table, data=pa.concat_tables([order.table.data for order in orders]))
        found: list[tuple[Order, Waiting]] = []
        wishes = [(number, order.seed, order.how) for order, number in owners]
        for places, memory, rows in self._leaf.begin_each(table, self._target, wishes):
            for place, row in zip(places, rows, strict=True):
                order, number = owners[place]
                found.append((order, Waiting(row, memory, row.name)))
                row.name = number
        for order, one in found:
            order.waiting.append(one)
        for order in orders:
            order.read = len(order.table)

    def some_of(self, order: Order) -> bool:
        """Read some more rows of an order; whether there were any."""
        start, samples = time.perf_counter(), order.how.samples
        order.pace = order.pace or self._first_pace()
        found = None if order.chunks is None else next(order.chunks, None)
        if found is None:
            some = order.table.part(order.read, max(1, min(order.pace.now, self._most // samples)))
            if not len(some):
                order.chunks = None
                return False
            order.chunks = self._leaf.begin(some, self._target, how=order.how, seed=order.seed, before=order.read)
            order.read += len(some)
            found = next(order.chunks)
        places, begun = found
        for number, row in enumerate(begun.rows()):
            row.name = places[number // samples] * samples + number % samples
            order.waiting.append(Waiting(row, begun.memory, number))
        order.pace.took(time.perf_counter() - start)
        return True


def _of_like_columns(orders: Sequence[Order]) -> list[list[Order]]:
    """Orders whose tables can be read as one: what a cell means may depend on its column's type."""
    groups: list[list[Order]] = []
    for order in orders:
        for group in groups:
            first = group[0].table
            if first.data.schema.equals(order.table.data.schema) and first.media_dir == order.table.media_dir:
                group.append(order)
                break
        else:
            groups.append([order])
    return groups
