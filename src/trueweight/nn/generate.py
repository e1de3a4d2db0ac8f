"""How the next token of an answer is chosen: each row by its own noise, whoever else is in its batch.

Who writes side by side is in ``nn.slots``, following several texts at once in ``nn.beams``.

Shape suffixes in this file:
    R  rows    B  slots    V  vocabulary
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from trueweight.nn.encoding import Tensors
from trueweight.nn.places import Places

__all__ = [
    "BEGIN", "END", "Choice", "Prefill", "Prefilling", "Steps", "Writer", "drawn", "forbidden", "gumbel", "kept",
    "penalised", "prefill_of",
]  # fmt: skip

END, BEGIN = 0, 1
"""Numbers of the tokens that end and begin every text."""

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
        """Logits (B, V) of what follows one token more, which is written into the cache in place."""
        ...

    def steps(self) -> Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]:
        """The same for many steps in a row: whatever the weights alone decide may be worked out before the first."""
        ...


Steps = Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]
"""See :meth:`Writer.steps`."""

Prefill = Callable[[Tensor, Tensor, Tensors, dict[str, Tensor]], None]
"""See :meth:`Writer.prefill`."""


@runtime_checkable
class Prefilling(Protocol):
    """Steps that also know a quicker way to write first tokens into a cache than their writer."""

    def prefill(self, token_BT: Tensor, length_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> None:
        """As :meth:`Writer.prefill`."""
        ...


def prefill_of(writer: Writer, steps: Steps) -> Prefill:
    """The quickest way to write first tokens into a cache."""
    return steps.prefill if isinstance(steps, Prefilling) else writer.prefill


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
    no_repeat: int = 0
    """No run of so many tokens is written twice; 0: any run may be."""
    beams: int = 1
    length_penalty: float = 1.0
    """Of beams: sums of log probabilities are divided by ``((5 + length) / 6) ** penalty``."""
    samples: int = 1
    """Of beams: so many best texts of each row."""

    def room(self, prompt: int) -> int:
        """Most tokens that are written behind a prompt of so many."""
        return self.steps if self.places is None else max(1, min(self.steps, self.places - prompt))


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


def penalised(logit_BV: Tensor, seen_BV: Tensor | None, how: Choice) -> Tensor:
    """With tokens that were written already less likely.

    Source: Keskar et al. 2019, "CTRL", arXiv:1909.05858, section 4.1.
    """
    if seen_BV is None:
        return logit_BV
    lower_BV = torch.where(logit_BV > 0, logit_BV / how.repetition_penalty, logit_BV * how.repetition_penalty)
    return torch.where(seen_BV, lower_BV, logit_BV)


def forbidden(logit_BV: Tensor, said: Sequence[Sequence[int] | None], size: int | Sequence[int]) -> Tensor:
    """Without the tokens that would end a run which a text holds already.

    Source: Paulus, Xiong and Socher 2017, "A deep reinforced model for abstractive summarization", arXiv:1705.04304,
    section 2.5, where runs have three tokens.

    Args:
        logit_BV: Not changed.
        said: What each row has written, its prompt not among it; None: nobody is there.
        size: Tokens of a run, of all rows or of each; 0: any run may be written twice.
    """
    sizes = [size] * len(said) if isinstance(size, int) else size
    found = [
        (row, token)
        for row, (tokens, least) in enumerate(zip(said, sizes, strict=True))
        if tokens is not None and least
        for token in _ends_of_runs(tokens, least)
    ]
    if not found:
        return logit_BV
    row_F, token_F = torch.tensor(found, dtype=torch.int64, device=logit_BV.device).unbind(1)
    return logit_BV.index_put((row_F, token_F), logit_BV.new_tensor(-torch.inf))


def _ends_of_runs(said: Sequence[int], size: int) -> list[int]:
    """Tokens that have followed the last ``size - 1`` before."""
    if size == 1:
        return list(said)
    if len(said) < size:
        return []
    last, before = said[-1], said[-(size - 1) :]
    return [
        said[place + 1]
        for place in range(size - 2, len(said) - 1)
        if said[place] == last and said[place - size + 2 : place + 1] == before
    ]


def drawn(logit_BV: Tensor, seen_BV: Tensor | None, seed_B: Tensor, step_B: Tensor, how: Choice) -> Tensor:
    """The next token of each slot, (B,)."""
    logit_BV = penalised(logit_BV, seen_BV, how)
    if how.temperature <= 0:
        return _likeliest(logit_BV)
    logit_BV = kept(logit_BV.double() / how.temperature, how)
    return (logit_BV + gumbel(seed_B, step_B, logit_BV.shape[1])).argmax(1)


def _likeliest(logit_BV: Tensor) -> Tensor:
    if logit_BV.device.type == "cpu":  # NumPy's is vectorised: an eighth of the time of torch's
        return torch.from_numpy(logit_BV.detach().numpy().argmax(1))
    return logit_BV.argmax(1)


def kept(logit_BV: Tensor, how: Choice) -> Tensor:
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
