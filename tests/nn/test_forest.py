"""Trees as tensors: stumps by hand, sums by law, and everything that no forest is refused."""

import numpy as np
import pytest
import torch

from trueweight.nn.forest import Forest, Tree, at_most


def stump(threshold: float, low: float, high: float, *, feature: int = 0, gap_left: bool = False) -> Tree:
    """``low`` up to the threshold, ``high`` above."""
    return Tree(
        feature_N=np.array([feature, 0, 0], np.int32), threshold_N=np.array([threshold, 0, 0], np.float32),
        gap_left_N=np.array([gap_left, False, False]), left_N=np.array([1, 1, 2], np.int32),
        right_N=np.array([2, 1, 2], np.int32), value_N=np.array([0, low, high], np.float32),
        codes_N=[None, None, None],
    )  # fmt: skip


def among(codes: set[int], yes: float, no: float) -> Tree:
    asked = stump(0.0, yes, no)
    return Tree(
        asked.feature_N, asked.threshold_N, asked.gap_left_N, asked.left_N, asked.right_N, asked.value_N,
        [frozenset(codes), None, None],
    )  # fmt: skip


def forest(*trees: Tree, width: int = 1, scores: int = 1) -> Forest:
    found = Forest(width, scores)
    found.grow(trees)
    return found


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).unsqueeze(1)


def test_a_stump_by_hand() -> None:
    found = forest(stump(1.5, -2.0, 3.0))(column(1.0, 1.5, 1.6, float("inf"), -float("inf"), float("nan")))
    assert found[:, 0].tolist() == [-2.0, -2.0, 3.0, 3.0, -2.0, 3.0]
    assert forest(stump(1.5, -2.0, 3.0, gap_left=True))(column(float("nan"))).item() == -2.0


def test_codes_by_hand() -> None:
    found = forest(among({1, 3}, 5.0, 7.0))(column(0, 1, 2, 3, 4, 99, -1, float("nan")))
    assert found[:, 0].tolist() == [7.0, 5.0, 7.0, 5.0, 7.0, 7.0, 7.0, 7.0]


def test_what_is_no_code_is_in_no_set() -> None:
    found = forest(among({0, 1}, 5.0, 7.0))(column(-1, 0.5, 2, float("inf"), -float("inf"), float("nan"), 0))
    assert found[:, 0].tolist() == [7.0] * 6 + [5.0]


def test_no_codes_at_all_send_everybody_right() -> None:
    assert forest(among(set(), 5.0, 7.0))(column(0, 1))[:, 0].tolist() == [7.0, 7.0]


def test_trees_of_different_depth_add_up() -> None:
    deep = Tree(
        feature_N=np.array([0, 1, 0, 0, 0], np.int32), threshold_N=np.array([0, 2, 0, 0, 0], np.float32),
        gap_left_N=np.zeros(5, bool), left_N=np.array([1, 3, 2, 3, 4], np.int32),
        right_N=np.array([2, 4, 2, 3, 4], np.int32), value_N=np.array([0, 0, 10, 20, 30], np.float32),
        codes_N=[None] * 5,
    )  # fmt: skip
    both = forest(deep, stump(0.0, 1.0, 2.0), width=2)
    assert both.depth == 2
    assert both(torch.tensor([[1.0, 0.0], [-1.0, 1.0], [-1.0, 3.0]]))[:, 0].tolist() == [12.0, 21.0, 31.0]


def test_rounds_give_each_score_its_trees() -> None:
    found = forest(stump(0, 1, 2), stump(0, 10, 20), stump(0, 3, 4), stump(0, 30, 40), scores=2)
    assert found.rounds == 2
    assert found(column(-1.0, 1.0)).tolist() == [[4.0, 40.0], [6.0, 60.0]]


def test_rising_leaves_give_rising_answers() -> None:
    rng = np.random.default_rng(0)
    trees = [stump(float(t), float(low), float(low + up)) for t, low, up in rng.random((50, 3))]
    answer_R = forest(*trees)(torch.linspace(-1, 2, 200).unsqueeze(1))[:, 0]
    assert (answer_R.diff() >= 0).all()
    assert answer_R[-1].item() == pytest.approx(sum(float(tree.value_N[2]) for tree in trees), rel=1e-6)


def test_no_trees_score_nothing_and_no_rows_are_no_problem() -> None:
    assert Forest(3, 2)(torch.zeros(4, 3)).tolist() == [[0.0, 0.0]] * 4
    assert forest(stump(0, 1, 2))(torch.zeros(0, 1)).shape == (0, 1)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300, -1e300, 0.0, 1.0000000180025095e-35, -0.1, 3.5e38])
def test_the_same_float32_numbers_lie_below_a_threshold(value: float) -> None:
    found = at_most(value)
    assert isinstance(found, np.float32)
    assert float(found) <= value
    with np.errstate(over="ignore"):
        assert float(np.nextafter(found, np.float32(np.inf))) > value


def test_state_takes_its_size_from_what_is_loaded() -> None:
    grown, blank = forest(among({0, 2}, 1.0, 2.0), stump(0.5, 3.0, 4.0)), Forest(1, 1)
    blank.load_state_dict(grown.state_dict())
    x = column(0.0, 1.0, 2.0)
    assert torch.equal(blank(x), grown(x))
    assert torch.equal(blank.double()(x.double()).float(), grown(x))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left_N", [0, 1, 2]),  # the root is its own child on one side only
        ("left_N", [9, 1, 2]),
        ("left_N", [-1, 1, 2]),
        ("right_N", [2, 0, 2]),  # a circle
        ("feature_N", [1, 0, 0]),
        ("feature_N", [-1, 0, 0]),
        ("set_N", [0, -1, -1]),
        ("root_T", [3]),
        ("value_N", [0.0, float("nan"), 1.0]),
        ("value_N", [0.0, 1.0]),
    ],
)
def test_what_is_no_forest_is_refused(name: str, value: list[float]) -> None:
    state = forest(stump(0, 1, 2)).state_dict()
    state[name] = torch.tensor(value, dtype=state[name].dtype)
    with pytest.raises(ValueError, match="trees"):
        Forest(1, 1).load_state_dict(state)


def test_rows_do_not_see_each_other_and_export_keeps_the_answers() -> None:
    rng = np.random.default_rng(1)
    grown = forest(*(stump(float(t), 1.0, 2.0, feature=i % 3) for i, t in enumerate(rng.random(9))), width=3).eval()
    x = torch.from_numpy(rng.random((7, 3)).astype(np.float32))
    assert torch.equal(grown(x[:2]), grown(x)[:2])
    exported = torch.export.export(grown, (x,), dynamic_shapes=({0: torch.export.Dim("rows")},)).module()
    more = torch.from_numpy(rng.random((11, 3)).astype(np.float32))
    assert torch.equal(exported(more), grown(more))
