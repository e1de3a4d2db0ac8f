"""The likeliest texts of many rows at once, each followed by a beam of its own.

Shape suffixes in this file:
    R  rows    V  vocabulary    S  places of an answer    M  beams of a row    B  rows times beams, beam fastest
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trueweight.nn.encoding import Tensors
from trueweight.nn.generate import BEGIN, END, Choice, Writer, forbidden, penalised, prefill_of
from trueweight.nn.places import Places
from trueweight.nn.threads import SHORT, one_thread, work_of

__all__ = ["LANES", "Written", "beam_search"]

LANES = 128
"""Texts that are followed side by side, of all rows together."""


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


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that a beam has finished."""

    score: float
    """What texts are ranked by."""
    tokens: list[int]
    """Without END."""
    logp: float
    """The model's, of all tokens."""


def beam_search(
    writer: Writer, memory: Tensors, prompts: Sequence[Tensor], how: Choice,
    stops: Callable[[list[int]], bool] | None = None, *, lanes: int = LANES,
) -> Written:  # fmt: skip
    """The likeliest texts that a beam of ``how.beams`` finds, by log probability over the length penalty.

    Source of the penalty: Wu et al. 2016, "Google's neural machine translation system", arXiv:1609.08144, equation 14.
    A row ends when none of its open beams can still pass its best finished ones; the next row takes its place.

    Args:
        writer: In evaluation mode.
        memory: What was read, first axes R.
        prompts: For each row int64 tokens that its text begins with, BEGIN not among them.
        how: Temperature and the like are not looked at. A repetition penalty changes which texts are found, not the
            log probabilities that are told.
        stops: Whether a text has said enough.
        lanes: Texts that are followed side by side, of all rows together.
    """
    rows = [_Search(row, prompt.tolist(), how, stops) for row, prompt in enumerate(prompts)]
    device = next(iter(writer.cache(0, 0).values())).device
    at_once, waiting = max(1, lanes // how.beams), deque(rows)
    running = _Running(writer, how, device)
    while waiting or running.rows:
        fresh = [waiting.popleft() for _ in range(min(at_once - len(running.rows), len(waiting)))]
        if fresh:
            some = torch.tensor([search.row for search in fresh], device=device)
            running.join(fresh, {name: t[some] for name, t in memory.items()})
        running.step()
    every = [text for search in rows for text in search.found()]
    token_RS = torch.full((len(every), how.steps), END, dtype=torch.int64, device=device)
    for row, text in enumerate(every):
        token_RS[row, : len(text.tokens)] = torch.tensor(text.tokens, dtype=torch.int64, device=device)
    length_R = torch.tensor([len(text.tokens) for text in every], dtype=torch.int64, device=device)
    logp_R = torch.tensor([text.logp for text in every], dtype=torch.float64, device=device)
    return Written(token_RS, length_R, logp_R)


@dataclass(eq=False, slots=True)
class _Search:
    """The search for one row's texts: what is known of it on the host."""

    row: int
    prompt: list[int]
    how: Choice
    stops: Callable[[list[int]], bool] | None
    said: list[list[int] | None] = field(default_factory=list)
    """The texts of its lanes; None: nobody is there."""
    best: list[_Text] = field(default_factory=list)
    """Finished ones, the best first, at most ``how.samples``."""
    step: int = 0

    def __post_init__(self) -> None:
        self.said = [[], *[None] * (self.how.beams - 1)]

    def end(self, rank_M: Sequence[float], logp_M: Sequence[float]) -> None:
        """Every text may end here: by what ranks it then, and its log probability."""
        self.step += 1
        for tokens, rank, logp in zip(self.said, rank_M, logp_M, strict=True):
            if tokens is not None:
                self._finish(rank, tokens, logp)

    def go_on(
        self, source_M: Sequence[int], token_M: Sequence[int], rank_M: Sequence[float], logp_M: Sequence[float]
    ) -> bool:
        """The likeliest ways on; whether any is still of interest."""
        last = self.step == self.how.room(len(self.prompt))  # as far as it may go: open texts count as they are
        after: list[list[int] | None] = []
        best = -torch.inf
        for source, token, rank, logp in zip(source_M, token_M, rank_M, logp_M, strict=True):
            before = self.said[source]
            if before is None or rank == -torch.inf:
                after.append(None)
                continue
            tokens = [*before, token]
            if last or (self.stops is not None and self.stops(tokens)):
                self._finish(rank, tokens, logp)
                after.append(None)
                continue
            best = max(best, rank)
            after.append(tokens)
        self.said = after
        # Log probabilities only fall, and the longest possible text has the largest divisor.
        most = self.how.room(len(self.prompt))
        return best > -torch.inf and not self._beyond(best / _penalty(most, self.how))

    def found(self) -> list[_Text]:
        """The best texts."""
        return [*self.best, *[_Text(-torch.inf, [], -torch.inf)] * (self.how.samples - len(self.best))]

    def _finish(self, rank: float, tokens: list[int], logp: float) -> None:
        text = _Text(rank / _penalty(self.step, self.how), tokens, logp)
        if not self._beyond(text.score):
            self.best = sorted([*self.best, text], key=lambda found: -found.score)[: self.how.samples]

    def _beyond(self, score: float) -> bool:
        """Whether a text of this score comes too late."""
        return len(self.best) == self.how.samples and score <= self.best[-1].score


def _penalty(length: int, how: Choice) -> float:
    return float(((5 + length) / 6) ** how.length_penalty)


class _Running:
    """Rows whose beams are followed, each in lanes of its own. A lane where nobody is has rank minus infinity."""

    def __init__(self, writer: Writer, how: Choice, device: torch.device) -> None:
        self.rows: list[_Search] = []
        self._writer, self._steps, self._how, self._device = writer, writer.steps(), how, device
        self._fill = prefill_of(writer, self._steps)
        self._work = work_of(writer)
        self._memory: dict[str, Tensor] = {}
        self._cache: dict[str, Tensor] = {}
        self._places = 0
        self._place_B = self._token_B = torch.zeros(0, dtype=torch.int64, device=device)
        self._rank_RM = self._logp_RM = torch.zeros(0, how.beams, dtype=torch.float64, device=device)
        self._seen_BV: Tensor | None = None

    def join(self, rows: Sequence[_Search], memory: Tensors) -> None:
        """Begin the search for more rows."""
        device, beams = self._device, self._how.beams
        whole = [torch.tensor([BEGIN, *search.prompt], device=device) for search in rows]
        length_R = torch.tensor([len(tokens) for tokens in whole], device=device)
        token_RT = torch.nn.utils.rnn.pad_sequence(whole, batch_first=True, padding_value=END)
        begun = self._writer.cache(len(rows), token_RT.shape[1])
        self._fill(token_RT[:, :-1], length_R - 1, memory, begun)
        self._fit(token_RT.shape[1])
        self._cache = _below(self._cache, _lanes(_widened(begun, self._writer.cache(0, self._places)), beams))
        self._memory = _below(self._memory, _lanes(memory, beams))
        self._place_B = torch.cat([self._place_B, (length_R - 1).repeat_interleave(beams)])
        last_R = token_RT.gather(1, (length_R - 1).unsqueeze(1)).squeeze(1)
        self._token_B = torch.cat([self._token_B, last_R.repeat_interleave(beams)])
        first_RM = torch.full((len(rows), beams), -torch.inf, dtype=torch.float64, device=device)
        first_RM[:, 0] = 0.0
        self._rank_RM = torch.cat([self._rank_RM, first_RM])
        self._logp_RM = torch.cat([self._logp_RM, first_RM.clamp_min(0.0)])
        self._remember(token_RT)
        self.rows += rows

    def step(self) -> None:
        """One token more in every lane."""
        rows, beams = len(self.rows), self._how.beams
        at = Places.of(self._place_B)
        self._fit(at.used)
        with one_thread(when=self._work * len(self._token_B) < SHORT):
            logit_BV = self._steps(self._token_B, at, self._memory, self._cache).double()
        sum_RMV = self._logp_RM.unsqueeze(2) + logit_BV.log_softmax(1).view(rows, beams, -1)
        rank_RMV = self._rank_RM.unsqueeze(2) + self._likeliness(logit_BV).view(rows, beams, -1)
        ends = rank_RMV[:, :, END].tolist(), sum_RMV[:, :, END].tolist()
        for search, *end in zip(self.rows, *ends, strict=True):
            search.end(*end)
        rank_RMV[:, :, END] = -torch.inf
        self._rank_RM, flat_RM = rank_RMV.flatten(1).topk(beams, 1)
        self._logp_RM = sum_RMV.flatten(1).gather(1, flat_RM)
        source_RM, token_RM = flat_RM // logit_BV.shape[1], flat_RM % logit_BV.shape[1]
        told = (source_RM.tolist(), token_RM.tolist(), self._rank_RM.tolist(), self._logp_RM.tolist())
        go_on = [search.go_on(*one) for search, *one in zip(self.rows, *told, strict=True)]
        self._keep([place for place, open_ in enumerate(go_on) if open_], source_RM, token_RM)

    def _likeliness(self, logit_BV: Tensor) -> Tensor:
        if self._how.no_repeat:
            said = [tokens for search in self.rows for tokens in search.said]
            logit_BV = forbidden(logit_BV, said, self._how.no_repeat)
        return (logit_BV if self._seen_BV is None else penalised(logit_BV, self._seen_BV, self._how)).log_softmax(1)

    def _keep(self, places: Sequence[int], source_RM: Tensor, token_RM: Tensor) -> None:
        """Rows that go on, with what their lanes have come from."""
        all_of_them = len(places) == len(self.rows)
        place_R = torch.tensor(places, dtype=torch.int64, device=self._device)
        self.rows = [self.rows[place] for place in places]
        beams = self._how.beams
        lane_B = (place_R.unsqueeze(1) * beams + source_RM[place_R]).flatten()
        self._cache = {name: t[lane_B] for name, t in self._cache.items()}
        self._token_B, self._place_B = token_RM[place_R].flatten(), self._place_B[lane_B] + 1
        self._logp_RM = self._logp_RM[place_R]
        nobody = [[tokens is None for tokens in search.said] for search in self.rows]
        nobody_RM = torch.tensor(nobody, dtype=torch.bool, device=self._device).view(len(places), beams)
        self._rank_RM = self._rank_RM[place_R].masked_fill(nobody_RM, -torch.inf)
        if not all_of_them:  # what was read is the same in all lanes of a row
            self._memory = {name: t[lane_B] for name, t in self._memory.items()}
        if self._seen_BV is not None:
            self._seen_BV = self._seen_BV[lane_B].scatter(1, self._token_B.unsqueeze(1), True)

    def _remember(self, token_RT: Tensor) -> None:
        if self._how.repetition_penalty == 1:
            return
        seen_RV = torch.zeros(len(token_RT), self._writer.vocabulary, dtype=torch.bool, device=self._device)
        seen_RV.scatter_(1, token_RT, True)
        seen_RV[:, [END, BEGIN]] = False
        seen_BV = seen_RV.repeat_interleave(self._how.beams, 0)
        self._seen_BV = seen_BV if self._seen_BV is None else torch.cat([self._seen_BV, seen_BV])

    def _fit(self, places: int) -> None:
        """Room for so many tokens; little more than that, because it is copied with every step."""
        if places > self._places:
            self._places = places + places // 2 + 8
            self._cache = _widened(self._cache, self._writer.cache(0, self._places))


def _lanes(some: Tensors, beams: int) -> dict[str, Tensor]:
    return {name: t.repeat_interleave(beams, 0) for name, t in some.items()}


def _below(above: dict[str, Tensor], below: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat([above[name], t]) for name, t in below.items()} if above else below


def _widened(some: dict[str, Tensor], like: Tensors) -> dict[str, Tensor]:
    found = {}
    for name, t in some.items():
        if t.shape[1:] == like[name].shape[1:]:
            found[name] = t
            continue
        found[name] = t.new_zeros(len(t), *like[name].shape[1:])
        found[name][tuple(slice(0, size) for size in t.shape)] = t
    return found
