"""Series: how cells are read, gaps filled, lengths and scales learnt; and long tables put together."""

import json
import warnings

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.cells import ReadOptions, SeriesCells
from trueweight.data.columns.timeseries import TimeseriesColumn
from trueweight.data.parse_series import read_series, steps_first
from trueweight.data.ragged import Ragged
from trueweight.data.sample import BottomK
from trueweight.data.series import averaged, channel_scales, filled, rows_with_gaps

OPTIONS = ReadOptions(("", "NA", "?"))


def read(values, **options):
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return read_series(pa.chunked_array([array]), OPTIONS, **options)


def rows(cells):
    found = [cells.value.row(place).tolist() for place in range(len(cells))]
    return [[[None if np.isnan(value) else value for value in step] for step in row] for row in found]


@pytest.mark.parametrize(
    ("values", "expected", "notes"),
    [
        ([[1.0, 2.0], [3.0], None, []], [[[1], [2]], [[3]], [], []], {}),
        ([[None, 1.0], [float("inf"), 2.0], [None]], [[[None], [1]], [[None], [2]], []],
         {"steps without a value": 2, "infinite": 1}),
        ([[1, 2**40], [3]], [[[1], [2**40]], [[3]]], {}),
        ([[[1, 2], [3, 4]], [[5, 6]], [[1]], [None, [1, 2]]], [[[1, 2], [3, 4]], [[5, 6]], [], [[None, None], [1, 2]]],
         {"steps without a value": 1, "wrong number of channels": 1}),
        ([[[1, 2], [3]], [[1, 2]]], [[], [[1, 2]]], {"wrong number of channels": 1}),
        (["[1, 2.5]", "1 2", "1;2", "NA", "", "x y"], [[[1], [2.5]], [[1], [2]], [[1], [2]], [], [], []],
         {"not a series": 1}),
        (["[1,,3]", "1, nan, 3", "[1, null, 3]", "[,,2]"],
         [[[1], [None], [3]], [[1], [None], [3]], [[1], [None], [3]], [[None], [None], [2]]],
         {"steps without a value": 4}),
        (["[[1, 2], [3, null]]", "((1,2),(3,4))", "[[1,2]]"], [[[1, 2], [3, None]], [[1, 2], [3, 4]], [[1, 2]]],
         {"steps without a value": 1}),
        (["[[1],[2]]", "[3]"], [[[1], [2]], [[3]]], {}),
        ([1.5, None], [[[1.5]], []], {}),
        (pa.array([["1", "?", "2"], ["1", "x"]]), [[[1], [None], [2]], []],
         {"not a series": 1, "steps without a value": 1}),
        (pa.array([[[[1.0]]]]), [[]], {"not a series": 1}),
    ],
)  # fmt: skip
def test_cells_are_read(values, expected, notes):
    cells = read(values)
    assert rows(cells) == expected
    assert cells.missing_N.tolist() == [not row for row in expected]
    assert cells.notes == notes


def test_the_number_of_channels_is_the_most_frequent_or_the_one_asked_for():
    values = [[[1, 2]], [[3, 4]], [[5]]]
    assert read(values).missing_N.tolist() == [False, False, True]
    assert read(values, channels=1).missing_N.tolist() == [True, True, False]


def test_members_that_are_texts_have_the_decimal_sign_that_is_asked_for():
    values = pa.array([["1,5", "2,25"]])
    assert rows(read(values, decimal_comma=True)) == [[[1.5], [2.25]]]


def test_lists_of_floats_are_not_copied():
    column = pa.array([[1.0, 2.0], [3.0]])
    assert np.shares_memory(read(column).value.value_MC, np.asarray(column.values))


def test_slices_of_a_column_are_read_as_the_whole_is():
    values = pa.array([[1.0], [2.0, 3.0], None, [4.0]])
    for start in range(4):
        assert rows(read(values.slice(start, 2))) == rows(read(values))[start : start + 2]


def test_from_one_step_to_a_hundred_thousand():
    lengths = [1, 100_000, 7, 3]
    cells = read([np.arange(n, dtype=float).tolist() for n in lengths])
    assert cells.value.lengths.tolist() == lengths
    learnt = TimeseriesColumn().learn(cells, np.arange(4), BottomK.of(np.arange(4)), min_group=1)
    codec = TimeseriesColumn().codec("x", learnt)
    frames = codec.encode(cells)["frame"]
    assert frames.lengths.max() <= 1024
    assert np.isfinite(frames.value_MC).all()


def test_channels_first_becomes_steps_first():
    value = np.array([1, 2, 3, 10, 20, 30, 4, 40])
    assert steps_first(value, np.array([3, 1]), 2).tolist() == [[1, 10], [2, 20], [3, 30], [4, 40]]


def ragged(*series):
    return Ragged.of([np.array(s, float).reshape(len(s), -1) for s in series], 1, np.float64)


def slowly_filled(row, how):
    """One row at a time, with numpy's own interpolation."""
    row, place = np.asarray(row, float), np.arange(len(row))
    given = ~np.isnan(row)
    if not given.any():
        return np.zeros(len(row))
    if how == "linear":
        return np.interp(place, place[given], row[given])
    found = row.copy()
    for i in range(1, len(row)):
        found[i] = found[i - 1] if np.isnan(found[i]) else found[i]
    found[: int(np.argmax(given))] = row[int(np.argmax(given))]
    return found


@pytest.mark.parametrize("how", ["linear", "last"])
def test_gaps_are_filled_from_the_same_row(how):
    rng = np.random.default_rng(0)
    series = [np.where(rng.uniform(size=n) < 0.5, np.nan, rng.normal(size=n)) for n in (1, 5, 1, 30, 2, 9)]
    series[2][:] = np.nan
    whole = filled(ragged(*series), how)[:, 0]
    np.testing.assert_allclose(whole, np.concatenate([slowly_filled(row, how) for row in series]))
    assert rows_with_gaps(ragged(*series)).tolist() == [bool(np.isnan(row).any()) for row in series]


def test_each_channel_has_gaps_of_its_own():
    series = Ragged(np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, np.nan]]), np.array([0, 3]))
    assert filled(series, "linear").tolist() == [[1, 2], [2, 2], [3, 2]]


@pytest.mark.parametrize(("every", "most"), [(1, 3), (1, 100), (2, 100), (3, 2), (7, 1), (100, 100)])
def test_steps_are_averaged_and_cut(every, most):
    series = [np.arange(n, dtype=float) ** 2 for n in (1, 10, 3, 21)]
    short = averaged(ragged(*series), every, most)
    for place, row in enumerate(series):
        slow = [row[i : i + every].mean() for i in range(0, len(row), every)][:most]
        np.testing.assert_allclose(short.row(place)[:, 0], slow)


def test_scales_count_every_row_alike():
    mean, std = channel_scales(ragged([0.0] * 1000, [2.0]))
    np.testing.assert_allclose([mean[0], std[0]], [1.0, 1.0])
    mean, std = channel_scales(ragged([1e300, 3e300], [np.nan, 2e300]))
    np.testing.assert_allclose([mean[0], std[0]], [2e300, 5e299**1 * 2**0.5], rtol=1e-9)
    assert channel_scales(ragged([5.0, 5.0], [5.0]))[1].tolist() == [0.0]
    assert channel_scales(ragged([5.0, 6.0], [7.0]), least=3) == (np.array([0.0]), np.array([0.0]))


def learnt_from(values, min_group=1, **options):
    part, cells = TimeseriesColumn(**options), read(values)
    every = np.arange(len(cells))
    return part, cells, part.learn(cells, every, BottomK.of(every), min_group=min_group)


def test_frames_are_standard_on_training_rows():
    rng = np.random.default_rng(0)
    values = [(50 + 3 * rng.normal(size=20)).tolist() for _ in range(200)]
    part, cells, learnt = learnt_from(values)
    frames = part.codec("x", learnt).encode(cells)["frame"]
    np.testing.assert_allclose([frames.value_MC.mean(), frames.value_MC.std()], [0, 1], atol=1e-5)
    assert learnt["lengths"] == [20.0] * 5


def test_large_offsets_keep_their_digits():
    part, cells, learnt = learnt_from([[1.7e9 + i, 1.7e9 + i + 1.0] for i in range(50)])
    frame = part.codec("x", learnt).encode(cells)["frame"].value_MC[:, 0]
    assert len(np.unique(frame)) == 51


def test_filled_steps_are_marked_where_training_rows_had_some():
    part, cells, learnt = learnt_from([[1.0, None, 3.0], [1.0, 2.0, 4.0]] * 5)
    codec = part.codec("x", learnt)
    assert codec.shapes() == {"frame": 2}
    assert codec.labels() == {"frame": ["x", "x filled"]}
    assert codec.encode(cells)["frame"].row(0)[:, 1].tolist() == [0, 1, 0]


def test_a_channel_without_any_value_is_as_usual():
    part, cells, learnt = learnt_from([[[5.0, 1.0], [6.0, 2.0]]] * 9 + [[[5.0, None], [6.0, None]]])
    frames = part.codec("x", learnt).encode(cells)["frame"]
    assert frames.row(9)[:, 1].tolist() == [0, 0]


def test_missing_series_are_flagged_and_have_no_step():
    part, cells, learnt = learnt_from([[1.0, 2.0], None] * 10)
    arrays = part.codec("x", learnt).encode(cells)
    assert arrays["flag"][:2, 0].tolist() == [0, 1]
    assert arrays["frame"].lengths[:2].tolist() == [2, 0]


def test_longer_rows_than_asked_for_are_averaged_alike():
    part, cells, learnt = learnt_from([list(range(100))] * 20 + [[1.0, 5.0]], max_length=30)
    assert (learnt["every"], learnt["length"]) == (4, 30)
    frames = part.codec("x", learnt).encode(cells)["frame"]
    assert frames.lengths.tolist() == [25] * 20 + [1]


def test_the_longest_row_is_not_told():
    _, _, learnt = learnt_from([[1.0, 2.0, 3.0]] * 40 + [[1.0] * 777], min_group=10)
    assert "777" not in json.dumps(learnt)


def test_wild_values_stay_finite():
    part, _, learnt = learnt_from([[1.0, 2.0]] * 20)
    codec = part.codec("x", learnt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = codec.encode(read([[1e308, -1e308], [5e-324, 1e300]]))["frame"]
    assert np.abs(frames.value_MC).max() <= 100


def test_cells_of_other_channels_are_missing():
    part, _, learnt = learnt_from([[1.0, 2.0], None] * 10)
    arrays = part.codec("x", learnt).encode(read([[[1.0, 2.0]], [[3.0, 4.0]]]))
    assert arrays["frame"].lengths.tolist() == [0, 0]
    assert arrays["flag"][:, 0].tolist() == [1, 1]


@pytest.mark.parametrize("values", [[[1.0, 2.0, 3.0]] * 30, [[[1.0, 2.0]] * 4] * 30, [[1.0], None] * 20])
def test_made_up_series_can_be_written_and_read(values):
    part, _, learnt = learnt_from(values)
    made = part.synthetic(learnt, np.random.default_rng(0), 50)
    again = read([None if cell is None else json.dumps(cell) for cell in made.to_pylist()], channels=learnt["channels"])
    assert isinstance(again, SeriesCells)
    assert not again.notes
    assert again.missing_N.tolist() == [cell is None for cell in made.to_pylist()]


def test_a_summary_says_channels_and_steps():
    part, _, learnt = learnt_from([[1.0] * n for n in range(10, 50)])
    assert part.summary(learnt) == "series of 1 channel, about 30 steps, most of 12 to 47"
    assert part.summary(learnt_from([None])[2]) == "no values"
