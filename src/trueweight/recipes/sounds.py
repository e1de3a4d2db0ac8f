"""The recipe for sounds: a convolutional network over log-mel features.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from trueweight.recipes.recipe import SenseRecipe

__all__ = ["SOUND"]

_ONE_NARROW = {"time_masks": 1, "time_share": 0.1, "frequency_masks": 1, "frequency_share": 0.1}

SOUND = SenseRecipe(
    # In equal time on a CPU, 1-d convolutions learnt the made-up commands of benchmarks/sounds_made.py far better than
    # those over time and frequency: after 8 seconds of one core 0.96 of voices never heard were right, 0.59 with narrow
    # 2-d filters, 0.17 with separable ones, whose steps took three and six times as long. Shifts in time
    # changed accuracy by +0.02, +0.01 and -0.04 on three seeds.
    # Three layers of 128 that look at 5 steps, each halving them: one step then sees a third of a second.
    encoder=[{"type": "cnn", "channels": [128, 128, 128], "kernel_sizes": [5]}],
    # One mask each of at most a tenth, where the part's own are two of 0.15 and 0.2. The network alone, 52 made-up
    # commands by voices never heard, 416 clips to learn from, seeds 0 to 2: accuracy after 60 steps 0.904, 0.673,
    # 0.788, with the part's own masks 0.712, 0.500, 0.558 and without any 0.929, 0.712, 0.865; after 200 steps 0.968,
    # 0.808, 0.949, with 0.949, 0.795, 0.853, without 0.974, 0.827, 0.942; after 600 (seeds 0, 1) 0.994, 0.897, with
    # 0.981, 0.859, without 0.968, 0.788. Words that espeak-ng speaks in 14 voices, seeds 0 and 1: after 60 steps
    # 0.667, 0.814, with 0.404, 0.551, without 0.756, 0.827; after 200 steps 0.872, 0.962, with 0.872, 0.929, without
    # 0.885, 0.949.
    augment=[{"type": "spec_augment", **_ONE_NARROW}],
    # Muon on filters by their cost, AdamW elsewhere, at the rates of pictures. On those commands with two masks each,
    # beside rates of 0.02 and 3e-3 and a momentum of 0.95: accuracy after 60 steps 0.712, 0.500, 0.558 for 0.436,
    # 0.378, 0.385, after 200 steps (5 seconds of one core) 0.949, 0.795, 0.853 for 0.878, 0.641, 0.782, which is more
    # than the lower rates had after 600: 0.929, 0.776, where these had 0.981, 0.859 (seeds 0 and 1). Log loss after
    # 200 steps 0.271, 0.632, 0.527 for 0.769, 1.256, 0.865. In espeak-ng's voices, accuracy after 200 steps 0.872,
    # 0.929 for 0.731, 0.853. Steps of 16 rows, twice as many, gained nothing: with narrow masks 0.641, 0.314 after 120,
    # and 0.917, 0.885 after 400.
    optimizer={"type": "muon", "learning_rate": 0.1, "momentum": 0.8, "other_learning_rate": 0.01},
    # Those of series, where numbers gained nothing by higher ones; not compared here.
    for_numbers={"type": "muon", "learning_rate": 0.02, "other_learning_rate": 3e-3},
)
