"""The torch side of text targets: learns to continue, scores a text, writes one.

Shape suffixes in this file:
    R  rows    T  tokens of the longest text    S  most tokens that are written    V  vocabulary    M  real tokens
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from trueweight.metrics.prediction import Prediction
from trueweight.nn.decoding import Context, Decoding
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.generate import BEGIN, END, Choice, Writer, beam_search, write
from trueweight.nn.losses import mean_over_rows
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["Reader", "TextDecoder", "Texts"]

Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], Prediction]
"""Outputs as arrays and the target's ``learnt`` to a Prediction."""

_AT_ONCE = 2**16
"""Tokens whose truth is scored together, of a vocabulary of 64; of larger ones fewer."""

Speller = Callable[[Sequence[int]], str]


class TextDecoder(Writer, Protocol):
    """What this head asks of a decoder beside writing."""

    def read(self, z: Encoding | None) -> Tensors:
        """What is kept of an encoding for each row."""
        ...

    def states(self, token_BT: Tensor, memory: Tensors) -> Tensor:
        """What logits are made of, (B, T, D)."""
        ...

    def logits(self, state: Tensor) -> Tensor:
        """Logits of what follows, (..., V)."""
        ...


class Texts(nn.Module):
    """Texts as tokens, each predicted from those before it and from what was read.

    Targets ``token`` (R, T, 1) and ``token.length`` (R,), ``whole`` (R,) bool: whether the end belongs to it. Outputs
    ``token`` (R, S), ``length``, ``logp``; or, where only the truth is scored, ``truth_logp`` and ``truth_tokens``.

    Args:
        decoder: A :class:`TextDecoder`.
        reads: Whether there is anything to read; else what a row's target holds is the beginning of its text.
        usual_tokens: Of a text, its end included.
        label_smoothing: Of each token, in [0, 1).
        usual: How texts are written unless asked otherwise.
        speller: Token numbers to a text, for stop strings.
        reader: Gives the answer.
    """

    row_wise = True
    asks_targets = True

    def __init__(
        self, decoder: nn.Module, *, reads: bool, usual_tokens: float, label_smoothing: float, usual: Choice,
        speller: Speller, reader: Reader,
    ) -> None:  # fmt: skip
        super().__init__()
        self.decoder, self.reads, self.usual_tokens = decoder, reads, usual_tokens
        self.label_smoothing, self.usual, self.speller, self.reader = label_smoothing, usual, speller, reader

    def _writer(self) -> TextDecoder:
        return self.decoder  # type: ignore[return-value]

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """Cross entropy of a row's tokens over the usual number of tokens, so that rows count by what they hold, and
        the loss is still a mean over rows; see ``model.protocols.Head``."""
        before_RT, after_RT, real_RT = _shifted(y)
        present_R = y.get("present")
        real_RT = real_RT if present_R is None else real_RT & present_R.unsqueeze(1)
        state_RTD = self._writer().states(before_RT, self._read(z))
        # Only real tokens are turned into logits, which cost most where vocabularies are large.
        logit_MV = self._writer().logits(state_RTD[real_RT])
        loss_M = nn.functional.cross_entropy(
            logit_MV, after_RT[real_RT], reduction="none", label_smoothing=self.label_smoothing
        )
        loss_R = loss_M.new_zeros(len(real_RT)).index_add(0, real_RT.nonzero()[:, 0], loss_M)
        return mean_over_rows(loss_R.unsqueeze(1) / self.usual_tokens, present_R, weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        """A seed of each row's own."""
        hashed = row_hashes(stream_seed(seed, "writing"), rows_R.cpu().numpy())
        return {"seed": torch.from_numpy(hashed.view("int64")).to(rows_R.device)}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        """The text of each row, or the truth's probability; ``noise`` may hold targets beside the seeds."""
        memory = self._read(z)
        if how.forced:
            return self._scored(memory, noise)
        choice, rows = self._choice(how), len(noise["seed"])
        prompts = self._prompts(noise, rows)
        if choice.beams > 1:
            found = beam_search(self._writer(), memory, prompts, choice)
            counted_R = found.length_R + 1  # the end too
            return {"token": found.token_RS, "length": found.length_R, "logp": found.logp_R, "tokens": counted_R}
        return self._written(memory, prompts, noise["seed"], choice, how)

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> Prediction:  # noqa: ARG002
        """Texts."""
        return self.reader({name: t.numpy() for name, t in out.items()}, facts)

    def _read(self, z: Encoding) -> Tensors:
        return self._writer().read(z if self.reads else None)

    def _choice(self, how: Decoding) -> Choice:
        asked = {
            "steps": how.max_steps, "top_k": how.top_k, "top_p": how.top_p, "beams": how.beams,
            "length_penalty": how.length_penalty, "repetition_penalty": how.repetition_penalty,
        }  # fmt: skip
        wishes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        return replace(self.usual, temperature=how.temperature, **wishes)

    def _prompts(self, given: Tensors, rows: int) -> list[Tensor]:
        if self.reads or "token" not in given:
            return [torch.zeros(0, dtype=torch.int64)] * rows
        token_RT = given["token"].squeeze(2).long()
        return [tokens[:length] for tokens, length in zip(token_RT, given["token.length"].tolist(), strict=True)]

    def _written(
        self, memory: Tensors, prompts: Sequence[Tensor], seed_R: Tensor, choice: Choice, how: Decoding
    ) -> Tensors:
        rows = len(prompts)
        token_RS = torch.full((rows, choice.steps), END, dtype=torch.int64)
        length_R, logp_R = torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, dtype=torch.float64)
        said_R = torch.zeros(rows, dtype=torch.int64)
        stops = self._stops(how.stop) if how.stop else None
        for row_B, token_B, logp_B in write(self._writer(), memory, prompts, seed_R, choice, stops=stops):
            token_RS[row_B, said_R[row_B]] = token_B
            logp_R[row_B] += logp_B.double()
            said_R[row_B] += 1
            length_R[row_B] += (token_B != END).long()
        return {"token": token_RS, "length": length_R, "logp": logp_R, "tokens": said_R}

    def _stops(self, stop: Sequence[str]) -> Callable[[int, list[int]], bool]:
        def enough(_: int, tokens: list[int]) -> bool:
            text = self.speller(tokens)
            return any(word in text for word in stop)

        return enough

    def _scored(self, memory: Tensors, y: Tensors) -> Tensors:
        """Some rows at a time: logits of all tokens of all rows would fill gigabytes."""
        before_RT, after_RT, real_RT = _shifted(y)
        size = max(1, _AT_ONCE * 64 // (before_RT.shape[1] * max(64, self._writer().vocabulary)))
        found = [torch.zeros(0, dtype=torch.float64)]
        for start in range(0, len(before_RT), size):
            some = slice(start, start + size)
            state_RTD = self._writer().states(before_RT[some], {name: t[some] for name, t in memory.items()})
            logp_RTV = self._writer().logits(state_RTD).log_softmax(2)
            logp_RT = logp_RTV.gather(2, after_RT[some].unsqueeze(2)).squeeze(2).double()
            found.append((logp_RT * real_RT[some]).sum(1))
        return {"truth_logp": torch.cat(found), "truth_tokens": real_RT.sum(1)}


def _shifted(y: Tensors) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens that are given, those that follow, and which of them are real, (R, T + 1) each."""
    token_RT, length_R = y["token"].squeeze(2).long(), y["token.length"]
    before_RT = nn.functional.pad(token_RT, (1, 0), value=BEGIN)
    after_RT = nn.functional.pad(token_RT, (0, 1), value=END)
    place_T = torch.arange(before_RT.shape[1], device=token_RT.device)
    last_R = length_R + y["whole"].long()
    # What a batch fills up with is END, which is what follows the last token.
    return before_RT, after_RT, place_T < last_R.unsqueeze(1)
