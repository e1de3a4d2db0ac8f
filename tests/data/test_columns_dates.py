"""Dates: every format, and the waves that codecs make of them."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueweight.data.cells import DateCells, ReadOptions
from trueweight.data.columns.date import DateColumn, phases
from trueweight.data.parse_dates import read_dates
from trueweight.data.sample import BottomK

OPTIONS = ReadOptions(("", "NA"))


def read(*texts, **options) -> DateCells:
    return read_dates(pa.chunked_array([pa.array(list(texts), pa.string())]), OPTIONS, **options)


def iso(cells: DateCells) -> list[str | None]:
    moments = np.datetime_as_string(cells.micros_N.astype("datetime64[us]"), unit="s").tolist()
    return [None if gone else m.removesuffix("T00:00:00") for m, gone in zip(moments, cells.missing_N, strict=True)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1912-04-10", "1912-04-10"),
        ("1912/4/10", "1912-04-10"),
        ("1912.04.10", "1912-04-10"),
        ("1912-04", "1912-04-01"),
        ("10.04.1912", "1912-04-10"),
        ("10.4.12", "2012-04-10"),
        ("10.4.70", "1970-04-10"),
        ("13/04/1912", "1912-04-13"),
        ("04/13/1912", "1912-04-13"),
        ("10 Apr 1912", "1912-04-10"),
        ("10-APR-1912", "1912-04-10"),
        ("10. April 1912", "1912-04-10"),
        ("Wed, 10 April 1912", "1912-04-10"),
        ("April 10, 1912", "1912-04-10"),
        ("Apr 10th 1912 9:05", "1912-04-10T09:05:00"),
        ("19120410", "1912-04-10"),
        ("1912-04-10T23:40:05.25", "1912-04-10T23:40:05"),
        ("1912-04-10 23:40 ", "1912-04-10T23:40:00"),
        ("1912-04-10T23:40:05Z", "1912-04-10T23:40:05"),
        ("1912-04-10T23:40:05+02:00", "1912-04-10T21:40:05"),
        ("1912-04-10 23:40:05 -0130", "1912-04-11T01:10:05"),
        ("1912-04-10 11:40 pm", "1912-04-10T23:40:00"),
        ("10.04.1912 12:10 AM", "1912-04-10T00:10:00"),
        ("2024-02-29", "2024-02-29"),
        ("2023-02-29", None),
        ("2023-13-01", None),
        ("0000-01-01", None),
        ("2023-01-01 25:00", None),
        ("2023-01-01 13:00 pm", None),
        ("32.01.2023", None),
        ("10 Foo 1912", None),
        ("soon", None),
        ("12", None),
        ("NA", None),
    ],
)
def test_reads_dates_as_people_write_them(text, meant):
    assert iso(read(text)) == [meant]
    assert iso(read("yesterday", text)) == [None, meant]


def test_two_formats_in_one_column_are_read_and_counted():
    cells = read("1912-04-10", "1912-04-11", "10.04.1912", "never", None)
    assert iso(cells) == ["1912-04-10", "1912-04-11", "1912-04-10", None, None]
    assert cells.notes == {"second date format": 1, "not a date": 1}


def test_the_column_tells_day_from_month():
    assert iso(read("10/04/1912", "13/04/1912"))[0] == "1912-04-10"
    assert iso(read("10/04/1912", "04/13/1912"))[0] == "1912-10-04"
    unclear = read("10/04/1912", "04/04/1912")
    assert iso(unclear)[0] == "1912-04-10"
    assert unclear.notes == {"day first assumed": 1}
    assert iso(read("10/04/1912", day_first=False)) == ["1912-10-04"]
    assert iso(read("10.04.1912", day_first=False)) == ["1912-04-10"]  # points part days from months everywhere
    assert iso(read("10/04/1912", "04/13/1912", day_first=True)) == ["1912-04-10", "1912-04-13"]


@given(st.lists(st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)), min_size=1))
def test_python_reads_the_same(moments):
    micros = [(m - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) for m in moments]
    written = [f"{m:%d.%m.}{m.year:04d} {m:%H:%M:%S.%f}" for m in moments]
    assert read(*[m.isoformat() for m in moments]).micros_N.tolist() == micros
    assert read(*[m.isoformat() for m in moments], "x").micros_N[:-1].tolist() == micros
    assert read(*written).micros_N.tolist() == micros


def test_typed_cells_keep_their_moment():
    day = read_dates(pa.array([dt.date(1912, 4, 10), None]), OPTIONS)
    assert iso(day) == ["1912-04-10", None]
    zone = dt.timezone(dt.timedelta(hours=2))
    assert iso(read_dates(pa.array([dt.datetime(2020, 1, 1, 1, tzinfo=zone)]), OPTIONS)) == ["2019-12-31T23:00:00"]
    assert read_dates(pa.array([1.5]), OPTIONS).notes == {"not a date": 1}
    assert iso(read_dates(pa.array([19120410]), OPTIONS)) == ["1912-04-10"]


def test_phases_match_the_calendar():
    moments = [dt.datetime(2023, 1, 1), dt.datetime(2024, 12, 31, 18), dt.datetime(1960, 7, 4, 6, 30)]
    micros = np.array([(m - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) for m in moments])
    lengths = [365, 366, 366]
    year = [(m.timetuple().tm_yday - 1) / length for m, length in zip(moments, lengths, strict=True)]
    np.testing.assert_allclose(phases(micros, "year"), year)
    np.testing.assert_allclose(phases(micros, "week"), [m.weekday() / 7 for m in moments])
    np.testing.assert_allclose(phases(micros, "day"), [(m.hour + m.minute / 60) / 24 for m in moments])


def learn(texts, min_group=1, **fields):
    part = DateColumn(**fields)
    cells = part.read(pa.chunked_array([pa.array(texts)]), OPTIONS)
    rows = np.arange(len(texts))
    learnt = part.learn(cells, rows, BottomK.of(rows), min_group=min_group)
    return part, cells, learnt


def test_only_cycles_that_vary_are_encoded():
    days = [str(np.datetime64("2020-01-01") + i) for i in range(400)]
    hours = [str(np.datetime64("2020-01-01T00", "h") + i) + ":00" for i in range(400)]
    for texts, cycles in (
        (days, ["year", "week"]),
        (hours, ["week", "day"]),
        (days[::7][:8], []),
        (["2020-01-01"], []),
    ):
        _, _, learnt = learn(texts)
        assert learnt["cycles"] == cycles
    part, cells, learnt = learn(hours)
    number = part.codec("t", learnt).encode(cells)["number"]
    assert number.shape == (400, 1 + 2 * (3 + 3))
    assert learnt["step"] == 3600
    np.testing.assert_allclose(number[:, 1:].std(0), 1, atol=0.1)


def test_linear_time_is_a_line_and_missing_is_flagged():
    part, cells, learnt = learn(["2020-01-01", "2020-01-02", "2020-01-04", "NA"])
    arrays = part.codec("t", learnt).encode(cells)
    a, b, c, gone = arrays["number"][:, 0]
    assert c - b == pytest.approx(2 * (b - a), rel=1e-5)
    assert gone == 0
    assert arrays["flag"][:, 0].tolist() == [0, 0, 0, 1]


def test_day_first_reaches_the_reader():
    assert iso(learn(["10/04/1912"], day_first=False)[1]) == ["1912-10-04"]
    assert iso(learn(["10/04/1912"], day_first=True)[1]) == ["1912-04-10"]


def test_made_up_dates_are_as_coarse_as_the_real_ones():
    days = [str(np.datetime64("2020-01-01") + i) for i in range(400)]
    part, _, learnt = learn(days, min_group=10)
    made = part.synthetic(learnt, np.random.default_rng(0), 30).to_pylist()
    assert all(len(text) == 10 and "2020-01-02" <= text <= "2021-02-03" for text in made)
    assert part.summary(learnt) == "from about 2020-01 to 2021-01"
