"""The recipe for pictures: a convolutional network, and small changes that leave a picture what it is.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from trueweight.recipes.recipe import Effort, SenseRecipe

__all__ = ["IMAGE"]

IMAGE = SenseRecipe(
    encoder=[{"type": "cnn"}],
    # Two pixels of 32 and mirrored pictures are airbench's (Jordan 2024, arXiv:2404.00498). Grey pictures are not
    # mirrored: they are digits, letters and scans too often, of which the mirror image is something else. Nor are
    # coloured ones whose classes the training rows show to differ from their mirror images (data/mirrors.py).
    augment=[{"type": "shift"}, {"type": "horizontal_flip", "grey": False, "wary": True}],
    efforts={
        # A linear model of pixels tells little; eight passes of the network are airbench's (Jordan 2024).
        "fast": Effort(members=["mlp"], epochs=8),
    },
)
