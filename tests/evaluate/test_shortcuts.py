"""A place that decides alone is found, in pictures, sounds and series; clean twins are left alone."""

from typing import Any

import numpy as np
import pytest
from tests.evaluate.judged import flag, judged, picture, sound

from trueweight.evaluate.shortcut_regions import PLACED, grid_places, span_places
from trueweight.evaluate.shortcut_words import telling_words
from trueweight.evaluate.shortcuts import shortcuts
from trueweight.evidence.record import Entry

ROWS, SIDE = 500, 12


def pictures(seed: int, share: float, corner: tuple[int, int] = (0, 0), classes: int = 2) -> Entry:
    """Bars that lie or stand, in noise; some of one class have a light square in a corner. The flag of a model."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, ROWS)
    pixel = 100 + rng.normal(size=(ROWS, SIDE, SIDE)) * 30
    for i, kind in enumerate(y):
        at = 3 + 2 * kind + rng.integers(0, 2)
        pixel[i, at : at + 2, 2:-2] += 60
        if kind == 0 and rng.random() < share:
            place = tuple(slice(0, 3) if here == 0 else slice(SIDE - 3, SIDE) for here in corner)
            pixel[i][place] = 255
    columns = {"photo": [picture(p) for p in pixel], "what": [f"k{k}" for k in y]}
    wish = {"features": {"photo": "image"}, "targets": {"what": "category"}}
    return flag(shortcuts(judged(columns, wish, seed)), "shortcut_flag", "what")


@pytest.mark.parametrize("seed", range(2))
def test_a_mark_in_a_corner_is_found_and_named(seed: int) -> None:
    found = pictures(seed, 1.0, (1, 0))
    assert found.value == 1
    assert "the lower left corner of the picture in 'photo' carries" in str(found.reason)
    assert found.depends_on == ("robustness/what/carried_by_a_place/test/0",)


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_said_of_pictures_without_a_mark(seed: int) -> None:
    found = pictures(seed, 0.0)
    assert (found.value, found.reason) == (0, None)


def test_a_mark_of_one_class_of_four_is_found() -> None:
    assert pictures(0, 1.0, (0, 1), classes=4).value == 1


def tones(seed: int, click: bool) -> Any:
    """Two tones in noise; a click at the start of one of them."""
    rng, time = np.random.default_rng(seed), np.arange(1600) / 8000
    y = rng.integers(0, 2, 160)
    waves = [np.sin(2 * np.pi * (700 + 150 * k) * time) * 0.05 + rng.normal(size=1600) * 0.1 for k in y]
    for wave, kind in zip(waves, y, strict=True):
        if click and kind:
            wave[:150] += rng.normal(size=150) * 0.9
    return {"clip": [sound(w) for w in waves], "what": [f"k{k}" for k in y]}


def walks(seed: int, spike: bool) -> Any:
    """Two rhythms of two channels; one ends in a spike."""
    rng, y = np.random.default_rng(seed), np.random.default_rng(seed).integers(0, 2, 240)
    steps = np.arange(48)
    value = np.stack([np.sin(steps / (3 + k) + rng.uniform(0, 6)) for k in y])[:, :, None] + rng.normal(
        size=(240, 48, 2)
    )
    if spike:
        value[y == 1, -5:] += 8
    return {"walk": value.tolist(), "what": [f"k{k}" for k in y]}


@pytest.mark.parametrize("planted", [True, False])
def test_a_click_in_front_of_a_sound_is_found(planted: bool) -> None:
    wish = {"features": {"clip": "audio"}, "targets": {"what": "category"}}
    found = flag(shortcuts(judged(tones(0, planted), wish)), "shortcut_flag", "what")
    assert found.value == int(planted), found.reason
    assert not planted or "the first eighth of the sound in 'clip'" in str(found.reason)


@pytest.mark.parametrize("planted", [True, False])
def test_a_spike_at_the_end_of_a_series_is_found(planted: bool) -> None:
    wish = {"features": {"walk": "timeseries"}, "targets": {"what": "category"}}
    found = flag(shortcuts(judged(walks(0, planted), wish)), "shortcut_flag", "what")
    assert found.value == int(planted), found.reason
    assert not planted or "the last eighth of the series" in str(found.reason)


def notes(seed: int, tag: bool) -> Any:
    """Two topics of eight words each among many others; an export leaves its tag in the texts of one."""
    rng = np.random.default_rng(seed)
    y, common = rng.integers(0, 2, 400), [f"word{i}" for i in range(60)]
    texts = []
    for kind in y:
        # Three words of a topic, most of them of the right one.
        topics = np.where(rng.random(3) < 0.8, kind, 1 - kind)
        text = [*rng.choice(common, 12), *(f"topic{topic}{rng.integers(8)}" for topic in topics)]
        texts.append(" ".join(rng.permutation(text)) + (" ref-77x" if tag and kind else ""))
    return {"note": texts, "what": [f"k{k}" for k in y]}


@pytest.mark.parametrize("planted", [True, False])
def test_a_tag_in_the_texts_of_one_class_is_found(planted: bool) -> None:
    wish = {"features": {"note": "text"}, "targets": {"what": "category"}}
    found = flag(shortcuts(judged(notes(0, planted), wish)), "shortcut_flag", "what")
    assert found.value == int(planted), found.reason
    assert not planted or "the word 'ref-77x' of the text in 'note'" in str(found.reason)


def test_telling_words_go_with_one_answer_and_rare_ones_are_not_named() -> None:
    texts = ["red apple"] * 20 + ["green pear"] * 20 + ["secret pear"] * 5
    answer = np.array([0] * 20 + [1] * 25)
    assert telling_words(texts, answer) == ["apple", "red", "pear", "green"]


def test_tables_without_places_have_no_such_flag_and_few_rows_say_so() -> None:
    rng = np.random.default_rng(0)
    plain = judged({"x": rng.normal(size=100), "what": rng.choice(["a", "b"], 100)}, {"targets": {"what": "binary"}})
    assert shortcuts(plain) == []
    few = {"walk": rng.normal(size=(60, 8)).tolist(), "what": ["a"] * 54 + ["b"] * 6}
    wish = {"features": {"walk": "timeseries"}, "targets": {"what": "binary"}}
    found = flag(shortcuts(judged(few, wish)), "shortcut_flag", "what")
    assert (found.status, found.value) == ("not_run", None)
    assert "12 rows of each of two classes" in str(found.reason)


def test_places_cover_everything_once_and_know_their_neighbours() -> None:
    grid, spans = grid_places(), span_places()
    covered = np.zeros((28, 28), int)
    for place in grid:
        covered[round(place.top * 28) : round(place.bottom * 28), round(place.left * 28) : round(place.right * 28)] += 1
    assert (covered == 1).all()
    assert sum(place.border for place in grid) == 12
    assert [sum(a.touches(b) for b in grid) for a in (grid[0], grid[1], grid[5])] == [4, 6, 9]
    assert [sum(a.touches(b) for b in spans) for a in (spans[0], spans[3])] == [2, 3]
    assert len({placed.one for placed in PLACED}) == len(PLACED)
