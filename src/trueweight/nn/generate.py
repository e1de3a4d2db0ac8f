"""How answers are written: token by token, each row by its own noise, whoever else is in its batch.

Shape suffixes in this file:
    R  rows    B  slots    V  vocabulary    S  places of an answer    M  beams
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from trueweight.nn.encoding import Tensors

__all__ = ["BEGIN", "END", "Choice", "Writer", "Written", "beam_search", "gumbel", "write"]

END, BEGIN = 0, 1
"""Numbers of the tokens that end and begin every text."""

SLOTS = 128
"""Rows that are written side by side."""

_GOLDEN, _MIX_1, _MIX_2 = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


class Writer(Protocol):
    """What a decoder does. Memories and caches are tensors whose first axis is the row."""

    vocabulary: int

    def cache(self, rows: int, places: int) -> dict[str, Tensor]:
        """Room for so many tokens of each row."""
        ...

    def prefill(self, token_BT: Tensor, length_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> None:
        """Write the first tokens into the cache."""
        ...

    def step(self, token_B: Tensor, place_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
        """Logits (B, V) of what follows one token more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How the next token is chosen."""

    steps: int
    """Most tokens that are written behind a prompt."""
    places: int | None = None
    """Most tokens of a prompt and what is written behind it, together; None: as many as there are steps."""
    temperature: float = 0.0
    """0 takes the likeliest token; others divide the logits before a draw."""
    top_k: int = 0
    """Draw from so many likeliest tokens; 0: from all."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together have this probability."""
    repetition_penalty: float = 1.0
    """Logits of tokens that were written already are divided by this, or multiplied where below 0."""
    beams: int = 1
    length_penalty: float = 1.0
    """Of beams: sums of log probabilities are divided by ``((5 + length) / 6) ** penalty``."""
    samples: int = 1
    """Of beams: so many best texts of each row."""

    def room(self, prompt: int) -> int:
        """Most tokens that are written behind a prompt of so many."""
        return self.steps if self.places is None else max(1, min(self.steps, self.places - prompt))


@dataclass(frozen=True, slots=True)
class Written:
    """Answers of R rows; where several are asked for, those of a row stand together, the best one first. Rows that
    have fewer are filled up with empty texts of log probability minus infinity."""

    token_RS: Tensor
    """int64; END behind each answer."""
    length_R: Tensor
    """int64: tokens without END."""
    logp_R: Tensor
    """Sum of the model's log probabilities of what was written, END included where it was."""


def gumbel(seed_R: Tensor, step_R: Tensor, width: int) -> Tensor:
    """Gumbel noise, (R, width) float64: a function of (seed, step, place) alone.

    The mixing function is SplitMix64's; see ``seeds.row_hashes``.

    Args:
        seed_R: int64.
        step_R: int64.
        width: Numbers a row.
    """
    place = torch.arange(width, device=seed_R.device, dtype=torch.int64)
    start_R = _mixed(_mixed(seed_R) + step_R * _GOLDEN)
    bits = _mixed(start_R.unsqueeze(1) + place * _GOLDEN)
    uniform = (((bits >> 11) & ((1 << 53) - 1)).double() + 0.5) * 2.0**-53
    return -torch.log(-torch.log(uniform))


def _mixed(x: Tensor) -> Tensor:
    x = x + _GOLDEN
    x = (x ^ _shifted(x, 30)) * _MIX_1
    x = (x ^ _shifted(x, 27)) * _MIX_2
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, zeros coming in: int64 has no unsigned shift."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _penalised(logit_BV: Tensor, seen_BV: Tensor | None, how: Choice) -> Tensor:
    """Source: Keskar et al. 2019, "CTRL", arXiv:1909.05858, section 4.1."""
    if seen_BV is None:
        return logit_BV
    lower_BV = torch.where(logit_BV > 0, logit_BV / how.repetition_penalty, logit_BV * how.repetition_penalty)
    return torch.where(seen_BV, lower_BV, logit_BV)


def _drawn(logit_BV: Tensor, seen_BV: Tensor | None, seed_B: Tensor, step_B: Tensor, how: Choice) -> Tensor:
    """The next token of each slot, (B,)."""
    logit_BV = _penalised(logit_BV, seen_BV, how)
    if how.temperature <= 0:
        return logit_BV.argmax(1)
    logit_BV = _kept(logit_BV.double() / how.temperature, how)
    return (logit_BV + gumbel(seed_B, step_B, logit_BV.shape[1])).argmax(1)


def _kept(logit_BV: Tensor, how: Choice) -> Tensor:
    """Without the tokens that ``top_k`` and ``top_p`` leave out. Source of the latter: Holtzman et al. 2019,
    "The curious case of neural text degeneration", arXiv:1904.09751, section 3.1."""
    if 0 < how.top_k < logit_BV.shape[1]:
        least_B1 = logit_BV.topk(how.top_k, 1).values[:, -1:]
        logit_BV = logit_BV.masked_fill(logit_BV < least_B1, -torch.inf)
    if how.top_p < 1:
        ranked_BV, place_BV = logit_BV.sort(1, descending=True)
        share_BV = ranked_BV.softmax(1)
        beyond_BV = share_BV.cumsum(1) - share_BV >= how.top_p
        logit_BV = logit_BV.masked_fill(beyond_BV.scatter(1, place_BV, beyond_BV), -torch.inf)
    return logit_BV


@dataclass(slots=True)
class _Slots:
    """Rows that are being written."""

    row_B: Tensor
    token_B: Tensor
    """The last token, which is not in the cache yet."""
    place_B: Tensor
    """Where it belongs."""
    written_B: Tensor
    """Tokens behind the prompt so far."""
    room_B: Tensor
    """Most tokens behind the prompt."""
    memory: dict[str, Tensor]
    cache: dict[str, Tensor]
    seen_BV: Tensor | None

    def take(self, kept: Tensor) -> "_Slots":
        memory, cache = ({name: t[kept] for name, t in some.items()} for some in (self.memory, self.cache))
        seen_BV = None if self.seen_BV is None else self.seen_BV[kept]
        row_B, token_B, place_B, written_B, room_B = (t[kept] for t in self._numbers())
        return _Slots(row_B, token_B, place_B, written_B, room_B, memory, cache, seen_BV)

    def joined(self, other: "_Slots") -> "_Slots":
        pairs = [(self.memory, other.memory), (self.cache, other.cache)]
        memory, cache = ({name: torch.cat([a[name], b[name]]) for name in a} for a, b in pairs)
        seen = None if self.seen_BV is None or other.seen_BV is None else torch.cat([self.seen_BV, other.seen_BV])
        both = zip(self._numbers(), other._numbers(), strict=True)
        row_B, token_B, place_B, written_B, room_B = (torch.cat(pair) for pair in both)
        return _Slots(row_B, token_B, place_B, written_B, room_B, memory, cache, seen)

    def advance(self, token_B: Tensor) -> None:
        """Put the next token of each row behind its last one."""
        self.token_B, self.place_B, self.written_B = token_B, self.place_B + 1, self.written_B + 1
        if self.seen_BV is not None:
            self.seen_BV.scatter_(1, token_B.unsqueeze(1), True)

    def _numbers(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        return self.row_B, self.token_B, self.place_B, self.written_B, self.room_B


def write(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], seed_R: Tensor, how: Choice, *, slots: int = SLOTS,
    stops: Callable[[int, int], bool] | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:  # fmt: skip
    """Write answers, greedily or by drawing, giving each step as it comes.

    So many rows are written side by side; rows that have ended make room for the next ones, a quarter of the slots at
    a time, since making room moves what is remembered of all others.

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
    waiting = list(range(len(prompts)))
    active: _Slots | None = None
    alive_B: Tensor | None = None  # None: all
    places = max((len(p) + how.room(len(p)) for p in prompts), default=0) + 1
    while waiting or active is not None:
        if waiting and (active is None or slots - len(active.row_B) >= max(1, slots // 4)):
            free = slots - (0 if active is None else len(active.row_B))
            rows, waiting = waiting[:free], waiting[free:]
            fresh = _begun(writer, memory, [prompts[row] for row in rows], rows, places, how)
            active = fresh if active is None else active.joined(fresh)
            if alive_B is not None:
                alive_B = torch.cat([alive_B, torch.ones_like(fresh.row_B, dtype=torch.bool)])
        assert active is not None
        logit_BV = writer.step(active.token_B, active.place_B, active.memory, active.cache)
        token_B = _drawn(logit_BV, active.seen_BV, seed_R[active.row_B], active.written_B, how)
        logp_B = logit_BV.log_softmax(1).gather(1, token_B.unsqueeze(1)).squeeze(1)
        step = active.row_B, token_B, logp_B
        row_B, said_B, sure_B = step if alive_B is None else tuple(t[alive_B] for t in step)
        yield row_B, said_B, sure_B
        active.advance(token_B)
        goes_on_B = (token_B != END) & (active.written_B < active.room_B)
        if alive_B is not None:
            goes_on_B &= alive_B
        if stops is not None:
            goes_on_B &= _unstopped(active.row_B, token_B, alive_B, stops)
        going = int(goes_on_B.sum())
        alive_B = None if going == len(goes_on_B) else goes_on_B
        if len(goes_on_B) - going >= max(1, min(slots, len(goes_on_B)) // 4):
            active, alive_B = (active.take(goes_on_B) if going else None), None
        elif alive_B is not None:  # rows that have ended stay where they are, so that places do not run out
            active.place_B = active.place_B - (~goes_on_B).long()


def _unstopped(
    row_B: Tensor, token_B: Tensor, alive_B: Tensor | None, stops: Callable[[int, int], bool]
) -> Tensor:  # fmt: skip
    alive = [True] * len(row_B) if alive_B is None else alive_B.tolist()
    told = zip(row_B.tolist(), token_B.tolist(), alive, strict=True)
    return torch.tensor([lives and not stops(row, token) for row, token, lives in told], device=row_B.device)


def _begun(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], rows: Sequence[int], places: int, how: Choice
) -> _Slots:
    """Slots of rows whose prompts are in the cache but for the last token."""
    device = next(iter(memory.values())).device if memory else prompts[0].device
    row_B = torch.tensor(rows, device=device)
    whole = [torch.cat([torch.tensor([BEGIN], device=device), prompt.to(device)]) for prompt in prompts]
    length_B = torch.tensor([len(tokens) for tokens in whole], device=device)
    room_B = torch.tensor([how.room(len(prompt)) for prompt in prompts], device=device)
    token_BT = torch.nn.utils.rnn.pad_sequence(whole, batch_first=True, padding_value=END)
    kept, cache = {name: t[row_B] for name, t in memory.items()}, writer.cache(len(rows), places)
    writer.prefill(token_BT[:, :-1], length_B - 1, kept, cache)
    last_B = token_BT.gather(1, (length_B - 1).unsqueeze(1)).squeeze(1)
    seen_BV = None
    if how.repetition_penalty != 1:
        seen_BV = torch.zeros(len(rows), writer.vocabulary, dtype=torch.bool, device=device).scatter_(1, token_BT, True)
        seen_BV[:, [END, BEGIN]] = False
    return _Slots(row_B, last_B, length_B - 1, torch.zeros_like(row_B), room_B, kept, cache, seen_BV)


def beam_search(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], how: Choice,
    stops: Callable[[list[int]], bool] | None = None,
) -> Written:  # fmt: skip
    """The likeliest texts that a beam of ``how.beams`` finds, by log probability over the length penalty.

    Source of the penalty: Wu et al. 2016, "Google's neural machine translation system", arXiv:1609.08144, equation 14.
    A row ends when none of its open beams can still pass its best finished ones.

    Args:
        writer: In evaluation mode.
        memory: What was read, first axes R.
        prompts: As for :func:`write`.
        how: Temperature and the like are not looked at. A repetition penalty changes which texts are found, not the
            log probabilities that are told.
        stops: Whether a text has said enough.
    """
    found = [_Beams(_of_row(memory, row), prompt, how, stops).run(writer) for row, prompt in enumerate(prompts)]
    every = [text for texts in found for text in texts]
    device = next(iter(memory.values())).device if memory else None
    token_RS = torch.full((len(every), how.steps), END, dtype=torch.int64, device=device)
    for row, text in enumerate(every):
        token_RS[row, : len(text.tokens)] = torch.tensor(text.tokens, dtype=torch.int64, device=device)
    length_R = torch.tensor([len(text.tokens) for text in every], dtype=torch.int64, device=device)
    logp_R = torch.tensor([text.logp for text in every], dtype=torch.float64, device=device)
    return Written(token_RS, length_R, logp_R)


def _of_row(memory: Tensors, row: int) -> dict[str, Tensor]:
    return {name: t[row : row + 1] for name, t in memory.items()}


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that a beam has finished."""

    score: float
    """What texts are ranked by."""
    tokens: list[int]
    """Without END."""
    logp: float
    """The model's, of all tokens."""


@dataclass(slots=True)
class _Beams:
    """The search for one row's texts."""

    memory: dict[str, Tensor]
    prompt: Tensor
    how: Choice
    stops: Callable[[list[int]], bool] | None
    best: list[_Text] = field(default_factory=list)
    """Finished ones, the best first, at most ``how.samples``."""

    def run(self, writer: Writer) -> list[_Text]:
        """The best texts."""
        steps, how = self.how.room(len(self.prompt)), self.how
        beams = _begun(writer, self.memory, [self.prompt], [0], len(self.prompt) + steps + 1, how)
        said: list[list[int]] = [[]]
        rank_M = torch.zeros(1, dtype=torch.float64, device=beams.row_B.device)
        logp_M = rank_M
        for step in range(1, steps + 1):
            logit_MV = writer.step(beams.token_B, beams.place_B, beams.memory, beams.cache).double()
            sum_MV = logp_M.unsqueeze(1) + logit_MV.log_softmax(1)
            rank_MV = sum_MV
            if beams.seen_BV is not None:
                rank_MV = rank_M.unsqueeze(1) + _penalised(logit_MV, beams.seen_BV, how).log_softmax(1)
            for place, tokens in enumerate(said):
                self._finish(float(rank_MV[place, END]), step, tokens, float(sum_MV[place, END]))
            rank_MV = rank_MV.index_fill(1, torch.tensor([END], device=rank_MV.device), -torch.inf)
            top_M, flat_M = rank_MV.flatten().topk(min(how.beams, rank_MV.numel() - len(said)))
            source_M, token_M = flat_M // rank_MV.shape[1], flat_M % rank_MV.shape[1]
            rank_M, logp_M = top_M, sum_MV[source_M, token_M]
            said = [[*said[int(source)], int(token)] for source, token in zip(source_M, token_M, strict=True)]
            last = step == steps  # as far as it may go: open texts count as they are
            ends = [last or (self.stops is not None and self.stops(tokens)) for tokens in said]
            for place in (place for place, end in enumerate(ends) if end):
                self._finish(float(rank_M[place]), step, said[place], float(logp_M[place]))
            # Log probabilities only fall, and the longest possible text has the largest divisor.
            open_M = torch.tensor([not end for end in ends], device=rank_M.device)
            if not bool(open_M.any()) or self._beyond(float(rank_M[open_M].max()) / _penalty(steps, how)):
                break
            beams = beams.take(source_M[open_M])
            beams.advance(token_M[open_M])
            rank_M, logp_M = rank_M[open_M], logp_M[open_M]
            said = [tokens for tokens, end in zip(said, ends, strict=True) if not end]
        return [*self.best, *[_Text(-torch.inf, [], -torch.inf)] * (how.samples - len(self.best))]

    def _finish(self, rank: float, length: int, tokens: list[int], logp: float) -> None:
        text = _Text(rank / _penalty(length, self.how), tokens, logp)
        if not self._beyond(text.score):
            self.best = sorted([*self.best, text], key=lambda found: -found.score)[: self.how.samples]

    def _beyond(self, score: float) -> bool:
        """Whether a text of this score comes too late."""
        return len(self.best) == self.how.samples and score <= self.best[-1].score


def _penalty(length: int, how: Choice) -> float:
    return float(((5 + length) / 6) ** how.length_penalty)
