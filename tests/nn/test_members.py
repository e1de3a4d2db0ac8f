"""Members inside one network: each must be what it would be alone."""

import pytest
import torch

from trueweight.nn.encoding import Form
from trueweight.nn.members import FEW, WIDE, MemberLinear, MemberScale


def test_scale_repeats_with_the_member_fastest():
    torch.manual_seed(0)
    scale = MemberScale(3, [2, 1])
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = scale(x)
    for row in range(2):
        for member in range(3):
            assert torch.equal(y[row * 3 + member], x[row] * scale.scale_KD[member])


def test_scale_starts_with_one_sign_per_chunk():
    torch.manual_seed(0)
    start = MemberScale(64, [2, 1]).scale_KD
    assert set(start.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(start[:, 0], start[:, 1])
    assert not torch.equal(start[:, 1], start[:, 2])


def test_linear_applies_each_members_own_weights():
    torch.manual_seed(0)
    linear = MemberLinear(3, 4, 2)
    torch.nn.init.normal_(linear.bias_KO)
    x = torch.randn(5 * 3, 4)
    expected = torch.stack([x[i] @ linear.weight_KDO[i % 3] + linear.bias_KO[i % 3] for i in range(15)])
    torch.testing.assert_close(linear(x).flatten(0, 1), expected)


@pytest.mark.parametrize("width", [WIDE - 1, WIDE])
@pytest.mark.parametrize("outputs", [1, 3, FEW + 1])
def test_one_member_is_a_plain_layer_however_wide(width: int, outputs: int):
    torch.manual_seed(0)
    linear = MemberLinear(1, width, outputs)
    torch.nn.init.normal_(linear.bias_KO)
    x = torch.randn(4, width, requires_grad=True)
    answer = linear(x)
    torch.testing.assert_close(answer[:, 0], x @ linear.weight_KDO[0] + linear.bias_KO[0], rtol=1e-5, atol=1e-5)
    answer.sum().backward()
    torch.testing.assert_close(x.grad, linear.weight_KDO[0].sum(1).expand_as(x), rtol=1e-5, atol=1e-5)


def test_form_of_one_member_is_plain():
    assert Form(3).members == 1
