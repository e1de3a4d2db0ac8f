"""Initialisers by name: spread as their papers say, and zeros."""

import math

import pytest
import torch
from torch import nn

from trueweight.nn.initializers import INITIALIZERS, initialize

FAN = 400


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("kaiming_uniform", math.sqrt(2 / FAN)),
        ("kaiming_normal", math.sqrt(2 / FAN)),
        ("xavier_uniform", math.sqrt(2 / (2 * FAN))),
        ("xavier_normal", math.sqrt(2 / (2 * FAN))),
        ("orthogonal", math.sqrt(1 / FAN)),
        ("zeros", 0.0),
    ],
)
def test_weights_have_the_spread_of_the_paper(name: str, deviation: float):
    torch.manual_seed(0)
    layer = nn.Linear(FAN, FAN)
    initialize(nn.Sequential(layer), name)
    # 160,000 draws: the sample's deviation is within 1 % of the true one.
    assert float(layer.weight.detach().std()) == pytest.approx(deviation, rel=0.01)
    assert not layer.bias.any()


def test_every_name_of_the_spec_is_there():
    from trueweight.model.encoders.mlp import MlpEncoder

    choices = MlpEncoder.model_json_schema()["properties"]["initializer"]["enum"]
    assert set(choices) == set(INITIALIZERS)
