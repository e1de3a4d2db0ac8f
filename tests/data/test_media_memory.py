"""Files in cells are looked at where they are: a column of them may be larger than memory."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.image import ImageColumn
from trueweight.data.digest import digest_rows
from trueweight.data.guess import guess_feature
from trueweight.data.media import content_of
from trueweight.data.table import Table

COUNTING = pa.proxy_memory_pool(pa.default_memory_pool())
"""Lives as long as this module: what was made in it must not outlive it."""


def column(chunks: int = 4, rows: int = 30) -> pa.ChunkedArray:
    """About 1.4 MB of pictures that cannot be compressed."""
    rng = np.random.default_rng(0)

    def picture() -> bytes:
        held = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (62, 62, 3), dtype=np.uint8)).save(held, "PNG")
        return held.getvalue()

    return pa.chunked_array([pa.array([picture() for _ in range(rows)], pa.binary()) for _ in range(chunks)])


def test_reading_and_guessing_do_not_copy_them():
    raw = column()
    assert raw.nbytes > 1_300_000
    ordinary = pa.default_memory_pool()
    pa.set_memory_pool(COUNTING)
    try:
        cells = ImageColumn().read(raw, ReadOptions())
        assert guess_feature("picture", raw, ReadOptions()).type == "image"
    finally:
        pa.set_memory_pool(ordinary)
    assert 0 < COUNTING.max_memory() < 200_000
    assert not cells.missing_N.any()


def test_a_broken_one_costs_a_copy_of_its_chunk_alone():
    raw = column()
    cells = raw.chunks[2].to_pylist()
    cells[5], cells[6] = b"no picture", None
    spoilt = pa.chunked_array([*raw.chunks[:2], pa.array(cells, pa.binary()), raw.chunks[3]])
    before = pa.total_allocated_bytes()
    read = ImageColumn().read(spoilt, ReadOptions())
    assert pa.total_allocated_bytes() - before < 500_000
    assert np.flatnonzero(read.missing_N).tolist() == [65, 66]
    assert content_of(read, 64) == spoilt[64].as_py()
    assert read.raw_N[65].as_py() is None


def test_a_digest_does_not_depend_on_chunks():
    raw = column()
    whole = pa.chunked_array([pa.concat_arrays(raw.chunks)])
    digests = [digest_rows(Table(pa.table({"a": some, "b": pa.array(range(len(raw)))}))) for some in (raw, whole)]
    assert digests[0] == digests[1]
    gaps = pa.chunked_array([pa.array([b"x", None]), pa.array([None, b""])])
    joined = pa.chunked_array([pa.array([b"x", None, None, b""])])
    assert digest_rows(Table(pa.table({"a": gaps}))) == digest_rows(Table(pa.table({"a": joined})))
