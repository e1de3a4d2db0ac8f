"""What cells decide about reading is decided once, on whole columns."""

import pyarrow as pa

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.category import CategoryColumn
from trueweight.data.columns.date import DateColumn
from trueweight.data.columns.number import NumberColumn
from trueweight.data.columns.set import SetColumn
from trueweight.data.columns.timeseries import TimeseriesColumn
from trueweight.data.columns.vector import VectorColumn
from trueweight.data.settle import settle
from trueweight.spec.data import MISSING_MARKERS

OPTIONS = ReadOptions(MISSING_MARKERS)


def test_settling_fixes_what_a_single_row_could_not_tell():
    def settled(part, values):
        return settle(part, pa.chunked_array([pa.array(values)]), OPTIONS)

    assert settled(NumberColumn(), ["1,5", "1,234"]).decimal_comma is True
    assert settled(NumberColumn(), ["1.234,5", "1"]).thousands_point is True
    assert settled(NumberColumn(decimal_comma=False), ["1,5", "1,234"]).decimal_comma is False
    assert settled(NumberColumn(), [1, 2]) == NumberColumn()
    assert settled(DateColumn(), ["13/04/2020"]).day_first is True
    assert settled(DateColumn(), ["03/04/2020", "05/06/2020"]).day_first is True  # as it was read, for all to come
    assert settled(DateColumn(day_first=False), ["03/04/2020", "05/06/2020"]).day_first is False
    assert settled(DateColumn(), ["2020-04-03"]).day_first is None
    assert settled(SetColumn(), ["a;b"]).separator == ";"
    assert settled(VectorColumn(), ["1 2"]).width == 2
    part = CategoryColumn()
    assert settled(part, ["a"]) is part


def test_members_of_series_of_any_depth_settle_their_decimal_comma():
    def settled(values):
        return settle(TimeseriesColumn(), pa.chunked_array([pa.array(values)]), OPTIONS)

    assert settled([["1,5", "2"], ["3"]]).decimal_comma is True
    assert settled([[["1,5", "2"], ["3", "4"]], [["5", "6"]]]).decimal_comma is True
    assert settled([[["1.5", "2"], ["3", "4"]]]).decimal_comma is False
    assert settled([[[1.5, 2.0]]]).decimal_comma is None
    assert settled([[["1.5", "2"], ["3", "4"]]]).channels == 2
