"""Frames of the real Hugging Face library, where it is installed; test_frames.py has a stand-in for it."""

import numpy as np
import pytest

from trueweight.data.frames import like_frame
from trueweight.data.read import read_table

COLUMNS = {"n": [1.5, None, 3.0, 4.0], "text": ["a", "b", None, "d"], "k": [1, 2, 3, 4]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the library's own
def test_data_sets_are_read_and_given_back() -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict(COLUMNS)
    assert read_table(whole).data.to_pydict() == COLUMNS
    turned = whole.select([3, 1]).with_format("numpy")  # what was selected, whatever its format
    assert read_table(turned).data.to_pydict() == {name: [cells[3], cells[1]] for name, cells in COLUMNS.items()}
    answers = like_frame({"y": np.array([0.5, 0.25])}, turned)
    assert isinstance(answers, datasets.Dataset)
    assert answers["y"][:] == [0.5, 0.25]
