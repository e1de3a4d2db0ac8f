"""Pooling and joining encodings."""

import pytest
import torch

from trueweight.nn.concat import Concat
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.pooling import Pool, pooled


def test_only_real_tokens_count():
    tokens = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [0.0], [0.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert pooled(Encoding(tokens, mask)).tolist() == [[2.0], [0.0]]
    assert pooled(Encoding(tokens[:, :0])).tolist() == [[0.0], [0.0]]


def test_each_way_of_pooling_is_what_it_says():
    """Row by row, without padding; what stands at padding would win every one of them."""
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 4, 2, generator=rng)
    mask = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    z = Encoding(tokens.masked_fill(~mask.unsqueeze(2), 1e6), mask, (4,))
    ways = {kind: Pool(kind, Form(2, grid_rank=1)) for kind in ("mean", "max", "last", "attention")}
    score = ways["attention"].score
    for row, length in ((0, 4), (1, 2)):
        real = tokens[row, :length]
        share = torch.softmax(real @ score.weight[0] + score.bias, 0)
        expected = {"mean": real.mean(0), "max": real.amax(0), "last": real[-1], "attention": share @ real}
        for kind, pool in ways.items():
            torch.testing.assert_close(pool(z).tokens_BLD[row, 0], expected[kind], msg=kind)
    assert all(not pool(z).tokens_BLD[2].any() for pool in ways.values())
    whole = Encoding(tokens, grid=(4,))
    assert torch.equal(Pool("flatten", Form(2, grid_rank=1, size=(4,)))(whole).tokens_BLD, tokens.reshape(3, 1, 8))
    with pytest.raises(ValueError, match="needs rows of one length"):
        Pool("flatten", Form(2, grid_rank=1))


def test_one_encoding_passes_through_whole():
    z = Encoding(torch.randn(2, 6, 4), grid=(2, 3))
    fusion = Concat({"photo": Form(4, grid_rank=2)})
    assert fusion({"photo": z}, 2) is z
    assert fusion.form.grid_rank == 2


def test_members_of_one_are_repeated_for_members_of_many():
    many, one = torch.randn(4, 1, 3), torch.randn(2, 5, 2)
    fusion = Concat({"a": Form(3, members=2), "b": Form(2)})
    z = fusion({"a": Encoding(many, members=2), "b": Encoding(one)}, 2)
    assert (z.tokens_BLD.shape, z.members, fusion.form) == ((4, 1, 5), 2, Form(5, members=2))
    torch.testing.assert_close(z.tokens_BLD[3, 0], torch.cat([many[3, 0], one[1].mean(0)]))


def test_members_that_differ_are_refused():
    with pytest.raises(ValueError, match="a 2, b 3"):
        Concat({"a": Form(3, members=2), "b": Form(2, members=3)})


def test_nothing_to_read_gives_a_zero_token():
    z = Concat({})({}, 3)
    assert z.tokens_BLD.shape == (3, 1, 1)
    assert not z.tokens_BLD.any()
