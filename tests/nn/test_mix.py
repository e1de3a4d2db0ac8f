"""Losses of mixed rows against mixing by hand."""

import numpy as np
import torch

from trueweight.nn.losses import category_loss, mean_over_rows
from trueweight.nn.mix import Mix, mixed_by, taken_apart

ROWS, CLASSES = 7, 4
PARTNER = torch.tensor([3, 0, 6, 1, 2, 5, 4])


def test_cross_entropy_is_that_of_the_mixed_label():
    torch.manual_seed(0)
    z_RKC, index_R = torch.randn(ROWS, 1, CLASSES), torch.randint(0, CLASSES, (ROWS,))
    share = 0.3
    label = share * np.eye(CLASSES)[index_R] + (1 - share) * np.eye(CLASSES)[index_R[PARTNER]]
    log = torch.log_softmax(z_RKC.double()[:, 0], 1).numpy()
    expected = -(label * log).sum(1).mean()

    def loss(y, weight_R):
        each_RK = category_loss(z_RKC, y["index"], gamma=0.0, label_smoothing=0.0)
        return mean_over_rows(each_RK, y["present"], weight_R)

    y = {"index": index_R, "present": torch.ones(ROWS, dtype=torch.bool)}
    found = Mix(PARTNER, torch.tensor(share)).loss(loss, y, None)
    np.testing.assert_allclose(float(found), expected, rtol=1e-6)  # sums of seven numbers in float32


def test_partners_bring_their_own_weights_and_gaps():
    torch.manual_seed(0)
    error_RK, weight_R = torch.rand(ROWS, 1), torch.rand(ROWS)
    present_R = torch.tensor([True, True, False, True, True, False, True])

    def loss(y, weight_R):
        return mean_over_rows((error_RK - y["value"]).square(), y["present"], weight_R)

    y = {"value": torch.rand(ROWS, 1), "present": present_R}
    found = Mix(PARTNER, torch.tensor(0.75)).loss(loss, y, weight_R)
    total, mass = 0.0, 0.0
    for row in range(ROWS):
        for share, other in ((0.75, row), (0.25, int(PARTNER[row]))):
            if present_R[other]:
                total += share * float(weight_R[other]) * float(error_RK[row] - y["value"][other]) ** 2
        mass += float(weight_R[row]) * bool(present_R[row])
    np.testing.assert_allclose(float(found), total / mass, rtol=1e-6)


def test_what_was_done_travels_beside_the_arrays():
    x = {"pixel": torch.zeros(ROWS, 2, 2, 1)}
    mix = Mix(PARTNER, torch.tensor(0.5))
    alone, found = taken_apart(mixed_by(mix, x))
    assert set(alone) == {"pixel"}
    assert found is not None
    assert torch.equal(found.partner_R, PARTNER)
    assert taken_apart(x) == (x, None)
