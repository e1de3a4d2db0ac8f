"""One running batch for everybody who wants texts of a model: they join and leave between any two tokens.

What a row is answered does not depend on who else is there: rows are read by the leaf's own codecs and network, chosen
by their own noise, and read back as ``predict`` reads them. Rows are read when there is a slot for them, a few at once,
so that a large order fills neither the memory nor everybody's time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trueweight.data.table import Table
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import Decoding, Predictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trueweight.metrics.prediction import Prediction
    from trueweight.nn.slots import Row, Said
    from trueweight.nn.spelling import Spelling
    from trueweight.nn.texts import Begun

__all__ = ["Order", "Running", "leaf_of", "running_of"]

_READING = 0.01
"""Seconds of reading between two tokens of those who are written, about."""

_FIRST = 4
"""Rows of an order that are read at once, until it is seen how long that takes."""


def leaf_of(predictor: Predictor, target: str) -> Predictor:
    """What writes a target: of a blend the member that counts most, as in its answers."""
    while members := predictor.members():
        weights = predictor.weights[target] if isinstance(predictor, BlendPredictor) else (1.0,)
        predictor = members[weights.index(max(weights))]
    return predictor


def running_of(predictor: Predictor, slots: int) -> Running | None:
    """A running batch for a model whose answers are texts written token by token, and nothing else; None for others.

    Args:
        predictor: A leaf, or a blend of leaves.
        slots: Texts side by side.
    """
    from trueweight.nn.texts import Texts

    targets = [facts.name for facts in predictor.signature.targets()]
    if len(targets) != 1 or (predictor.members() and not isinstance(predictor, BlendPredictor)):
        return None
    leaf = leaf_of(predictor, targets[0])
    if not isinstance(leaf, NetworkPredictor) or leaf.runtime != "eager":
        return None
    return Running(leaf, targets[0], slots) if isinstance(leaf.network.head(targets[0]), Texts) else None


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
    pace: int = _FIRST
    """Rows that are read at once."""
    chunks: Iterator[tuple[Sequence[int], Begun]] = field(default_factory=lambda: iter(()))
    """Rows that are decoded and not all encoded yet."""
    waiting: deque[tuple[Row, Begun, int]] = field(default_factory=deque)
    """Rows that were read and are not written yet, with their places in what was read."""
    written: list[list[tuple[int, float]]] = field(default_factory=list)
    """Of each row, or each candidate of a row, the tokens so far and their log probabilities."""
    left: int = 0
    """Texts that are not complete."""


class Running:
    """The batch. Belongs to one thread at a time.

    Args:
        leaf: What writes.
        target: The text.
        slots: Texts side by side.
    """

    def __init__(self, leaf: NetworkPredictor, target: str, slots: int) -> None:
        import torch

        from trueweight.nn.slots import Slots

        self.target, self._leaf, self._most = target, leaf, slots
        leaf.network.eval()
        with torch.inference_mode():
            self._slots = Slots(leaf.network.texts(target).writer(), slots)
        self._orders: deque[Order] = deque()
        self._owner: dict[Row, Order] = {}

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._orders or self._owner)

    def takes(self, how: Decoding) -> bool:
        """Whether texts are written one token at a time in this way: beams and forced texts are not."""
        return not how.forced and not how.times and self._leaf.network.texts(self.target).choice(how).beams == 1

    def order(self, table: Table, how: Decoding, seed: int, *, pieces: bool = False) -> Order:
        """Have rows written from the next step on.

        Args:
            table: At least one row; with ``pieces`` one.
            how: One that :meth:`takes` takes.
            seed: Of whatever is drawn.
            pieces: Tell the text as it is written.

        Rows that cannot be read fail the order, once it is their turn.
        """
        spelling = self._leaf.network.texts(self.target).spelling(how) if pieces else None
        order = Order(table, how, seed, spelling)
        order.written = [[] for _ in range(len(table) * how.samples)]
        order.left = len(order.written)
        self._orders.append(order)
        return order

    def step(self) -> list[Order]:
        """One token more for everybody; gives the orders that are complete or have failed."""
        import torch

        with torch.inference_mode():
            self._let_go()
            failed = self._take_in()
            return failed + (self._told(self._slots.step()) if self._owner else [])

    def clear(self) -> None:
        """Let everybody go, also after a failure: nothing is gone through row by row."""
        self._slots.clear()
        self._orders.clear()
        self._owner.clear()

    def _let_go(self) -> None:
        for row in [row for row, order in self._owner.items() if order.gone]:
            self._slots.leave(row)
            del self._owner[row]
        if any(order.gone for order in self._orders):
            self._orders = deque(order for order in self._orders if not order.gone)

    def _take_in(self) -> list[Order]:
        """Slots that are free to those who wait, by turns: nobody waits for all rows of somebody else, and between two
        tokens not for more than a little reading. Gives the orders whose rows could not be read."""
        failed, later, start, has_read = list[Order](), list[Order](), time.perf_counter(), False
        while self._orders and (free := self._slots.free):
            order = self._orders.popleft()
            if not order.waiting:
                if has_read and time.perf_counter() - start > _READING:
                    later.append(order)
                    continue
                has_read = True
                try:
                    if not self._next_of(order):
                        continue
                except Exception as error:  # of this order alone: the others go on
                    order.failed, order.gone = error, True
                    failed.append(order)
                    continue
            self._join(order, max(1, free // (len(self._orders) + len(later) + 1)))
            self._orders.append(order)
        self._orders.extendleft(reversed(later))  # they come first next time
        if failed:
            self._let_go()
        return failed

    def _join(self, order: Order, most: int) -> None:
        """Give slots to some rows of an order that were read together."""
        waiting, begun = order.waiting, order.waiting[0][1]
        fresh: list[tuple[Row, Begun, int]] = []
        while waiting and waiting[0][1] is begun and len(fresh) < most:
            fresh.append(waiting.popleft())
        places = [place for _, _, place in fresh]
        some = slice(places[0], places[-1] + 1)  # those of one chunk wait in their order
        self._slots.join([row for row, _, _ in fresh], {name: t[some] for name, t in begun.memory.items()})
        self._owner |= {row: order for row, _, _ in fresh}

    def _next_of(self, order: Order) -> bool:
        """Read some more of its rows; whether there were any."""
        start, samples = time.perf_counter(), order.how.samples
        found = next(order.chunks, None)
        if found is None:
            some = order.table.part(order.read, max(1, min(order.pace, self._most // samples)))
            if not len(some):
                return False
            order.chunks = self._leaf.begin(some, self.target, how=order.how, seed=order.seed, before=order.read)
            order.read += len(some)
            found = next(order.chunks)
        places, begun = found
        for number, row in enumerate(begun.rows()):
            row.name = places[number // samples] * samples + number % samples
            order.waiting.append((row, begun, number))
        seconds = time.perf_counter() - start
        if seconds < _READING / 2:
            order.pace = min(2 * order.pace, self._most)
        elif seconds > _READING:
            order.pace = max(1, order.pace // 2)
        return True

    def _told(self, said: Said) -> list[Order]:
        for row, token, logp in zip(said.rows, said.tokens, said.logp_B.tolist(), strict=True):
            order = self._owner[row]
            order.written[row.name].append((token, logp))
            if order.spelling is not None and (piece := order.spelling.add(token)):
                order.pieces.append(piece)
        complete = []
        for row in said.ended:
            order = self._owner.pop(row)
            order.left -= 1
            if order.left == 0:
                try:
                    self._answer(order)
                except Exception as error:  # of this order alone: the others go on
                    order.failed = error
                if order in self._orders:
                    self._orders.remove(order)
                complete.append(order)
        return complete

    def _answer(self, order: Order) -> None:
        import torch

        written = order.written
        row_N = torch.tensor([row for row, tokens in enumerate(written) for _ in tokens], dtype=torch.int64)
        token_N = torch.tensor([token for tokens in written for token, _ in tokens], dtype=torch.int64)
        logp_N = torch.tensor([logp for tokens in written for _, logp in tokens], dtype=torch.float64)
        head = self._leaf.network.texts(self.target)
        out = head.gathered(row_N, token_N, logp_N, len(written), order.how)
        order.answer = self._leaf.read({self.target: out}, np.arange(len(order.table)))
        if order.spelling is not None and (piece := order.spelling.end()):
            order.pieces.append(piece)
