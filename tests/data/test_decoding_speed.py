"""Files are decoded on all cores, and for little more than what the library's own loop takes."""

import io
import os
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.image import ImageColumn
from trueweight.data.media import in_threads
from trueweight.data.pictures import tiny
from trueweight.data.sample import BottomK


def photo(seed: int, side: int) -> bytes:
    """A JPEG of soft waves, as photographs are to a decoder."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(seed + k + 9 * (x * np.cos(seed * k) + y * np.sin(seed + k))) for k in range(3)]
    held = io.BytesIO()
    Image.fromarray(np.uint8(127 * (np.stack(waves, 2) + 1))).save(held, "JPEG", quality=90)
    return held.getvalue()


@pytest.mark.parametrize("cores", [2, 5])
def test_as_many_are_decoded_at_once_as_there_are_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    meeting = threading.Barrier(cores, timeout=60)  # passes only where so many are at it together
    assert list(in_threads(lambda n: (meeting.wait(), n)[1], range(2 * cores))) == list(range(2 * cores))
    assert list(in_threads(lambda n: -n, range(7), at_once=3)) == [0, -1, -2, -3, -4, -5, -6]


def test_one_core_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert set(in_threads(lambda _: threading.current_thread(), range(3))) == {threading.current_thread()}


def test_nor_do_tiny_pictures_which_threads_would_only_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    here = threading.current_thread()
    assert set(in_threads(lambda _: threading.current_thread(), range(3), tiny=True)) == {here}
    found = {}
    for side in (28, 96):
        cells = ImageColumn().read(pa.chunked_array([[photo(0, side), None, photo(1, side)]]), ReadOptions())
        found[side] = tiny(cells, np.array([0, 2]))
    assert found == {28: True, 96: False}


@pytest.mark.parametrize("side", [32, 96])
def test_pictures_cost_little_more_than_a_bare_loop(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 1.3 times of Pillow's own loop, on one core for both; less on several."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    photos = [photo(n, side) for n in range(300)]
    part, rows = ImageColumn(), np.arange(len(photos))
    cells = part.read(pa.chunked_array([photos]), ReadOptions())
    codec = part.codec("photo", part.learn(cells, rows, BottomK.of(rows), min_group=1))
    ratios = []
    for _ in range(5):
        start = time.process_time()
        encoded = codec.encode(cells)
        ours = time.process_time() - start
        start = time.process_time()
        for content in photos:
            np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        ratios.append(ours / (time.process_time() - start))
    assert encoded["pixel"].shape == (300, side, side, 3)
    assert min(ratios) < 1.3, ratios
