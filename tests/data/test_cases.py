"""Fingerprints: equal where the cells are equal as they were interpreted, else different."""

import numpy as np

from trueweight.data.cases import fingerprints, repeats_of_earlier_rows
from trueweight.data.cells import DateCells, LevelCells, NumberCells, SetCells, VectorCells


def test_equal_rows_have_equal_prints_and_others_do_not() -> None:
    number = NumberCells(missing_N=np.array([False, False, True, True]), value_N=np.array([1.5, 1.5, np.nan, np.nan]))
    level = LevelCells(missing_N=np.zeros(4, bool), code_N=np.array([0, 0, 0, 1], np.int32), levels=("a", "b"))
    prints = fingerprints([number, level], len(number))
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_columns_do_not_cancel_each_other() -> None:
    values = np.array([1.0, 2.0])
    swapped = [NumberCells(missing_N=np.zeros(2, bool), value_N=v) for v in (values, values[::-1].copy())]
    prints = fingerprints(swapped, len(swapped[0]))  # rows (1, 2) and (2, 1)
    assert prints[0] != prints[1]


def test_zero_is_zero_and_sets_have_no_order() -> None:
    zeros = NumberCells(missing_N=np.zeros(2, bool), value_N=np.array([0.0, -0.0]))
    assert len(set(fingerprints([zeros], len(zeros)))) == 1
    sets = SetCells(
        missing_N=np.zeros(3, bool),
        start_N1=np.array([0, 2, 4, 5]),
        code_M=np.array([0, 1, 1, 0, 1], np.int32),
        levels=("a", "b"),
    )
    first, second, third = fingerprints([sets], len(sets))
    assert first == second != third


def test_all_kinds_of_cells_have_prints() -> None:
    dates = DateCells(missing_N=np.array([False, True]), micros_N=np.array([7, 0]))
    vectors = VectorCells(missing_N=np.zeros(2, bool), value_ND=np.array([[1.0, 2.0], [2.0, 1.0]]))
    for cells in (dates, vectors):
        assert len(set(fingerprints([cells], len(cells)))) == 2


def test_prints_are_well_mixed() -> None:
    count = 20_000
    column = NumberCells(missing_N=np.zeros(count, bool), value_N=np.arange(count, dtype=float))
    prints = fingerprints([column], len(column))
    assert len(np.unique(prints)) == count
    ones = np.array([(prints >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)])
    assert np.abs(ones - 0.5).max() < 0.02  # six standard deviations of a fair coin


def test_repeats_point_at_later_rows() -> None:
    assert repeats_of_earlier_rows(np.array([3, 4, 3, 3], np.uint64)).tolist() == [False, False, True, True]
