"""Noise that belongs to rows."""

import torch

from trueweight.nn.noise import row_normal


def test_a_rows_noise_does_not_depend_on_its_batch_mates():
    everyone = row_normal(torch.arange(100), 7, 3)
    assert torch.equal(row_normal(torch.tensor([42, 3]), 7, 3), everyone[[42, 3]])
    assert not torch.equal(row_normal(torch.arange(100), 8, 3), everyone)


def test_it_is_standard_normal():
    draws = row_normal(torch.arange(20_000), 0, 2)
    # Standard error of a mean of 20,000 draws is 0.007.
    assert float(draws.mean().abs()) < 0.03
    assert abs(float(draws.std()) - 1) < 0.03
    assert abs(float(draws.prod(1).mean())) < 0.03
