"""Losses against formulas written out by hand."""

import math

import numpy as np
import pytest
import torch

from trueweight.nn.losses import binary_loss, binary_mean, category_loss, category_mean, mean_over_rows, regression_loss


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize(("loss", "expected"), [("mse", 2.5), ("mae", 1.5), ("huber", (0.5 * 0.75 + 0.5 * 1.75) / 2)])
def test_regression_losses(loss: str, expected: float):
    # Errors 1 and 2; Huber with delta 0.5 gives 0.5 * (e - 0.25).
    z = torch.tensor([[[1.0, 2.0]]])
    assert regression_loss(z, torch.zeros(1, 2), loss, 0.5).item() == pytest.approx(expected)


def test_binary_cross_entropy_is_minus_log_probability():
    z, y = torch.tensor([[[1.3]], [[-0.4]]]), torch.tensor([[1.0], [0.0]])
    expected = [-math.log(sigmoid(1.3)), -math.log(1 - sigmoid(-0.4))]
    np.testing.assert_allclose(binary_loss(z, y, gamma=0, label_smoothing=0).flatten(), expected, rtol=1e-6)


def test_focal_loss_discounts_what_is_right():
    p = sigmoid(1.3)
    z, y = torch.tensor([[[1.3]]]), torch.tensor([[1.0]])
    right, wrong = (binary_loss(z, label, gamma=2, label_smoothing=0).item() for label in (y, 1 - y))
    assert right == pytest.approx(-((1 - p) ** 2) * math.log(p), rel=1e-5)
    assert wrong == pytest.approx(-(p**2) * math.log(1 - p), rel=1e-5)


def test_label_smoothing_agrees_with_torch():
    torch.manual_seed(0)
    z, y = torch.randn(4, 1, 3), torch.tensor([0, 2, 1, 1])
    ours = category_loss(z, y, gamma=0, label_smoothing=0.1).squeeze(1)
    theirs = torch.nn.functional.cross_entropy(z[:, 0], y, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(ours, theirs)


def test_two_classes_cost_the_same_either_way():
    # softmax over (0, z) is sigmoid(z), so both heads must price a row alike, focal or not.
    z = torch.tensor([[[0.7]], [[-2.0]]])
    y = torch.tensor([1, 1])
    for gamma in (0.0, 2.0):
        two = category_loss(torch.cat([torch.zeros_like(z), z], dim=2), y, gamma=gamma, label_smoothing=0)
        one = binary_loss(z, y[:, None].float(), gamma=gamma, label_smoothing=0).squeeze(2)
        torch.testing.assert_close(one, two)


def test_mean_over_rows_masks_and_weighs():
    loss = torch.tensor([[1.0, 3.0], [10.0, 10.0], [5.0, 5.0]], requires_grad=True)
    present = torch.tensor([True, False, True])
    weight = torch.tensor([3.0, 1.0, 1.0])
    assert mean_over_rows(loss, present, weight).item() == pytest.approx((3 * 2 + 5) / 4)
    nothing = mean_over_rows(loss, torch.zeros(3, dtype=torch.bool), None)
    nothing.backward()
    assert nothing.item() == 0
    assert not loss.grad.any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_means_by_one_kernel_are_the_means(smoothing: float) -> None:
    torch.manual_seed(0)
    z, hot, index = torch.randn(9, 4), torch.randint(0, 2, (9, 4)), torch.randint(0, 4, (9,))
    slow = binary_loss(z.unsqueeze(1), hot, gamma=0.0, label_smoothing=smoothing).mean()
    torch.testing.assert_close(binary_mean(z, hot, label_smoothing=smoothing), slow)
    slow = category_loss(z.unsqueeze(1), index, gamma=0.0, label_smoothing=smoothing).mean()
    torch.testing.assert_close(category_mean(z, index, label_smoothing=smoothing), slow)
