"""The recipe for series: a solved model of random convolutions first where rows are few, then a convolutional network.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from trueweight.recipes.recipe import SenseRecipe

__all__ = ["SERIES"]

SERIES = SenseRecipe(
    # The fully convolutional network of Wang, Yan and Oates 2017, arXiv:1611.06455 (kernels of 8, 5 and 3 steps, global
    # means), half as wide and with kernels of odd length. Alone on GunPoint, seeds 0 and 1: 0.84 and 0.93, where two
    # bidirectional layers of an LSTM had 0.78 and 0.82 in more time.
    encoder=[{"type": "cnn", "channels": [64, 128, 128], "kernel_sizes": [7, 5, 3]}],
    augment=[{"type": "jitter"}, {"type": "scaling"}],
    climbs=True,
)
