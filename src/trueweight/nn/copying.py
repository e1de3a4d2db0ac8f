"""Words of what was read, written as they stand there: a pointer beside the vocabulary.

Shape suffixes in this file:
    B  rows    T  tokens written    L  tokens read    D  width    C  width of the pointer's keys    V  vocabulary
    M  real tokens of all rows, one behind the other
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.generate import BEGIN, END
from trueweight.nn.places import Places
from trueweight.nn.precision import in_float32

__all__ = ["Copying", "CopyingWriter"]

_NOWHERE = -1e9
"""Score of a place that is not there: of no weight, and unlike minus infinity it has a gradient, which is zero."""

_WRITES = 1.0
"""Log odds of the vocabulary against all places together before anything is learnt."""

_BEFORE = "copy.before"
"""In caches: the token before the last one."""


@dataclass(frozen=True, slots=True)
class _Pointed:
    """Where some tokens point to; first axes alike."""

    score_L: Tensor
    """Of every place, (..., L)."""
    own: Tensor
    """Of the vocabulary, (...): one more place."""

    def among(self, which: Tensor) -> "_Pointed":
        """Of some of the tokens."""
        return _Pointed(self.score_L[which], self.own[which])

    def total(self) -> Tensor:
        """Log of the sum of all weights."""
        return torch.logaddexp(_log_sum(self.score_L), self.own)


class Copying(nn.Module):
    """The next token comes from the vocabulary, or is one of those that were read:

        p(y) = (e^s0 softmax(logits)_y + sum over places l that hold y of e^s_l) / (e^s0 + sum over all l of e^s_l)
        s_l  = q . k_l / sqrt(C) + a1 [the token before l is the last one written]
                                 + a2 [and so is the one before that]
        s0   = b + log(places)

    with q, a1, a2 and b linear in the decoder's state, k_l in what was read at l. Sources: See, Liu and Manning 2017,
    "Get to the point: summarization with pointer-generator networks", arXiv:1704.04368, section 2.2; the vocabulary as
    one more place of the same softmax of Merity et al. 2016, "Pointer sentinel mixture models", arXiv:1609.07843,
    section 2.2. Different from both, the pointer has a query of its own, the vocabulary's score rises with the number
    of places, so that long texts are not copied from more at first, and a1 and a2 favour going on where the last token
    was found: words of many tokens are copied whole long before attention alone would have learnt to.

    Args:
        width: D, of the decoder's states.
        memory_width: Of what is read.
    """

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(width, width, bias=False), nn.Linear(memory_width, width, bias=False)
        self.odds = nn.Linear(width, 3)
        nn.init.xavier_uniform_(self.q.weight)
        nn.init.xavier_uniform_(self.k.weight)
        nn.init.zeros_(self.odds.weight)
        with torch.no_grad():
            self.odds.bias.copy_(torch.tensor([_WRITES, 1.0, 1.0]))

    def read(self, z: Encoding) -> dict[str, Tensor]:
        """What is kept of each row: keys, which token is where, and where there is one."""
        code_BL, mask_BL = z.code_BL, z.mask_BL
        assert code_BL is not None  # heads ask the form before
        if mask_BL is None:
            mask_BL = torch.ones(code_BL.shape, dtype=torch.bool, device=code_BL.device)
        return {"copy.key": self.k(z.tokens_BLD), "copy.code": code_BL, "copy.real": mask_BL}

    def log_p(
        self, state_BTD: Tensor, logit_BTV: Tensor, token_BT: Tensor, earlier_BT: Tensor, memory: Tensors
    ) -> Tensor:
        """Log probabilities of all that may come next, (B, T, V).

        Args:
            state_BTD: The decoder's.
            logit_BTV: The vocabulary's.
            token_BT: The last token written.
            earlier_BT: The one before; END where there is none.
            memory: Of :meth:`read`.
        """
        found = self._pointed(state_BTD, token_BT, earlier_BT, memory)
        total_BT1 = found.total().unsqueeze(2)
        share_BTL = (found.score_L - total_BT1).exp()
        code_BTL = memory["copy.code"].unsqueeze(1).expand_as(share_BTL)
        own_BTV = found.own.unsqueeze(2) - total_BT1 + logit_BTV.log_softmax(2)
        # Only tokens that were read change: logarithms of all others would take most of a step.
        copied_BTV = torch.zeros_like(own_BTV).scatter_add_(2, code_BTL, share_BTL)
        both_BTL = torch.logaddexp(own_BTV.gather(2, code_BTL), copied_BTV.gather(2, code_BTL).log())
        return own_BTV.scatter_(2, code_BTL, both_BTL)

    def log_p_of(
        self, state_BTD: Tensor, logits: Callable[[Tensor], Tensor], before_BT: Tensor, after_BT: Tensor,
        real_BT: Tensor, memory: Tensors,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Log probability of each real token that follows, (M,), and the vocabulary's own mean over all tokens, (M,),
        which is what labels are smoothed by. Nothing is scattered.

        Args:
            state_BTD: The decoder's.
            logits: From states to the vocabulary's logits.
            before_BT: Tokens that are given, BEGIN first.
            after_BT: Tokens that follow.
            real_BT: Which of these count.
            memory: Of :meth:`read`.
        """
        found = self._pointed(state_BTD, before_BT, earlier(before_BT), memory).among(real_BT)
        own_MV, after_M = in_float32(logits(state_BTD[real_BT])).log_softmax(1), after_BT[real_BT]
        own_M = found.own + own_MV.gather(1, after_M.unsqueeze(1)).squeeze(1)
        there_ML = (memory["copy.code"].unsqueeze(1) == after_BT.unsqueeze(2))[real_BT]
        copied_M = _log_sum(found.score_L.masked_fill(~there_ML, _NOWHERE))
        return torch.logaddexp(own_M, copied_M) - found.total(), own_MV.mean(1)

    def _pointed(self, state_BTD: Tensor, token_BT: Tensor, earlier_BT: Tensor, memory: Tensors) -> _Pointed:
        key_BLC, code_BL, real_BL = memory["copy.key"], memory["copy.code"], memory["copy.real"]
        score_BTL = in_float32(self.q(state_BTD) * key_BLC.shape[2] ** -0.5 @ key_BLC.transpose(1, 2))
        own_BT, once_BT, twice_BT = in_float32(self.odds(state_BTD)).unbind(2)
        last_BL = nn.functional.pad(code_BL, (1, 0), value=BEGIN)[:, :-1]
        follows_BTL = last_BL.unsqueeze(1) == token_BT.unsqueeze(2)
        goes_on_BTL = follows_BTL & (earlier(last_BL).unsqueeze(1) == earlier_BT.unsqueeze(2))
        score_BTL = score_BTL + once_BT.unsqueeze(2) * follows_BTL + twice_BT.unsqueeze(2) * goes_on_BTL
        score_BTL = score_BTL.masked_fill(~real_BL.unsqueeze(1), _NOWHERE)
        places_B1 = real_BL.sum(1, keepdim=True).clamp_min(1).to(own_BT.dtype)
        return _Pointed(score_BTL, own_BT + places_B1.log())


class CopyingWriter(nn.Module):
    """A decoder that also copies; see ``nn.generate.Writer``. What it calls logits are log probabilities.

    Args:
        decoder: A ``nn.texts.TextDecoder``.
        copying: The pointer.
    """

    def __init__(self, decoder: nn.Module, copying: Copying) -> None:
        super().__init__()
        self.decoder, self.copying = decoder, copying
        self.vocabulary: int = decoder.vocabulary  # type: ignore[assignment]

    def cache(self, rows: int, places: int) -> dict[str, Tensor]:
        """The decoder's, and the token before the last."""
        found: dict[str, Tensor] = self.decoder.cache(rows, places)  # type: ignore[operator]
        device = next(iter(found.values())).device
        return {**found, _BEFORE: torch.full((rows,), END, dtype=torch.int64, device=device)}

    def prefill(self, token_BT: Tensor, length_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> None:
        """Write the first tokens into the cache."""
        self.decoder.prefill(token_BT, length_B, memory, cache)  # type: ignore[operator]
        last_BT = nn.functional.pad(token_BT, (1, 0), value=END)
        cache[_BEFORE].copy_(last_BT.gather(1, length_B.unsqueeze(1)).squeeze(1))

    def step(self, token_B: Tensor, place_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
        """Log probabilities (B, V) of what follows one token more."""
        state_BD: Tensor = self.decoder.step_state(token_B, place_B, memory, cache)  # type: ignore[operator]
        return self._told(state_BD, token_B, memory, cache)

    def steps(self) -> Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]:
        """:meth:`step` for many steps in a row, by the weights as they are now."""
        state_of = self.decoder.state_steps()  # type: ignore[operator]

        def step(token_B: Tensor, at: Places, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
            return self._told(state_of(token_B, at, memory, cache), token_B, memory, cache)

        return step

    def _told(self, state_BD: Tensor, token_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
        logit_BV: Tensor = self.decoder.logits(state_BD)  # type: ignore[operator]
        state, logit, token, before = (t.unsqueeze(1) for t in (state_BD, logit_BV, token_B, cache[_BEFORE]))
        logp_BV = self.copying.log_p(state, logit, token, before, memory).squeeze(1)
        cache[_BEFORE].copy_(token_B)
        return logp_BV


def earlier(token_BT: Tensor) -> Tensor:
    """The token before each; END before the first."""
    return nn.functional.pad(token_BT, (1, 0), value=END)[:, :-1]


def _log_sum(score_L: Tensor) -> Tensor:
    """Over the last axis; of no places at all it is next to nothing."""
    if not score_L.shape[-1]:
        return score_L.new_full(score_L.shape[:-1], _NOWHERE)
    return score_L.logsumexp(-1)
