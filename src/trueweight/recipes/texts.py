"""The recipe for texts: means of word vectors, beside the solved linear model of n-grams.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from trueweight.recipes.recipe import SenseRecipe

__all__ = ["TEXT"]

TEXT = SenseRecipe(
    encoder=[{"type": "bag"}],
    # On zh-reviews and clothing-reviews, validation losses of the bag were lowest after one to three passes over 10,000
    # to 15,000 rows; beside the linear model they are worth 0.3 points of accuracy, and more passes only took time.
    rows_seen=30_000,
    climbs=True,
    further={"best": [{"type": "transformer", "width": 64, "layers": 2}]},
    options={"best": {"tokens": True}},
)
