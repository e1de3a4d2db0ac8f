"""One running batch for everybody who wants texts of a model: they join and leave between any two tokens.

What a row is answered does not depend on who else is there: rows are read by the leaf's own codecs and network, chosen
by their own noise, and read back as ``predict`` reads them. Rows are read when there is a slot for them, a few at once,
so that a large order fills neither the memory nor everybody's time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trueweight.data.ragged import Ragged
from trueweight.data.reading import encoded_of
from trueweight.data.table import Table
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.predictors.orders import READING, Order, Pace, Reader, Waiting
from trueweight.model.protocols import Decoding, Predictor

if TYPE_CHECKING:
    from trueweight.nn.slots import Row, Said
    from trueweight.nn.spelling import Spelling
    from trueweight.nn.texts import Texts

__all__ = ["Running", "Written", "leaf_of", "running_of"]

_GATHERING = 0.01
"""Seconds that those who come wait for more of them, if they are few beside those who are written."""

_ALWAYS = 32
"""Slots that a model has, however much memory they take."""

_MEMORY = 2**30
"""Bytes that more of them may take, were each text as long as the longest that the model was taught."""

_FEW = 8
"""They are few if there are so many times as many who are written."""

_PROMPTS = 2**16
"""Tokens of prompts that are gone through between two tokens of those who are written, at most."""

_GOING_THROUGH = 0.03
"""Seconds that may take, about."""


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
        slots: Texts side by side, if there is memory for so many.
    """
    from trueweight.nn.texts import Texts

    targets = [facts.name for facts in predictor.signature.targets()]
    if len(targets) != 1 or (predictor.members() and not isinstance(predictor, BlendPredictor)):
        return None
    leaf = leaf_of(predictor, targets[0])
    if not isinstance(leaf, NetworkPredictor) or leaf.runtime != "eager":
        return None
    return Running(leaf, targets[0], slots) if isinstance(leaf.network.head(targets[0]), Texts) else None


def _affordable(head: Texts, slots: int) -> int:
    one = head.writer().cache(1, head.usual.steps + 1)
    each = sum(t.numel() * t.element_size() for t in one.values())
    return min(slots, max(_ALWAYS, _MEMORY // max(1, each)))


@dataclass(frozen=True, slots=True)
class _Heard:
    """Where the next tokens of some rows go; the same from step to step until somebody comes or goes."""

    rows: Sequence[Row]
    written: Sequence[Callable[[tuple[int, float]], None]]
    spelt: Sequence[tuple[int, Order, Spelling]]
    """Places of rows that are told as they are written."""

    @classmethod
    def of(cls, rows: Sequence[Row], owner: Mapping[Row, Order]) -> _Heard:
        orders = [owner[row] for row in rows]
        spelt = [(place, order, order.spelling) for place, order in enumerate(orders) if order.spelling is not None]
        return cls(rows, [order.written[row.name].append for row, order in zip(rows, orders, strict=True)], spelt)


@dataclass(frozen=True, slots=True)
class Written:
    """A text that was written."""

    text: str
    tokens: int
    """That it took: what is cut off at a stop is among them, and so is its end."""
    ended: bool
    """Whether it came to its end, or to a stop; else it was as long as it might be."""


class Running:
    """The batch. Belongs to one thread at a time.

    Args:
        leaf: What writes.
        target: The text.
        slots: Texts side by side, if there is memory for so many.
    """

    def __init__(self, leaf: NetworkPredictor, target: str, slots: int) -> None:
        import torch

        from trueweight.nn.slots import Slots

        self.target, self._leaf = target, leaf
        leaf.network.eval()
        with torch.inference_mode():
            self.slots = _affordable(leaf.network.texts(target), slots)
            self._slots = Slots(leaf.network.texts(target).writer(), self.slots)
        self._reader = Reader(leaf, target, self.slots)
        self._orders: deque[Order] = deque()
        self._owner: dict[Row, Order] = {}
        self._heard = _Heard([], [], [])
        self._since: float | None = None
        """When the first of those came who wait for more."""
        self._prompts = Pace(1024, _PROMPTS, _GOING_THROUGH)

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

    def spent(self, order: Order) -> tuple[int, list[Written]]:
        """Tokens that were read for a complete order, and each of its texts as it was written; of a row's candidates in
        any order. A model that reads no tokens has read none."""
        from trueweight.nn.generate import END

        head, texts = self._leaf.network.texts(self.target), []
        for tokens in order.written:
            spelling = head.spelling(order.how)
            text = "".join([*(spelling.add(token) for token, _ in tokens), spelling.end()])
            ended = spelling.stopped or (bool(tokens) and tokens[-1][0] == END)
            texts.append(Written(text, len(tokens), ended))
        return order.prompted // order.how.samples if head.continues else self._read_of(order.table), texts

    def _read_of(self, table: Table) -> int:
        fields = [field for field in self._leaf.fields.values() if field.layout().width("token")]
        read = [encoded_of(table, field, self._leaf.signature)["token"] for field in fields]
        return sum(int(tokens.lengths.sum()) for tokens in read if isinstance(tokens, Ragged))

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
        self._heard = _Heard([], [], [])
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
        if not self._orders or not self._slots.free or self._gathers():
            return []
        failed, later, fresh, tokens = list[Order](), list[Order](), list[tuple[Order, Waiting]](), 0
        start, has_read = time.perf_counter(), False
        self._reader.together(self._orders, self._slots.free)
        while self._orders and (free := self._slots.free - len(fresh)) > 0 and tokens < self._prompts.now:
            order = self._orders.popleft()
            if not order.waiting:
                if has_read and time.perf_counter() - start > READING:
                    later.append(order)
                    continue
                has_read = True
                try:
                    if not self._reader.some_of(order):
                        continue
                except Exception as error:  # of this order alone: the others go on
                    order.failed, order.gone = error, True
                    failed.append(order)
                    continue
            turn = max(1, free // (len(self._orders) + len(later) + 1))
            taken = order.taken(turn, self._prompts.now - tokens)
            fresh += [(order, one) for one in taken]
            tokens += sum(len(one.row.prompt) + 1 for one in taken)
            if order.waiting or order.unread:
                self._orders.append(order)
        self._orders.extendleft(reversed(later))  # they come first next time
        if fresh:
            self._join(fresh, tokens)
        if failed:
            self._let_go()
        return failed

    def _gathers(self) -> bool:
        """Whether those who wait go on doing so for a moment: whoever joins alone costs everybody else as much time as
        many who join together."""
        few = len(self._owner) // _FEW
        if few > 1:
            waiting = 0
            for order in self._orders:
                waiting += len(order.written) - order.slotted
                if min(waiting, self._slots.free) >= few:
                    break
            else:
                now = time.perf_counter()
                self._since = self._since or now
                if now - self._since < _GATHERING:
                    return True
        self._since = None
        return False

    def _join(self, fresh: Sequence[tuple[Order, Waiting]], tokens: int) -> None:
        """Give slots to rows, those at once whose memory is the same, or who have none."""
        from trueweight.nn.slots import of_rows

        start = time.perf_counter()
        groups: dict[int, list[Waiting]] = {}
        for _, one in fresh:
            groups.setdefault(id(one.memory) if one.memory else 0, []).append(one)
        for some in groups.values():
            memory = of_rows(some[0].memory, [one.place for one in some])
            self._slots.join([one.row for one in some], memory)
        self._owner |= {one.row: order for order, one in fresh}
        if tokens >= self._prompts.now:
            self._prompts.took(time.perf_counter() - start)

    def _told(self, said: Said) -> list[Order]:
        if said.rows is not self._heard.rows:
            self._heard = _Heard.of(said.rows, self._owner)
        for write, said_of_row in zip(
            self._heard.written, zip(said.tokens, said.logp_B.tolist(), strict=True), strict=True
        ):
            write(said_of_row)
        for place, order, spelling in self._heard.spelt:
            if piece := spelling.add(said.tokens[place]):
                order.pieces.append(piece)
        complete = []
        for row in said.ended:
            order = self._owner.pop(row)
            order.left -= 1
            if order.left == 0:
                complete.append(order)
                if order in self._orders:
                    self._orders.remove(order)
        if complete:
            self._answer(complete)
        return complete

    def _answer(self, orders: Sequence[Order]) -> None:
        """Put texts together, of all orders at once that are to be written in the same way."""
        ways: dict[Decoding, list[Order]] = {}
        for order in orders:
            ways.setdefault(order.how, []).append(order)
        for some in ways.values():
            try:
                self._answer_alike(some)
            except Exception as error:
                if len(some) == 1:  # of this order alone: the others go on
                    some[0].failed = error
                    continue
                for order in some:  # one of them spoils it for the others
                    self._answer([order])

    def _answer_alike(self, orders: Sequence[Order]) -> None:
        import torch

        written = [tokens for order in orders for tokens in order.written]
        row_N = torch.tensor([row for row, tokens in enumerate(written) for _ in tokens], dtype=torch.int64)
        token_N = torch.tensor([token for tokens in written for token, _ in tokens], dtype=torch.int64)
        logp_N = torch.tensor([logp for tokens in written for _, logp in tokens], dtype=torch.float64)
        head = self._leaf.network.texts(self.target)
        out = head.gathered(row_N, token_N, logp_N, len(written), orders[0].how)
        lengths = [len(order.table) for order in orders]
        found = self._leaf.read({self.target: out}, np.concatenate([np.arange(length) for length in lengths]))
        ends = np.cumsum(lengths)
        for order, length, end in zip(orders, lengths, ends.tolist(), strict=True):
            if order.spelling is not None and (piece := order.spelling.end()):
                order.pieces.append(piece)
            place = np.arange(end - length, end)
            order.answer = found if len(orders) == 1 else {name: each.take(place) for name, each in found.items()}
