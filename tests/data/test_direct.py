"""Plain values straight to arrays: bit for bit what Arrow and cells lead to, or left to those."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.category import CategoryCodec
from trueweight.data.columns.number import NumberCodec, NumberColumn
from trueweight.data.direct import Direct
from trueweight.data.field import Field
from trueweight.data.reading import encoded_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Provenance, Table
from trueweight.data.told import Told

CODECS = {
    "plain": NumberCodec("plain", "none", 0.25, 1.5, 0.7, flags=False),
    "marked": NumberCodec("marked", "none", -3.0, 0.0, 1e-3, flags=True),
    "grown": NumberCodec("grown", "log1p", 7.0, 2.0, 3.0, flags=True),
    "constant": NumberCodec("constant", "none", 4.0, 4.0, 0.0, flags=True),
    "signed": NumberCodec("signed", "signed_log1p", 0.0, -1.0, 0.3, flags=False),
}
FIELD = Field("table", CODECS, dict.fromkeys(CODECS, "number"))
SIGNATURE = Signature(
    {
        name: ColumnFacts(name, "number", "feature", "", NumberColumn().model_dump(mode="json"), 9, 0)
        for name in CODECS
    },
    ReadOptions(("", "NA")),
)  # fmt: skip


def arrow(columns: Any) -> pa.Table:
    return pa.table({name: pa.array(list(values)) for name, values in columns.items()})


def told(columns: dict[str, list[Any]]) -> Table:
    return Table.of_told(Told(columns, len(next(iter(columns.values()))), arrow), Provenance())


_KINDS = (some.floats(), some.integers(-(2**60), 2**60), some.integers(-9, 9), some.none(), some.booleans(),
          some.sampled_from(["1.5", "1,5", "NA", "", "x"]))  # fmt: skip


@some.composite
def _tables(draw: Any) -> dict[str, list[Any]]:
    names = draw(some.lists(some.sampled_from([*CODECS, "other"]), min_size=1, unique=True))
    rows = draw(some.integers(1, 5))
    return {name: draw(some.lists(draw(some.sampled_from(_KINDS)), min_size=rows, max_size=rows)) for name in names}


@given(_tables())
def test_the_same_arrays_bit_for_bit(columns: dict[str, list[Any]]) -> None:
    found = encoded_of(told(columns), FIELD, SIGNATURE)
    expected = encoded_of(Table(arrow(columns)), FIELD, SIGNATURE)
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert isinstance(array, np.ndarray)
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert np.asarray(found[name]).flags.c_contiguous


def test_numbers_make_no_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: Any) -> pa.Table:
        raise AssertionError("Arrow was made")

    table = Table.of_told(
        Told({"plain": [1.0, 2.0], "marked": [None, None], "signed": [3, -4]}, 2, never), Provenance()
    )
    assert encoded_of(table, FIELD, SIGNATURE)["number"].shape == (2, 4)
    assert len(table) == 2
    assert table.names == ["plain", "marked", "signed"]


@pytest.mark.parametrize("values", [[2**53], ["1"], [True], [-(2**70)]], ids=str)
def test_what_has_to_be_read_first_is_left_to_cells(values: list[Any]) -> None:
    direct = Direct.of(CODECS)
    assert direct is not None
    assert direct.encode(Told({"plain": values}, 1, arrow)) is None


def test_fields_with_other_columns_have_no_such_way() -> None:
    assert Direct.of({"kind": CategoryCodec("kind", ("a",), varies=True), **CODECS}) is None
    assert Direct.of({}) is None


def test_a_told_table_is_a_table_like_others() -> None:
    table = told({"plain": [1.0, 2.0, 3.0]})
    assert table.column("plain").to_pylist() == [1.0, 2.0, 3.0]
    assert table.take([2, 0]).column("plain").to_pylist() == [3.0, 1.0]
    assert table.take([2, 0]).told is None
    assert len(table.part(1, 9)) == 2
    with pytest.raises(AttributeError, match="no attribute 'dta'"):
        _ = table.dta  # type: ignore[attr-defined]
