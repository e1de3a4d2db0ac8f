"""Other frameworks on the same rows. Run in a virtual environment of their own.

    python benchmarks/rivals.py RIVAL VARIANT KIND TRAIN TEST SEED

Reads two files, trains, and prints a line of JSON after the first optimiser step and after each epoch: seconds since
the process began (those of scoring the test rows taken off) and the share of test rows answered rightly. The process's
own start and the reading of the files count.

``default``: networks, optimisers, batch sizes and epochs are those of the page that the docstring names; only what
reads the data and the number of classes is ours. ``expert``: what a good engineer would make of it in five minutes,
with the same framework. ``hand``: a plain loop in PyTorch, as fast as we can make it.
"""

import os
import sys

import rivals_default
import rivals_expert
import rivals_hand

RIVALS = {
    "default": rivals_default.RIVALS,
    "expert": rivals_expert.RIVALS,
    "hand": rivals_hand.RIVALS,
}
"""By variant: what is run for a framework and a kind of data. These modules load nothing but NumPy by themselves."""

FRAMEWORKS = {"keras-jax": "keras", "keras-torch": "keras"}
"""Rivals that are one framework."""


def main() -> None:
    """Train one rival."""
    rival, variant, kind, train, test, seed = sys.argv[1:]
    if rival.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = rival.removeprefix("keras-")
    if found := RIVALS[variant].get((FRAMEWORKS.get(rival, rival), kind)):
        found(train, test, int(seed))
    else:
        sys.exit(f"{rival} ({variant}) has no example for {kind} here")


if __name__ == "__main__":
    main()
