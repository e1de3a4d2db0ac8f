"""Words counted by their bytes, against Arrow's search."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trueweight.data import runs
from trueweight.data.runs import runs_of_signs

SIGNS = "ab \t\n\x0b\x0c\r é漢🙂\x00\u00a0\u3000"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_as_many_as_a_search_finds(kind, count, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 64)
    rng = random.Random(0)
    texts = pa.array(["".join(rng.choice(SIGNS) for _ in range(rng.randrange(12))) for _ in range(count)], kind)
    for some in (texts, texts.slice(count // 3)):
        np.testing.assert_array_equal(runs_of_signs(some), np.asarray(pc.count_substring_regex(some, r"\S+")))


def test_texts_without_any_sign():
    assert runs_of_signs(pa.array(["", ""])).tolist() == [0, 0]
