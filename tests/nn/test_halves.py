"""Heads with networks of their own in half precision: what computes in it, and what never does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trueweight.data.feed import Feed
from trueweight.data.packed import Packed
from trueweight.data.packing import Packing
from trueweight.data.ragged import Ragged
from trueweight.nn.attention import attend
from trueweight.nn.copying import Copying
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.generate import Choice
from trueweight.nn.masked import Masked
from trueweight.nn.positions import rotation, waves
from trueweight.nn.stems import TokenStem
from trueweight.nn.texts import Texts
from trueweight.nn.transformer import Transformer, Wishes, in_a_row

VOCABULARY, READ, WIDTH, ROWS = 24, 16, 32, 16
WISHES = DecoderWishes(
    width=WIDTH, layers=2, heads=4, key_value_heads=4, hidden=64, dropout=0.0, norm="pre", normalization="rms",
    activation="gelu", positions="rotary", qk_norm=True, tied=True, length=40,
)  # fmt: skip
NOTHING: Any = None


def texts(memory: int | None, *, copying: bool = False) -> Texts:
    return Texts(
        TransformerDecoder(VOCABULARY, memory, WISHES), reads=memory is not None, usual_tokens=8.0,
        label_smoothing=0.1, usual=Choice(steps=4), alphabet=(b"a",) * VOCABULARY, reader=NOTHING,
        copying=Copying(WIDTH, READ) if copying else None,
    )  # fmt: skip


def pairs(copying: bool) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    code = torch.randint(2, VOCABULARY, (ROWS, 12))
    z = Encoding(torch.randn(ROWS, 12, READ), torch.ones(ROWS, 12, dtype=torch.bool), (12,), code_BL=code)
    token = code[:, :8].unsqueeze(2)
    y = {"token": token, "token.length": torch.full((ROWS,), 8), "whole": torch.ones(ROWS, dtype=torch.bool)}
    return texts(READ, copying=copying), lambda head: head.loss(z, y, None, NOTHING)  # type: ignore[operator]


def language() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    rng = np.random.default_rng(0)
    token = Packed.of(Ragged.of([rng.integers(2, VOCABULARY, (n, 1)) for n in range(2, 18)], 1, np.int32))
    feed = Feed(torch.arange(ROWS), {}, {"text": {"token": token, "whole": torch.ones(ROWS, dtype=torch.bool)}})
    batch = next(iter(Packing("text", feed).batches(120, seed=0)))
    return texts(None), lambda head: head.loss(NOTHING, batch.targets["text"], None, NOTHING)  # type: ignore[operator]


def masked() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    body = Transformer(
        Form(WIDTH, grid_rank=1), WIDTH, Wishes(layers=2, heads=4, hidden=64, rotary=True), positions="rotary",
        length=20, class_token=False, input_norm=False, pooler=False,
    )  # fmt: skip
    encoder = in_a_row(TokenStem(VOCABULARY, WIDTH), body, body.form)
    shares = [1 / VOCABULARY] * VOCABULARY
    head = Masked(encoder, share=0.4, usual_tokens=12, shares=shares, reader=NOTHING)
    y = {"token": torch.randint(3, VOCABULARY, (ROWS, 12, 1)), "token.length": torch.full((ROWS,), 12)}
    return head, lambda one: one.loss(NOTHING, y, None, torch.Generator().manual_seed(0))  # type: ignore[operator]


HEADS = {"pairs": lambda: pairs(False), "copying": lambda: pairs(True), "language": language, "masked": masked}


@contextmanager
def products(of: torch.dtype) -> Iterator[list[torch.dtype]]:
    """Types of what linear layers, the vocabulary's product among them, give in the meantime."""
    seen, linear = list[torch.dtype](), nn.functional.linear

    def counted(*args: Any) -> Tensor:
        found = linear(*args)
        seen.append(found.dtype)
        return found

    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", of, enabled=of != torch.float32):
        patch.setattr(nn.functional, "linear", counted)
        yield seen


@pytest.mark.parametrize("kind", HEADS)
def test_products_are_in_half_precision_and_losses_are_not(kind: str) -> None:
    torch.manual_seed(0)
    head, loss_of = HEADS[kind]()
    assert head.halves
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        head.zero_grad()
        with products(dtype) as seen:
            loss = loss_of(head)
        assert set(seen) == {dtype}
        assert loss.dtype == torch.float32
        loss.backward()
        found[dtype] = loss.detach(), torch.cat([p.grad.flatten() for p in head.parameters() if p.grad is not None])
    (plain, exact), (half, rounded) = found.values()
    assert half == pytest.approx(float(plain), rel=5e-3)
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).norm() / exact.norm()) < 3e-2  # 8 bits of fraction


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "post", "normalization": "layer", "positions": "sinusoidal", "qk_norm": False},
        {"positions": "learned", "qk_norm": False},
        {"key_value_heads": 2, "activation": "swiglu", "biases": False, "tied": False},
    ],
    ids=["original", "learned places", "llama"],
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_every_kind_of_decoder_can(changes: dict[str, Any], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    head = texts(None)
    head.decoder = TransformerDecoder(VOCABULARY, None, replace(WISHES, **changes))
    _, loss_of = language()
    plain = loss_of(head)
    with torch.autocast("cpu", dtype):
        half = loss_of(head)
    (half * 1024).backward()
    assert half.detach() == pytest.approx(float(plain.detach()), rel=5e-3)
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


@pytest.mark.parametrize("like", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_places_far_away_are_told_apart_in_half_precision(like: torch.dtype) -> None:
    x = torch.zeros(1, 600, 8, dtype=like)
    exact = torch.zeros(1, 600, 8, dtype=torch.float64)
    for found, meant in zip(
        (waves(600, 8, x), *rotation(600, 8, x)), (waves(600, 8, exact), *rotation(600, 8, exact)), strict=True
    ):
        assert found.dtype == like
        torch.testing.assert_close(found.double(), meant, atol=1e-4 if like == torch.float32 else 4e-3, rtol=0)


def test_a_recurrent_decoder_keeps_single_precision() -> None:
    decoder = LstmDecoder(VOCABULARY, None, width=8, layers=1, dropout=0.0, tied=True)
    head = Texts(
        decoder, reads=False, usual_tokens=1.0, label_smoothing=0.0, usual=Choice(steps=2), alphabet=(b"a",),
        reader=NOTHING,
    )  # fmt: skip
    assert not head.halves


def test_attention_on_a_cpu_is_in_single_precision() -> None:
    q, k, v = (torch.randn(3, 2, 5, 8).bfloat16() for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(q, k, v, causal=True)
    assert found.dtype == torch.float32
    assert torch.equal(found, attend(q.float(), k.float(), v.float(), causal=True))
    assert attend(q, k, v).dtype == torch.bfloat16  # of networks that are half precision throughout
