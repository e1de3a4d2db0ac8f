"""What is not zero of an encoding, against the whole of it."""

import pytest
import torch

from trueweight.data.batch import Batch
from trueweight.model.network import Network
from trueweight.nn.answers import AnyOfMany, OneOfMany, OneOfTwo, Values
from trueweight.nn.concat import Concat
from trueweight.nn.decoding import GREEDY
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.entries import Entries
from trueweight.nn.members import MemberLinear
from trueweight.nn.rows import Columns, Rows
from trueweight.nn.summaries import WeightedBag
from trueweight.nn.tabular import Featurizer

ROWS, WORDS = 300, 5000


@pytest.fixture
def bag() -> dict[str, torch.Tensor]:
    """Rows of up to 30 words in ascending order, the first word in every second row; some rows hold none."""
    rng = torch.Generator().manual_seed(0)
    length = torch.randint(0, 30, (ROWS,), generator=rng)
    code = torch.stack([torch.randperm(WORDS, generator=rng)[:30].sort().values for _ in range(ROWS)])
    code[::2, 0] = 0
    real = torch.arange(30) < length.unsqueeze(1)
    weight = torch.rand(ROWS, 30, generator=rng) + 0.1
    flag = (length == 0).float().unsqueeze(1)
    return {"bag": (code * real).unsqueeze(2).int(), "weight": (weight * real).unsqueeze(2), "flag": flag}


@pytest.fixture
def featurizer() -> Featurizer:
    return Featurizer(0, 1, [], [WeightedBag(WORDS, 0.5)])


def test_a_featurizer_tells_what_it_encodes(bag, featurizer):
    assert featurizer.form.sparse
    found, whole = featurizer.entries(bag), featurizer(bag).tokens_BLD[:, 0]
    torch.testing.assert_close(found.dense(), whole, rtol=0, atol=0)
    assert (found.value_N != 0).all()


def test_without_texts_nothing_is_sparse():
    assert not Featurizer(3, 1, [4]).form.sparse


def test_fields_side_by_side(bag, featurizer):
    other = Encoding(torch.randn(ROWS, 1, 3))
    fusion = Concat({"a": Form(3), "b": featurizer.form})
    assert fusion.form.sparse
    found = fusion.entries({"a": other, "b": featurizer.entries(bag)}).dense()
    torch.testing.assert_close(found, fusion({"a": other, "b": featurizer(bag)}, ROWS).tokens_BLD[:, 0], rtol=0, atol=0)


def test_some_rows(bag, featurizer):
    found = featurizer.entries(bag)
    chosen = torch.arange(ROWS) % 3 == 1
    torch.testing.assert_close(found.take(chosen).dense(), found.dense()[chosen], rtol=0, atol=0)


@pytest.mark.parametrize("words", [WORDS, 70_000], ids=["one pass", "two passes"])
def test_rows_of_entries_multiply_like_rows_of_the_matrix(words):
    """70,000 columns have numbers of more than 16 bits, which are sorted in two passes."""
    rng = torch.Generator().manual_seed(1)
    x_RP = torch.zeros(200, words).scatter_(1, torch.randint(0, words, (200, 40), generator=rng), 1.5)
    x_RP[:, 17] = torch.randn(200, generator=rng)  # stored densely
    few = Columns.of(Entries.of(x_RP))
    assert few.dense_D.tolist() == Columns.of(x_RP).dense_D.tolist() == [17]
    mine, theirs = Rows.of(Entries.of(x_RP), few), Rows.of(x_RP, few)
    weight_PO, error_RO = torch.randn(words, 2, dtype=torch.float64), torch.randn(200, 2, dtype=torch.float64)
    torch.testing.assert_close(mine.times(weight_PO), theirs.times(weight_PO), rtol=0, atol=0)
    torch.testing.assert_close(mine.transposed_times(error_RO), theirs.transposed_times(error_RO), rtol=0, atol=0)
    # Sums of up to 200 products in float32.
    torch.testing.assert_close(mine.transposed_times(error_RO), x_RP.double().t() @ error_RO, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("outputs", [1, 3, 40])
def test_a_linear_layer_gives_the_same_for_entries(bag, featurizer, outputs):
    """Sums of up to 31 products in float32, in another order."""
    torch.manual_seed(0)
    linear = MemberLinear(1, WORDS + 1, outputs)
    torch.nn.init.normal_(linear.bias_KO)
    whole = linear(featurizer(bag).tokens_BLD[:, 0])
    torch.testing.assert_close(linear.of_entries(featurizer.entries(bag)), whole, rtol=1e-5, atol=1e-6)
    nobody = {name: t[:0] for name, t in bag.items()}
    assert linear.of_entries(featurizer.entries(nobody)).shape == (0, 1, outputs)


def _heads(form: Form) -> dict[str, torch.nn.Module]:
    options = {"gamma": 0.0, "label_smoothing": 0.0, "reader": lambda *_: None}
    return {
        "value": Values(form, 2, loss="mse", huber_delta=1.0, reader=lambda *_: None),
        "two": OneOfTwo(form, [1.0, 1.0], prior=0.3, **options),
        "many": OneOfMany(form, [1.0] * 3, prior_C=[0.2, 0.3, 0.5], **options),
        "any": AnyOfMany(form, prior_C=[0.2, 0.3], **options),
    }


def test_a_head_of_classes_may_begin_small():
    options = {"prior_C": [0.5, 0.5], "gamma": 0.0, "label_smoothing": 0.0, "reader": lambda *_: None}
    torch.manual_seed(0)
    usual = OneOfMany(Form(400), [1.0] * 2, **options).linear
    torch.manual_seed(0)
    small = OneOfMany(Form(400), [1.0] * 2, **options, small=True).linear
    assert usual.weight_KDO.std().item() == pytest.approx(400**-0.5 / 3**0.5, rel=0.05)
    assert small.weight_KDO.std().item() == pytest.approx(1 / 400, rel=0.05)
    torch.testing.assert_close(small.weight_KDO, usual.weight_KDO * (3 / 400) ** 0.5)
    assert torch.equal(small.bias_KO, usual.bias_KO)


def test_a_network_answers_the_same_from_entries(bag, featurizer):
    torch.manual_seed(0)
    fusion = Concat({"text": featurizer.form})
    network = Network({"text": featurizer}, fusion, _heads(fusion.form)).eval()
    batch = Batch(torch.arange(ROWS), {"text": bag}, {})
    assert network.sparse
    with torch.inference_mode():
        whole, told = (network.answer(batch, GREEDY, {}, sparsely=sparsely) for sparsely in (False, True))
        without = network.answer(Batch(batch.rows[:5], {"text": {k: t[:5] for k, t in bag.items()}}, {}), GREEDY, {},
                                 sparsely=True)  # fmt: skip
    for name, out in whole.items():
        for key, t in out.items():
            torch.testing.assert_close(told[name][key], t, rtol=1e-5, atol=1e-6)
            # Each row is summed by itself: whoever stands beside it changes nothing.
            torch.testing.assert_close(without[name][key], told[name][key][:5], rtol=0, atol=0)
