"""One-hot and embedded codes against loops."""

import torch

from trueweight.nn.category import CodeEmbedding, OneHot


def test_one_hot_gives_every_code_its_place():
    module = OneHot([2, 0], [3, 4])
    code = torch.tensor([[0, 9, 2], [3, 9, 0], [1, 9, 1]], dtype=torch.int32)
    expected = torch.zeros(3, 7)
    for row, (second, _, first) in enumerate(code.tolist()):
        expected[row, first] = 1
        expected[row, 3 + second] = 1
    assert torch.equal(module(code), expected)


def test_codes_beyond_the_limit_count_as_rare():
    assert OneHot([0], [3])(torch.tensor([[7]])).tolist() == [[0.0, 1.0, 0.0]]


def test_one_hot_follows_the_network_to_float64():
    assert OneHot([0], [3]).double()(torch.tensor([[0]])).dtype == torch.float64


def test_embedding_looks_up_each_columns_own_rows():
    torch.manual_seed(0)
    module = CodeEmbedding([1, 2], [4, 3], 5)
    code = torch.tensor([[9, 3, 2], [9, 0, 0]], dtype=torch.int32)
    expected = torch.stack([torch.cat([module.weight[c[1]], module.weight[4 + c[2]]]) for c in code.tolist()])
    assert torch.equal(module(code), expected)
