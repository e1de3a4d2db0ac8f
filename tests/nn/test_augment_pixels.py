"""Changes of pictures against their definitions."""

import numpy as np
import pytest
import torch

from trueweight.nn.augment_pixels import AlternatingFlip, Cutout, HorizontalFlip, Mixup, Shift, Zoom
from trueweight.nn.mix import taken_apart
from trueweight.nn.turns import TURN, asks_turns, with_turns, without_turns

ROWS, HIGH, WIDE = 64, 6, 9
PIXEL = torch.arange(ROWS * HIGH * WIDE * 2).remainder(251).to(torch.uint8).view(ROWS, HIGH, WIDE, 2)


def changed(module: torch.nn.Module, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return module.train()({"pixel": PIXEL})["pixel"]


def test_half_are_mirrored_left_for_right():
    after = changed(HorizontalFlip())
    same = (after == PIXEL).flatten(1).all(1)
    mirrored = (after == PIXEL.flip(2)).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 16 < int(mirrored.sum()) < 48


def test_shifts_are_cuts_of_the_mirrored_picture():
    after = changed(Shift(2, 3))
    padded = torch.nn.functional.pad(PIXEL.movedim(3, 1).float(), (3, 3, 2, 2), mode="reflect").movedim(1, 3).byte()
    places = []
    for row in range(ROWS):
        cuts = {(y, x): padded[row, y : y + HIGH, x : x + WIDE] for y in range(5) for x in range(7)}
        places.append(next(place for place, cut in cuts.items() if torch.equal(cut, after[row])))
    assert len(set(places)) > 20


def test_zooms_show_a_part_in_order():
    ramp = torch.arange(WIDE, dtype=torch.uint8).view(1, 1, WIDE, 1).expand(ROWS, HIGH, WIDE, 1)
    torch.manual_seed(0)
    after = Zoom(0.25)({"pixel": ramp})["pixel"][:, 0, :, 0].int()
    assert (after.diff(dim=1) >= 0).all()
    shown = after[:, -1] - after[:, 0] + 1
    assert 4 <= int(shown.min()) <= 6  # half of nine places, at a fourth of the area
    assert int(shown.max()) >= 8


def test_a_zoom_of_nearly_all_changes_little():
    after = changed(Zoom(0.999))
    assert (after == PIXEL).float().mean() > 0.9


def test_cutouts_hide_a_square_of_the_mean_colour():
    after = changed(Cutout(3, [7, 8]))
    hidden = (after != PIXEL).any(3) | ((after == torch.tensor([7, 8], dtype=torch.uint8)).all(3))
    assert torch.equal(after[~hidden], PIXEL[~hidden])
    counts = hidden.flatten(1).sum(1)
    assert int(counts.min()) >= 4
    assert int(counts.max()) <= 9 + 2
    assert (counts == 9).sum() > ROWS / 4


@pytest.mark.parametrize("module", [HorizontalFlip(), AlternatingFlip(), Shift(1, 1), Zoom(0.5), Cutout(2, [0, 0])])
def test_each_picture_is_changed_by_itself(module):
    same = PIXEL[:1].expand(ROWS, HIGH, WIDE, 2)
    torch.manual_seed(1)
    after = module({"pixel": same})["pixel"]
    assert len({row.numpy().tobytes() for row in after}) > 1


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_is_the_share_of_both_pictures(alpha):
    flag = torch.arange(float(ROWS)).unsqueeze(1)
    torch.manual_seed(0)
    after, mix = taken_apart(Mixup(alpha)({"pixel": PIXEL, "flag": flag}))
    share, partner = mix.share.double(), mix.partner_R
    expected = share * PIXEL.double() + (1 - share) * PIXEL[partner].double()
    # Rounded to whole numbers; float32 may round a half the other way.
    assert float((after["pixel"].double() - expected).abs().max()) <= 0.5 + 1e-4
    torch.testing.assert_close(after["flag"], (share * flag + (1 - share) * flag[partner]).float())


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_are_of_the_beta_distribution(alpha):
    torch.manual_seed(0)
    module, few = Mixup(alpha), {"pixel": PIXEL[:2]}
    shares = np.array([float(taken_apart(module(few))[1].share) for _ in range(2000)])
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)); four standard errors of 2,000 draws.
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(shares.mean() - 0.5) < 4 * (variance / 2000) ** 0.5
    assert abs(shares.var() - variance) < 0.1 * variance


def test_pictures_whose_turn_is_odd_are_mirrored():
    turn = torch.arange(ROWS) // 3
    for grown in range(3):
        after = AlternatingFlip()(with_turns({"pixel": PIXEL}, turn + grown))["pixel"]
        for row in range(ROWS):
            odd = (row // 3 + grown) % 2
            assert torch.equal(after[row], PIXEL[row].flip(1) if odd else PIXEL[row])


@pytest.mark.parametrize("before", [Shift(1, 1), Zoom(0.5), Cutout(2, [0, 0]), Mixup(1.0), AlternatingFlip()])
def test_turns_pass_through_other_changes(before):
    turn = torch.arange(ROWS) + 7
    after = before(with_turns({"pixel": PIXEL}, turn))
    assert torch.equal(after[TURN], turn)
    left, _ = taken_apart(without_turns(after))
    assert set(left) == {"pixel"}


def test_who_asks_for_turns():
    assert asks_turns(torch.nn.Sequential(Shift(1, 1), AlternatingFlip()))
    assert not asks_turns(torch.nn.Sequential(Shift(1, 1), HorizontalFlip()))
