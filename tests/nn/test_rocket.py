"""The rocket's features against a slow reading of their definition, and laws that they keep."""

from itertools import combinations

import numpy as np
import pytest
import torch

from trueweight.nn.rocket import PATTERNS, Rocket

LENGTHS = [40, 17, 5, 1, 0]


def batch(channels: int = 2) -> dict[str, torch.Tensor]:
    length = torch.tensor(LENGTHS)
    real = (torch.arange(max(LENGTHS)) < length.unsqueeze(1)).unsqueeze(2)
    rng = torch.Generator().manual_seed(0)
    return {"frame": torch.randn(len(LENGTHS), max(LENGTHS), channels, generator=rng) * real, "frame.length": length}


def slowly(rocket: Rocket, x: np.ndarray, place: int, pattern: int) -> list[float]:
    """Features of one row, one pattern and one dilation, by the docstring of the module, in float64."""
    dilation, steps = rocket.dilations[place], len(x)
    taps = list(combinations(range(9), 3))[pattern]
    weight = np.array([2.0 if tap in taps else -1.0 for tap in range(9)]) / 18**0.5
    mix = rocket.get_buffer(f"weight_{place}")[pattern].double().numpy() @ weight  # weight has a norm of 1
    mixed = x @ mix
    value = [
        sum(weight[tap] * mixed[at] for tap in range(9) if 0 <= (at := t + (tap - 4) * dilation) < steps)
        for t in range(steps)
    ]
    answer, reach = np.array(value), 4 * dilation
    inner = answer[reach : steps - reach] if steps > 2 * reach + 2 else answer
    strength = (np.mean(inner**2) + 1e-12) ** 0.5
    found = [0.5 * np.log(strength + 0.01), max(answer.max(), 0), min(answer.min(), 0)]
    where = 2 * np.arange(steps) / max(steps - 1, 1) - 1
    for number, limit in enumerate(rocket.get_buffer(f"limit_{place}")[pattern].double().tolist()):
        kept = np.ones(steps, bool)
        if number % 2 and steps > 2 * reach + 2:
            kept = (np.arange(steps) >= reach) & (np.arange(steps) < steps - reach)
        above = np.clip((answer - limit * strength) / (0.1 * strength) + 0.5, 0, 1) * kept
        found += [above.sum() / kept.sum(), 1.5 * (above * where).sum() / kept.sum()]
    return found


@pytest.mark.parametrize("channels", [1, 2, 12])
def test_matches_the_slow_definition(channels):
    rocket, x = Rocket(channels, 40, dilations=3, thresholds=2).double(), batch(channels)
    x["frame"] = x["frame"].double()
    found = rocket(x).numpy().reshape(len(LENGTHS), 3, 7, 7, 12)  # dilation, piece, feature, pattern within the piece
    for row, length in enumerate(LENGTHS[:-1]):
        for place in range(3):
            for pattern in (0, 13, 83):
                expected = slowly(rocket, x["frame"][row, :length].numpy(), place, pattern)
                piece, within = divmod(pattern, 12)
                np.testing.assert_allclose(found[row, place, piece, :, within], expected, rtol=1e-6, atol=1e-6)
    assert not found[-1].any()  # a row without a step


def test_a_row_alone_has_the_same_features():
    rocket, x = Rocket(2, 40), batch()
    whole = rocket(x)
    for row, length in enumerate(LENGTHS):
        frame_BTC, length_B = x["frame"][row : row + 1, : max(1, length)], x["frame.length"][row : row + 1]
        single = {"frame": frame_BTC, "frame.length": length_B}
        torch.testing.assert_close(rocket(single), whole[row : row + 1], rtol=1e-4, atol=1e-5)


def test_width_is_as_promised_and_dilations_fit_the_rows():
    assert max(Rocket(1, 150).dilations) * 8 < 150
    assert Rocket(3, 5).dilations == [1]
    rocket = Rocket(2, 40, dilations=4, thresholds=2)
    assert rocket(batch()).shape[1] == rocket.width == len(rocket.dilations) * PATTERNS * 7


def test_size_alone_changes_strength_and_extremes_only():
    rocket, x = Rocket(1, 40, dilations=1).double(), batch(1)
    x = {"frame": x["frame"][:2].double(), "frame.length": x["frame.length"][:2]}
    before = rocket(x).view(2, 7, 5, 12)
    after = rocket(x | {"frame": 3 * x["frame"]}).view(2, 7, 5, 12)
    torch.testing.assert_close(after[:, :, 3:], before[:, :, 3:])
    torch.testing.assert_close(after[:, :, 1:3], 3 * before[:, :, 1:3])


def test_level_does_not_count_away_from_the_ends():
    rocket, x = Rocket(1, 40, dilations=1, thresholds=0).double(), batch(1)
    x = {"frame": x["frame"][:1].double(), "frame.length": x["frame.length"][:1]}
    strength = rocket(x).view(7, 3, 12)[:, 0]
    torch.testing.assert_close(rocket(x | {"frame": x["frame"] + 5}).view(7, 3, 12)[:, 0], strength)


def test_the_seed_chooses_channels_and_nothing_is_stored():
    x = batch(5)
    one, other = (Rocket(5, 40, seed=seed) for seed in (0, 1))
    assert not torch.equal(one(x), other(x))
    assert torch.equal(one(x), Rocket(5, 40)(x))
    assert not one.state_dict() and not list(one.parameters())
    chosen = (one.get_buffer("weight_0").abs().sum(2) > 0).sum(1)
    assert (chosen >= 1).all() and len(chosen.unique()) > 2


def test_the_choice_of_channels_never_changes():
    """Bundles hold only the seed: what it chooses must be the same in every version."""
    chosen = (Rocket(6, 40, seed=3).get_buffer("weight_0").abs().sum(2) > 0).int()
    assert chosen[:3].tolist() == FIRST_CHOICES


FIRST_CHOICES = [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 0, 0, 1, 0]]
