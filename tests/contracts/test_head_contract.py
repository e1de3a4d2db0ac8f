"""What every head promises, checked for every head we ship or have installed."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from trueweight.data.cells import ReadOptions
from trueweight.data.feed import Feed, stored
from trueweight.data.sample import BottomK
from trueweight.metrics.prediction import blend
from trueweight.nn.decoding import GREEDY, Context
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.mix import Mix
from trueweight.registry import registry

RNG = np.random.default_rng(0)
ROWS, WIDTH = 40, 5
X = RNG.normal(size=(ROWS, WIDTH)).astype(np.float32)
SIGNAL = X @ RNG.normal(size=(WIDTH, 3))

NUMBERS = [None, *map(str, np.abs(SIGNAL[1:, 0]).round(3))]
YES_NO = [None, *("yes" if s > 0 else "no" for s in SIGNAL[1:, 0])]
SETS = [None, *("|".join(t for t, s in zip("pqr", row, strict=True) if s > 0) or "p" for row in SIGNAL[1:])]
RAW: dict[str, list[Any]] = {
    "number": NUMBERS,
    "binary": YES_NO,
    "category": [None, *("abc"[i] for i in SIGNAL[1:].argmax(1))],
    "set": SETS,
    "vector": [None, *(row.tolist() for row in SIGNAL[1:])],
    "masked": [None, *(" ".join("abc"[i] for i in np.argsort(row)) for row in SIGNAL[1:])],
    "text": [None, *(" ".join("abc"[i] for i in np.argsort(row)[: 1 + r % 3]) for r, row in enumerate(SIGNAL[1:]))],
}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "number": [
        {},
        {"loss": "huber", "huber_delta": 0.5, "transform": "log1p", "unit": "EUR"},
        {"loss": "mae"},
        {"quantiles": [0.1, 0.8]},
        {"quantiles": [0.05, 0.95], "transform": "log1p"},
    ],
    "binary": [{}, {"class_weight": "balanced", "loss": "focal", "label_smoothing": 0.1}, {"class_weight": {"yes": 3}}],
    "category": [{}, {"class_weight": "balanced", "loss": "focal", "label_smoothing": 0.1}],
    "set": [{"separator": "|"}, {"separator": "|", "loss": "focal", "label_smoothing": 0.1}],
    "vector": [{}, {"loss": "huber"}],
    "masked": [
        {"encoder": {"type": "transformer", "width": 16, "layers": 1, "dropout": 0.0, "input_norm": False}},
        {"encoder": {"type": "lstm", "hidden_size": 8, "bidirectional": True, "dropout": 0.0}, "share": 0.5},
    ],
    "text": [
        {"decoder": {"type": "transformer", "width": 16, "layers": 1, "dropout": 0.0}},
        {"decoder": {"type": "lstm", "width": 16, "dropout": 0.0}, "tokens": "characters", "label_smoothing": 0.1},
        {"decoder": {"type": "transformer", "width": 16, "layers": 1, "dropout": 0.0}, "beams": 2},
        {"decoder": {"type": "ctc", "dropout": 0.0}, "tokens": "characters"},
        {"decoder": {"type": "ctc", "dropout": 0.0, "ngrams": 2, "length_bonus": 0.1}, "beams": 3},
    ],
}
WRITES = ("masked", "text")
"""Heads that write: several networks cannot write one text, and nothing is solved or grown for them."""
DRAWS = ("masked",)
"""Heads whose loss of a row depends on what is drawn for it, and so on its place in the batch."""
CASES = [
    pytest.param((name, options, members), id=f"{name}-{i}-members{members}")
    for name in registry("head")
    for i, options in enumerate(VARIANTS[name])
    for members in ((1,) if name in WRITES else (1, 3))
]


class Case:
    """One head, what it learnt from 40 rows of which the first has no label, and an encoding of them."""

    def __init__(self, name: str, options: dict[str, Any], members: int) -> None:
        self.part = registry("head")[name].model_validate({"type": name, **options})
        self.cells = self.part.read(pa.chunked_array([pa.array(RAW[name])]), ReadOptions())
        rows = np.arange(ROWS)
        self.learnt = self.part.learn(self.cells, rows, BottomK.of(rows), name="y")
        torch.manual_seed(0)
        self.form = Form(WIDTH, grid_rank=1 if name in WRITES else 0, members=members)
        self.head: Any = self.part.build(self.form, self.learnt)
        # As a batch of all rows has them: ragged ones filled up.
        targets = {"y": stored(self.part.encode(self.cells, self.learnt))}
        self.y = dict(Feed(torch.arange(ROWS), {}, targets).batch(torch.arange(ROWS)).targets["y"])
        tokens = torch.from_numpy(X).unsqueeze(1).repeat_interleave(members, dim=0)
        tokens = tokens.expand(-1, 6, -1) if name in WRITES else tokens  # of one token, attention has nothing to learn
        self.z = Encoding(tokens + 0.1 * torch.randn(tokens.shape), members=members)
        self.rng = torch.Generator().manual_seed(0)

    def loss(self, rows: slice = slice(None), weight: torch.Tensor | None = None) -> torch.Tensor:
        members = self.form.members
        tokens = self.z.tokens_BLD.unflatten(0, (ROWS, members))[rows].flatten(0, 1)
        y = {key: t[rows] for key, t in self.y.items()}
        return self.head.loss(Encoding(tokens, members=members), y, weight, self.rng.manual_seed(0))

    def outputs(self) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return self.head.outputs(self.z, GREEDY, self.head.noise(torch.arange(ROWS), 0))

    def read(self) -> Any:
        return self.head.read(self.outputs(), self.learnt, Context(np.arange(ROWS)))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


@pytest.fixture(params=[c for c in CASES if c.values[0][2] == 1])
def single(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


def test_a_row_of_weight_three_teaches_as_much_as_three_rows(single: Case):
    weight = np.random.default_rng(1).choice([1, 2, 3], ROWS)
    raw = pa.array([cell for cell, w in zip(RAW[single.part.type], weight, strict=True) for _ in range(w)])
    rows, more = np.arange(ROWS), np.arange(weight.sum())
    learnt = single.part.learn(single.cells, rows, BottomK.of(rows), name="y", weight_N=weight / 2)
    repeated = single.part.read(pa.chunked_array([raw]), ReadOptions())
    expected = single.part.constant(single.part.learn(repeated, more, BottomK.of(more), name="y"), 1)
    np.testing.assert_allclose(single.part.constant(learnt, 1).scores(), expected.scores(), rtol=1e-12)
    json.dumps(learnt)


def test_every_head_is_here():
    assert set(registry("head")) == set(RAW) == set(VARIANTS)


def test_what_is_learnt_is_plain_json(single: Case):
    assert json.loads(json.dumps(single.learnt, allow_nan=False)) == single.learnt
    assert single.part.summary(single.learnt)
    assert single.part.metrics(single.learnt)


def test_encoded_targets_mark_absent_rows_and_hold_zeros_there(single: Case):
    assert single.y["present"].dtype == torch.bool
    assert not single.y["present"][0]
    assert single.y["present"][1:].all()
    assert all(len(t) == ROWS and not t[0].any() for t in single.y.values())


def test_truth_knows_the_same_rows(single: Case):
    truth = single.part.truth(single.cells, single.learnt)
    assert len(truth) == len(truth.value) == ROWS
    assert truth.present_N.tolist() == single.y["present"].tolist()


def test_loss_is_a_finite_scalar_that_ignores_absent_rows(case: Case):
    before = case.loss()
    assert before.shape == ()
    assert torch.isfinite(before)
    case.z.tokens_BLD[: case.form.members] = 50.0
    torch.testing.assert_close(case.loss(), before)
    nothing = case.loss(slice(0, 1))
    nothing.backward()
    assert nothing.item() == 0


def test_loss_is_the_weighted_mean_over_rows(case: Case):
    if not case.head.row_wise:
        pytest.skip("an in-batch loss is no mean over rows")
    weight = torch.rand(ROWS, generator=torch.Generator().manual_seed(3))
    alone = [case.loss(weight=one) for one in torch.eye(ROWS)]
    each = torch.stack(alone if case.part.type in DRAWS else [case.loss(slice(r, r + 1)) for r in range(ROWS)])[1:]
    expected = (each * weight[1:]).sum() / weight[1:].sum()
    torch.testing.assert_close(case.loss(weight=weight), expected)
    torch.testing.assert_close(case.loss(), each.mean())


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_present_may_be_left_out_where_all_rows_are_there(case: Case, weighted: bool):
    weight = torch.rand(ROWS, generator=torch.Generator().manual_seed(3)) if weighted else None
    case.y["present"] = torch.ones(ROWS, dtype=torch.bool)
    expected = case.loss(weight=weight)
    del case.y["present"]
    torch.testing.assert_close(case.loss(weight=weight), expected)
    nobody = case.loss(slice(0, 0), None if weight is None else weight[:0])
    assert nobody.item() == 0


def test_the_loss_of_mixed_rows_is_the_mixture_of_the_rows_losses(case: Case):
    """Row by row: each row's loss against its own label and against its partner's."""
    if not case.head.row_wise or case.part.type in DRAWS:
        pytest.skip("mixing is refused for it, or what it draws depends on the batch")
    rng = np.random.default_rng(2)
    partner, share = rng.permutation(ROWS), 0.7
    weight = torch.from_numpy(rng.uniform(0.5, 2.0, ROWS).astype(np.float32))
    mix, rng_of_heads = Mix(torch.from_numpy(partner), torch.tensor(share)), torch.Generator().manual_seed(0)
    found = mix.loss(lambda y, w: case.head.loss(case.z, y, w, rng_of_heads), case.y, weight)

    def single(row: int, label: int) -> float:
        tokens = case.z.tokens_BLD.unflatten(0, (ROWS, case.form.members))[row]
        y = {key: t[label : label + 1] for key, t in case.y.items()}
        return case.head.loss(Encoding(tokens, members=case.form.members), y, None, rng_of_heads).item()

    mass = float((weight * case.y["present"]).sum())
    expected = sum(
        float(weight[other]) * part * single(row, other)
        for row in range(ROWS)
        for part, other in ((share, row), (1 - share, int(partner[row])))
        if case.y["present"][other]
    )
    # Forty float32 losses added up: about 40 * 6e-8, with a wide margin.
    np.testing.assert_allclose(found.item(), expected / mass, rtol=2e-5)


def test_every_parameter_learns(case: Case):
    case.loss().backward()
    # Of a decoder not every row: a shift of all keys changes nothing, and not every token occurs.
    rows = (lambda g: g.any()) if case.part.type in WRITES else (lambda g: g.flatten(1).any(1).all())
    idle = [n for n, p in case.head.named_parameters() if p.grad is None or not rows(p.grad)]
    assert not idle


def test_outputs_have_a_row_for_each_row_and_do_not_see_others(case: Case):
    out, members = case.outputs(), case.form.members
    few = Encoding(case.z.tokens_BLD[: 2 * members], members=members)
    with torch.no_grad():
        two = case.head.outputs(few, GREEDY, case.head.noise(torch.arange(2), 0))
    for key, tensor in out.items():
        assert len(tensor) == ROWS
        assert torch.isfinite(tensor).all()
        torch.testing.assert_close(two[key].to(tensor), tensor[:2], rtol=1e-5, atol=1e-5)


def test_answers_are_predictions_of_one_kind(case: Case):
    answer, constant = case.read(), case.part.constant(case.learnt, ROWS)
    assert type(answer) is type(constant)
    assert len(answer) == len(constant) == ROWS
    assert answer.scores().shape == constant.scores().shape
    assert answer.scores().dtype == np.float64
    assert next(iter(answer.columns("y"))) == "y"
    assert list(answer.columns("y")) == list(constant.columns("y"))
    if case.part.type in WRITES:
        assert blend([answer, constant], [0.4, 0.6]) is constant
        return
    mixed = blend([answer, constant], [0.5, 0.5])
    np.testing.assert_allclose(mixed.scores(), (answer.scores() + constant.scores()) / 2)


def test_state_survives_a_round_trip(case: Case):
    twin = case.part.build(case.form, case.learnt)
    twin.load_state_dict(case.head.state_dict())
    before = case.outputs()
    case.head = twin
    assert all(torch.equal(case.outputs()[key], tensor) for key, tensor in before.items())


def test_can_be_exported(single: Case):
    if single.part.type in WRITES:
        pytest.skip("it writes")

    class Answering(nn.Module):
        def __init__(self, head: Any) -> None:
            super().__init__()
            self.head = head

        def forward(self, z: Encoding) -> dict[str, torch.Tensor]:
            return dict(self.head.outputs(z, GREEDY, {}))

    exported = torch.export.export(Answering(single.head), (single.z,)).module()
    for key, tensor in exported(single.z).items():
        torch.testing.assert_close(tensor, single.outputs()[key])


def test_solving_beats_where_it_began(single: Case):
    if single.part.type in WRITES:
        pytest.skip("it writes")
    head: Any = single.part.build_solving(single.form, single.learnt)
    assert not any(p.requires_grad for p in head.parameters())

    def again():
        for start in range(0, ROWS, 16):
            cut = slice(start, start + 16)
            yield Encoding(single.z.tokens_BLD[cut]), {key: t[cut] for key, t in single.y.items()}, None

    path = list(head.solve(again, again))
    assert len(path) > 3
    assert all(strength >= 0 and np.isfinite(loss) for strength, loss in path)
    before = single.loss()
    single.head = head
    assert single.loss() < before
    # The same module either way: solved weights load into a head to be trained, and back.
    single.part.build(single.form, single.learnt).load_state_dict(head.state_dict())


@pytest.mark.parametrize("name", list(registry("head")))
def test_search_space_and_words(name):
    part = registry("head")[name]
    for field, values in part.search_space.items():
        for value in values:
            assert getattr(part.model_validate({"type": name, field: value}), field) == value
    assert "Example:" in (part.__doc__ or "")


def test_boosted_trees_can_score_for_it(single: Case):
    if single.part.type in WRITES:
        pytest.skip("it writes")
    head = single.part.build_boosted(Form(WIDTH, raw=(0,) * WIDTH), single.learnt)
    goals = head.goals()
    assert sum(goal.scores for goal in goals) == head.forest.scores
    score = torch.randn(ROWS, head.forest.scores, generator=torch.Generator().manual_seed(3))
    place = 0
    for goal in goals:
        loss = goal.loss(score[:, place : place + goal.scores], single.y)
        assert loss.shape == (ROWS,)
        assert torch.isfinite(loss[single.y["present"]]).all()
        place += goal.scores
    with torch.no_grad():
        answer = head.read(head.outputs(single.z, GREEDY, {}), single.learnt, Context(np.arange(ROWS)))
    assert answer.scores().shape == single.read().scores().shape


def test_scores_pass_through_it_as_they_are(single: Case):
    if single.part.type in WRITES:
        pytest.skip("it writes")
    head = single.part.build_boosted(Form(WIDTH, raw=(0,) * WIDTH), single.learnt)
    score = torch.randn(ROWS, head.forest.scores, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        out = head.inner.outputs(Encoding(score.unsqueeze(1)), GREEDY, {})
    if "value" in out:
        expected = score
        found = torch.cat([out["value"], *([out["quantile"]] if "quantile" in out else [])], dim=1)
    elif single.part.type == "category":
        expected, found = torch.softmax(score, dim=1), out["probability"]
    else:
        expected, found = torch.sigmoid(score), out["probability"][:, -score.shape[1] :]
    torch.testing.assert_close(found, expected)
