"""Rows of different lengths: at most one step in twenty is padding, in the batches that a network really gets."""

from typing import Any

import numpy as np
import pytest
import torch

from trueweight.data.feed import padding_share
from trueweight.data.table import Table
from trueweight.model.augmentations.word_dropout import WordDropoutAugmentation
from trueweight.spec.load import parse_spec
from trueweight.train.build import untrained
from trueweight.train.encoded import encode
from trueweight.train.loop import batches_from
from trueweight.train.plan import MemberPlan
from trueweight.train.prepare import prepare
from trueweight.train.probe import little_padded

WORDS = [f"{a}{b}" for a in "bcdfg" for b in ("at", "el", "ion", "or", "um")]


@pytest.mark.parametrize("spread", [0.3, 0.6, 0.8])
@pytest.mark.parametrize(("rows", "size"), [(150, 32), (600, 32), (6000, 128), (30_000, 256)])
def test_lengths_as_people_write_and_speak(rows: int, size: int, spread: float):
    """Log-normal lengths, cut where 97 % end, as texts are by default."""
    length_N = np.random.default_rng(rows).lognormal(4, spread, rows) + 1
    lengths = torch.from_numpy(np.minimum(length_N, np.quantile(length_N, 0.97)).astype(np.int64))
    while size > 4 and padding_share(lengths, size) > 0.05:
        size //= 2
    assert padding_share(lengths, size) <= 0.05
    assert size >= (4 if rows < 200 else 8 if rows < 1000 else 128)


def texts(rows: int) -> Table:
    """Of few distinct words in most rows, so that n-grams and tokens differ in number."""
    rng = np.random.default_rng(0)
    cells = []
    for length in rng.lognormal(2.5, 0.7, rows).astype(int) + 1:
        some = rng.choice(WORDS, rng.integers(1, 20))
        cells.append(" ".join(rng.choice(some, length)))
    return Table.of({"text": cells, "y": rng.normal(size=rows)})


def feed_of(encoder: Any, **column: Any) -> Any:
    raw = {
        "version": 1, "name": "texts", "targets": {"y": "number"},
        "features": {"text": {"type": "text", "encoder": encoder, **column}},
        "model": {"members": [{"name": "net", "encoder": "mlp", "fusion": "concat", "fitter": "gradient"}]},
    }  # fmt: skip
    ready = prepare(texts(1500), parse_spec(raw))
    encoded = encode(ready, keep=False)
    leaf = untrained(ready, encoded.fields, ready.spec.model.members[0])
    feed = encoded.feed(ready.split.train)
    return leaf, feed, leaf.reading(feed)


@pytest.mark.parametrize(
    ("encoder", "arrays"),
    [
        ("bag", {"bag", "weight"}),
        ("transformer", {"token"}),
        ("lstm", {"token"}),
        (["cnn", "lstm"], {"token"}),
    ],
)
def test_a_network_gets_what_it_reads(encoder: Any, arrays: set[str]):
    leaf, _, feed = feed_of(encoder)
    (stored,) = feed.inputs.values()
    assert set(stored) - {"flag"} == arrays
    (answer,) = leaf.predict_feed(feed).values()
    assert np.isfinite(answer.value_N).all()


def test_an_augmentation_keeps_what_it_reads():
    leaf, feed, _ = feed_of("bag", augment=["word_dropout"])
    (name,) = feed.inputs
    assert {"bag", "weight", "token"} <= set(leaf.reading(feed, {name: [WordDropoutAugmentation()]}).inputs[name])


def test_batches_hold_tokens_of_about_one_length():
    """Lengths of n-grams, which the network does not read, must not decide which rows meet."""
    _, whole, feed = feed_of("transformer")
    size = little_padded(feed, 64)
    plan = MemberPlan(name="net", steps=1, batch_size=size, epochs=1, validate_every=1, checkpoint_every=1)
    filled = real = 0
    for _, batch in zip(range(len(feed) // size), batches_from(feed, plan, 0), strict=False):
        (arrays,) = batch.inputs.values()
        filled += arrays["token"].shape[0] * arrays["token"].shape[1]
        real += int(arrays["token.length"].sum())
    assert 1 - real / filled <= 0.05
    assert padding_share(feed.lengths(), size) <= 0.05
    assert not torch.equal(whole.lengths(), feed.lengths())
