"""A body taken out of a decoder computes the same in an encoder, and the other way round."""

from typing import Any

import pytest
import torch
from torch import nn

from trueweight.nn.bodies import TokenBody, body_of, differences, put
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.encoding import Form
from trueweight.nn.stems import TokenStem
from trueweight.nn.transformer import Transformer, Wishes, in_a_row

WIDTH, HEADS, TOKENS, LENGTH = 16, 4, 30, 9
ROWS = torch.randint(2, TOKENS, (3, 7), generator=torch.Generator().manual_seed(0))


def decoder(seed: int, *, reads: int | None = None, **changes: Any) -> TransformerDecoder:
    torch.manual_seed(seed)
    usual: dict[str, Any] = {
        "width": WIDTH, "layers": 2, "heads": HEADS, "key_value_heads": HEADS, "hidden": 24, "dropout": 0.0,
        "norm": "pre", "normalization": "rms", "activation": "gelu", "positions": "rotary", "qk_norm": True,
        "tied": True, "length": LENGTH,
    }  # fmt: skip
    made = TransformerDecoder(TOKENS, reads, DecoderWishes(**usual | changes)).eval()
    return _shaken(made)


def encoder(seed: int, *, causal: bool = True, input_norm: bool = False, front: bool = False, **changes: Any) -> Any:
    torch.manual_seed(seed)
    positions = changes.pop("positions", "rotary")
    usual: dict[str, Any] = {"layers": 2, "heads": HEADS, "hidden": 24, "qk_norm": True}
    wishes = Wishes(**usual | changes, causal=causal, rotary=positions == "rotary")
    stem = TokenStem(TOKENS, WIDTH)
    body = Transformer(
        Form(WIDTH, grid_rank=1), WIDTH, wishes, positions=positions, length=LENGTH, class_token=front,
        input_norm=input_norm, pooler=False,
    )  # fmt: skip
    return _shaken(in_a_row(stem, body, body.form).eval())


def _shaken(module: Any) -> Any:
    """So that no norm is one and no bias zero, which would hide what was left out."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def read(module: nn.Module) -> torch.Tensor:
    tokens: torch.Tensor = module({"token": ROWS.unsqueeze(2)}).tokens_BLD
    return tokens


def of(module: nn.Module) -> TokenBody:
    found = body_of(module)
    assert found is not None
    return found


def lend(donor: nn.Module, to: nn.Module) -> None:
    theirs, mine = of(donor), of(to)
    assert list(differences(mine.options, theirs.options, {})) == []
    put(mine, theirs.tensors(), theirs.scale)


VARIANTS: dict[str, dict[str, Any]] = {
    "rotary": {},
    "the original": {
        "norm": "post", "normalization": "layer", "activation": "relu", "positions": "sinusoidal", "qk_norm": False,
    },
    "learned positions, gated": {"positions": "learned", "activation": "swiglu"},
}  # fmt: skip


@pytest.mark.parametrize("options", VARIANTS.values(), ids=list(VARIANTS))
def test_a_causal_encoder_computes_what_the_decoder_computed(options: dict[str, Any]) -> None:
    written, reading = decoder(1, **options), encoder(2, **options)
    assert not torch.allclose(read(reading), written.states(ROWS, {}), atol=1e-2)
    lend(written, reading)
    # The same products in another order: float32 over 16 numbers and two layers.
    torch.testing.assert_close(read(reading), written.states(ROWS, {}), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=list(VARIANTS))
def test_a_decoder_computes_what_the_causal_encoder_computed(options: dict[str, Any]) -> None:
    reading, written = encoder(1, **options), decoder(2, **options)
    lend(reading, written)
    torch.testing.assert_close(written.states(ROWS, {}), read(reading), rtol=1e-4, atol=1e-5)


def test_an_encoder_that_looks_both_ways_may_begin_as_a_decoder() -> None:
    written, reading = decoder(1), encoder(2, causal=False)
    lend(written, reading)
    theirs, mine = of(written), of(reading)
    assert all(torch.equal(mine.slots[name].view, t) for name, t in theirs.tensors().items() if name != "table")
    torch.testing.assert_close(mine.slots["table"].view, theirs.tensors()["table"] * WIDTH**0.5)


def test_a_decoder_that_also_reads_keeps_its_new_attention_and_takes_the_rest_bit_for_bit() -> None:
    small, large = decoder(1), decoder(2, reads=5)
    before = {name: p.clone() for name, p in large.named_parameters()}
    lend(small, large)
    lent = dict(small.named_parameters())
    for name, parameter in large.named_parameters():
        own = ".cross." in name or "norm_2" in name
        assert torch.equal(parameter, before[name] if own else lent[name]), name


def test_keys_that_several_heads_share_are_repeated_for_each() -> None:
    written, reading = decoder(1, key_value_heads=2), encoder(2)
    lend(written, reading)
    torch.testing.assert_close(read(reading), written.states(ROWS, {}), rtol=1e-4, atol=1e-5)
    told = list(differences(of(written).options, of(reading).options, {}))
    assert told == ["key_value_heads is 2 here and 4 there"]


def test_fewer_places_are_the_first_ones() -> None:
    written, reading = decoder(1, positions="learned", length=LENGTH + 4), encoder(2, positions="learned")
    lend(written, reading)
    torch.testing.assert_close(read(reading), written.states(ROWS, {}), rtol=1e-4, atol=1e-5)


def test_every_difference_is_told_with_both_values() -> None:
    mine, theirs = encoder(1, positions="learned", input_norm=True, qk_norm=False, layers=3), decoder(2, hidden=32)
    assert list(differences(of(mine).options, of(theirs).options, {"hidden": "the hidden width"})) == [
        "layers is 3 here and 2 there",
        "the hidden width is 24 here and 32 there",
        "positions is learned here and rotary there",
        "qk_norm is false here and true there",
        "input_norm is true here and false there",
        "class_token is false here and not known there",
        "max_length is 9 here and not known there",
    ]


def test_a_token_in_front_moves_learned_places() -> None:
    front, plain = of(encoder(1, positions="learned", front=True)), of(encoder(2, positions="learned"))
    assert list(differences(front.options, plain.options, {})) == ["class_token is true here and false there"]


def test_missing_tensors_and_other_shapes_are_told() -> None:
    mine, theirs = of(encoder(1)), of(encoder(2)).tensors()
    with pytest.raises(ValueError, match=r"there is no 1\.up\.weight"):
        put(mine, {name: t for name, t in theirs.items() if name != "1.up.weight"}, 1.0)
    with pytest.raises(ValueError, match=r"0\.up\.weight is \(24, 15\) there and \(24, 16\) here"):
        put(mine, theirs | {"0.up.weight": theirs["0.up.weight"][:, 1:]}, 1.0)


@pytest.mark.parametrize(
    "module", [nn.Linear(2, 2), nn.ModuleList([decoder(1), decoder(2)]), TokenStem(5, 2)], ids=["none", "two", "stem"]
)
def test_what_has_no_body_or_two_has_none(module: nn.Module) -> None:
    assert body_of(module) is None
