"""What every augmentation promises, checked for every one that is installed."""

import inspect
from typing import Any

import pytest
import torch

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.nn.mix import taken_apart
from trueweight.registry import registry
from trueweight.spec.docstrings import descriptions

NAMES = list(registry("augmentation"))
ROWS = 16
HERTZ = (200.0, 500.0, 1000.0, 2000.0)
FRAME = Sense(ragged=True, mean=(0.0,) * 4, std=(1.0,) * 4, length=40, hertz=HERTZ)
STRETCHES = ("speed",)
"""Those that make rows longer or shorter."""
LAYOUTS = {
    "pixel": Layout({"pixel": 3}, senses={"pixel": Sense(grid=(12, 16), mean=(0.5,) * 3, std=(0.25,) * 3)}),
    "frame": Layout({"frame": 4}, senses={"frame": FRAME}),
    "token": Layout({"token": 1}, senses={"token": Sense(ragged=True, vocabulary=50, length=40)}),
}
"""By the array that an augmentation says it reads."""


def batch(name: str) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    if name == "pixel":
        return {"pixel": torch.randint(0, 256, (ROWS, 12, 16, 3), generator=rng, dtype=torch.uint8)}
    length = torch.randint(5, 41, (ROWS,), generator=rng)
    length[0] = 40
    real = (torch.arange(40) < length.unsqueeze(1)).unsqueeze(2)
    if name == "token":
        code = torch.randint(2, 50, (ROWS, 40, 1), generator=rng, dtype=torch.int32)
        return {"token": code * real, "token.length": length}
    return {"frame": torch.randn(ROWS, 40, 4, generator=rng) * real, "frame.length": length}


@pytest.fixture(params=NAMES)
def part(request: pytest.FixtureRequest) -> Any:
    return registry("augmentation")[request.param].model_validate({"type": request.param})


def applied(part: Any, seed: int = 0) -> dict[str, torch.Tensor]:
    module = part.build(LAYOUTS[part.reads]).train()
    torch.manual_seed(seed)
    return dict(module(batch(part.reads)))


def test_shapes_and_types_stay(part):
    before, (after, _) = batch(part.reads), taken_apart(applied(part))
    assert set(before) == set(after)
    for key in before:
        assert before[key].dtype == after[key].dtype, key
        kept = (0, 2) if part.type in STRETCHES else range(3)  # a batch's steps follow its longest row
        assert [before[key].shape[i : i + 1] for i in kept] == [after[key].shape[i : i + 1] for i in kept], key


def test_it_says_whether_it_mixes_rows(part):
    _, mix = taken_apart(applied(part))
    assert part.mixes == (mix is not None)
    if mix is not None:
        assert sorted(mix.partner_R.tolist()) == list(range(ROWS))
        assert mix.share.shape == () and 0 <= float(mix.share) <= 1


def test_it_changes_training_examples(part):
    before = batch(part.reads)
    assert any(not torch.equal(before[part.reads], applied(part, seed)[part.reads]) for seed in range(5))


def test_the_same_seed_does_the_same(part):
    once, again = applied(part, 7), applied(part, 7)
    assert all(torch.equal(once[key], again[key]) for key in once)


def test_the_batch_it_was_given_stays(part):
    x = batch(part.reads)
    torch.manual_seed(0)
    part.build(LAYOUTS[part.reads]).train()(x)
    assert all(torch.equal(x[key], value) for key, value in batch(part.reads).items())


def test_padding_stays_empty(part):
    x = applied(part)
    if (length := x.get(f"{part.reads}.length")) is not None:
        beyond = torch.arange(x[part.reads].shape[1]) >= length.unsqueeze(1)
        assert not x[part.reads][beyond].any()


def test_it_holds_no_weights(part):
    module = part.build(LAYOUTS[part.reads])
    assert not list(module.parameters()) and not module.state_dict()


def test_nobody_is_no_problem(part):
    none = {key: t[:0] for key, t in batch(part.reads).items()}
    assert part.build(LAYOUTS[part.reads]).train()(none)[part.reads].shape[0] == 0


def test_every_field_is_explained_and_its_values_are_valid(part):
    for name in type(part).model_fields:
        assert name in descriptions(type(part)), f"{part.type}.{name} has no docstring"
    for field, values in part.search_space.items():
        for value in values:
            assert getattr(type(part).model_validate({"type": part.type, field: value}), field) == value
    assert "Example:" in inspect.getdoc(type(part))
