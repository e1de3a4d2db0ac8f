"""Published layouts, weight for weight: built without memory, on torch's meta device."""

import pytest
import torch
from torch import nn

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.model.heads.category import CategoryHead
from trueweight.registry import registry

PICTURE = Layout({"pixel": 3}, senses={"pixel": Sense(grid=(224, 224), mean=(0.5,) * 3, std=(0.2,) * 3)})


def words(count: int) -> Layout:
    return Layout({"token": 1}, senses={"token": Sense(ragged=True, vocabulary=count, length=512)})


def built(read: Layout, **options: object) -> nn.Module:
    with torch.device("meta"):
        return registry("encoder")[options["type"]].model_validate(options).build(read)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def head(encoder: nn.Module, classes: int) -> nn.Module:
    names = [f"c{i}" for i in range(classes)]
    with torch.device("meta"):
        return CategoryHead().build(encoder.form, {"classes": names, "counts": [1] * classes})


def test_bert_base() -> None:
    """109,482,240, as published with its pooler and without its language-model heads.

    Of BERT's 30,522 word pieces one is [CLS], which here is a vector of its own: 30,521 are left. Its two segment
    vectors, for a second text, are the fusion's here: one text has none.
    """
    segments = 2 * 768
    assert count(built(words(30_521), type="transformer", layout="bert_base")) + segments == 109_482_240


def test_gpt2_small() -> None:
    """124,439,808: 50,257 tokens and 1,024 places; the language-model head shares the tokens' table."""
    assert count(built(words(50_257), type="transformer", layout="gpt2_small")) == 124_439_808


def test_vit_base_16() -> None:
    """86,567,656, with the class token and a head of 1,000 classes, for pictures of 224 pixels."""
    encoder = built(PICTURE, type="transformer", layout="vit_base_16")
    assert encoder.form.width == 768
    assert count(encoder) + count(head(encoder, 1000)) == 86_567_656


@pytest.mark.parametrize(
    ("layers", "published"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_resnets(layers: int, published: int) -> None:
    """With a head of 1,000 classes; weights and biases of batch norms count, their running means do not."""
    encoder = built(PICTURE, type="resnet", layers=layers, pooling="mean")
    assert count(encoder) + count(head(encoder, 1000)) == published


@pytest.mark.parametrize(("layers", "published"), [(18, 11_708_744), (50, 25_576_264)])
def test_resnets_of_variant_d(layers: int, published: int) -> None:
    """The plain ones plus 19,232: 27 * 32 + 9 * 32 * 32 + 9 * 32 * 64 weights of the stem for 147 * 64, and two norms
    between them. Averages have no weights."""
    encoder = built(PICTURE, type="resnet", layers=layers, variant="d", pooling="mean")
    assert count(encoder) + count(head(encoder, 1000)) == published
