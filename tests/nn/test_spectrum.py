"""Convolutions over time and frequency: what they see, and what padding may not do."""

from typing import Any

import pytest
import torch
from torch import Tensor

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.encoders.cnn import CnnEncoder
from trueweight.nn.cnn1d import StepBatchNorm
from trueweight.nn.spectrum import Filters, SpectrumCnn, halved

BANDS = 13
WAYS: list[dict[str, Any]] = [
    {}, {"pool": "mean", "activation": "tanh", "normalization": "layer"}, {"separable": True, "activation": "gelu"},
    {"pool": "none", "separable": True, "normalization": "group"},
]  # fmt: skip


def spectrum(**options: Any) -> SpectrumCnn:
    torch.manual_seed(0)
    usual = {"normalization": "batch", "activation": "relu", "dropout": 0.0, "pool": "max", "separable": False}
    mean, std = [0.5] * BANDS, [2.0] * BANDS
    return SpectrumCnn(mean, std, [6, 8, 5], [5, 3, 3], **(usual | options)).double()


def sounds(*lengths: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    length_B = torch.tensor(lengths)
    frame_BTF = torch.randn(len(lengths), max(lengths), BANDS, generator=rng, dtype=torch.float64)
    frame_BTF[torch.arange(max(lengths)) >= length_B.unsqueeze(1)] = 0.0
    return {"frame": frame_BTF, "frame.length": length_B}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", WAYS)
def test_padding_changes_nothing(options: dict[str, Any], training: bool) -> None:
    module = spectrum(**options).train(training)
    x = sounds(11, 20, 7)
    wider = x | {"frame": torch.nn.functional.pad(x["frame"], (0, 0, 0, 9))}
    plain, padded = module(x), module(wider)
    kept = plain.tokens_BLD.shape[1]
    torch.testing.assert_close(padded.tokens_BLD[:, :kept], plain.tokens_BLD)
    assert not padded.mask_BL[:, kept:].any()
    assert not padded.tokens_BLD[~padded.mask_BL].any()


@pytest.mark.parametrize("options", WAYS)
def test_rows_are_answered_alone(options: dict[str, Any]) -> None:
    module, x = spectrum(**options).eval(), sounds(11, 20, 7)
    together = module(x)
    for row, length in enumerate((11, 20, 7)):
        alone = module({"frame": x["frame"][row : row + 1, :length], "frame.length": torch.tensor([length])})
        assert int(together.mask_BL[row].sum()) == alone.tokens_BLD.shape[1]
        torch.testing.assert_close(together.tokens_BLD[row, together.mask_BL[row]], alone.tokens_BLD[0])


def test_without_padding_a_layer_is_the_formula() -> None:
    torch.manual_seed(0)
    layer, x = Filters(2, 3, 3, 2, "batch", "relu").double().train(), torch.randn(4, 2, 9, 6).double()
    found, mask = layer(x, torch.ones(4, 9, dtype=torch.bool))
    y = torch.nn.functional.conv2d(x, layer.conv.weight, stride=2, padding=1)
    mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), unbiased=False, keepdim=True)
    torch.testing.assert_close(found, ((y - mean) / (var + 1e-5).sqrt()).clamp_min(0))
    assert isinstance(layer.norm, StepBatchNorm)
    assert mask.shape == (4, 5)


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pooling_takes_what_is_there(kind: str) -> None:
    x = -torch.arange(1.0, 16.0).view(1, 1, 5, 3)
    mask = torch.tensor([[True, True, True, False, False]])
    found, later = halved(x * mask[:, None, :, None], mask, kind)
    first = [-1.0, -3.0] if kind == "max" else [-3.0, -4.5]
    third = [-7.0, -9.0] if kind == "max" else [-7.5, -9.0]
    assert later.tolist() == [[True, True, False]]
    assert found[0, 0].tolist() == [first, third, [0.0, 0.0]]


def test_a_pitch_is_known_wherever_it_is() -> None:
    """Away from the edges, a sound two bands higher looks the same, but for its place."""
    module = spectrum(pool="none").eval()
    low = {"frame": torch.full((1, 16, BANDS), 0.5).double(), "frame.length": torch.tensor([16])}
    high = low | {"frame": low["frame"].clone()}
    low["frame"][0, 5:9, 5], high["frame"][0, 5:9, 7] = 3.0, 3.0

    def within(x: dict[str, Tensor]) -> Tensor:
        y, mask = module.layers[0]((x["frame"] - 0.5).unsqueeze(1), torch.ones(1, 16, dtype=torch.bool))
        return y

    torch.testing.assert_close(within(low)[..., 1:5], within(high)[..., 2:6])


def test_what_has_no_frequencies_is_refused() -> None:
    def build(layout: Layout, **options: Any) -> Any:
        return CnnEncoder(over="spectrum", **options).build(layout)

    sound = Layout({"frame": 8}, senses={"frame": Sense(ragged=True, mean=(0.0,) * 8, std=(1.0,) * 8, length=50)})
    assert build(sound).form.width == 128
    assert build(sound, channels=[4, 7]).form.width == 7
    with pytest.raises(SpecError, match="odd sides, not 4"):
        build(sound, kernel_sizes=[4])
    with pytest.raises(SpecError, match="for columns of sounds"):
        build(Layout({"frame": 1}, senses={"frame": Sense(ragged=True, mean=(0.0,), std=(1.0,), length=50)}))
    with pytest.raises(SpecError, match="for columns of sounds"):
        CnnEncoder(over="spectrum").build_on(build(sound).form)
