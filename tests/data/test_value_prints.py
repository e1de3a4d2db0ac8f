"""Prints of values: equal where numbers agree to three digits, whatever table they are in."""

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.cells import Cells
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.data.value_prints import rounded, value_prints


def test_numbers_are_rounded_as_printf_rounds_them() -> None:
    rng = np.random.default_rng(0)
    value_N = rng.normal(size=500) * 10.0 ** rng.integers(-9, 9, 500)
    value_N[:4] = [0.0, np.nan, 9.996, -9.996]
    near_N = value_N * (1 + rng.choice([0.0, 1e-6, 1e-2], 500))
    same_N = rounded(value_N) == rounded(near_N)
    written = [f"{a:.2e}" == f"{b:.2e}" for a, b in zip(value_N, near_N, strict=True)]
    assert same_N.tolist() == written
    assert len(np.unique(rounded(np.array([1.0, -1.0, 10.0, 0.0, np.nan])))) == 5


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [("category", ["a", "b", None], ["b", "c", "a"]), ("date", ["2024-01-02", "2024-01-03", ""], ["2024-01-03"] * 3)],
)
def test_the_same_value_has_one_print_in_any_table(kind: str, one: list[str], other: list[str]) -> None:
    def prints(cells: list[str]) -> list[int]:
        return [int(value) for value in next(value_prints(read(kind, cells)))]

    for i, a in enumerate(prints(one)):
        for j, b in enumerate(prints(other)):
            assert (a == b) == ((one[i] or None) == (other[j] or None))


def read(kind: str, cells: list[str]) -> Cells:
    table = Table(pa.table({"x": pa.array(cells, pa.string())}))
    return cells_of(table, plain_facts("x", kind, len(cells)), Signature({}).options)
