"""The network as a whole: names, seeds, losses, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trueweight.data.batch import Batch
from trueweight.data.pictures import made_up_picture
from trueweight.errors import SpecError
from trueweight.model.augmentations.horizontal_flip import HorizontalFlipAugmentation
from trueweight.nn.decoding import GREEDY
from trueweight.nn.mix import taken_apart
from trueweight.nn.resizing import tell
from trueweight.registry import registry

MLP = {"type": "mlp", "hidden_sizes": [16, 16], "embedding_size": 4}


def part(kind, name):
    return registry(kind)[name].model_validate({"type": name})


def test_names_in_the_state_are_numbers(mixed):
    names = set(mixed.network(MLP).state_dict())
    assert "heads.t0.linear.weight_KDO" in names
    assert not any("fraud" in name or "dotted" in name for name in names)


def test_first_weights_depend_on_the_seed_alone(mixed):
    one = mixed.network(MLP, seed=3).state_dict()
    before = torch.get_rng_state()
    torch.manual_seed(99)
    two = mixed.network(MLP, seed=3).state_dict()
    torch.set_rng_state(before)
    other = mixed.network(MLP, seed=4).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_building_leaves_the_callers_generator_alone(mixed):
    before = torch.get_rng_state()
    mixed.network(MLP)
    assert torch.equal(torch.get_rng_state(), before)


def test_loss_is_the_weighted_sum_of_the_targets(mixed):
    network, batch = mixed.network(MLP).eval(), next(iter(mixed.feed().batches(300)))
    rng = torch.Generator()
    z = network.encode(batch)
    parts = {t: network.head(t).loss(z, batch.targets[t], None, rng) for t in network.targets}
    torch.testing.assert_close(network(batch, rng), sum(parts.values()))
    network.loss_weights["cost"] = 0.25
    torch.testing.assert_close(network(batch, rng), sum(parts.values()) - 0.75 * parts["cost"])


def test_missing_labels_mask_their_own_target_only(mixed):
    network, batch = mixed.network(MLP).eval(), next(iter(mixed.feed().batches(300)))
    absent = {**batch.targets["fraud"], "present": torch.zeros(300, dtype=torch.bool)}
    without = Batch(batch.rows, batch.inputs, {**batch.targets, "fraud": absent})
    rng, z = torch.Generator(), network.encode(batch)
    fraud = network.head("fraud").loss(z, batch.targets["fraud"], None, rng)
    torch.testing.assert_close(network(without, rng), network(batch, rng) - fraud)


def test_losses_leave_half_precision_but_for_heads_with_a_network_of_their_own(mixed, monkeypatch):
    network, batch = mixed.network(MLP), next(iter(mixed.feed().batches(300)))
    seen = {}
    for name in network.targets:
        head = network.head(name)

        def loss(z, y, weight, rng, name=name, plain=head.loss):
            seen[name] = torch.is_autocast_enabled("cpu"), z.tokens_BLD.dtype
            return plain(z, y, weight, rng)

        monkeypatch.setattr(head, "loss", loss)
    own, *others = network.targets
    network.head(own).halves = True
    with torch.autocast("cpu", torch.bfloat16):
        network(batch, torch.Generator()).backward()
    assert seen[own] == (True, torch.bfloat16)
    assert others
    assert all(seen[name] == (False, torch.float32) for name in others)
    network(batch, torch.Generator())
    assert all(told == (False, torch.float32) for told in seen.values())


@pytest.mark.parametrize("members", [1, 3])
def test_training_lowers_the_loss_of_every_target(mixed, members):
    network, batch = mixed.network({**MLP, "members": members}), next(iter(mixed.feed().batches(300)))
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        z = network.encode(batch)
        each = {t: network.head(t).loss(z, batch.targets[t], None, rng) for t in network.targets}
        losses.append({t: loss.item() for t, loss in each.items()})
        optimizer.zero_grad()
        network(batch, rng).backward()
        optimizer.step()
    assert all(losses[-1][t] < losses[0][t] for t in network.targets)


def test_members_made_equal_are_one_plain_network(mixed):
    one, three = mixed.network(MLP).eval(), mixed.network({**MLP, "members": 3}).eval()
    state = {n: t for n, t in one.state_dict().items() if "heads" not in n}
    three.load_state_dict(state, strict=False)
    with torch.no_grad():
        three.encoders["f0"].adapter.scale_KD.fill_(1.0)
        for i, name in enumerate(one.targets):
            mine, theirs = one.head(name).linear, three.heads[f"t{i}"].linear
            theirs.weight_KDO.copy_(mine.weight_KDO.expand_as(theirs.weight_KDO))
            theirs.bias_KO.copy_(mine.bias_KO.expand_as(theirs.bias_KO))
        batch = next(iter(mixed.feed().batches(50)))
        for name, out in one.answer(batch, GREEDY, {}).items():
            for key, tensor in out.items():
                torch.testing.assert_close(three.answer(batch, GREEDY, {})[name][key], tensor)
        torch.testing.assert_close(three(batch, torch.Generator()), one(batch, torch.Generator()))


def test_probabilities_not_logits_are_averaged_over_members(mixed):
    network = mixed.network({**MLP, "members": 4}).eval()
    batch = next(iter(mixed.feed().batches(20)))
    z = network.encode(batch)
    logits = network.head("fraud").linear(z.tokens_BLD[:, 0])
    expected = torch.sigmoid(logits).mean(1)[:, 0]
    torch.testing.assert_close(network.answer(batch, GREEDY, {})["fraud"]["probability"][:, 1], expected)


def test_several_fields_are_joined(make_problem):
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=50), "b": rng.normal(size=50)}
    columns["y"] = columns["a"] - columns["b"]
    problem = make_problem(columns, {"a": "number", "b": "number"}, {"y": "number"}, per_field=True)
    assert problem.network("linear").form.width == 2
    answer = problem.solved().predict(problem.table)["y"]
    np.testing.assert_allclose(answer.value_N, columns["y"], atol=1e-5)


def test_solving_refuses_bodies_with_weights(mixed):
    with pytest.raises(SpecError, match="this fitter needs encoders without weights"):
        mixed.network(MLP, solving=True)


def test_solving_heads_have_nothing_to_train(mixed):
    assert not any(p.requires_grad for p in mixed.network("linear", solving=True).parameters())
    assert any(p.requires_grad for p in mixed.network("linear").parameters())


def test_gradients_of_single_rows_come_by_vmap(mixed):
    """Private training needs them: the batch is a fixed tree of tensors for this."""
    from torch.func import functional_call, grad, vmap
    from torch.utils import _pytree

    network = mixed.network({**MLP, "members": 2, "dropout": 0.0})
    batch = mixed.feed().batch(torch.tensor([1, 2, 3]))
    weights = {name: p.detach() for name, p in network.named_parameters()}
    rng = torch.Generator()

    def loss_of_row(given, row):
        one = _pytree.tree_map(lambda t: t.unsqueeze(0), row)
        return functional_call(network, given, (one, rng))

    together = vmap(grad(loss_of_row), (None, 0))(weights, batch)
    for i in range(3):
        network.zero_grad()
        network(mixed.feed().batch(torch.tensor([1 + i])), rng).backward()
        for name, p in network.named_parameters():
            torch.testing.assert_close(together[name][i], p.grad, rtol=1e-4, atol=1e-6)


def test_the_whole_answer_can_be_exported_for_any_number_of_rows(mixed):
    class Answering(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, rows, inputs):
            return {n: dict(out) for n, out in self.network.answer(Batch(rows, inputs, {}), GREEDY, {}).items()}

    network, feed = mixed.network({**MLP, "members": 2}).eval(), mixed.feed()
    few, many = (feed.batch(torch.arange(n)) for n in (5, 40))
    rows = torch.export.Dim("rows")
    shapes = ({0: rows}, {name: {key: {0: rows} for key in t} for name, t in few.inputs.items()})
    exported = torch.export.export(Answering(network), (few.rows, few.inputs), dynamic_shapes=shapes).module()
    for name, out in network.answer(many, GREEDY, {}).items():
        for key, tensor in out.items():
            torch.testing.assert_close(exported(many.rows, many.inputs)[name][key], tensor)


@pytest.fixture
def pictures(make_problem):
    rng = np.random.default_rng(0)
    cells = [made_up_picture((6, 6), np.array([0.5]), np.array([0.3]), rng) for _ in range(20)]
    columns = {"photo": cells, "y": rng.normal(size=20), "kind": ["a", "b", "c", "b"] * 5}
    return make_problem(columns, {"photo": "image"}, {"y": "number", "kind": "category"})


def augmented(pictures, *kinds: str):
    network = pictures.network({"type": "cnn", "channels": [4], "normalization": "none"})
    network.augment_with({"table": [part("augmentation", kind) for kind in kinds]}, pictures.fields)
    return network


def test_mixed_rows_are_trained_on_and_never_answered(pictures):
    network, batch = augmented(pictures, "shift", "mixup"), pictures.feed().batch(torch.arange(20))
    rng = torch.Generator()
    torch.manual_seed(3)
    found = network.train()(batch, rng)
    torch.manual_seed(3)
    inputs, mix = taken_apart(network.augments["f0"](batch.inputs["table"]))
    z, expected = network.encode(Batch(batch.rows, {"table": inputs}, {})), torch.zeros(())
    for name in ("y", "kind"):
        y = batch.targets[name]
        other = {key: t[mix.partner_R] for key, t in y.items()}
        own, partners = (network.head(name).loss(z, labels, None, rng) for labels in (y, other))
        expected = expected + mix.share * own + (1 - mix.share) * partners
    torch.testing.assert_close(found, expected)
    plain = pictures.network({"type": "cnn", "channels": [4], "normalization": "none"})
    for name, out in plain.answer(batch, GREEDY, {}).items():  # while training as well: augmenting is for losses
        for key, tensor in out.items():
            assert torch.equal(network.answer(batch, GREEDY, {})[name][key], tensor)


@pytest.mark.parametrize("resized", [False, True])
def test_the_loss_is_of_the_side_whose_turn_it_is(pictures, resized):
    made = {"type": "cnn", "channels": [4], "normalization": "none"}
    network, plain = pictures.network(made), pictures.network(made)
    network.augment_with({"table": [HorizontalFlipAugmentation(alternate=True)]}, pictures.fields)
    if resized:  # behind the flips, and not at this moment of the run
        network.resize_with({"table": (0.7, 0.5)}, pictures.fields)
    batch, rng = pictures.feed().batch(torch.arange(20)), torch.Generator()
    turn = torch.randint(0, 9, (20,))
    for grown in (turn, turn + 1):
        pixel = batch.inputs["table"]["pixel"].clone()
        pixel[grown % 2 == 1] = pixel[grown % 2 == 1].flip(2)
        expected = plain.train()(replace(batch, inputs={"table": {**batch.inputs["table"], "pixel": pixel}}), rng)
        assert torch.equal(network.train()(replace(batch, turn_B=grown), rng), expected)


def test_pictures_that_begin_smaller_are_answered_at_full_size(pictures):
    network, batch = augmented(pictures, "shift", "mixup"), pictures.feed().batch(torch.arange(20))
    plain = {name: dict(out) for name, out in network.eval().answer(batch, GREEDY, {}).items()}
    network.resize_with({"table": (0.7, 0.5)}, pictures.fields)
    tell(network, 0.0)
    seen = taken_apart(network.augments["f0"](batch.inputs["table"]))[0]["pixel"]
    assert seen.shape[1:3] == (4, 4)
    assert torch.isfinite(network.train()(batch, torch.Generator()))
    for name, out in network.eval().answer(batch, GREEDY, {}).items():
        assert all(torch.equal(plain[name][key], tensor) for key, tensor in out.items())


def test_an_encoder_of_one_size_alone_is_told_so(pictures):
    network = pictures.network({"type": "lstm", "hidden_size": 3})
    with pytest.raises(SpecError, match="reads pictures of one size alone") as error:
        network.resize_with({"table": (0.7, 0.5)}, pictures.fields)
    assert error.value.where == "features.photo.progressive_resizing"


def test_mixing_is_refused_where_a_loss_compares_rows(pictures):
    network = pictures.network({"type": "cnn", "channels": [4]})
    network.head("kind").row_wise = False
    with pytest.raises(SpecError, match="mixup makes one example of two rows, and the loss of target 'kind' compares"):
        network.augment_with({"table": [part("augmentation", "mixup")]}, pictures.fields)
