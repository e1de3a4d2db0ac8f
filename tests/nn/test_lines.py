"""Texts that lie end to end: the same loss and gradients as of a padded batch, and no text sees another."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trueweight.data.feed import Feed
from trueweight.data.packed import Packed
from trueweight.data.packing import Packing
from trueweight.data.ragged import Ragged
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.generate import Choice
from trueweight.nn.lines import Lines, _Gathered, turned, turns_of
from trueweight.nn.positions import rotated, rotation
from trueweight.nn.texts import Texts

NOTHING: Any = None
VOCABULARY, LONGEST, ROWS = 40, 45, 24
COUNTS = torch.tensor([61, 60, 50, 44, 30, 12, 9, 1])

USUAL = {
    "width": 32, "layers": 2, "heads": 4, "key_value_heads": 4, "hidden": 48, "dropout": 0.0, "norm": "pre",
    "normalization": "rms", "activation": "gelu", "positions": "rotary", "qk_norm": True, "tied": True,
    "length": LONGEST + 1,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "usual": {},
    "original": {"norm": "post", "normalization": "layer", "positions": "sinusoidal", "qk_norm": False},
    "gpt-2": {"normalization": "layer", "positions": "learned", "qk_norm": False, "scaled": False},
    "llama": {"key_value_heads": 2, "activation": "swiglu", "biases": False, "tied": False, "qk_norm": False},
}


def head(kind: str, usual_tokens: float = 1.0, smoothing: float = 0.0) -> Texts:
    torch.manual_seed(2)
    decoder = TransformerDecoder(VOCABULARY, None, DecoderWishes(**{**USUAL, **KINDS[kind]}))
    with torch.no_grad():  # so that what attention gives is no small part
        decoder.embedding.weight.mul_(2)
    return Texts(
        decoder, reads=False, usual_tokens=usual_tokens, label_smoothing=smoothing, usual=Choice(steps=4),
        alphabet=(b"",) * VOCABULARY, reader=NOTHING,
    )  # fmt: skip


def feed() -> Feed:
    """Texts of 0 to 45 tokens, every third cut off."""
    rng = np.random.default_rng(1)
    token = Packed.of(
        Ragged.of([rng.integers(2, VOCABULARY, (n, 1)) for n in rng.integers(0, LONGEST, ROWS)], 1, np.int32)
    )
    return Feed(torch.arange(ROWS), {}, {"text": {"token": token, "whole": torch.arange(ROWS) % 3 > 0}})


def gradients(one: Texts, y: Any, weight: torch.Tensor | None = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
    one.zero_grad()
    loss = one.loss(NOTHING, y, weight, NOTHING)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), [p.grad.clone() for p in one.parameters() if p.grad is not None]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_the_padded_batch(kind: str, smoothing: float) -> None:
    """Of the mean number of tokens to a row, the mean over rows is the mean over tokens."""
    rows = feed()
    packing = Packing("text", rows)
    total = int(packing.places().sum())
    one = head(kind, total / ROWS, smoothing)
    packed, packed_gradients = gradients(one, next(packing.batches(total, 0)).targets["text"])
    padded, padded_gradients = gradients(one, rows.batch(torch.arange(ROWS)).targets["text"])
    torch.testing.assert_close(packed, padded, rtol=1e-5, atol=1e-5)
    assert len(packed_gradients) == len(padded_gradients) == len(list(one.parameters()))
    torch.testing.assert_close(packed_gradients, padded_gradients, rtol=1e-5, atol=1e-5)


def test_weights_of_rows_are_those_of_their_tokens() -> None:
    rows = feed()
    weight_N = torch.rand(ROWS, generator=torch.Generator().manual_seed(5)) + 0.1
    packing = Packing("text", Feed(rows.rows, rows.inputs, rows.targets, weight_N))
    places_N = packing.places()
    usual = float((weight_N * places_N).sum() / weight_N.sum())
    one, total = head("usual", usual), int(places_N.sum())
    step = next(packing.batches(total, 0))
    packed, packed_gradients = gradients(one, step.targets["text"], step.weight_B)
    padded, padded_gradients = gradients(one, rows.batch(torch.arange(ROWS)).targets["text"], weight_N)
    torch.testing.assert_close(packed, padded, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed_gradients, padded_gradients, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_no_text_sees_another() -> None:
    """Alone, or beside others in any company, a text's states are the same."""
    decoder = head("usual").decoder
    assert isinstance(decoder, TransformerDecoder)
    rng = torch.Generator().manual_seed(0)
    token = [torch.randint(2, VOCABULARY, (n,), generator=rng) for n in COUNTS.tolist()]
    place = torch.cat([torch.arange(n) for n in COUNTS.tolist()])
    together = decoder.states_packed(torch.cat(token), place, COUNTS).split(COUNTS.tolist())
    for text, states in zip(token, together, strict=True):
        torch.testing.assert_close(states, decoder.states(text.unsqueeze(0), {})[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("counts", [COUNTS, torch.tensor([7, 7, 7]), torch.tensor([16, 3, 1]), torch.tensor([1])])
def test_attention_is_that_of_each_text_by_itself(counts: torch.Tensor) -> None:
    """By the formula, in float64, with its gradient."""
    rng = torch.Generator().manual_seed(1)
    made = [torch.randn(int(counts.sum()), 2, 4, generator=rng, dtype=torch.float64) for _ in range(3)]
    found = [t.clone().requires_grad_() for t in made]
    slow = [t.clone().requires_grad_() for t in made]
    parts = []
    for q, k, v in zip(*(t.split(counts.tolist()) for t in slow), strict=True):
        score = torch.einsum("ihk,jhk->hij", q, k) / 2 - torch.full((len(q), len(q)), torch.inf).double().triu(1)
        parts.append(torch.einsum("hij,jhk->ihk", score.softmax(2), v))
    mixed, expected = Lines.of(counts).attend(*found), torch.cat(parts)
    torch.testing.assert_close(mixed, expected)
    asked = torch.randn(mixed.shape, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(torch.autograd.grad(mixed, found, asked), torch.autograd.grad(expected, slow, asked))


def test_groups_are_little_padded_and_few() -> None:
    counts = torch.arange(512, 9, -1)
    lines = Lines.of(counts)
    assert len(lines.groups) <= 14
    assert len(lines.to_place_Q) < 1.18 * int(counts.sum())
    assert torch.equal(lines.to_place_Q[lines.to_token_M], torch.arange(int(counts.sum())))


def test_gathering_has_the_gradient_of_finite_differences() -> None:
    index, back = torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0])
    t = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: _Gathered.apply(x, index, back), (t,))
    assert torch.autograd.gradcheck(lambda x: _Gathered.apply(x, index[:2], None), (t,))


def test_turning_is_that_of_rotary_places_with_its_gradient() -> None:
    place = torch.tensor([0, 1, 2, 7, 3])
    x = torch.randn(5, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    table = rotation(8, 6, x)
    turns = turns_of(table, place, 3)
    slow = rotated(x.unsqueeze(2), (table[0][place][:, None, None], table[1][place][:, None, None])).squeeze(2)
    torch.testing.assert_close(turned(x, turns), slow)
    assert torch.autograd.gradcheck(lambda t: turned(t, turns), (x,))


def test_only_a_language_model_of_attention_packs() -> None:
    assert head("usual").packs
    reading: nn.Module = TransformerDecoder(VOCABULARY, 8, DecoderWishes(**USUAL))
    for decoder, reads in [(reading, True), (LstmDecoder(9, None, width=8, layers=1, dropout=0.0, tied=True), False)]:
        one = Texts(
            decoder, reads=reads, usual_tokens=1.0, label_smoothing=0.0, usual=Choice(steps=4), alphabet=(b"",) * 9,
            reader=NOTHING,
        )  # fmt: skip
        assert not one.packs
