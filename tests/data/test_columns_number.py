"""Numbers: every spelling, the common scale, and what each option changes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueweight.data.cells import NumberCells, ReadOptions
from trueweight.data.columns.number import NumberColumn
from trueweight.data.parse_numbers import NumberStyle, read_numbers
from trueweight.data.quantiles import inner_quantiles
from trueweight.data.sample import BottomK

OPTIONS = ReadOptions(("", "NA", "?"))
NAN = np.nan


def read(*texts, options=OPTIONS, **style) -> NumberCells:
    return read_numbers(pa.chunked_array([pa.array(list(texts), pa.string())]), options, NumberStyle(**style))


def learn(values, min_group=1, rows=None, **fields):
    part = NumberColumn(**fields)
    cells = part.read(pa.chunked_array([pa.array(values)]), OPTIONS)
    rows = np.arange(len(values)) if rows is None else rows
    return part, cells, part.learn(cells, rows, BottomK.of(rows), min_group=min_group)


def encode(values, **fields):
    part, cells, learnt = learn(values, **fields)
    return part.codec("x", learnt).encode(cells)


@pytest.mark.parametrize(
    ("texts", "values", "notes"),
    [
        (["1", "2.5", ".5", "5.", "+5", "-0.25", "1e-3", "2E+2"], [1, 2.5, 0.5, 5, 5, -0.25, 0.001, 200], {}),
        ([" 1", "2 ", "\u00a03", "\t4", "\ufeff5"], [1, 2, 3, 4, 5], {"spaces trimmed": 5}),
        (["1", "", "NA", " ? ", None], [1, NAN, NAN, NAN, NAN], {}),
        (["na", "x", "1 2", "1..2", "--1", "0x1F", "1_0", "1/2"], [NAN] * 8, {"not a number": 8}),
        (["inf", "-Infinity", "1"], [NAN, NAN, 1], {"infinite": 2}),
        (["inf", "-Infinity", " 1"], [NAN, NAN, 1], {"infinite": 2, "spaces trimmed": 1}),
        (["nan", "NaN", "1"], [NAN, NAN, 1], {}),
        (["7,11", "20.05", "3"], [7.11, 20.05, 3], {"decimal comma": 1}),
        (["1,234", "950"], [1234, 950], {"thousands separators": 1}),
        (["1,234", "0,5"], [1.234, 0.5], {"decimal comma": 2}),
        (["0,123", "5"], [0.123, 5], {"decimal comma": 1}),
        (["1,234.50", "1,234", "7.5"], [1234.5, 1234, 7.5], {"thousands separators": 2}),
        (["1.234,50", "1.234", "3,5"], [1234.5, 1234, 3.5], {"decimal comma": 2, "thousands separators": 2}),
        (["1.234", "3,5"], [1.234, 3.5], {"decimal comma": 1}),
        (["1 234", "1\u00a0234,5", "1'234", "1\u202f234\u202f567"], [1234, 1234.5, 1234, 1234567],
         {"thousands separators": 4, "decimal comma": 1}),
        (["1,234,567", "1,234"], [1234567, 1234], {"thousands separators": 2}),
        (["12%", "5 %", "3"], [12, 5, 3], {"percent sign": 2}),
        (["\u22125", "x"], [-5, NAN], {"not a number": 1}),
        (["9007199254740993", "12"], [2**53, 12], {"above 2^53": 1}),
        (["9007199254740993", " 12"], [2**53, 12], {"above 2^53": 1, "spaces trimmed": 1}),
    ],
)  # fmt: skip
def test_reads_numbers_as_people_write_them(texts, values, notes):
    cells = read(*texts)
    np.testing.assert_array_equal(cells.value_N, values)
    np.testing.assert_array_equal(cells.missing_N, np.isnan(values))
    assert dict(cells.notes) == notes


def test_clear_cells_decide_for_unclear_ones_by_majority():
    assert read("1,234", "1,5", "2,5", "1,234.5").value_N[0] == 1.234
    assert read("1,234", "1,5", "2,345.5", "1,234.5").value_N[0] == 1234


def test_what_is_asked_wins_over_what_is_found():
    assert read("1,234", decimal_comma=True).value_N[0] == 1.234
    assert read("1,234", decimal_comma=False).value_N[0] == 1234
    assert read("1,5", decimal_comma=False).notes == {"not a number": 1}
    assert read("1.234", thousands_point=True).value_N[0] == 1234
    assert read("1.234", "1.234.567", thousands_point=False).value_N[0] == 1.234
    assert read("1,234", options=ReadOptions(decimal_comma=True)).value_N[0] == 1.234
    assert read("1,234", options=ReadOptions(decimal_comma=True), decimal_comma=False).value_N[0] == 1234


def test_a_marker_that_is_a_number_is_missing():
    options = ReadOptions(("-999",))
    np.testing.assert_array_equal(read("1", "-999", options=options).value_N, [1, NAN])
    np.testing.assert_array_equal(read(" 1", " -999 ", options=options).value_N, [1, NAN])


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1))
def test_python_reads_the_same(values):
    # The dirty cell sends the column down the slow way; both must agree with Python's own reader.
    np.testing.assert_array_equal(read(*map(repr, values)).value_N, values)
    np.testing.assert_array_equal(read(*map(repr, values), " x").value_N[:-1], values)


@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1))
def test_every_grouping_is_undone(values):
    exact = [float(v) for v in values]
    english = [f"{v:,.2f}" for v in values]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    np.testing.assert_array_equal(read(*english, "1,234.5").value_N[:-1], exact)
    np.testing.assert_array_equal(read(*german, "1.234,5").value_N[:-1], exact)
    np.testing.assert_array_equal(read(*[t.replace(",", " ") for t in english]).value_N, exact)


def test_typed_cells_keep_their_values():
    typed = read_numbers(pa.array([1.5, np.inf, None, np.nan]), OPTIONS)
    np.testing.assert_array_equal(typed.value_N, [1.5, NAN, NAN, NAN])
    assert typed.notes == {"infinite": 1}
    assert read_numbers(pa.array([2**53 + 1, 5]), OPTIONS).notes == {"above 2^53": 1}
    np.testing.assert_array_equal(read_numbers(pa.array([True, False]), OPTIONS).value_N, [1, 0])


def test_inner_quantiles_are_numpys_without_the_ends():
    values = np.random.default_rng(0).normal(size=1001)
    levels = np.linspace(0.01, 0.99, 37)
    np.testing.assert_allclose(inner_quantiles(values, levels, 1), np.quantile(values, levels), rtol=1e-12)
    ends = inner_quantiles(values, [0, 1], 1)
    assert ends[0] == np.sort(values)[1]
    assert ends[1] == np.sort(values)[-2]


def test_inner_quantiles_are_means_of_groups():
    values = np.random.default_rng(0).normal(size=101)
    found = inner_quantiles(values, np.linspace(0, 1, 50), 10)
    assert not set(found) & set(values)
    assert (np.diff(found) >= 0).all()
    ordered = np.sort(values)
    np.testing.assert_allclose(found[[0, -1]], [ordered[1:11].mean(), ordered[-11:-1].mean()], rtol=1e-12)
    np.testing.assert_allclose(inner_quantiles(values, [0.5], 9), ordered[46:55].mean(), rtol=1e-12)
    assert inner_quantiles(np.full(30, 0.1), [0, 0.3, 1], 10).tolist() == [0.1] * 3  # ties stay exact
    assert inner_quantiles(np.array([3.0]), [0.5], 10).tolist() == [3.0]


def test_an_exact_line_stays_a_line():
    values = np.array([0.0, 1, 2, 3, 4, 5, 1000])
    z = encode(values)["number"][:, 0].astype(np.float64)
    slopes = np.diff(z) / np.diff(values)
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-5)  # float32 rounds to 6e-8 of up to 500


def test_scale_is_about_standard_normal_and_robust():
    values = np.random.default_rng(0).normal(7, 3, 20_000)
    z = encode(values)["number"]
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1) < 0.03
    spoilt = values.copy()
    spoilt[:100] = 1e9
    assert abs(encode(spoilt)["number"][100:].std() - 1) < 0.05


def test_equal_quartiles_fall_back_on_the_standard_deviation():
    z = encode([0.0] * 90 + [5.0] * 10)["number"]
    assert z.std() == pytest.approx(1, abs=1e-6)


def test_constant_and_empty_columns_have_no_width():
    assert encode([0.1] * 20) == {}
    assert encode([None] * 5 + [NAN]) == {}
    assert set(encode([0.1] * 20 + [None] * 3)) == {"flag"}


def test_missing_is_flagged_only_if_training_rows_had_any():
    part, _, learnt = learn([1.0, 2, 3, 4, 10])
    later = part.read(pa.chunked_array([pa.array([None, 3.0])]), OPTIONS)
    arrays = part.codec("x", learnt).encode(later)
    assert set(arrays) == {"number"}
    assert arrays["number"][0] == arrays["number"][1]  # imputed with the median
    part, cells, learnt = learn([1.0, None, 3])
    assert part.codec("x", learnt).encode(cells)["flag"].tolist() == [[0], [1], [0]]


@pytest.mark.parametrize(("impute", "fill"), [("median", 2.0), ("mean", 4.0), ("zero", 0.0)])
def test_impute_changes_what_stands_in(impute, fill):
    part, _, learnt = learn([0.0, 1, 2, 3, 14], impute=impute)
    codec = part.codec("x", learnt)
    cells = NumberCells(missing_N=np.array([True, False]), value_N=np.array([NAN, fill]))
    z = codec.encode(cells)["number"]
    assert z[0] == z[1]


def test_transform_is_applied_before_scaling():
    values = np.expm1(np.linspace(0, 5, 50))
    z = encode(values, transform="log1p")["number"][:, 0]
    np.testing.assert_allclose(np.diff(z), np.diff(z).mean(), rtol=1e-4)
    both = np.concatenate([-values, values])
    z = encode(both, transform="signed_log1p")["number"][:, 0]
    np.testing.assert_allclose(z[:50], -z[50:], rtol=1e-5)
    below = encode([-3.0, 0, 1, 2, 5], transform="log1p")["number"]
    assert below[0] == below[1]
    knots = NumberColumn(transform="log1p")
    _, _, learnt = learn(values, transform="log1p")
    assert np.all(np.abs(knots.codec("x", learnt).knots()[0]) < 3)


def test_unit_is_shown():
    part, _, learnt = learn([1.0, 2, 3, 4], unit="EUR")
    assert "EUR" in part.summary(learnt)
    assert "EUR" not in NumberColumn().summary(learnt)


def test_styles_asked_for_reach_the_reader():
    raw = pa.chunked_array([pa.array(["1,234", "5.678"])])
    assert NumberColumn(decimal_comma=True).read(raw, OPTIONS).value_N[0] == 1.234
    assert NumberColumn(thousands_point=True).read(raw, OPTIONS).value_N[1] == 5678


def test_knots_are_the_cells_own_quantiles():
    values = np.random.default_rng(0).normal(size=5000)
    part, cells, learnt = learn(values)
    codec = part.codec("x", learnt)
    z = codec.encode(cells)["number"][:, 0]
    expected = np.quantile(z, np.linspace(0, 1, 50)[1:-1])
    np.testing.assert_allclose(codec.knots()[0], expected, atol=1e-6)


def test_made_up_numbers_look_like_the_real_ones():
    rng = np.random.default_rng(0)
    part, _, whole = learn(rng.integers(0, 50, 500))
    assert part.synthetic(whole, rng, 20).type == pa.int64()
    part, _, cents = learn(np.round(rng.uniform(0, 50, 500), 2))
    made = part.synthetic(cents, rng, 100).to_pylist()
    assert all(round(x, 2) == x and 0 < x < 50 for x in made)


def test_wild_values_stay_finite():
    part, _, learnt = learn([1.0, 2, 3, 4])
    cells = part.read(pa.chunked_array([pa.array([1e308, -1e308])]), OPTIONS)
    assert np.isfinite(part.codec("x", learnt).encode(cells)["number"]).all()
    assert np.isfinite(encode([1e308, -1e308, 5e307, 0])["number"]).all()


def test_a_few_values_among_many_rows_are_not_described():
    _, _, learnt = learn([None] * 200 + [3.25, 4.5, 7.125], min_group=10)
    assert learnt["quantiles"] == []
    assert learnt["mean"] == 0
    assert learnt["count"] == 3


def test_notes_count_rows_not_distinct_texts():
    assert read(*["7,5"] * 4, *[" x"] * 3).notes == {"decimal comma": 4, "not a number": 3, "spaces trimmed": 3}
