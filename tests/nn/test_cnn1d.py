"""Convolutions along sequences: against loops, and blind to padding and to the other rows."""

import numpy as np
import pytest
import torch
from torch import nn

from trueweight.nn.cnn1d import NORMS, Cnn1d, StepBatchNorm, StepGroupNorm
from trueweight.nn.encoding import Encoding, Form

VARIANTS = [
    {"normalization": norm, "pool": pool, "residual": residual, "separable": separable, "kernel_sizes": sizes}
    for norm, pool, residual, separable, sizes in [
        ("none", "none", False, False, [3]),
        ("batch", "max", False, False, [3, 4, 5]),
        ("group", "mean", True, False, [2]),
        ("layer", "max", True, True, [5, 1]),
        ("rms", "none", True, True, [4]),
        ("batch", "mean", False, True, [7]),
    ]
]


def network(seed=0, width=6, **options) -> Cnn1d:
    torch.manual_seed(seed)
    net = Cnn1d(Form(width, grid_rank=1), [8, 8], **{"kernel_sizes": [3], "dropout": 0.1, **options})
    for part in net.modules():  # at birth a norm's scale is 1 and its shift 0, which would hide mistakes
        if isinstance(part, StepBatchNorm):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
        for name, p in part.named_parameters(recurse=False):
            if p.ndim == 1:
                nn.init.uniform_(p, 0.5, 1.5) if name == "weight" else nn.init.normal_(p)
    return net.eval()


def batch(lengths, width=6, seed=0, filler=0.0, extra=0) -> Encoding:
    """Rows whose content depends on their number alone, with ``filler`` behind their ends."""
    steps = max(max(lengths, default=1), 1) + extra
    x = torch.full((len(lengths), steps, width), filler)
    for row, length in enumerate(lengths):
        x[row, :length] = torch.randn(length, width, generator=torch.Generator().manual_seed(seed + row))
    mask = torch.arange(steps) < torch.tensor(lengths).reshape(-1, 1)
    return Encoding(x, mask, (steps,))


def by_hand(net: Cnn1d, x_LD: np.ndarray) -> np.ndarray:
    """A row alone, step by step and filter by filter, in float64; for layers without a norm."""
    for layer in net.layers:
        columns = []
        for one in layer.filters:
            weight = one.conv.weight.detach().double().numpy()[:, :, 0]
            size = weight.shape[2]
            rows = []
            for step in range(len(x_LD)):
                total = one.conv.bias.detach().double().numpy().copy()
                for k in range(size):
                    place = step + k - (size - 1) // 2
                    if 0 <= place < len(x_LD):
                        total += weight[:, :, k] @ x_LD[place]
                rows.append(total)
            columns.append(np.array(rows))
        y = np.maximum(np.concatenate(columns, 1), 0)
        x_LD = x_LD + y if layer.residual else y
        if net.pool != "none":
            merge = np.max if net.pool == "max" else np.mean
            x_LD = np.array([merge(x_LD[i : i + 2], axis=0) for i in range(0, len(x_LD), 2)])
    return x_LD


@pytest.mark.parametrize("pool", ["none", "max", "mean"])
@pytest.mark.parametrize("sizes", [[3], [1], [2, 3], [4, 5, 6]], ids=str)
def test_it_is_what_a_loop_over_steps_gives(pool, sizes):
    net = network(kernel_sizes=sizes, normalization="none", pool=pool, residual=True)
    z = batch([7, 3, 1])
    y = net(z)
    for row, length in enumerate([7, 3, 1]):
        expected = by_hand(net, z.tokens_BLD[row, :length].double().numpy())
        assert y.mask_BL[row].sum() == len(expected)
        # Two layers of sums of at most 48 products.
        np.testing.assert_allclose(y.tokens_BLD[row, : len(expected)].detach(), expected, rtol=1e-4, atol=1e-4)


def test_a_separable_filter_is_a_full_one_of_rank_one():
    net = network(separable=True, normalization="none")
    deep, mixing = net.layers[0].filters[0]
    full = torch.einsum("od,dk->odk", mixing.weight, deep.conv.weight[:, 0, 0])
    x = batch([9]).tokens_BLD
    expected = nn.functional.conv1d(x.transpose(1, 2), full, mixing.bias, padding=1).transpose(1, 2)
    torch.testing.assert_close(net.layers[0].filters[0](x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
class TestEveryVariant:
    def test_padding_does_not_reach_a_real_step(self, options):
        net, lengths = network(**options), [9, 4, 1, 0]
        clean, dirty = net(batch(lengths)), net(batch(lengths, filler=1e3, extra=5))
        steps = clean.tokens_BLD.shape[1]
        torch.testing.assert_close(dirty.tokens_BLD[:, :steps], clean.tokens_BLD, rtol=1e-5, atol=1e-5)
        assert torch.equal(dirty.mask_BL[:, :steps], clean.mask_BL)
        assert not dirty.tokens_BLD[:, steps:].any() and not dirty.mask_BL[:, steps:].any()

    def test_nothing_stands_at_padding(self, options):
        y = network(**options)(batch([9, 4, 1, 0]))
        assert not y.tokens_BLD[~y.mask_BL].any()

    def test_rows_do_not_see_each_other(self, options):
        net, lengths = network(**options), [9, 4, 7, 2]
        whole = net(batch(lengths))
        for row, length in enumerate(lengths):
            alone = net(batch([length], seed=row))
            steps = alone.tokens_BLD.shape[1]
            torch.testing.assert_close(alone.tokens_BLD[0], whole.tokens_BLD[row, :steps], rtol=1e-5, atol=1e-5)

    def test_a_mask_of_all_real_steps_changes_nothing(self, options):
        for training in (False, True):
            torch.manual_seed(0)
            z, net = batch([8, 8, 8]), network(**{**options, "dropout": 0.0}).train(training)
            torch.testing.assert_close(net(z).tokens_BLD, net(Encoding(z.tokens_BLD, None, z.grid)).tokens_BLD)

    def test_grid_and_mask_shrink_together(self, options):
        y = network(**options)(batch([9, 4]))
        steps = 9 if options["pool"] == "none" else 3
        assert y.grid == (steps,) and y.tokens_BLD.shape == (2, steps, 8) and y.mask_BL.shape == (2, steps)

    def test_padding_gets_no_gradient(self, options):
        net, z = network(**options).train(), batch([5, 2, 0], filler=3.0)
        x = z.tokens_BLD.clone().requires_grad_()
        net(Encoding(x, z.mask_BL, z.grid)).tokens_BLD.square().sum().backward()
        assert x.grad[z.mask_BL].any() and not x.grad[~z.mask_BL].any()
        assert torch.isfinite(x.grad).all()

    def test_no_rows_and_a_single_step_are_no_problem(self, options):
        for lengths in ([], [1], [0]):
            for training in (False, True):
                assert torch.isfinite(network(**options).train(training)(batch(lengths)).tokens_BLD).all()

    def test_gradient_matches_finite_differences(self, options):
        if options["pool"] == "max" or options["normalization"] == "batch":
            pytest.skip("has kinks, or remembers")
        net, z = network(**options, activation="tanh").double(), batch([4, 2])
        mask = z.mask_BL.unsqueeze(2)
        assert torch.autograd.gradcheck(
            lambda x: net(Encoding(x * mask, z.mask_BL, z.grid)).tokens_BLD, z.tokens_BLD.double().requires_grad_()
        )

    def test_can_be_exported_for_other_lengths(self, options):
        net, z = network(**options), batch([9, 4])
        names = {0: torch.export.Dim("rows", min=2, max=64), 1: torch.export.Dim("steps", min=5, max=256)}

        class Plain(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = net

            def forward(self, tokens, mask):
                y = self.net(Encoding(tokens, mask, (tokens.shape[1],)))
                return y.tokens_BLD, y.mask_BL

        exported = torch.export.export(Plain(), (z.tokens_BLD, z.mask_BL), dynamic_shapes=(names, names)).module()
        other = batch([12, 3, 7])
        for one, expected in zip(exported(other.tokens_BLD, other.mask_BL), Plain()(other.tokens_BLD, other.mask_BL),
                                 strict=True):  # fmt: skip
            torch.testing.assert_close(one, expected)


def test_batch_norm_is_torch_s_own_on_the_real_steps():
    ours, theirs, z = StepBatchNorm(6), nn.BatchNorm1d(6), batch([9, 4, 7], filler=50.0)
    for _ in range(3):
        y, expected = ours(z.tokens_BLD, z.mask_BL), theirs(z.tokens_BLD[z.mask_BL])
        torch.testing.assert_close(y[z.mask_BL], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(z.tokens_BLD, None)[z.mask_BL], theirs.eval()(z.tokens_BLD[z.mask_BL]))


def test_batch_norm_learns_nothing_from_an_empty_batch():
    norm = StepBatchNorm(6)
    norm(torch.full((2, 3, 6), 9.0), torch.zeros(2, 3, dtype=torch.bool))
    assert not norm.running_mean.any() and (norm.running_var == 1).all()


@pytest.mark.parametrize(("width", "groups"), [(8, 8), (12, 6), (7, 7), (26, 2), (1, 1)])
def test_group_norm_is_torch_s_own_on_a_row_alone(width, groups):
    ours, z = StepGroupNorm(width), batch([9, 4], width, filler=50.0)
    assert ours.groups == groups
    y = ours(z.tokens_BLD, z.mask_BL)
    for row, length in enumerate([9, 4]):
        expected = nn.functional.group_norm(z.tokens_BLD[row : row + 1, :length].transpose(1, 2), groups)
        torch.testing.assert_close(y[row, :length], expected[0].T, rtol=1e-4, atol=1e-5)


def test_the_form_knows_the_grid_of_rows_of_one_length():
    assert Cnn1d(Form(4, grid_rank=1, size=(13,)), [8, 8], [3], pool="max").form.size == (4,)
    assert Cnn1d(Form(4, grid_rank=1, size=(13,)), [8], [3]).form.size == (13,)
    assert Cnn1d(Form(4, grid_rank=1), [8], [3], pool="max").form == Form(8, grid_rank=1)


def test_channels_are_shared_among_kernel_sizes_and_repeats_count_once():
    assert [one.conv.out_channels for one in network(kernel_sizes=[3, 4, 5]).layers[0].filters] == [3, 3, 2]
    assert len(network(kernel_sizes=[3, 3]).layers[0].filters) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"channels": []}, {"kernel_sizes": []}, {"kernel_sizes": [1, 2, 3, 4, 5, 6, 7, 8, 9]},
     {"normalization": "instance"}, {"pool": "median"}],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="kernel sizes|unknown"):
        Cnn1d(Form(4), **{"channels": [8], "kernel_sizes": [3], **wrong})


def test_every_norm_has_a_variant_here():
    assert set(NORMS) == {options["normalization"] for options in VARIANTS}


def test_means_over_steps_keep_their_digits_in_half_precision() -> None:
    norm, whole = StepBatchNorm(6), StepBatchNorm(6)
    z = batch([9, 4, 7])
    with torch.autocast("cpu", torch.bfloat16):
        norm.train()(z.tokens_BLD.bfloat16(), z.mask_BL)
    whole.train()(z.tokens_BLD.bfloat16().float(), z.mask_BL)
    assert norm.running_mean.dtype == torch.float32
    assert torch.equal(norm.running_mean, whole.running_mean)
    assert torch.equal(norm.running_var, whole.running_var)
