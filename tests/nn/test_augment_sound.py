"""Changes of spectra: what they do to numbers, and to real steps only."""

import math

import numpy as np
import pytest
import torch

from trueweight.data.sounds import log_mel
from trueweight.nn.augment_sound import Gain, Noise, SpecAugment, TimeShift

LENGTHS = [40, 25, 8, 1, 0]
MASKS = {"time_masks": 2, "time_share": 0.2, "frequency_masks": 1, "frequency_share": 0.25}


def batch(repeat: int = 1, dtype=torch.float32, bands: int = 12) -> dict[str, torch.Tensor]:
    length = torch.tensor(LENGTHS * repeat)
    real = (torch.arange(40) < length.unsqueeze(1)).unsqueeze(2)
    frame = torch.randn(len(length), 40, bands, generator=torch.Generator().manual_seed(0)) - 9
    return {"frame": (frame * real).to(dtype), "frame.length": length}


EVERY = {
    "spec_augment": SpecAugment([-9.0] * 12, **MASKS),
    "time_shift": TimeShift(5),
    "gain": Gain(6.0),
    "noise": Noise(10.0, 40.0),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_real_steps_alone_change_and_stay_finite(name, dtype):
    x = batch(40, dtype)
    torch.manual_seed(0)
    y = EVERY[name](x)["frame"]
    beyond = torch.arange(40) >= x["frame.length"].unsqueeze(1)
    assert y.dtype == dtype and torch.isfinite(y).all() and not y[beyond].any()
    assert not torch.equal(y, x["frame"])


@pytest.mark.parametrize("name", EVERY)
def test_rows_change_each_in_its_own_way(name):
    x = {key: t[:1].repeat(20, *[1] * (t.ndim - 1)) for key, t in batch().items()}
    torch.manual_seed(0)
    assert len(torch.unique(EVERY[name](x)["frame"].flatten(1), dim=0)) > 5


def test_hidden_stretches_are_as_wide_as_said_and_everywhere():
    module = SpecAugment([7.0] * 12, time_masks=1, time_share=0.2, frequency_masks=0, frequency_share=1.0)
    x = batch(2000)
    torch.manual_seed(0)
    hidden = (module(x)["frame"] == 7.0).all(2)
    counts = hidden.sum(1)
    for place, length in enumerate(LENGTHS):
        assert counts[place :: len(LENGTHS)].max() == int(0.2 * length)
        assert counts[place :: len(LENGTHS)].min() == 0
    # In a row of 40, widths 0 to 8 are equally likely: 4 on average; of 2,000 rows, so +- 0.06.
    assert counts[:: len(LENGTHS)].float().mean().item() == pytest.approx(4.0, abs=0.25)
    often = hidden[:: len(LENGTHS)].float().mean(0)
    assert (often > 0).all() and often[15:25].std() < 0.02
    runs = (hidden[:, 1:] & ~hidden[:, :-1]).sum(1) + hidden[:, 0]
    assert runs.max() == 1


def test_hidden_bands_are_hidden_all_along():
    module = SpecAugment([7.0] * 12, time_masks=0, time_share=1.0, frequency_masks=1, frequency_share=0.25)
    torch.manual_seed(0)
    hidden = module(batch(500))["frame"] == 7.0
    full = hidden[:: len(LENGTHS)]
    assert torch.equal(full.any(1), full.all(1))
    assert full.any(1).sum(1).unique().tolist() == [0, 1, 2, 3]
    assert full.any(1).any(0).all()


def test_a_shift_moves_and_repeats_the_edge():
    x = batch(400)
    torch.manual_seed(0)
    y = TimeShift(5)(x)["frame"]
    seen = set()
    for row in range(len(y)):
        length = int(x["frame.length"][row])
        before, after = x["frame"][row, :length], y[row, :length]
        most = min(5, length // 2)
        index = [(torch.arange(length) - s).clamp(0, max(length - 1, 0)) for s in range(-most, most + 1)]
        shifts = [s for s, i in zip(range(-most, most + 1), index, strict=True) if torch.equal(after, before[i])]
        assert shifts
        if length == 40:
            seen |= set(shifts)
    assert seen == set(range(-5, 6))


def test_gain_is_so_many_decibels():
    x = batch(500)
    torch.manual_seed(0)
    added = (Gain(6.0)(x)["frame"] - x["frame"])[:: len(LENGTHS)]
    assert (added.amax((1, 2)) - added.amin((1, 2))).max() < 1e-5
    decibels = 10 * added[:, 0, 0] / math.log(10)
    assert -6 <= decibels.min() < -5.8 and 5.8 < decibels.max() <= 6


def test_noise_is_as_loud_as_said():
    x = batch(50)
    torch.manual_seed(0)
    y = Noise(3.0, 3.0)(x)["frame"]
    power = (y.double().exp() - x["frame"].double().exp())[:: len(LENGTHS)]
    loud = x["frame"].double().exp()[:: len(LENGTHS)].mean((1, 2))
    ratio = (power.mean((1, 2)) / loud).mean()
    # The mean of 24,000 exponential values: 0.65 %, times three.
    assert 10 * math.log10(1 / ratio) == pytest.approx(3.0, abs=0.09)


def test_noise_on_powers_is_noise_on_samples():
    """Adding power to spectra does what adding white noise to the sound would have done."""
    rng = np.random.default_rng(0)
    sound = np.sin(2 * np.pi * 900 * np.arange(16000) / 8000) * 0.1
    noise = rng.normal(size=16000) * 0.02
    spectrum = lambda wave: torch.from_numpy(log_mel(wave.astype(np.float32), 8000, 12, 200, 80)).unsqueeze(0)  # noqa: E731
    clean, noisy = spectrum(sound), spectrum(sound + noise)
    distance = 10 * torch.log10(clean.exp().mean() / spectrum(noise).exp().mean()).item()
    torch.manual_seed(0)
    made = Noise(distance, distance)({"frame": clean, "frame.length": torch.tensor([clean.shape[1]])})["frame"]
    # 200 steps of bands of several frequencies: ours has the spread of one frequency, so means are compared, in nepers.
    torch.testing.assert_close(made.exp().mean(1).log(), noisy.exp().mean(1).log(), atol=0.25, rtol=0)
