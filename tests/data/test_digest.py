"""Digests of rows: of what cells say, whatever they are."""

import numpy as np
import pyarrow as pa

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
