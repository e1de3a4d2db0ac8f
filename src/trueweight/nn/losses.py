"""Losses by name, one number per row and member, and how rows are averaged.

Shape suffixes in this file:
    R  rows    K  members    C  classes or labels    D  width of a target vector
"""

import torch
from torch import Tensor, nn

__all__ = [
    "binary_loss", "binary_mean", "category_loss", "category_mean", "mean_over_rows", "regression_loss",
    "regression_mean",
]  # fmt: skip


def mean_over_rows(loss_RK: Tensor, present_R: Tensor | None, weight_R: Tensor | None) -> Tensor:
    """The weighted mean over present rows and all members: a scalar, 0 when no row is present.

    Args:
        loss_RK: Finite also where absent.
        present_R: bool; None for all.
        weight_R: >= 0; None for 1 each.
    """
    if weight_R is None and present_R is None and loss_RK.shape[0]:
        return loss_RK.mean()
    weight_R = loss_RK.new_ones(loss_RK.shape[0]) if weight_R is None else weight_R.to(loss_RK.dtype)
    share_R = weight_R if present_R is None else weight_R * present_R.to(loss_RK.dtype)
    return (loss_RK.mean(1) * share_R).sum() / share_R.sum().clamp_min(1e-12)


def regression_loss(z_RKD: Tensor, y_RD: Tensor, loss: str, huber_delta: float) -> Tensor:
    """Squared, absolute or Huber error of standardised values, averaged over D: (R, K).

    Huber 1964: ``e^2 / 2`` up to ``huber_delta``, then ``delta * (|e| - delta / 2)``.

    Args:
        z_RKD: Predicted.
        y_RD: True.
        loss: "mse", "mae" or "huber".
        huber_delta: In standard deviations of the target.
    """
    return _regression(z_RKD, y_RD.unsqueeze(1).expand_as(z_RKD), loss, huber_delta, "none").mean(2)


def regression_mean(z: Tensor, y: Tensor, loss: str, huber_delta: float) -> Tensor:
    """The mean of :func:`regression_loss` over all rows and members, at once: a scalar. Both of one shape."""
    return _regression(z, y, loss, huber_delta, "mean")


def _regression(z: Tensor, y: Tensor, loss: str, huber_delta: float, reduction: str) -> Tensor:
    if loss == "mse":
        return nn.functional.mse_loss(z, y, reduction=reduction)
    if loss == "mae":
        return nn.functional.l1_loss(z, y, reduction=reduction)
    return nn.functional.huber_loss(z, y, reduction=reduction, delta=huber_delta)


def binary_loss(z_RKC: Tensor, hot_RC: Tensor, *, gamma: float, label_smoothing: float) -> Tensor:
    """Cross entropy of independent yes-no answers, (R, K, C).

    ``gamma`` > 0 gives focal loss, ``(1 - p_true)^gamma`` times cross entropy: Lin et al. 2017, arXiv:1708.02002,
    equation 4.

    Args:
        z_RKC: Logits.
        hot_RC: 0 or 1.
        gamma: 0 is plain cross entropy.
        label_smoothing: s in ``y * (1 - s) + s / 2``: Szegedy et al. 2015, arXiv:1512.00567, section 7.
    """
    y_RKC = hot_RC.unsqueeze(1).expand_as(z_RKC).to(z_RKC.dtype)
    smooth_RKC = y_RKC * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else y_RKC
    loss_RKC = nn.functional.binary_cross_entropy_with_logits(z_RKC, smooth_RKC, reduction="none")
    if gamma:
        doubt_RKC = torch.sigmoid(torch.where(y_RKC > 0.5, -z_RKC, z_RKC))
        loss_RKC = loss_RKC * doubt_RKC**gamma
    return loss_RKC


def binary_mean(z_RC: Tensor, hot_RC: Tensor, *, label_smoothing: float) -> Tensor:
    """The mean of :func:`binary_loss` over all rows and labels where there is one member and no focus, by one kernel: a
    scalar."""
    y_RC = hot_RC.to(z_RC.dtype)
    smooth_RC = y_RC * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else y_RC
    return nn.functional.binary_cross_entropy_with_logits(z_RC, smooth_RC)


def category_loss(z_RKC: Tensor, index_R: Tensor, *, gamma: float, label_smoothing: float) -> Tensor:
    """Cross entropy of one class among C, (R, K); focal with ``gamma`` > 0 as in :func:`binary_loss`.

    Args:
        z_RKC: Logits.
        index_R: Class numbers.
        gamma: 0 is plain cross entropy.
        label_smoothing: s: the true class gets ``1 - s + s / C``, the others ``s / C``.
    """
    log_RKC = torch.log_softmax(z_RKC, dim=2)
    if z_RKC.shape[1] == 1:  # one kernel instead of four
        loss_RK = nn.functional.nll_loss(log_RKC.flatten(0, 1), index_R, reduction="none").unsqueeze(1)
    else:
        loss_RK = -log_RKC.gather(2, index_R[:, None, None].expand(-1, z_RKC.shape[1], 1)).squeeze(2)
    picked_RK = -loss_RK if gamma else None
    if label_smoothing:
        loss_RK = (1 - label_smoothing) * loss_RK - label_smoothing * log_RKC.mean(2)
    if picked_RK is not None:
        loss_RK = loss_RK * (1 - picked_RK.exp()) ** gamma
    return loss_RK


def category_mean(z_RC: Tensor, index_R: Tensor, *, label_smoothing: float) -> Tensor:
    """The mean of :func:`category_loss` over all rows where there is one member and no focus, by one kernel and its
    gradient: a scalar."""
    return nn.functional.cross_entropy(z_RC, index_R, label_smoothing=label_smoothing)
