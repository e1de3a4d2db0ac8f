"""Convolutions over pictures: published sizes, formulas, and what whitening promises."""

from typing import Any

import numpy as np
import pytest
import torch

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.encoders.cnn import CnnEncoder
from trueweight.nn.cnn2d import Stage, StageNorm, stages_for, whitening_filters
from trueweight.nn.dropout import Dropout

LENET: dict[str, Any] = {
    "channels": [6, 16, 120], "kernel_sizes": [5], "convolutions": 1, "padding": "valid", "pool": "mean",
    "activation": "tanh", "normalization": "none", "whitening": False, "pooling": "flatten", "hidden_sizes": [84],
}  # fmt: skip


def layout(side: int, channels: int = 1, *, flags: int = 0) -> Layout:
    sense = Sense(grid=(side, side), mean=(0.5,) * channels, std=(0.25,) * channels)
    return Layout({"pixel": channels, "flag": flags}, senses={"pixel": sense})


def weights(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_lenet_has_the_published_number_of_weights():
    body = CnnEncoder(**LENET).build(layout(32))
    # LeNet-5 with full connections has 61,706, the ten outputs' 85 each among them.
    assert weights(body) + 10 * 85 == 61_706
    z = body({"pixel": torch.zeros(2, 32, 32, 1, dtype=torch.uint8)})
    assert z.tokens_BLD.shape == (2, 1, 84)


def test_lenet_is_the_formula():
    torch.manual_seed(0)
    body = CnnEncoder(**LENET).build(layout(32)).double()
    pixel = torch.randint(0, 256, (3, 32, 32, 1), dtype=torch.uint8)
    p = dict(body.named_parameters())
    y = (pixel.double() / 255 - 0.5).movedim(3, 1) / 0.25
    f = torch.nn.functional
    for stage in range(3):
        start = f"encoder.encoder.stages.{stage}.first.0"
        y = f.conv2d(y, p[f"{start}.weight"], p[f"{start}.bias"])
        y = torch.tanh(f.avg_pool2d(y, 2) if stage < 2 else y)
    y = torch.tanh(y.flatten(1) @ p["mlp.0.linear.weight"].T + p["mlp.0.linear.bias"])
    torch.testing.assert_close(body({"pixel": pixel}).tokens_BLD[:, 0], y)


@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_patches_are_uncorrelated_and_of_variance_one(channels):
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(50, 24, 24, channels))
    smooth = sum(np.roll(wide, (i, j), (1, 2)) for i in range(3) for j in range(3)) / 3
    corners = [smooth[:, i : 23 + i, j : 23 + j] for i in range(2) for j in range(2)]
    patch = np.concatenate(corners, axis=3).reshape(-1, 4 * channels)
    std = smooth.reshape(-1, channels).std(0)
    filters = whitening_filters(np.cov(patch.T).tolist(), std.tolist())
    value = torch.from_numpy(smooth / std).float().movedim(3, 1)
    y = torch.nn.functional.conv2d(value, filters).movedim(1, 3).reshape(-1, 8 * channels).double().numpy()
    half = y[:, : 4 * channels]
    np.testing.assert_array_equal(half, -y[:, 4 * channels :])
    # 5e-4 is added to variances of at least 0.02, and the mean is not quite zero.
    np.testing.assert_allclose(np.cov(half.T), np.eye(4 * channels), atol=0.05)


def test_residual_stages_add_what_the_first_layer_gave():
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "kernel_size": 3, "stride": 1, "convolutions": 3, "padding": "same", "norm": StageNorm(),
        "activation": "relu", "pool": "max", "separable": False,
    }  # fmt: skip
    stage = Stage(2, 4, (8, 8), residual=True, **options).eval()
    x = torch.randn(2, 2, 8, 8)
    first = stage.first(x)
    torch.testing.assert_close(stage(x), first + stage.rest(first))
    assert stage.grid == (4, 4) == stage(x).shape[2:]


def test_separable_filters_have_few_weights():
    plain, separable = (
        weights(CnnEncoder(channels=[32, 64], separable=how, whitening=False).build(layout(16, 3)))
        for how in (False, True)
    )
    assert separable < plain / 5


@pytest.mark.parametrize(("side", "stages"), [(1, 1), (8, 1), (16, 2), (28, 3), (32, 3), (64, 4), (128, 5), (1000, 6)])
def test_as_many_stages_as_leave_four_places(side, stages):
    assert stages_for((side, side)) == stages


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 28, 32, 64, 96])
def test_pictures_of_any_size_are_read_without_options(side):
    sense = Sense(grid=(side, side), mean=(0.5,), std=(0.2,), covariance=tuple(map(tuple, (np.eye(4) * 0.1).tolist())))
    body = CnnEncoder().build(Layout({"pixel": 1}, senses={"pixel": sense})).eval()
    z = body({"pixel": torch.zeros(2, side, side, 1, dtype=torch.uint8)})
    assert z.grid == body.form.size
    assert z.tokens_BLD.shape == (2, z.grid[0] * z.grid[1], body.form.width)


def test_rows_without_a_picture_have_a_vector_of_their_own():
    torch.manual_seed(0)
    body = CnnEncoder(channels=[4]).build(layout(8, flags=1)).eval()
    pixel = torch.full((2, 8, 8, 1), 128, dtype=torch.uint8)
    z = body({"pixel": pixel, "flag": torch.tensor([[0.0], [1.0]])}).tokens_BLD
    added = (z[1] - z[0]).detach()
    torch.testing.assert_close(added, body.missing.weight.detach().T.expand_as(added))


def test_dropout_is_at_the_end():
    body = CnnEncoder(channels=[4], dropout=0.5).build(layout(8))
    assert sum(isinstance(m, Dropout) and m.threshold > 0 for m in body.modules()) == 1


def test_sequences_are_read_along_their_steps():
    sense = Sense(ragged=True, mean=(0.0,) * 3, std=(1.0,) * 3, length=20)
    body = CnnEncoder(channels=[4, 5], kernel_sizes=[3, 1], pooling="max").build(
        Layout({"frame": 3}, senses={"frame": sense})
    )
    x = {"frame": torch.randn(2, 9, 3), "frame.length": torch.tensor([9, 4])}
    x["frame"][1, 4:] = 0
    whole = body.eval()(x).tokens_BLD
    assert whole.shape == (2, 1, 5)
    alone = body({"frame": x["frame"][1:, :4], "frame.length": x["frame.length"][1:]}).tokens_BLD
    torch.testing.assert_close(alone, whole[1:])


@pytest.mark.parametrize("options", [{}, {"norm_scale": False, "initializer": "dirac", "norm_eps": 1e-12}])
def test_can_be_exported_for_any_number_of_rows(options):
    torch.manual_seed(0)
    body = CnnEncoder(channels=[4, 6], pooling="max", **options).build(layout(12, 3)).eval()
    pixel = torch.randint(0, 256, (11, 12, 12, 3), dtype=torch.uint8)
    rows = {"pixel": {0: torch.export.Dim("rows")}}
    exported = torch.export.export(body, ({"pixel": pixel[:6]},), dynamic_shapes=(rows,)).module()
    torch.testing.assert_close(exported({"pixel": pixel}).tokens_BLD, body({"pixel": pixel}).tokens_BLD)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": [4], "kernel_sizes": [9], "padding": "valid"}, "do not fit"),
        ({"channels": [4, 4], "kernel_sizes": [3, 3, 3]}, "3 kernel sizes for 2 stages"),
    ],
)
def test_filters_that_do_not_fit_are_refused(options, words):
    with pytest.raises(SpecError, match=words):
        CnnEncoder(**options).build(layout(8))


def test_columns_of_a_table_are_refused():
    with pytest.raises(SpecError, match="reads texts, pictures"):
        CnnEncoder().build(Layout({"number": 3}))


@pytest.mark.parametrize(
    ("side", "channels", "whitened", "left"),
    [(8, [4, 4], False, 2), (8, [4], True, 3), (8, None, True, 3), (16, [4, 4], True, 3), (16, [4, 4, 4], False, 2),
     (28, None, True, 3), (3, [4], True, 1)],
)  # fmt: skip
def test_pictures_are_whitened_unless_that_would_leave_one_place_of_them(side, channels, whitened, left):
    """Rows halve: 8, 4, 2; whitened 7, 3, 1."""
    known = layout(side)
    sense = Sense(grid=(side, side), mean=(0.5,), std=(0.25,), covariance=tuple(map(tuple, (np.eye(4) / 16).tolist())))
    body = CnnEncoder(channels=channels).build(Layout(known.shapes, senses={"pixel": sense}))
    assert (body.stem.filters is not None) == whitened
    z = body.eval()({"pixel": torch.zeros(2, side, side, 1, dtype=torch.uint8)})
    assert z.grid == body.form.size == (left, left)
    for asked in (True, False):
        assert (CnnEncoder(channels=channels, whitening=asked).build(Layout(known.shapes, senses={"pixel": sense})).stem
                .filters is not None) == asked  # fmt: skip


AIRBENCH: dict[str, Any] = {
    "channels": [64, 256, 256], "convolutions": 2, "activation": "gelu", "residual": False, "pool": "max",
    "initializer": "dirac", "norm_momentum": 0.4, "norm_eps": 1e-12, "norm_scale": False, "whitening": True,
    "whitened_bias": True, "pooling": "max",
}  # fmt: skip


def coloured(side: int) -> Layout:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(12, 12)) / 12
    sense = Sense(
        grid=(side, side), mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26),
        covariance=tuple(map(tuple, (mixing @ mixing.T).tolist())),
    )  # fmt: skip
    return Layout({"pixel": 3}, senses={"pixel": sense})


class ConvGroup(torch.nn.Module):
    """As in airbench94_muon.py, from its description: convolution, pooling, norm, GELU, convolution, norm, GELU."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels_in, channels, 3, padding="same", bias=False)
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, padding="same", bias=False)
        self.pool, self.activ = torch.nn.MaxPool2d(2), torch.nn.GELU()
        self.norm1, self.norm2 = (torch.nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4) for _ in range(2))
        for conv in (self.conv1, self.conv2):
            torch.nn.init.dirac_(conv.weight.data[: conv.weight.shape[1]])

    def forward(self, x):
        x = self.activ(self.norm1(self.pool(self.conv1(x))))
        return self.activ(self.norm2(self.conv2(x)))


def test_the_network_of_airbench_can_be_asked_for():
    """Its number of weights is that of the published network, and the same weights give the same outputs."""
    torch.manual_seed(0)
    ours = CnnEncoder(**AIRBENCH).build(coloured(32)).train()
    body = ours.encoder
    torch.nn.init.normal_(body.stem.bias)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 2), torch.nn.GELU(), ConvGroup(24, 64), ConvGroup(64, 256), ConvGroup(256, 256),
        torch.nn.MaxPool2d(3), torch.nn.Flatten(),
    )  # fmt: skip
    theirs[0].weight.data, theirs[0].bias.data = body.stem.filters.clone(), body.stem.bias.detach().clone()
    for stage, group in zip(body.stages, theirs[2:5], strict=True):
        group.conv1.weight.data = stage.first[0].weight.detach().clone()
        group.conv2.weight.data = stage.rest[0].weight.detach().clone()
    norms = sum(2 * width for width in AIRBENCH["channels"])  # with factors that are never trained
    assert weights(ours) == weights(theirs) - theirs[0].weight.numel() - norms
    pixel = torch.randint(0, 256, (9, 32, 32, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.49, 0.48, 0.45]), torch.tensor([0.25, 0.24, 0.26])
    value = ((pixel / 255 - mean) / std).movedim(3, 1)
    for _ in range(3):  # while training, and then with what norms remember of it
        torch.testing.assert_close(ours({"pixel": pixel}).tokens_BLD[:, 0], theirs(value), rtol=1e-3, atol=1e-4)
    answers = ours.eval()({"pixel": pixel}).tokens_BLD[:, 0]
    torch.testing.assert_close(answers, theirs.eval()(value), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("separable", [False, True])
def test_dirac_filters_hand_pictures_on(kernel, separable):
    stage = Stage(
        3, 8, (7, 9), kernel_size=kernel, stride=1, convolutions=2, padding="same", norm=StageNorm("none"),
        activation="relu", residual=False, pool="none", separable=separable, initializer="dirac",
    )  # fmt: skip
    for name, p in stage.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(p)
    picture = torch.rand(2, 3, 7, 9)  # not negative: rectifiers let it pass
    after = stage(picture)
    assert torch.equal(after[:, :3], picture)
    assert all(not torch.equal(after[:, i], picture[:, j]) for i in range(3, 8) for j in range(3))


@pytest.mark.parametrize(("inward", "outward"), [(24, 64), (64, 64), (6, 4)])
def test_dirac_filters_are_those_of_torch(inward, outward):
    def made(initializer: str) -> torch.Tensor:
        torch.manual_seed(3)
        return Stage(
            inward, outward, (8, 8), kernel_size=3, stride=1, convolutions=1, padding="same", norm=StageNorm(),
            activation="gelu", residual=False, pool="max", separable=False, initializer=initializer,
        ).first[0].weight.detach()  # fmt: skip

    torch.manual_seed(3)
    expected = torch.nn.Conv2d(inward, outward, 3, bias=False).weight.data
    torch.nn.init.dirac_(expected[:inward])
    assert torch.equal(made("dirac"), expected)
    assert not torch.equal(made("kaiming_normal"), expected)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_a_norm_without_factors_has_nothing_but_a_bias(kind):
    plain, bare = StageNorm(kind).build(5), StageNorm(kind, scale=False).build(5)
    assert [name for name, _ in bare.named_parameters()] == ["bias"]
    assert "weight" not in bare.state_dict()
    x = torch.randn(6, 5, 4, 4)
    assert torch.equal(plain(x), bare(x))  # factors begin at 1


@pytest.mark.parametrize("momentum", [0.1, 0.4])
def test_what_norms_remember_is_a_moving_mean(momentum):
    norm = StageNorm(momentum=momentum).build(2)
    remembered = torch.zeros(2)
    for _ in range(4):
        x = torch.randn(5, 2, 3, 3) + 3
        norm(x)
        remembered = (1 - momentum) * remembered + momentum * x.mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, remembered)


def test_pictures_that_are_not_whitened_have_no_bias():
    assert "encoder.stem.bias" in dict(CnnEncoder(**AIRBENCH).build(coloured(16)).named_parameters())
    plain = CnnEncoder(**{**AIRBENCH, "whitening": False}).build(coloured(16))
    assert not any("stem" in name for name, _ in plain.named_parameters())
