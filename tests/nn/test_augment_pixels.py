"""Changes of pictures against their definitions."""

import pytest
import torch

from trueweight.nn.augment_pixels import Cutout, HorizontalFlip, Shift, Zoom

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


@pytest.mark.parametrize("module", [HorizontalFlip(), Shift(1, 1), Zoom(0.5), Cutout(2, [0, 0])])
def test_each_picture_is_changed_by_itself(module):
    same = PIXEL[:1].expand(ROWS, HIGH, WIDE, 2)
    torch.manual_seed(1)
    after = module({"pixel": same})["pixel"]
    assert len({row.numpy().tobytes() for row in after}) > 1
