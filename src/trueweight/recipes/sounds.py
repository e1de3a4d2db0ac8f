"""The recipe for sounds: a convolutional network over log-mel features.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from trueweight.recipes.recipe import SenseRecipe

__all__ = ["SOUND"]

SOUND = SenseRecipe(
    # Three layers of 128 that look at 5 steps, each halving them: one step then sees a third of a second.
    encoder=[{"type": "cnn", "channels": [128, 128, 128], "kernel_sizes": [5]}],
    augment=[{"type": "spec_augment"}],
)
