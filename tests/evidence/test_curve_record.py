"""A curve goes to JSON and back; facts without one are written as before; what is no curve is refused."""

import json

import pytest

from trueweight.errors import VerifyError
from trueweight.evidence.record import Curve, Entry, Evidence

LINE = Curve("x", "y", ((0.0, 1.0), (0.5, 2.0)), band=((0.5, 1.5), (1.5, 2.5)), n=(10, 12))


def told(**curve):
    raw = Evidence((Entry(id="curve/a", axis="curve", metric="roc", value=2, curve=LINE),)).to_json()
    raw["entries"][0]["curve"] |= curve
    return json.loads(json.dumps(raw))


def test_a_curve_comes_back():
    assert Evidence.from_json(told())[0].curve == LINE


def test_facts_without_a_curve_do_not_mention_one():
    (plain,) = Evidence((Entry(id="a", axis="a", metric="a", value=1),)).to_json()["entries"]
    assert "curve" not in plain


@pytest.mark.parametrize(
    "wrong",
    [{"points": [[1, 2, 3]]}, {"points": [["a", 1]]}, {"points": 3}, {"n": [1.5, 2]}, {"x": 1}, {"band": [[0, 1]]},
     {"points": [[True, 1], [0, 1]]}, {"n": [1]}],
)  # fmt: skip
def test_what_is_no_curve_is_refused(wrong):
    with pytest.raises(VerifyError):
        Evidence.from_json(told(**wrong))
