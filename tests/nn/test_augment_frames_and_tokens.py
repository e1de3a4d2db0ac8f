"""Changes of series and texts: how much they change, and real steps only."""

import pytest
import torch

from trueweight.nn.augment_frames import Jitter, Scaling
from trueweight.nn.augment_tokens import UNKNOWN, WordDropout

ROWS, STEPS = 400, 30
LENGTH = torch.tensor([STEPS, 17, 1, 0]).repeat(ROWS // 4)
REAL = (torch.arange(STEPS) < LENGTH.unsqueeze(1)).unsqueeze(2)
MEAN, STD = [5.0, -2.0], [3.0, 0.5]


def frames() -> dict[str, torch.Tensor]:
    frame = torch.randn(ROWS, STEPS, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(STD)
    return {"frame": (frame + torch.tensor(MEAN)) * REAL, "frame.length": LENGTH}


def change(module: torch.nn.Module) -> torch.Tensor:
    torch.manual_seed(0)
    x = frames()
    return module(x)["frame"] - x["frame"]


def test_jitter_is_noise_of_a_share_of_each_channels_spread():
    added = change(Jitter(STD, 0.1))
    assert not added[~REAL.expand_as(added)].any()
    real = added[
        REAL.squeeze(2)
    ]  # 4,800 steps: standard deviations are within 3 % of theirs, means within 0.05 of them
    torch.testing.assert_close(real.std(0), 0.1 * torch.tensor(STD), rtol=0.05, atol=0)
    assert (real.mean(0).abs() < 0.05 * 0.1 * torch.tensor(STD)).all()
    assert torch.corrcoef(real.T)[0, 1].abs() < 0.05


def test_scaling_is_one_factor_a_row_and_channel_about_the_mean():
    x, added = frames()["frame"], change(Scaling(MEAN, 0.2))
    assert not added[~REAL.expand_as(added)].any()
    long = LENGTH > 1
    factor = (added / (x - torch.tensor(MEAN)))[long]
    for row, length in zip(factor, LENGTH[long], strict=True):
        torch.testing.assert_close(row[:length], row[:1].expand(length, 2), rtol=1e-3, atol=1e-3)
    assert factor[:, 0].std(0).tolist() == pytest.approx([0.2, 0.2], rel=0.2)  # of 200 rows: within 10 %
    assert torch.corrcoef(factor[:, 0].T)[0, 1].abs() < 0.3


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_so_many_words_become_the_unknown_one(probability):
    token = torch.randint(2, 50, (ROWS, STEPS, 1), generator=torch.Generator().manual_seed(0)).int() * REAL
    torch.manual_seed(0)
    after = WordDropout(probability)({"token": token})["token"]
    changed = after != token
    assert (after[changed] == UNKNOWN).all()
    assert not after[~REAL].any()
    # Of 4,800 tokens: four standard errors are at most 0.03.
    assert changed[REAL].float().mean().item() == pytest.approx(probability, abs=0.03)
