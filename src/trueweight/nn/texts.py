"""The torch side of text targets: learns to continue, scores a text, writes one.

Shape suffixes in this file:
    R  rows    N  candidates of a row    T  tokens of the longest text    S  most tokens that are written
    V  vocabulary    M  real tokens
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from trueweight.errors import SpecError
from trueweight.metrics.prediction import Prediction
from trueweight.nn.beams import beam_search
from trueweight.nn.copying import Copying, CopyingWriter
from trueweight.nn.decoding import Context, Decoding
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.generate import BEGIN, END, Choice, Writer
from trueweight.nn.losses import mean_over_rows
from trueweight.nn.precision import in_float32
from trueweight.nn.slots import Row, write
from trueweight.nn.spelling import Alphabet, Spelling
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["Begun", "Reader", "TextDecoder", "Texts"]

Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], Prediction]
"""Outputs as arrays and the target's ``learnt`` to a Prediction."""

_AT_ONCE = 2**16
"""Tokens whose truth is scored together, of a vocabulary of 64; of larger ones fewer."""

_SAMPLE = -0x61C8864680B583EB
"""Between the seeds of one row's candidates; they are hashed before use."""

_LOG = logging.getLogger("trueweight.texts")


class TextDecoder(Writer, Protocol):
    """What this head asks of a decoder beside writing."""

    def read(self, z: Encoding | None) -> Tensors:
        """What is kept of an encoding for each row."""
        ...

    def states(self, token_BT: Tensor, memory: Tensors) -> Tensor:
        """What logits are made of, (B, T, D)."""
        ...

    packs: bool
    """Whether :meth:`states_packed` is there."""

    halves: bool
    """Whether it may compute in half precision."""

    def states_packed(self, token_M: Tensor, place_M: Tensor, count_P: Tensor) -> Tensor:
        """The same of texts that lie end to end, (M, D)."""
        ...

    def logits(self, state: Tensor) -> Tensor:
        """Logits of what follows, (..., V)."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """Rows that have been read and can be written; of several candidates of a row, each is one."""

    memory: Tensors
    prompts: Sequence[Tensor]
    seeds: Sequence[int]
    choice: Choice
    stops: Callable[[int, int], bool] | None

    def rows(self) -> list[Row]:
        """For :class:`~trueweight.nn.slots.Slots`, named by their places."""
        each = zip(self.prompts, self.seeds, strict=True)
        return [
            Row(name, prompt, seed, self.choice, None if self.stops is None else partial(self.stops, name))
            for name, (prompt, seed) in enumerate(each)
        ]


class Texts(nn.Module):
    """Texts as tokens, each predicted from those before it and from what was read.

    Targets ``token`` (R, T, 1) and ``token.length`` (R,), ``whole`` (R,) bool: whether the end belongs to it. Outputs
    ``token`` (R, S), ``length``, ``logp``, ``tokens`` (that were written, the end among them) and ``bytes`` (of
    the text, up to a stop); of several candidates the likeliest, the others under ``other_token`` (R, N - 1, S) and so
    on; or, where only the truth is scored, ``truth_logp`` and ``truth_tokens``.

    Args:
        decoder: A :class:`TextDecoder`.
        reads: Whether there is anything to read; else what a row's target holds is the beginning of its text.
        usual_tokens: Of a text, its end included.
        label_smoothing: Of each token, in [0, 1).
        usual: How texts are written unless asked otherwise.
        alphabet: Bytes of each token.
        reader: Gives the answer.
        copying: What lets the decoder write tokens of what it reads as they stand there; None: it does not.
    """

    row_wise = True
    asks_targets = True

    def __init__(
        self, decoder: nn.Module, *, reads: bool, usual_tokens: float, label_smoothing: float, usual: Choice,
        alphabet: Alphabet, reader: Reader, copying: Copying | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.copying = copying
        self.decoder, self.reads, self.usual_tokens = decoder, reads, usual_tokens
        self.label_smoothing, self.usual, self.alphabet, self.reader = label_smoothing, usual, alphabet, reader

    @property
    def continues(self) -> bool:
        """Whether what a row's target holds is the beginning of its text."""
        return not self.reads

    @property
    def packs(self) -> bool:
        """Whether rows may lie end to end when they are learnt from: a language model whose decoder can."""
        return not self.reads and self._decoder().packs

    @property
    def halves(self) -> bool:
        """See ``model.protocols.Head``."""
        return self._decoder().halves

    def writer(self) -> Writer:
        """What writes: the decoder, with what copies where there is such a thing."""
        return self._decoder() if self.copying is None else CopyingWriter(self.decoder, self.copying)

    def _decoder(self) -> TextDecoder:
        return self.decoder  # type: ignore[return-value]

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """Cross entropy of a row's tokens over the usual number of tokens, so that rows count by what they hold, and
        the loss is still a mean over rows; see ``model.protocols.Head``. Of rows that lie end to end
        (``data.packing``), all of about the same number of tokens together, it is the mean over tokens."""
        if "before" in y:
            return self._loss_packed(y, weight_R)
        before_RT, after_RT, real_RT = _shifted(y)
        present_R = y.get("present")
        real_RT = real_RT if present_R is None else real_RT & present_R.unsqueeze(1)
        memory = self._read(z)
        state_RTD = self._decoder().states(before_RT, memory)
        loss_M = self._loss_of(state_RTD, before_RT, after_RT, real_RT, memory)
        loss_R = loss_M.new_zeros(len(real_RT)).index_add(0, real_RT.nonzero()[:, 0], loss_M)
        return mean_over_rows(loss_R.unsqueeze(1) / self.usual_tokens, present_R, weight_R)

    def _loss_of(
        self, state_RTD: Tensor, before_RT: Tensor, after_RT: Tensor, real_RT: Tensor, memory: Tensors
    ) -> Tensor:
        """Of each real token, (M,): only they are turned into logits, which cost most where vocabularies are large."""
        logits, smoothing = self._decoder().logits, self.label_smoothing
        if self.copying is None:
            logit_MV, after_M = in_float32(logits(state_RTD[real_RT])), after_RT[real_RT]
            return nn.functional.cross_entropy(logit_MV, after_M, reduction="none", label_smoothing=smoothing)
        # Smoothed is the vocabulary alone: over the mixture, it would ask the pointer to point at nothing.
        logp_M, mean_M = self.copying.log_p_of(state_RTD, logits, before_RT, after_RT, real_RT, memory)
        return -(1 - smoothing) * logp_M - smoothing * mean_M

    def _loss_packed(self, y: Tensors, weight_P: Tensor | None) -> Tensor:
        writer, after_M = self._decoder(), y["after"]
        logit_MV = in_float32(writer.logits(writer.states_packed(y["before"], y["place"], y["count"])))
        if weight_P is None:
            return nn.functional.cross_entropy(logit_MV, after_M, label_smoothing=self.label_smoothing)
        loss_M = nn.functional.cross_entropy(logit_MV, after_M, reduction="none", label_smoothing=self.label_smoothing)
        weight_M = weight_P.to(loss_M.dtype).repeat_interleave(y["count"])
        return (loss_M * weight_M).sum() / weight_M.sum().clamp_min(1e-12)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        """A seed of each row's own."""
        hashed = row_hashes(stream_seed(seed, "writing"), rows_R.cpu().numpy())
        return {"seed": torch.from_numpy(hashed.view("int64")).to(rows_R.device)}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        """The text of each row, or the truth's probability; ``noise`` may hold targets beside the seeds."""
        memory = self._read(z)
        if how.forced:
            return self._scored(memory, noise)
        if (choice := self.choice(how)).beams > 1:
            prompts = self._prompts(noise, len(noise["seed"]), choice)
            found = self._searched(memory, prompts, choice, how.stop)
            return found if how.samples == 1 else _ranked(found, len(prompts), sort=False)
        begun = self._begun(memory, how, noise)
        device = noise["seed"].device
        seeds = torch.tensor(begun.seeds, dtype=torch.int64, device=device)
        written = write(self.writer(), begun.memory, begun.prompts, seeds, choice, stops=begun.stops)
        nothing = torch.zeros(0, dtype=torch.int64, device=device)
        told = list(zip(*written, strict=True)) or [(nothing,)] * 3
        row_N, token_N, logp_N = map(torch.cat, told)
        return self.gathered(row_N, token_N, logp_N, len(begun.prompts), how)

    def begin(self, z: Encoding, how: Decoding, noise: Tensors) -> Begun:
        """Rows that are read and not written yet, by whom ``nn.slots`` writes; without beams."""
        return self._begun(self._read(z), how, noise)

    def begin_each(self, z: Encoding, hows: Sequence[Decoding], noise: Tensors) -> tuple[Tensors, list[Row]]:
        """Rows that are read together and written each in a way of its own, one candidate of each; without beams.

        Args:
            z: Of all of them.
            hows: One for each row.
            noise: See :meth:`outputs`.

        Returns:
            What was read, and the rows, named by their places in it.
        """
        ways: dict[Decoding, list[int]] = {}
        for place, how in enumerate(hows):
            ways.setdefault(how, []).append(place)
        found: list[tuple[int, Row]] = []
        for how, some in ways.items():
            given = noise if len(ways) == 1 else {name: t[some] for name, t in noise.items()}
            found += zip(some, self._begun({}, how, given).rows(), strict=True)
        for place, row in found:
            row.name = place
        return self._read(z), [row for _, row in sorted(found, key=itemgetter(0))]

    def gathered(self, row_N: Tensor, token_N: Tensor, logp_N: Tensor, rows: int, how: Decoding) -> dict[str, Tensor]:
        """Outputs of what was written: so many tokens, those of each row in their order."""
        order_N = torch.argsort(row_N, stable=True)
        row_N, token_N = row_N[order_N], token_N[order_N]
        said_R = torch.bincount(row_N, minlength=rows)
        place_N = torch.arange(len(row_N), device=row_N.device) - (said_R.cumsum(0) - said_R)[row_N]
        token_RS = torch.full((rows, self.choice(how).steps), END, dtype=torch.int64, device=row_N.device)
        token_RS[row_N, place_N] = token_N
        length_R = torch.zeros_like(said_R).index_add_(0, row_N, (token_N != END).long())
        logp_R = torch.zeros(rows, dtype=torch.float64, device=row_N.device)
        logp_R.index_add_(0, row_N, logp_N[order_N].double())
        found = {"token": token_RS, "length": length_R, "logp": logp_R, "tokens": said_R}
        found |= {"bytes": self._kept(found, how.stop)}
        return found if how.samples == 1 else _ranked(found, rows // how.samples, sort=True)

    def stream(self, z: Encoding, how: Decoding, noise: Tensors) -> Iterator[Tensors]:
        """The tokens of rows as they come, by ``row`` and ``token``; as :meth:`outputs` would give them.

        Raises:
            SpecError: Beams, which know their text only at its end, or several candidates.
        """
        choice = self.choice(how)
        if choice.beams > 1 or how.samples > 1:
            what = f"{choice.beams} beams know their text" if choice.beams > 1 else "several samples are ranked"
            hint = "leave stream out" if choice.beams > 1 else "leave samples out"
            hint += ", or ask for beams: 1" if choice.beams > 1 else ""
            raise SpecError(f"{what} only at the end: there is nothing to stream", where="decoding", hint=hint)
        begun, seed_R = self.begin(z, how, noise), noise["seed"]
        for row_B, token_B, _ in write(self.writer(), begun.memory, begun.prompts, seed_R, choice, stops=begun.stops):
            yield {"row": row_B, "token": token_B}

    def spelling(self, how: Decoding) -> Spelling:
        """What puts streamed tokens together."""
        return Spelling(self.alphabet, how.stop)

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> Prediction:  # noqa: ARG002
        """Texts."""
        return self.reader({name: t.numpy() for name, t in out.items()}, facts)

    def _read(self, z: Encoding) -> Tensors:
        memory = self._decoder().read(z if self.reads else None)
        return memory if self.copying is None else {**memory, **self.copying.read(z)}

    def choice(self, how: Decoding) -> Choice:
        """How tokens are chosen."""
        asked = {
            "steps": how.max_steps, "top_k": how.top_k, "top_p": how.top_p, "beams": how.beams,
            "length_penalty": how.length_penalty, "repetition_penalty": how.repetition_penalty,
            "no_repeat": how.no_repeat,
        }  # fmt: skip
        wishes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        if how.temperature > 0 and how.beams is None:
            wishes["beams"] = 1  # the spec's beams follow the likeliest texts; somebody wants to draw
        choice = replace(self.usual, temperature=how.temperature, samples=how.samples, **wishes)
        # A prompt and its answer fill the context together, unless more is asked for.
        return choice if self.reads else replace(choice, places=max(self.usual.steps, choice.steps))

    def _prompts(self, given: Tensors, rows: int, choice: Choice) -> list[Tensor]:
        if self.reads or "token" not in given:
            return [torch.zeros(0, dtype=torch.int64)] * rows
        token_RT, length_R = given["token"].squeeze(2).long(), given["token.length"].tolist()
        context = self.usual.steps
        # Half of the context is left to write in, or what was asked for.
        room = choice.steps if choice.steps < context else context // 2
        most = max(1, context - room)
        cut = sum(length > most for length in length_R)
        if cut:
            said = "%s of %s prompts are longer than the %s tokens there are before an answer: only their ends are read"
            _LOG.warning(said, cut, rows, most)
        return [tokens[max(0, length - most) : length] for tokens, length in zip(token_RT, length_R, strict=True)]

    def _begun(self, memory: Tensors, how: Decoding, noise: Tensors) -> Begun:
        choice, several, seed_R = self.choice(how), how.samples, noise["seed"]
        prompts = self._prompts(noise, len(seed_R), choice)
        seed_RN = seed_R.unsqueeze(1) + torch.arange(several, device=seed_R.device) * _SAMPLE
        if several > 1:
            memory = {name: t.repeat_interleave(several, 0) for name, t in memory.items()}
            prompts = [prompt for prompt in prompts for _ in range(several)]
        return Begun(memory, prompts, seed_RN.flatten().tolist(), choice, self._stops(how.stop))

    def _searched(
        self, memory: Tensors, prompts: Sequence[Tensor], choice: Choice, stop: Sequence[str]
    ) -> dict[str, Tensor]:
        words = [word.encode() for word in stop]

        def enough(tokens: list[int]) -> bool:
            text = b"".join(self.alphabet[token] for token in tokens)
            return any(word in text for word in words)

        text = beam_search(self.writer(), memory, prompts, choice, enough if words else None)
        found = {"token": text.token_RS, "length": text.length_R, "logp": text.logp_R, "tokens": text.length_R + 1}
        return found | {"bytes": self._kept(found, stop)}

    def _stops(self, stop: Sequence[str]) -> Callable[[int, int], bool] | None:
        if not stop:
            return None
        texts: dict[int, Spelling] = {}

        def enough(row: int, token: int) -> bool:
            text = texts.setdefault(row, Spelling(self.alphabet, stop))
            text.add(token)
            return text.stopped

        return enough

    def _kept(self, found: Tensors, stop: Sequence[str]) -> Tensor:
        """Bytes of each text up to a stop, (R,) int64."""
        if not stop:
            return torch.full_like(found["length"], _ALL)
        kept = []
        for tokens, length in zip(found["token"].tolist(), found["length"].tolist(), strict=True):
            text = Spelling(self.alphabet, stop)
            for token in tokens[:length]:
                text.add(token)
            text.end()
            kept.append(text.kept)
        return torch.tensor(kept, dtype=torch.int64, device=found["length"].device)

    def _scored(self, memory: Tensors, y: Tensors) -> Tensors:
        """Some rows at a time: logits of all tokens of all rows would fill gigabytes."""
        before_RT, after_RT, real_RT = _shifted(y)
        size = max(1, _AT_ONCE * 64 // (before_RT.shape[1] * max(64, self.writer().vocabulary)))
        bytes_V = torch.tensor([len(piece) for piece in self.alphabet], device=before_RT.device)
        found = [torch.zeros(0, dtype=torch.float64, device=before_RT.device)]
        for start in range(0, len(before_RT), size):
            some = slice(start, start + size)
            logp_RT = self._logp_of(before_RT[some], after_RT[some], {name: t[some] for name, t in memory.items()})
            found.append((logp_RT.double() * real_RT[some]).sum(1))
        said_R = (bytes_V[after_RT] * real_RT).sum(1)
        return {"truth_logp": torch.cat(found), "truth_tokens": real_RT.sum(1), "truth_bytes": said_R}

    def _logp_of(self, before_RT: Tensor, after_RT: Tensor, memory: Tensors) -> Tensor:
        state_RTD = self._decoder().states(before_RT, memory)
        if self.copying is None:
            logp_RTV = self._decoder().logits(state_RTD).log_softmax(2)
            return logp_RTV.gather(2, after_RT.unsqueeze(2)).squeeze(2)
        every_RT = torch.ones_like(before_RT, dtype=torch.bool)
        found = self.copying.log_p_of(state_RTD, self._decoder().logits, before_RT, after_RT, every_RT, memory)
        return found[0].view_as(before_RT)


_ALL = 2**62
"""Bytes of a text that nothing stopped."""


def _ranked(found: Tensors, rows: int, *, sort: bool) -> dict[str, Tensor]:
    """The likeliest candidate of each row, and the others behind it. Those of a beam are in their order already, which
    is that of its own score."""
    every = {name: t.reshape(rows, -1, *t.shape[1:]) for name, t in found.items()}
    if sort:
        order_RN = torch.sort(every["logp"], dim=1, descending=True, stable=True).indices
        row_R1 = torch.arange(rows, device=order_RN.device).unsqueeze(1)
        every = {name: t[row_R1, order_RN] for name, t in every.items()}
    others = {f"other_{name}": t[:, 1:] for name, t in every.items()}
    return {name: t[:, 0] for name, t in every.items()} | others


def _shifted(y: Tensors) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens that are given, those that follow, and which of them are real, (R, T + 1) each."""
    token_RT, length_R = y["token"].squeeze(2).long(), y["token.length"]
    before_RT = nn.functional.pad(token_RT, (1, 0), value=BEGIN)
    after_RT = nn.functional.pad(token_RT, (0, 1), value=END)
    place_T = torch.arange(before_RT.shape[1], device=token_RT.device)
    last_R = length_R + y["whole"].long()
    # What a batch fills up with is END, which is what follows the last token.
    return before_RT, after_RT, place_T < last_R.unsqueeze(1)
