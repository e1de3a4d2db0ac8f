"""What was encoded for training is lent to those who judge: the same arrays that they would make themselves."""

from typing import Any

import numpy as np
import pytest

from trueweight.data.column import FieldArrays
from trueweight.data.ragged import Ragged
from trueweight.data.reading import encoded_of
from trueweight.data.spill import taken
from trueweight.data.table import Table
from trueweight.spec.load import parse_spec
from trueweight.train.encoded import encode
from trueweight.train.prepare import prepare

ROWS = 80


def column(kind: str) -> list[Any]:
    rng = np.random.default_rng(0)
    if kind == "text":
        return [" ".join(rng.choice(["red", "house", "no", "yes", "over"], rng.integers(0, 9))) for _ in range(ROWS)]
    return [rng.normal(size=rng.integers(12, 20)).tolist() for _ in range(ROWS)]


def same(one: FieldArrays, other: FieldArrays) -> bool:
    assert one.keys() == other.keys()
    for name, array in one.items():
        found = other[name]
        if isinstance(array, Ragged):
            assert isinstance(found, Ragged)
            np.testing.assert_array_equal(array.start_N1, found.start_N1)
            np.testing.assert_array_equal(array.value_MC, found.value_MC)
        else:
            assert not isinstance(found, Ragged)
            np.testing.assert_array_equal(array, found)
            assert np.asarray(array).dtype == np.asarray(found).dtype
    return True


@pytest.mark.parametrize("kind", ["text", "timeseries"])
def test_lent_arrays_are_those_that_would_be_encoded(kind: str) -> None:
    table = Table.of({"x": column(kind), "y": np.random.default_rng(1).normal(size=ROWS)})
    raw = {"version": 1, "name": "lent", "targets": {"y": "number"}, "features": {"x": kind}}
    ready = prepare(table, parse_spec(raw))
    encoded = encode(ready, keep=False)
    rows = ready.split.test
    fresh, lent = taken(ready.table, rows), taken(ready.table, rows)
    encoded.lend(lent, rows)
    assert encoded.fields
    for field in encoded.fields.values():
        if not field.sensed:
            continue
        given = encoded_of(lent, field, ready.signature)
        assert same(encoded_of(fresh, field, ready.signature), given)
        assert given is encoded_of(lent, field, ready.signature)
