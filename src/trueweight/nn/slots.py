"""Texts that are written side by side in slots: one that ends leaves its slot, and the next one takes it.

Nobody waits for the longest of a batch, and rows may come and go between any two tokens, each with wishes of its own.

Shape suffixes in this file:
    B  rows that are being written    V  vocabulary    T  tokens of prompts
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from trueweight.nn.encoding import Tensors
from trueweight.nn.generate import BEGIN, END, Choice, Writer, drawn, forbidden, prefill_of
from trueweight.nn.places import Places
from trueweight.nn.stores import Store
from trueweight.nn.threads import SHORT, one_thread, work_of

__all__ = ["SLOTS", "Row", "Said", "Slots", "of_rows", "write"]

SLOTS = 128
"""Rows that are written side by side."""

_PLACES = 32
"""A cache has a multiple of these at first."""

_SOON = 64
"""Places behind a prompt that there is room for from the beginning, if the row may need them."""

_PADDING = 64
"""Tokens of padding that cost more than to read rows of another length by themselves."""

_KEPT = 2**26
"""Bytes of a cache that are held while nobody is written, for the next ones."""


@dataclass(eq=False, slots=True)
class Row:
    """A text that is to be written."""

    name: int
    """By which whoever asked knows it."""
    prompt: Tensor
    """int64 tokens that it begins with, BEGIN not among them."""
    seed: int
    """Of its own noise."""
    how: Choice
    stops: Callable[[int], bool] | None = None
    """Told each of its tokens, in order: whether it has said enough."""
    born: int = 0
    """Number of the step that writes its first token."""
    end: int = 0
    """Number of the first step for which there is no room."""
    said: list[int] = field(default_factory=list)
    """What has been written, where no run of it may be written twice."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one step has written."""

    rows: Sequence[Row]
    name_B: Tensor
    token_B: Tensor
    logp_B: Tensor
    tokens: Sequence[int]
    """The same tokens, as plain numbers."""
    ended: Sequence[Row]
    """Those that have had their last token: END, or the last that there is room for, or one behind which they are
    stopped. They have left."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that choose in the same way."""

    how: Choice
    place_B: Tensor | None
    """Where they are; None: everywhere."""
    seed_B: Tensor
    born_B: Tensor


@dataclass(slots=True)
class _Line:
    """What stays as it is until somebody comes or goes."""

    rows: list[Row]
    start: int
    """Slot of the first; the others follow."""
    name_B: Tensor
    offset_B: Tensor | None
    """From the number of a step to the places of its tokens; None: all the same."""
    furthest: int
    end: int
    """Number of the step before which somebody has to be looked at."""
    groups: list[_Group]
    memory: Tensors
    cache: dict[str, Tensor]
    token_B: Tensor
    """The last ones, which are not in the cache yet."""


class Slots:
    """Rows that are being written.

    Everything about them that may change their number is known on the host, so that a step asks the device once: for
    its tokens.

    Args:
        writer: In evaluation mode, by the weights that it has now.
        count: Most rows side by side.
    """

    def __init__(self, writer: Writer, count: int) -> None:
        self.count = count
        self._writer, self._steps = writer, writer.steps()
        self._fill = prefill_of(writer, self._steps)
        self._work = work_of(writer)
        self._device = next(iter(writer.cache(0, 0).values())).device
        self._rows: list[Row | None] = []  # None: has left; its slot is free
        self._last: list[int] = []
        self._now = 0
        self._offsets: dict[int, int] = {}
        self._memory, self._cache, self._places = Store(), Store(), 0
        self._seen = Store()
        self._line: _Line | None = None

    @property
    def rows(self) -> list[Row]:
        """Those that are being written."""
        return [row for row in self._rows if row is not None]

    @property
    def free(self) -> int:
        """Rows that may join."""
        return self.count - len(self._rows) + self._rows.count(None)

    def join(self, rows: Sequence[Row], memory: Tensors) -> None:
        """Take rows in; their next tokens are written by the next step.

        Args:
            rows: At most as many as are free.
            memory: What was read for them, first axes theirs. Where others have read more it is filled up with
                zeros, which must mean that nothing is there.
        """
        if not self.rows:
            self._begin_anew()
        slots = self._free_slots(len(rows))
        self._rows += [None] * (slots[-1] + 1 - len(self._rows))
        self._last += [END] * (len(self._rows) - len(self._last))
        whole = [[BEGIN, *row.prompt.tolist()] for row in rows]
        for slot, row, tokens in zip(slots, rows, whole, strict=True):
            row.born, self._rows[slot], self._last[slot] = self._now, row, tokens[-1]
            row.end = self._now + row.how.room(len(tokens) - 1)
            self._offsets[id(row)] = len(tokens) - 1 - self._now
        self._read(slots, rows, whole, memory)
        for slot, row, tokens in zip(slots, rows, whole, strict=True):
            if row.how.repetition_penalty != 1:
                self._remember(slot, tokens)
        self._line = None

    def leave(self, row: Row) -> None:
        """Let a row go before its end."""
        self._rows[self._rows.index(row)] = None
        self._line = None

    def clear(self) -> None:
        """Let everybody go, whatever state a failure has left behind."""
        self._forget()
        self._line = None

    def step(self) -> Said:
        """One token more for every row; there must be one."""
        line = self._line or self._lined_up()
        used = self._now + line.furthest + 1
        if used > self._places:
            self._make_room(2 * used)
            line.cache = self._cache.some(line.start, len(line.rows))
        at = Places(used, None if line.offset_B is None else line.offset_B + self._now)
        with one_thread(when=self._work * len(line.rows) < SHORT):
            logit_BV = self._steps(line.token_B, at, line.memory, line.cache)
            token_B = self._drawn(self._without_runs(logit_BV, line.rows), line)
            logp_B = logit_BV.log_softmax(1).gather(1, token_B.unsqueeze(1)).squeeze(1)
        tokens, ended = token_B.tolist(), list[Row]()
        self._now += 1
        self._last[line.start : line.start + len(tokens)], line.token_B = tokens, token_B
        for row, token in zip(line.rows, tokens, strict=True):
            if row.how.no_repeat:
                row.said.append(token)
        if self._now >= line.end or END in tokens:
            ended = [row for row, token in zip(line.rows, tokens, strict=True) if self._ends(row, token)]
        for row in ended:
            self.leave(row)
        return Said(line.rows, line.name_B, token_B, logp_B, tokens, ended)

    def _ends(self, row: Row, token: int) -> bool:
        stopped = row.stops is not None and row.stops(token)
        return stopped or token == END or self._now >= row.end

    def _without_runs(self, logit_BV: Tensor, rows: Sequence[Row]) -> Tensor:
        sizes = [row.how.no_repeat for row in rows]
        return forbidden(logit_BV, [row.said for row in rows], sizes) if any(sizes) else logit_BV

    def _drawn(self, logit_BV: Tensor, line: _Line) -> Tensor:
        token_B, some = line.token_B.clone(), slice(line.start, line.start + len(line.rows))
        for group in line.groups:
            place_B = group.place_B
            seen_BV = self._seen.tensors["seen"][some] if group.how.repetition_penalty != 1 else None
            some_BV = logit_BV
            if place_B is not None:
                some_BV, seen_BV = logit_BV[place_B], None if seen_BV is None else seen_BV[place_B]
            step_B = self._now - group.born_B if group.how.temperature > 0 else group.born_B
            found_B = drawn(some_BV, seen_BV, group.seed_B, step_B, group.how)
            if group.how.repetition_penalty != 1:
                slot_B = torch.arange(len(line.rows), device=self._device) if place_B is None else place_B
                self._seen.tensors["seen"][slot_B + line.start, found_B] = True
            if place_B is None:
                return found_B
            token_B[place_B] = found_B
        return token_B

    def _lined_up(self) -> _Line:
        """Rows moved into slots that follow each other, and what follows from who they are."""
        start, rows = self._close_up(), self.rows
        self._offsets = {id(row): self._offsets[id(row)] for row in rows}
        offsets = list(self._offsets.values())
        even = min(offsets) == max(offsets)
        watched = any(row.stops is not None for row in rows)
        self._line = _Line(
            rows, start, self._numbers([row.name for row in rows]), None if even else self._numbers(offsets),
            max(offsets), 0 if watched else min(row.end for row in rows), self._grouped(rows),
            self._memory.some(start, len(rows)), self._cache.some(start, len(rows)),
            self._numbers(self._last[start : start + len(rows)]),
        )  # fmt: skip
        return self._line

    def _free_slots(self, count: int) -> list[int]:
        """So many, those first that lie among or beside the rows there are: they need not be moved then."""
        there = [slot for slot, row in enumerate(self._rows) if row is not None]
        first, last = (there[0], there[-1]) if there else (0, -1)
        within = [slot for slot in range(first, last + 1) if self._rows[slot] is None]
        return sorted([*within, *range(first - 1, -1, -1), *range(last + 1, self.count)][:count])

    def _close_up(self) -> int:
        """Move as few rows as can be, so that no slot among them is free; gives the first one's."""
        there = [slot for slot, row in enumerate(self._rows) if row is not None]
        count, start = len(there), there[0]
        if there[-1] - start >= count:
            inside = [0, *accumulate(row is not None for row in self._rows)]
            start = max(range(len(self._rows) - count + 1), key=lambda slot: inside[slot + count] - inside[slot])
            holes = [slot for slot in range(start, start + count) if self._rows[slot] is None]
            movers = [slot for slot in there if not start <= slot < start + count]
            for hole, slot in zip(holes, movers, strict=True):
                self._rows[hole], self._rows[slot], self._last[hole] = self._rows[slot], None, self._last[slot]
            for store in (self._memory, self._cache, self._seen):
                store.move(movers, holes)
        del self._rows[start + count :], self._last[start + count :]
        return start

    def _grouped(self, rows: Sequence[Row]) -> list[_Group]:
        places: dict[tuple[float, ...], list[int]] = {}
        for place, row in enumerate(rows):
            how = row.how
            key = (how.temperature, how.top_k, how.top_p, how.repetition_penalty)
            places.setdefault(key, []).append(place)
        return [
            _Group(
                rows[some[0]].how, None if len(places) == 1 else self._numbers(some),
                self._numbers([rows[place].seed for place in some]), self._numbers([rows[p].born for p in some]),
            )
            for some in places.values()
        ]  # fmt: skip

    def _read(self, slots: Sequence[int], rows: Sequence[Row], whole: Sequence[Sequence[int]], memory: Tensors) -> None:
        """Put what was read, and all tokens but the last, where the rows' slots are."""
        need = max(len(tokens) + row.end - row.born for tokens, row in zip(whole, rows, strict=True))
        room = min(need, 2 * max(map(len, whole)) + _SOON)
        if self._places < room:
            self._make_room(room + -room % _PLACES)
        for some in _of_like_length([len(tokens) for tokens in whole]):
            self._prefill([slots[n] for n in some], [whole[n][:-1] for n in some], of_rows(memory, some))

    def _prefill(self, slots: Sequence[int], before: Sequence[Sequence[int]], memory: Tensors) -> None:
        length_B, most = self._numbers([len(tokens) for tokens in before]), max(map(len, before))
        filled = [[*tokens, *[END] * (most - len(tokens))] for tokens in before]
        token_BT = self._numbers(filled).view(len(before), most)
        begun = self._writer.cache(len(before), most)
        with one_thread(when=self._work * len(before) * most < SHORT):
            self._fill(token_BT, length_B, memory, begun)
        self._memory.put(slots, memory, slots_at_most=self.count, clean=True)
        self._cache.put(slots, begun, slots_at_most=self.count)

    def _make_room(self, places: int) -> None:
        self._places = places
        self._cache.widen(self._writer.cache(0, places))

    def _remember(self, slot: int, tokens: Sequence[int]) -> None:
        seen_1V = torch.zeros(1, self._writer.vocabulary, dtype=torch.bool, device=self._device)
        seen_1V[0, self._numbers(list(tokens))] = True
        seen_1V[0, [END, BEGIN]] = False
        self._seen.put([slot], {"seen": seen_1V}, slots_at_most=self.count)

    def _begin_anew(self) -> None:
        """Count from 0. A cache is taken over; but what was the longest once shall not fill memory for ever."""
        held = (self._cache, self._places) if self._cache.bytes <= _KEPT else (Store(), 0)
        self._forget()
        self._cache, self._places = held

    def _forget(self) -> None:
        self._rows, self._last, self._offsets, self._now, self._places = [], [], {}, 0, 0
        self._memory, self._cache, self._seen = Store(), Store(), Store()

    def _numbers(self, numbers: Sequence[object]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.int64, device=self._device)


def write(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], seed_R: Tensor, how: Choice, *, slots: int = SLOTS,
    stops: Callable[[int, int], bool] | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:  # fmt: skip
    """Write answers, greedily or by drawing, giving each step as it comes.

    Args:
        writer: In evaluation mode.
        memory: What was read, first axes R.
        prompts: For each row int64 tokens that its text begins with, BEGIN not among them.
        seed_R: int64, of each row's own noise.
        how: ``beams`` is not looked at.
        slots: Rows side by side.
        stops: Told a row and its next token, once each and in order: whether it has said enough.

    Yields:
        Rows, the token that each has got, its log probability: (B,) each. A row's last token is END, or the last that
        there is room for, or the one after which it was stopped.
    """
    waiting = deque(range(len(prompts)))
    running, seeds = Slots(writer, min(slots, len(prompts))), seed_R.tolist()
    while waiting or running.rows:
        if waiting and (free := running.free):
            names = [waiting.popleft() for _ in range(min(free, len(waiting)))]
            fresh = [
                Row(name, prompts[name], seeds[name], how, None if stops is None else partial(stops, name))
                for name in names
            ]
            running.join(fresh, of_rows(memory, names))
        said = running.step()
        yield said.name_B, said.token_B, said.logp_B


def of_rows(memory: Tensors, rows: Sequence[int]) -> Tensors:
    """What was read for some rows; not copied where they lie one behind the other."""
    if all(after == before + 1 for before, after in pairwise(rows)):
        return {name: t[rows[0] : rows[-1] + 1] for name, t in memory.items()}
    return {name: t[list(rows)] for name, t in memory.items()}


def _of_like_length(lengths: Sequence[int]) -> list[list[int]]:
    """Rows that are read together, each time in rising order: among much shorter ones, a long one would have them all
    filled up to its own length."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and len(groups[-1]) * (lengths[row] - lengths[groups[-1][-1]]) <= _PADDING:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [sorted(group) for group in groups]
