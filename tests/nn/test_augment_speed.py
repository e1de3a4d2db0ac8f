import numpy as np
import pytest
import torch

from trueweight.data.sounds import log_mel, mel_centres, resample
from trueweight.nn.augment_speed import Speed

RATE, MELS = 16_000, 40
HERTZ = mel_centres(RATE, MELS)[1:-1].tolist()


def spectrum(sample_N: np.ndarray) -> np.ndarray:
    return log_mel(sample_N, RATE, MELS, 400, 160)


def voice() -> np.ndarray:
    """A second of a gliding tone with overtones, which is loud and soft by turns."""
    time_N = np.arange(RATE) / RATE
    phase_N = 2 * np.pi * np.cumsum(150 + 100 * time_N) / RATE
    tones = sum(np.sin(k * phase_N) / k for k in range(1, 20))
    noise = np.random.default_rng(0).normal(size=RATE)
    return np.asarray(tones * (1 + 0.8 * np.sin(2 * np.pi * 4 * time_N)) * 0.1 + 0.01 * noise)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_is_about_what_resampled_samples_give(factor: float):
    """Played faster by a tenth, so many samples fewer hold the same sound."""
    sample_N = voice()
    played = spectrum(resample(sample_N.astype(np.float32), round(RATE * factor), RATE))
    was = spectrum(sample_N)
    found = Speed(HERTZ, [factor])({"frame": torch.from_numpy(was)[None]})["frame"][0].numpy()
    steps, top = min(len(found), len(played)) - 1, round(MELS * 0.9)  # a slower sound has nothing in its highest bands
    aside = np.abs(found[:steps, :top] - played[:steps, :top]).mean()
    still = min(len(was), steps)
    unchanged = np.abs(was[:still, :top] - played[:still, :top]).mean()
    assert abs(len(found) - len(played)) <= 1
    assert aside < 0.35 * unchanged


def test_speed_one_changes_nothing():
    frame = torch.randn(3, 12, MELS)
    found = Speed(HERTZ, [1.0])({"frame": frame, "frame.length": torch.tensor([12, 7, 12])})
    torch.testing.assert_close(found["frame"][0], frame[0])
    torch.testing.assert_close(found["frame"][1, :7], frame[1, :7])
    assert not found["frame"][1, 7:].any()
    assert found["frame.length"].tolist() == [12, 7, 12]


def test_rows_of_one_length_become_rows_of_several():
    torch.manual_seed(0)
    found = Speed(HERTZ, [0.9, 1.0, 1.1])({"frame": torch.randn(60, 99, MELS)})
    assert set(found["frame.length"].tolist()) == {90, 99, 110}
    assert found["frame"].shape == (60, 110, MELS)


def test_rows_without_a_step_stay_empty():
    found = Speed(HERTZ, [0.9])({"frame": torch.zeros(2, 4, MELS), "frame.length": torch.tensor([0, 4])})
    assert found["frame.length"].tolist() == [0, 5]
    nobody = Speed(HERTZ, [0.9])({"frame": torch.zeros(0, 4, MELS)})
    assert nobody["frame"].shape == (0, 4, MELS)
