"""Sums of weights per label: of few labels by a product, of many by runs, and the same."""

import numpy as np
import pytest

from trueweight.metrics.statistic import LabelSums


@pytest.mark.parametrize("labels", [2, 32, 33, 500])
@pytest.mark.parametrize("some", [False, True])
def test_label_sums_equal_a_plain_loop(labels: int, some: bool) -> None:
    rng = np.random.default_rng(labels)
    label_N, weight_RN = rng.integers(0, labels, 200), rng.integers(0, 4, (3, 200)).astype(float)
    rows = np.flatnonzero(rng.random(200) < 0.4) if some else np.arange(200)
    found = LabelSums.of(label_N, labels, rows=rows if some else None)(weight_RN)
    expected = np.zeros((3, labels))
    for row in rows:
        expected[:, label_N[row]] += weight_RN[:, row]
    np.testing.assert_array_equal(found, expected)


def test_no_rows_sum_to_nothing() -> None:
    none = LabelSums.of(np.zeros(5, np.int64), 2, rows=np.zeros(0, np.int64))
    np.testing.assert_array_equal(none(np.ones((1, 5))), [[0.0, 0.0]])
