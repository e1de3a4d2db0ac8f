"""How answers are written: token by token, each row by its own noise, whoever else is in its batch.

Shape suffixes in this file:
    R  rows    B  slots    V  vocabulary    S  places of an answer    M  beams
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Written:
    """Answers of R rows."""

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


def _drawn(logit_BV: Tensor, seen_BV: Tensor | None, seed_B: Tensor, step_B: Tensor, how: Choice) -> Tensor:
    """The next token of each slot, (B,)."""
    if seen_BV is not None:
        lower_BV = torch.where(logit_BV > 0, logit_BV / how.repetition_penalty, logit_BV * how.repetition_penalty)
        logit_BV = torch.where(seen_BV, lower_BV, logit_BV)
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
    memory: dict[str, Tensor]
    cache: dict[str, Tensor]
    seen_BV: Tensor | None

    def take(self, kept: Tensor) -> "_Slots":
        memory, cache = ({name: t[kept] for name, t in some.items()} for some in (self.memory, self.cache))
        seen_BV = None if self.seen_BV is None else self.seen_BV[kept]
        row_B, token_B, place_B, written_B = (t[kept] for t in self._numbers())
        return _Slots(row_B, token_B, place_B, written_B, memory, cache, seen_BV)

    def joined(self, other: "_Slots") -> "_Slots":
        pairs = [(self.memory, other.memory), (self.cache, other.cache)]
        memory, cache = ({name: torch.cat([a[name], b[name]]) for name in a} for a, b in pairs)
        seen = None if self.seen_BV is None or other.seen_BV is None else torch.cat([self.seen_BV, other.seen_BV])
        both = zip(self._numbers(), other._numbers(), strict=True)
        row_B, token_B, place_B, written_B = (torch.cat(pair) for pair in both)
        return _Slots(row_B, token_B, place_B, written_B, memory, cache, seen)

    def _numbers(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.row_B, self.token_B, self.place_B, self.written_B


def write(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], seed_R: Tensor, how: Choice, *, slots: int = SLOTS,
    stops: Callable[[int, list[int]], bool] | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:  # fmt: skip
    """Write answers, greedily or by drawing, giving each step as it comes.

    So many rows are written side by side; a row that has ended makes room for the next one.

    Args:
        writer: In evaluation mode.
        memory: What was read, first axes R.
        prompts: For each row int64 tokens that its text begins with, BEGIN not among them.
        seed_R: int64, of each row's own noise.
        how: ``beams`` is not looked at.
        slots: Rows side by side.
        stops: Asked with a row and the tokens written: whether it has said enough.

    Yields:
        Rows, the token that each has got, its log probability: (B,) each. A row's last token is END, or its
        ``steps``-th, or the one after which it was stopped.
    """
    waiting, active = list(range(len(prompts))), None
    said: dict[int, list[int]] = {}
    places = max((len(p) for p in prompts), default=0) + how.steps + 1
    while waiting or active is not None:
        free = slots - (0 if active is None else len(active.row_B))
        if waiting and (active is None or free >= max(1, slots // 4)):
            rows, waiting = waiting[:free], waiting[free:]
            fresh = _begun(writer, memory, [prompts[row] for row in rows], rows, places, how)
            active = fresh if active is None else active.joined(fresh)
        assert active is not None
        logit_BV = writer.step(active.token_B, active.place_B, active.memory, active.cache)
        token_B = _drawn(logit_BV, active.seen_BV, seed_R[active.row_B], active.written_B, how)
        logp_B = logit_BV.log_softmax(1).gather(1, token_B.unsqueeze(1)).squeeze(1)
        yield active.row_B, token_B, logp_B
        active.token_B, active.place_B = token_B, active.place_B + 1
        active.written_B = active.written_B + 1
        if active.seen_BV is not None:
            active.seen_BV[torch.arange(len(token_B)), token_B] = True
        goes_on_B = (token_B != END) & (active.written_B < how.steps)
        if stops is not None:
            goes_on_B &= _unstopped(active.row_B, token_B, said, stops)
        if not bool(goes_on_B.all()):
            active = active.take(goes_on_B) if bool(goes_on_B.any()) else None


def _unstopped(
    row_B: Tensor, token_B: Tensor, said: dict[int, list[int]], stops: Callable[[int, list[int]], bool]
) -> Tensor:
    found = []
    for row, token in zip(row_B.tolist(), token_B.tolist(), strict=True):
        said.setdefault(row, []).append(token)
        found.append(not stops(row, said[row]))
    return torch.tensor(found, device=row_B.device)


def _begun(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], rows: Sequence[int], places: int, how: Choice
) -> _Slots:
    """Slots of rows whose prompts are in the cache but for the last token."""
    device = next(iter(memory.values())).device if memory else prompts[0].device
    row_B = torch.tensor(rows, device=device)
    whole = [torch.cat([torch.tensor([BEGIN], device=device), prompt.to(device)]) for prompt in prompts]
    length_B = torch.tensor([len(tokens) for tokens in whole], device=device)
    token_BT = torch.nn.utils.rnn.pad_sequence(whole, batch_first=True, padding_value=END)
    kept, cache = {name: t[row_B] for name, t in memory.items()}, writer.cache(len(rows), places)
    writer.prefill(token_BT[:, :-1], length_B - 1, kept, cache)
    last_B = token_BT.gather(1, (length_B - 1).unsqueeze(1)).squeeze(1)
    seen_BV = None
    if how.repetition_penalty != 1:
        seen_BV = torch.zeros(len(rows), writer.vocabulary, dtype=torch.bool, device=device).scatter_(1, token_BT, True)
        seen_BV[:, [END, BEGIN]] = False
    return _Slots(row_B, last_B, length_B - 1, torch.zeros_like(row_B), kept, cache, seen_BV)


def beam_search(writer: Writer, memory: Tensors, prompts: Sequence[Tensor], how: Choice) -> Written:
    """The likeliest texts that a beam of ``how.beams`` finds, by log probability over the length penalty.

    Source of the penalty: Wu et al. 2016, "Google's neural machine translation system", arXiv:1609.08144, equation 14.
    A row ends when none of its open beams can still pass its best finished one.

    Args:
        writer: In evaluation mode.
        memory: What was read, first axes R.
        prompts: As for :func:`write`.
        how: Temperature and the like are not looked at.
    """
    found = [_beam_of_row(writer, _of_row(memory, row), prompt, how) for row, prompt in enumerate(prompts)]
    device = next(iter(memory.values())).device if memory else None
    token_RS = torch.full((len(found), how.steps), END, dtype=torch.int64, device=device)
    for row, (tokens, _) in enumerate(found):
        token_RS[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.int64, device=device)
    length_R = torch.tensor([len(tokens) for tokens, _ in found], dtype=torch.int64, device=device)
    return Written(token_RS, length_R, torch.tensor([logp for _, logp in found], dtype=torch.float64, device=device))


def _of_row(memory: Tensors, row: int) -> dict[str, Tensor]:
    return {name: t[row : row + 1] for name, t in memory.items()}


def _penalty(length: int, how: Choice) -> float:
    return float(((5 + length) / 6) ** how.length_penalty)


def _beam_of_row(writer: Writer, memory: Tensors, prompt: Tensor, how: Choice) -> tuple[list[int], float]:
    """The best text of one row, without END, and the sum of its log probabilities."""
    start = _begun(writer, memory, [prompt], [0], len(prompt) + how.steps + 1, how)
    device = start.row_B.device
    beams = start
    said: list[list[int]] = [[]]
    best: tuple[list[int], float] = ([], -torch.inf)
    total_M = torch.zeros(1, dtype=torch.float64, device=device)
    best_score = -torch.inf
    for step in range(how.steps):
        logit_MV = writer.step(beams.token_B, beams.place_B, beams.memory, beams.cache)
        sum_MV = total_M.unsqueeze(1) + logit_MV.double().log_softmax(1)
        ended_M = sum_MV[:, END] / _penalty(step + 1, how)
        if float(ended_M.max()) > best_score:
            place = int(ended_M.argmax())
            best_score, best = float(ended_M[place]), (said[place], float(sum_MV[place, END]))
        sum_MV[:, END] = -torch.inf
        top_M, flat_M = sum_MV.flatten().topk(min(how.beams, sum_MV.numel() - len(said)))
        source_M, token_M = flat_M // sum_MV.shape[1], flat_M % sum_MV.shape[1]
        if step + 1 == how.steps:  # as far as it may go: an open text counts as it is
            if float(top_M[0]) / _penalty(step + 1, how) > best_score:
                return [*said[int(source_M[0])], int(token_M[0])], float(top_M[0])
            break
        # Log probabilities only fall, and the longest possible text has the largest divisor.
        if float(top_M[0]) / _penalty(how.steps, how) <= best_score:
            break
        beams, total_M = beams.take(source_M), top_M
        beams.token_B, beams.place_B = token_M, beams.place_B + 1
        said = [[*said[int(source)], int(token)] for source, token in zip(source_M, token_M, strict=True)]
    return best
