"""Texts read off a sequence step by step, without a decoder: connectionist temporal classification.

Shape suffixes in this file:
    R  rows    L  steps    V  tokens, of which number 0 is the blank    T  tokens of the longest text
    S  most tokens that are written
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trueweight.metrics.prediction import Prediction
from trueweight.nn.ctc_search import Weighing, greedy, places, search
from trueweight.nn.decoding import Context, Decoding
from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.losses import mean_over_rows

__all__ = ["BLANK", "CtcTexts", "log_likelihood", "steps_needed"]

BLANK = 0

_LOG = logging.getLogger("trueweight.train")

Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], Prediction]


def steps_needed(token_RT: Tensor, length_R: Tensor) -> Tensor:
    """Fewest steps in which each text can be said, (R,) int64: one a token, and a blank between equal neighbours."""
    place_T = torch.arange(1, token_RT.shape[1], device=token_RT.device)
    twice_RT = (token_RT[:, 1:] == token_RT[:, :-1]) & (place_T < length_R.unsqueeze(1))
    return length_R + twice_RT.sum(1)


def log_likelihood(logp_RLV: Tensor, steps_R: Tensor, token_RT: Tensor, length_R: Tensor) -> Tensor:
    """Log probability of each text, summed over all its alignments, (R,); 0 where it needs more steps than there are.

    Source: Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data with
    recurrent neural networks", equation 8.

    Args:
        logp_RLV: Log probabilities at each step.
        steps_R: Real steps of each row.
        token_RT: Numbers from 1 on.
        length_R: Tokens of each text.
    """
    if not logp_RLV.numel():  # no row or no step, which torch refuses
        return logp_RLV.flatten(1).sum(1)
    fits_R = steps_needed(token_RT, length_R) <= steps_R
    # Where no step is real, torch reads beyond the first: the loss of such rows is left out below.
    loss_R = nn.functional.ctc_loss(
        logp_RLV.transpose(0, 1), token_RT, steps_R.clamp_min(1), length_R, blank=BLANK, reduction="none",
        zero_infinity=True,
    )  # fmt: skip
    return torch.where(fits_R & (steps_R > 0), -loss_R, torch.zeros_like(loss_R))


class CtcTexts(nn.Module):
    """Every step of the encoding says a token or the blank; a text is what is left when repeats and blanks are gone.

        loss = -log sum over alignments a of the text: prod_l p(a_l | step l)

    Sources: Graves et al. 2006 (the loss, the best path); Hannun et al. 2014, "First-pass large vocabulary continuous
    speech recognition using bi-directional recurrent DNNs", arXiv:1408.2873 (beams, language model, length bonus).

    Targets ``token`` (R, T, 1), ``token.length`` and ``whole`` (R,): texts that were cut, or that need more steps than
    their row has, cannot be aligned and are left out of the loss. Where the truth is scored they cost as much as a
    blind guess at each token, so that a model gains nothing by having few steps.

    Args:
        width: Of the encoding.
        vocabulary: V.
        usual_tokens: Of a text.
        dropout: Of the encoding before the logits.
        most: S.
        weighing: How beams weigh texts.
        beams: 1 for the best path.
        reader: Gives the answer.
    """

    row_wise = True
    asks_targets = True

    def __init__(
        self, width: int, vocabulary: int, *, usual_tokens: float, dropout: float, most: int, weighing: Weighing,
        beams: int, reader: Reader,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vocabulary, self.usual_tokens, self.most = vocabulary, max(usual_tokens, 1.0), most
        self.weighing, self.beams, self.reader = weighing, beams, reader
        self.dropout, self.linear = Dropout(dropout), nn.Linear(width, vocabulary)
        self.told = False

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """See the class, over the usual number of tokens; see ``model.protocols.Head``."""
        token_RT, length_R = _texts(y)
        steps_R = _steps(z)
        fits_R = (steps_needed(token_RT, length_R) <= steps_R) & (steps_R > 0) & y["whole"].bool()
        present_R = y.get("present")
        asked_R = torch.ones_like(fits_R) if present_R is None else present_R
        self._tell(asked_R & ~fits_R)
        found_R = log_likelihood(self._logp(z), steps_R, token_RT, length_R)
        share_R = None if present_R is None and bool(fits_R.all()) else asked_R & fits_R
        loss_R = torch.where(asked_R & fits_R, -found_R, torch.zeros_like(found_R))
        return mean_over_rows(loss_R.unsqueeze(1) / self.usual_tokens, share_R, weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """Nothing is drawn."""
        return {}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        """``token`` (R, S), ``length``, ``logp``, ``tokens``; with ``start`` and ``end`` (R, S), steps, where times are
        asked for; and ``truth_logp`` and ``truth_tokens``, where ``noise`` holds the truth and it is to be scored."""
        logp_RLV, steps_R = self._logp(z), _steps(z)
        if how.forced:
            return self._scored(logp_RLV, steps_R, noise)
        beams, most = how.beams or self.beams, how.max_steps or self.most
        weighing = self.weighing
        texts = greedy(logp_RLV, steps_R) if beams == 1 else search(logp_RLV, steps_R, beams, weighing)
        texts = [text[:most] for text in texts]
        token_RS, length_R = _filled(texts, most, logp_RLV.device)
        said_R = log_likelihood(logp_RLV, steps_R, token_RS, length_R).double()
        out = {"token": token_RS, "length": length_R, "logp": said_R, "tokens": length_R + 1}
        if how.times:
            spans = places(logp_RLV, steps_R, texts)
            out["start"], _ = _filled([[start for start, _ in row] for row in spans], most, logp_RLV.device)
            out["end"], _ = _filled([[end for _, end in row] for row in spans], most, logp_RLV.device)
        return out

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> Prediction:  # noqa: ARG002
        """Texts."""
        return self.reader({name: t.numpy() for name, t in out.items()}, facts)

    def _logp(self, z: Encoding) -> Tensor:
        logp_RLV: Tensor = self.linear(self.dropout(z.tokens_BLD)).log_softmax(2)
        return logp_RLV

    def _scored(self, logp_RLV: Tensor, steps_R: Tensor, y: Tensors) -> Tensors:
        token_RT, length_R = _texts(y)
        fits_R = steps_needed(token_RT, length_R) <= steps_R  # without steps, that nothing is said is certain
        found_R = log_likelihood(logp_RLV, steps_R, token_RT, length_R).double()
        blind_R = -(length_R + 1).double() * torch.tensor(float(self.vocabulary)).log().double()
        # What it would say is at hand, and which model is kept is chosen by it: see ``train.selection``.
        said_RS, said_R = _filled([t[: self.most] for t in greedy(logp_RLV, steps_R)], self.most, logp_RLV.device)
        logp_R = log_likelihood(logp_RLV, steps_R, said_RS, said_R).double()
        said = {"token": said_RS, "length": said_R, "logp": logp_R, "tokens": said_R + 1}
        return said | {"truth_logp": torch.where(fits_R, found_R, blind_R), "truth_tokens": length_R + 1}

    def _tell(self, left_R: Tensor) -> None:
        """Once: the loss itself says nothing of rows that it cannot learn from."""
        if not self.told and bool(left_R.any()):
            self.told = True
            _LOG.warning(
                "%d of the %d texts of a step cannot be learnt from: they need more steps than the encoder gives for"
                " their row (its sound is too short, silent or cut for so much text), or are longer than max_tokens;"
                " such rows are left out of the loss",
                int(left_R.sum()), len(left_R),
            )  # fmt: skip


def _texts(y: Tensors) -> tuple[Tensor, Tensor]:
    return y["token"].squeeze(2).long(), y["token.length"].long()


def _steps(z: Encoding) -> Tensor:
    rows, steps = z.tokens_BLD.shape[:2]
    if z.mask_BL is None:
        return torch.full((rows,), steps, dtype=torch.int64, device=z.tokens_BLD.device)
    return z.mask_BL.sum(1)


def _filled(rows: Sequence[Sequence[int]], most: int, device: torch.device) -> tuple[Tensor, Tensor]:
    found_RS = torch.zeros(len(rows), most, dtype=torch.int64)
    for row, items in enumerate(rows):
        found_RS[row, : len(items)] = torch.tensor(items, dtype=torch.int64)
    length_R = torch.tensor([len(items) for items in rows], dtype=torch.int64)
    return found_RS.to(device), length_R.to(device)
