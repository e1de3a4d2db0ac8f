"""Digests of rows: of what cells say, whatever they are."""

import hashlib
import struct

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.digest import digest_rows
from trueweight.data.table import Table


def test_files_in_cells_count_with_every_byte():
    table = Table.of({"photo": pa.array([b"\xff\x00", None, b"", b"\xff"])})
    rows = np.array([0, 3])
    assert digest_rows(table, rows) == digest_rows(table.take(rows))
    other = Table.of({"photo": pa.array([b"\xff\x01", None, b"", b"\xff"])})
    assert digest_rows(table) != digest_rows(other)
    moved = Table.of({"photo": pa.array([b"\xff", b"\x00", b"", b"\xff"])})
    assert digest_rows(table) != digest_rows(moved)


def digest(cells, kind=None):
    return digest_rows(Table(pa.table({"x": pa.array(cells, kind)})))


def test_columns_without_lists_are_hashed_as_they_always_were():
    """Bundles hold these digests: they must never change."""
    table = Table(pa.table({"b": [1.5, None, -2.0], "a": ["é", "", None]}))
    by_hand = hashlib.sha256()
    by_hand.update(b"1:a" + struct.pack("<3q", 2, 0, -1) + "é".encode())
    by_hand.update(b"1:b" + struct.pack("<3q", 3, -1, 2) + b"1.5-2")
    assert digest_rows(table) == f"sha256:{by_hand.hexdigest()}"


def test_lists_are_their_lengths_and_what_they_hold():
    by_hand = hashlib.sha256()
    by_hand.update(b"1:x" + b"L" + struct.pack("<4q", 2, -1, 0, 1))
    by_hand.update(b"N" + np.packbits([True, False, True]).tobytes() + struct.pack("<3d", 1.0, 0.0, 2.5))
    assert digest([[1.0, None], None, [], [2.5]]) == f"sha256:{by_hand.hexdigest()}"


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        ([[1, 2], None, [3]], [pa.list_(pa.int64()), pa.large_list(pa.int8()), pa.list_(pa.float32())]),
        ([[0.5, None], [float("nan"), -0.0]], [pa.list_(pa.float64()), pa.list_(pa.float64(), 2)]),
        ([["a", None], [], None], [pa.list_(pa.string()), pa.large_list(pa.large_string())]),
        ([[[1], []], None, [None]], [pa.list_(pa.list_(pa.int16())), pa.large_list(pa.large_list(pa.float64()))]),
    ],
)
def test_how_lists_are_stored_does_not_count(cells, kinds):
    assert len({digest(cells, kind) for kind in kinds}) == 1
    column = pa.chunked_array(
        [pa.array(cells[:1], kinds[0]), pa.array([[]], kinds[0]).slice(1), pa.array(cells[1:], kinds[0])]
    )
    assert digest_rows(Table(pa.table({"x": column}))) == digest(cells, kinds[0])
    table = Table(pa.table({"x": pa.array([*cells, *cells], kinds[0])}))
    assert digest_rows(table, np.arange(len(cells), 2 * len(cells))) == digest(cells, kinds[0])


def test_lists_that_differ_have_digests_that_differ():
    different = [
        [[1, 2], [3]], [[1], [2, 3]], [[1, 2, 3], []], [[1, 2, 3], None], [[1, 2], [4]], [[1, 2], [None]],
        [["1", "2"], ["3"]], [["12", ""], ["3"]], [[[1, 2]], [[3]]], [[[1], [2]], [[3]]], [[2**60], [2**60 + 1]],
        [[2**60], [2**60]], [[0.0, 2.0], [3.0]], [[None, 2.0], [3.0]], [[float("nan"), 2.0], [3.0]],
    ]  # fmt: skip
    assert len({digest(cells) for cells in different}) == len(different)
    negative, zero = digest([[-0.0]]), digest([[0.0]])
    assert negative == zero


def test_cells_of_other_kinds_still_have_digests():
    assert digest([{"a": 1}, None]) != digest([{"a": 2}, None])
    assert digest([[{"a": 1}], []]) != digest([[{"a": 2}], []])
