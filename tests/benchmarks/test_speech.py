import numpy as np
import pandas as pd
import pytest
import soundfile
from benchmarks.speech import best_constant, error_rate, nearest, recordings
from benchmarks.spoken import in_words


@pytest.mark.parametrize(
    ("number", "french", "english"),
    [
        (0, "zéro", "zero"), (16, "seize", "sixteen"), (21, "vingt et un", "twenty-one"), (40, "quarante", "forty"),
        (71, "soixante et onze", "seventy-one"), (79, "soixante-dix-neuf", "seventy-nine"),
        (80, "quatre-vingts", "eighty"), (81, "quatre-vingt-un", "eighty-one"),
        (97, "quatre-vingt-dix-sept", "ninety-seven"),
    ],
)  # fmt: skip
def test_numbers_are_said_as_people_say_them(number: int, french: str, english: str):
    assert (in_words(number, "fr"), in_words(number, "en")) == (french, english)


def test_all_numbers_have_words_of_their_own():
    for language in ("fr", "en"):
        assert len({in_words(number, language) for number in range(100)}) == 100


def test_error_rates_are_summed_over_rows():
    found = error_rate(["one two", "three"], ["one two", "four five"], words=True)
    assert found["rate"] == 0.5
    assert found["low"] == 0.0
    assert found["high"] == 1.0


def test_the_best_constant_is_the_middle_of_all():
    assert best_constant(["abcd", "abc", "xbc", "q"]) == "abc"


def test_repeated_recordings_are_one_and_the_nearest_sound_is_found(tmp_path):
    rng, rate, rows = np.random.default_rng(0), 16_000, []
    texts = {"low": ["Bas !", "bas", "Bas"], "high": ["Haut", "haut", "HAUT"]}
    for take in range(3):
        for name, hertz in (("low", 300), ("high", 3000)):
            tone_N = 0.2 * np.sin(np.arange(rate // 2) * hertz / rate * 6.28) + 0.01 * rng.normal(size=rate // 2)
            soundfile.write(tmp_path / f"{name}{take}.wav", tone_N, rate, subtype="PCM_16")
            rows.append((f"{name}{take}.wav", texts[name][take]))
    (tmp_path / "again.wav").write_bytes((tmp_path / "low0.wav").read_bytes())
    pd.DataFrame([*rows, ("again.wav", "Bas")], columns=["file", "text"]).to_csv(tmp_path / "transcripts.csv")
    table = recordings(tmp_path)
    assert table.group.tolist() == ["bas", "haut"] * 3
    assert table.minutes.sum() == pytest.approx(3 / 60)
    found = nearest(table[:4], table[4:])
    assert [text.lower()[:3] for text in found] == ["bas", "hau"]
