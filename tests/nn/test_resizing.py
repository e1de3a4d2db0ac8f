"""Smaller pictures at the beginning of a run."""

from typing import Any

import pytest
import torch

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.nn.resizing import Resized, reads_any_size, sized_steps, smaller_size, tell
from trueweight.registry import registry


@pytest.mark.parametrize(
    ("grid", "share", "size"),
    [((128, 128), 0.7, (88, 88)), ((96, 160), 0.5, (48, 80)), ((5, 6), 0.5, (4, 4)), ((3, 8), 0.1, (3, 4))],
)
def test_sides_are_multiples_of_four(grid: tuple[int, int], share: float, size: tuple[int, int]) -> None:
    assert smaller_size(grid, share) == size


def test_pictures_are_small_until_their_time_has_come() -> None:
    network = torch.nn.Sequential(Resized((16, 24), 0.5, 0.75))
    x = {"pixel": torch.full((2, 16, 24, 3), 77, dtype=torch.uint8), "flag": torch.zeros(2, 1)}
    assert network(x)["pixel"] is x["pixel"]  # outside a run
    assert sized_steps(network) == 0.75
    for progress, size in ((0.0, (8, 12)), (0.74, (8, 12)), (0.75, (16, 24)), (1.0, (16, 24))):
        tell(network, progress)
        y = network(x)
        assert tuple(y["pixel"].shape) == (2, *size, 3)
        assert y["pixel"].dtype == torch.uint8
        assert (y["pixel"] == 77).all()
        assert y["flag"] is x["flag"]


def test_what_is_smaller_shows_the_same() -> None:
    module = Resized((16, 16), 0.5, 0.5)
    module.progress = 0.0
    ramp = (torch.arange(16) * 15).to(torch.uint8).view(1, 1, 16, 1).expand(1, 16, 16, 1)
    found = module({"pixel": ramp})["pixel"][0, 4, :, 0].float()
    means = ramp[0, 0, :, 0].float().view(8, 2).mean(1)
    torch.testing.assert_close(found[1:-1], means[1:-1], atol=1.0, rtol=0.0)


@pytest.mark.parametrize(
    ("encoder", "able"),
    [
        ({"type": "cnn"}, True), ({"type": "cnn", "pooling": "max"}, True),
        ({"type": "cnn", "pooling": "flatten"}, False),
        ({"type": "resnet", "layers": 10, "width": 4}, True), ({"type": "lstm", "hidden_size": 3}, False),
        ({"type": "transformer", "width": 16, "layers": 1}, False),
    ],
)  # fmt: skip
def test_encoders_that_know_one_size_alone_are_found(encoder: dict[str, Any], able: bool) -> None:
    layout = Layout({"pixel": 3}, senses={"pixel": Sense(grid=(32, 32), mean=(0.5,) * 3, std=(0.2,) * 3)})
    module = registry("encoder")[encoder["type"]].model_validate(encoder).build(layout).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert reads_any_size(module, (32, 32), 3, 0, 0.5) == able
    assert module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
