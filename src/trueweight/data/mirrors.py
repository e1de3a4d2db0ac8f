"""Whether pictures of a class differ from their mirror images: digits, letters, arrows and signs do, photos do not.

Each picture becomes the distance of its pixels from its own median colour, of length 1, so that neither colours nor
whether the ground is dark or bright matter (nor does a mere slope of brightness). The mean of each class has a part
that a mirror leaves and a part that it turns round; told is the share that the second has in what lies between the
classes' means. Both are estimated without the bias that few pictures bring (by pairs of different pictures only), and
the second is held against what is left of it when each picture is mirrored by the toss of a coin: noise alone.

That what may be changed in training pictures is what leaves their distribution as it is: Chen, Dobriban and Lee 2020,
"A group-theoretic framework for data augmentation", JMLR 21. Tests by random signs go back to Fisher 1935, "The design
of experiments", section 21. The statistic is ours.

Shares over eight draws of 1,024 (one where there are no more), 300 and 100 pictures, and how many of the eight differ
by both limits, which were chosen on these: cifar10 0.00 to 0.01, 0.05 and 1.00 (none of 24: of few pictures chance is
told); emoji 0.02 to 0.03, 0.05 and 0.07 (none); cut-out photos and drawings of 312 stamps 0.00 to 0.01 (none);
scikit-learn's digits in random colours 0.31 to 0.40 (all 24); generated in random colours, sizes and places: arrows
0.22 to 0.37 (all 24), digits 0.39, 0.32 to 0.50 and 0.10 to 0.63 (8, 7, 0), letters 0.25, 0.14 to 0.31 and up to 0.48
(8, 5, 0). Looked at only afterwards: 5,000 digits of MNIST in random colours, 0.24 to 0.29 (all 24).

Shape suffixes:
    N  pictures    H  height    W  width    C  classes    P  pixels    T  tosses
"""

from dataclasses import replace
from typing import Any

import numpy as np

from trueweight.data.cells import LevelCells, MediaCells
from trueweight.data.levels import level_numbers
from trueweight.data.picture_facts import pictures_of
from trueweight.data.reading import cells_of
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.seeds import stream

__all__ = ["DIFFERS", "learn_mirrors", "mirror_share"]

DIFFERS = 0.1
"""Share of what lies between classes from which a mirror is said to change what pictures show."""

CHANCE = 0.01
"""And what chance alone would bring as rarely as this."""

LEAST = 40
"""Pictures below which nothing is told."""

_TOSSES = 99
_PICTURES = 1024
_SIDE = 32


def learn_mirrors(signature: Signature, table: Table, train: np.ndarray, *, min_group: int) -> Signature:
    """The same Signature; columns of coloured pictures also know "mirror", if there is a target of classes: "share",
    "chance", "pictures", "target" (the one for which they differ most) and "differs".

    Args:
        signature: With everything else learnt.
        table: All rows.
        train: Case numbers of training rows.
        min_group: Pictures that hide each other.
    """
    targets = [facts for facts in signature.targets() if facts.type in ("binary", "category")]
    columns = dict(signature.columns)
    for facts in signature.features():
        if facts.type == "image" and facts.learnt["channels"] == 3 and facts.learnt["looked_at"] and targets:
            told = _learn(facts, targets, signature, table, train, max(LEAST, min_group))
            columns[facts.name] = replace(facts, learnt={**facts.learnt, **told})
    return replace(signature, columns=columns)


def _learn(
    facts: ColumnFacts, targets: list[ColumnFacts], signature: Signature, table: Table, train: np.ndarray, least: int
) -> dict[str, Any]:
    cells = cells_of(table, facts, signature.options)
    assert isinstance(cells, MediaCells)
    rows_N = BottomK.of(train[~cells.missing_N[train]], k=_PICTURES).rows
    high, wide = facts.learnt["size"]
    shrunk = min(1.0, _SIDE / max(high, wide))
    kept, pixel_NHWC = pictures_of(cells, rows_N, (max(1, round(high * shrunk)), max(1, round(wide * shrunk))))
    if len(kept) < least:
        return {}
    found = []
    for target in targets:
        answers = cells_of(table, target, signature.options)
        assert isinstance(answers, LevelCells)
        class_N = np.append(level_numbers(answers.levels, target.learnt["classes"]), -1)[answers.code_N[kept]]
        share, chance = mirror_share(pixel_NHWC, class_N)
        found.append({"target": target.name, "share": share, "chance": chance, "pictures": int((class_N >= 0).sum()),
                      "differs": share >= DIFFERS and chance <= CHANCE})  # fmt: skip
    return {"mirror": max(found, key=lambda one: (one["differs"], one["share"]))}


def mirror_share(pixel_NHWC: np.ndarray, class_N: np.ndarray) -> tuple[float, float]:
    """How much of what lies between classes a mirror turns round: (share from 0 to 1, chance of as much by noise).

    Args:
        pixel_NHWC: Of any scale.
        class_N: Which class each is of, -1 for none. Classes of one picture are left out.
    """
    code_N, count_C = np.unique(class_N, return_inverse=True, return_counts=True)[1:]
    used_N = (class_N >= 0) & (count_C[code_N] > 1)
    code_N = np.unique(code_N[used_N], return_inverse=True)[1]
    if len(code_N) == 0 or code_N.max() < 1:
        return 0.0, 1.0
    shown_NHW = _shown(pixel_NHWC[used_N].astype(np.float64))
    turned_NHW = shown_NHW[:, :, ::-1]
    stays_NP = ((shown_NHW + turned_NHW) / 2).reshape(len(code_N), -1)
    half = shown_NHW.shape[2] // 2  # the other half is the same with its sign turned
    turns_NP = ((shown_NHW - turned_NHW)[:, :, :half] / np.sqrt(2)).reshape(len(code_N), -1)
    stays, turns = (float(_between(some, code_N, np.ones((1, len(code_N))))[0]) for some in (stays_NP, turns_NP))
    sign_TN = stream(0, "mirrors").choice([-1.0, 1.0], (_TOSSES, len(code_N)))
    noise_T = _between(turns_NP, code_N, sign_TN)
    chance = (1 + int((noise_T >= turns).sum())) / (_TOSSES + 1)
    whole = max(stays, 0.0) + max(turns, 0.0)
    return float(f"{max(turns, 0.0) / whole:.4g}") if whole > 0 else 0.0, chance


def _shown(pixel_NHWC: np.ndarray) -> np.ndarray:
    ground = np.median(pixel_NHWC, axis=(1, 2), keepdims=True)
    far_NHW = np.sqrt(np.square(pixel_NHWC - ground).sum(3))
    length_N11 = np.sqrt(np.square(far_NHW).sum((1, 2), keepdims=True))
    return np.asarray(far_NHW / np.where(length_N11 > 0, length_N11, 1.0))


def _between(value_NP: np.ndarray, code_N: np.ndarray, sign_TN: np.ndarray) -> np.ndarray:
    """(T,) mean squared distance of the classes' means from their mean, with each picture times its sign, unbiased:
    products of a picture with itself are left out."""
    count_C = np.bincount(code_N)
    share_C = count_C / len(code_N)
    itself_C = np.bincount(code_N, np.square(value_NP).sum(1))
    hot_NC = np.eye(len(count_C))[code_N]
    found_T = np.empty(len(sign_TN))
    for toss, sign_N in enumerate(sign_TN):
        sum_CP = (hot_NC * sign_N[:, None]).T @ value_NP
        square_C = (np.square(sum_CP).sum(1) - itself_C) / (count_C * (count_C - 1))
        mean_CP = sum_CP / count_C[:, None]
        middle_P = share_C @ mean_CP
        own_C = np.square(mean_CP).sum(1)  # biased, and taken out of the middle's square again
        middle = middle_P @ middle_P + share_C**2 @ (square_C - own_C)
        found_T[toss] = share_C @ square_C - middle
    return found_T
