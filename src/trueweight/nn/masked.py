"""The torch side of masked texts: hides tokens, and learns to guess them from those around them.

Shape suffixes in this file:
    R  rows    T  tokens of the longest text    D  width    V  vocabulary    M  hidden tokens
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from trueweight.metrics.prediction import Prediction
from trueweight.nn.decoding import Context, Decoding
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.generate import gumbel
from trueweight.nn.losses import mean_over_rows
from trueweight.nn.precision import in_float32
from trueweight.nn.stems import TokenStem
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["FIRST", "MASK", "Masked", "hidden_places", "with_gaps"]

MASK, FIRST = 1, 2
"""Numbers of the token that stands in a gap, which is no text's, and of the first that may be. See ``data.bpe``."""

_SHOWN, _SWAPPED = 0.1, 0.1
"""Of the hidden tokens: left as they are, and replaced by any other: Devlin et al. 2018, section 3.1."""


def hidden_places(uniform_RT: Tensor, length_R: Tensor, share: float) -> Tensor:
    """Which tokens are to be guessed, (R, T) bool: of each row with any the same share, at least one.

    Args:
        uniform_RT: Random numbers, which the lowest of are taken.
        length_R: Tokens of each row.
        share: In (0, 1].
    """
    place_T = torch.arange(uniform_RT.shape[1], device=uniform_RT.device)
    real_RT = place_T < length_R.unsqueeze(1)
    rank_RT = uniform_RT.masked_fill(~real_RT, 2.0).argsort(1).argsort(1)
    count_R = (length_R * share).round().clamp_min(1)
    return (rank_RT < count_R.unsqueeze(1)) & real_RT


def with_gaps(token_RT: Tensor, hidden_RT: Tensor, uniform_2RT: Tensor, vocabulary: int) -> Tensor:
    """Tokens with 80 % of the hidden ones replaced by the mask and 10 % by any token, so that what is read later, where
    nothing is masked, is like what was learnt from.

    Args:
        token_RT: As they are.
        hidden_RT: From :func:`hidden_places`.
        uniform_2RT: Random numbers: which of the three, and which token.
        vocabulary: V.
    """
    which_RT, any_RT = uniform_2RT
    other_RT = (FIRST + any_RT * (vocabulary - FIRST)).long().clamp_max(vocabulary - 1)
    gap_RT = torch.where(which_RT < _SHOWN + _SWAPPED, other_RT, torch.full_like(token_RT, MASK))
    return torch.where(hidden_RT & (which_RT >= _SHOWN), gap_RT, token_RT)


class Masked(nn.Module):
    """Texts with gaps. Which tokens are hidden is drawn anew at each training step, and by the row's own seed when one
    is asked.

    Targets ``token`` (R, T, 1) and ``token.length`` (R,). Outputs ``token`` (R, T), the text with guesses in its gaps,
    ``length``, ``hidden``, ``right`` (R,), ``logp`` (R,).

    Source: Devlin et al. 2018, "BERT", arXiv:1810.04805, section 3.1; the dense layer before the logits is its too.

    Args:
        encoder: From ``token`` to an encoding with one token each; it holds one ``TokenStem``, whose table also makes
            the logits.
        share: Of each text that is hidden.
        usual_tokens: Of a text.
        shares: V: probability of each token wherever it stands.
        reader: Gives the answer.
    """

    row_wise = True
    asks_targets = True
    halves = True
    continues = True  # what it is asked about is the text itself

    def __init__(
        self, encoder: nn.Module, *, share: float, usual_tokens: float, shares: Sequence[float],
        reader: Callable[[Mapping[str, Any], Mapping[str, Any]], Prediction],
    ) -> None:  # fmt: skip
        super().__init__()
        self.encoder, self.share, self.usual_tokens, self.reader = encoder, share, usual_tokens, reader
        table = self._table()
        self.vocabulary, width = table.shape
        self.dense = nn.Sequential(nn.Linear(cast(Any, encoder).form.width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias_V = nn.Parameter(torch.tensor(shares).log())  # begins as what looks at nothing would guess

    def _table(self) -> Tensor:
        (stem,) = (inner for inner in self.encoder.modules() if isinstance(inner, TokenStem))
        return stem.embedding.weight

    def _guesses(self, given_RT: Tensor, length_R: Tensor, hidden_RT: Tensor) -> Tensor:
        """Logits (M, V): only of hidden tokens, which are few."""
        z: Encoding = self.encoder({"token": given_RT.unsqueeze(2), "token.length": length_R})
        state_MD = self.dense(z.tokens_BLD[hidden_RT])
        return nn.functional.linear(state_MD, self._table(), self.bias_V)

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """Cross entropy of a row's hidden tokens over the usual number of them; a mean over rows."""
        token_RT, length_R = y["token"].squeeze(2).long(), y["token.length"]
        uniform_3RT = torch.rand(3, *token_RT.shape, generator=rng, device=token_RT.device)
        hidden_RT = hidden_places(uniform_3RT[0], length_R, self.share)
        present_R = y.get("present")
        hidden_RT = hidden_RT if present_R is None else hidden_RT & present_R.unsqueeze(1)
        given_RT = with_gaps(token_RT, hidden_RT, uniform_3RT[1:], self.vocabulary)
        logit_MV = self._guesses(given_RT, length_R, hidden_RT)
        loss_M = nn.functional.cross_entropy(in_float32(logit_MV), token_RT[hidden_RT], reduction="none")
        loss_R = loss_M.new_zeros(len(token_RT)).index_add(0, hidden_RT.nonzero()[:, 0], loss_M)
        return mean_over_rows(loss_R.unsqueeze(1) / (self.share * self.usual_tokens), present_R, weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        """A seed of each row's own."""
        hashed = row_hashes(stream_seed(seed, "hiding"), rows_R.cpu().numpy())
        return {"seed": torch.from_numpy(hashed.view("int64")).to(rows_R.device)}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:  # noqa: ARG002
        """What is guessed of each row's text; nothing of rows without one."""
        seed_R = noise["seed"]
        if "token" not in noise:
            zero_R = torch.zeros(len(seed_R), dtype=torch.int64, device=seed_R.device)
            blank = {"token": zero_R.unsqueeze(1), "length": zero_R, "hidden": zero_R, "right": zero_R}
            return {**blank, "logp": zero_R.double()}
        token_RT, length_R = noise["token"].squeeze(2).long(), noise["token.length"]
        uniform_3RT = torch.stack([self._uniform(seed_R, draw, token_RT.shape[1]) for draw in range(3)])
        hidden_RT = hidden_places(uniform_3RT[0], length_R, self.share)
        given_RT = with_gaps(token_RT, hidden_RT, uniform_3RT[1:], self.vocabulary)
        logp_MV = self._guesses(given_RT, length_R, hidden_RT).log_softmax(1)
        row_M, true_M, best_M = hidden_RT.nonzero()[:, 0], token_RT[hidden_RT], logp_MV.argmax(1)
        zero_R = torch.zeros(len(seed_R), dtype=torch.int64, device=seed_R.device)
        logp_M = logp_MV.gather(1, true_M.unsqueeze(1)).squeeze(1).double()
        return {
            "token": token_RT.masked_scatter(hidden_RT, best_M), "length": length_R.long(),
            "hidden": hidden_RT.sum(1), "right": zero_R.index_add(0, row_M, (best_M == true_M).long()),
            "logp": zero_R.double().index_add(0, row_M, logp_M),
        }  # fmt: skip

    def _uniform(self, seed_R: Tensor, draw: int, width: int) -> Tensor:
        """(R, width) in (0, 1)."""
        return torch.exp(-torch.exp(-gumbel(seed_R, torch.full_like(seed_R, draw), width)))

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> Prediction:  # noqa: ARG002
        """Texts."""
        return self.reader({name: t.numpy() for name, t in out.items()}, facts)
