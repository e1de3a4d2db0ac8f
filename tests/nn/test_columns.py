"""Columns as trees read them: gaps are gaps, rare codes are one."""

import torch

from trueweight.data.columns.number import NumberCodec
from trueweight.data.columns.set import SetCodec
from trueweight.data.field import Field, Layout
from trueweight.model.encoders.columns import ColumnsEncoder


def test_gaps_are_marked_by_the_flag_of_their_own_column() -> None:
    layout = Layout({"number": 3, "flag": 3}, marks=((0,), (), (1, 2)))
    x = {
        "number": torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
        "flag": torch.tensor([[1.0, 0.5, 0], [0, 1, 1], [0, 0, 0]]),
    }
    encoder = ColumnsEncoder().build(layout)
    found = encoder(x).tokens_BLD[:, 0].nan_to_num(-1.0)
    assert found.tolist() == [[-1, 2, 3, 0.5], [4, -1, -1, 1], [7, 8, 9, 0]]
    assert encoder.form.raw == (0, 0, 0, 0)


def test_codes_beyond_the_most_frequent_are_rare() -> None:
    encoder = ColumnsEncoder(max_levels=3).build(Layout({"code": 2}, (9, 4)))
    codes = torch.tensor([[0, 0], [1, 1], [4, 2], [5, 3], [8, 3]], dtype=torch.int32)
    assert encoder({"code": codes}).tokens_BLD[:, 0].tolist() == [[0, 0], [1, 1], [4, 2], [1, 3], [1, 3]]
    assert encoder.form.raw == (5, 4)


def test_a_field_tells_which_flags_are_marks() -> None:
    plain = NumberCodec("a", "none", 0.0, 0.0, 1.0, flags=False)
    gaps = NumberCodec("b", "none", 0.0, 0.0, 1.0, flags=True)
    members = SetCodec("s", ("p", "q"), others=False, flags=True)
    codecs = {"s": members, "a": plain, "b": gaps}
    layout = Field("table", codecs, {"s": "set", "a": "number", "b": "number"}).layout()
    assert layout.marks == ((), (), (), (1,))
