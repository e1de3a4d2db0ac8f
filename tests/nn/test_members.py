"""Members inside one network: each must be what it would be alone."""

import torch

from trueweight.nn.encoding import Form
from trueweight.nn.members import MemberLinear, MemberScale


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


def test_form_of_one_member_is_plain():
    assert Form(3).members == 1
