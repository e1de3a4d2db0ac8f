"""Near-duplicates across the split: judged rows that the model has all but seen, and the scores without them."""

from collections.abc import Sequence

import numpy as np

from trueweight.data.cells import MediaCells, TextCells
from trueweight.data.reading import cells_of
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.findings import flag, share, unlooked
from trueweight.evaluate.judging import Judging, Training
from trueweight.evaluate.near_rows import Near, Pair, near_pictures, near_sounds, near_texts
from trueweight.evaluate.near_values import near_in_values
from trueweight.evaluate.quality import Ask, quality
from trueweight.evidence.record import Entry
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["duplicates", "other_rows"]

JUDGED = 2000
"""Most judged rows that are looked at."""

VALUES = 5_000_000
"""Most cells of plain columns of the training rows that are looked at."""

MATTERS = 0.01
"""Share of rows with a near twin from which scores are given without them too: fewer hardly move a score."""

ROWS = 200_000
SENSED = 10_000
"""Most training rows that are looked at: of plain columns, of texts and pictures."""


def duplicates(judging: Judging) -> list[Entry]:
    """The share of rows with a near twin that trained or selected, whether that is more than chance, and the scores
    without them."""
    ask, training = judging.ask, judging.training
    if training is None:
        why = "these rows came later: the training rows to hold them against are not here"
        return [unlooked("near_duplicates_flag", why, ask)]
    chosen = _in_order_of_hash(np.arange(len(judging.table)), JUDGED)
    others = other_rows(training, ask.role)
    if not len(chosen) or not len(others):
        return [unlooked("near_duplicates_flag", "there are no rows to hold against each other", ask)]
    found = _looked(judging, training, chosen, others)
    twin_N = np.logical_or.reduce([near.twin_N for near in found])
    known = {"ways": {near.what: dict(near.known) for near in found}, "exact_twins": _exact(training)}
    rows = share("near_duplicates", int(twin_N.sum()), len(chosen), ask, known)
    copied = [near for near in found if near.copied]
    reason = _reason(copied, len(chosen), ask) if copied else None
    raised = flag("near_duplicates_flag", reason, ask, n=len(chosen), depends_on=[rows.id])
    return [rows, raised, *(_without(judging, chosen[twin_N]) if twin_N.mean() >= MATTERS else [])]


def other_rows(training: Training, role: str) -> np.ndarray:
    """Cases that trained, selected or calibrated, and are not judged; nor others of the judged role, of which there may
    be only a sample."""
    split = training.ready.split
    seen = np.concatenate([split.train, split.validation, split.calibration])
    return np.setdiff1d(seen, split.validation if role == "validation" else training.rows)


def _in_order_of_hash(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many, so that any first ones of them are a fair sample."""
    kept = BottomK.of(rows, k=most).rows
    return kept[np.argsort(row_hashes(stream_seed(0, "bottom-k"), kept), kind="stable")]


def _looked(judging: Judging, training: Training, chosen: np.ndarray, others: np.ndarray) -> list[Near]:
    """Every way that the columns allow. Of a text that is learnt from itself alone, what it is learnt from."""
    known = judging.predictor.signature
    features, answers = known.features() or known.targets(), known.targets() if known.features() else []
    most = min(ROWS, VALUES // max(1, len(features)))
    fewer, many = _in_order_of_hash(others, SENSED), _in_order_of_hash(others, most)
    plain, targets = ([_pair(judging, training, facts, chosen, many) for facts in some] for some in (features, answers))
    found = near_in_values(plain, [pair for pair in targets if pair.name in judging.table.names])
    for facts in features:
        if facts.type not in ("text", "image", "audio"):
            continue
        pair = _pair(judging, training, facts, chosen, fewer)
        if isinstance(pair.judged, TextCells) and isinstance(pair.training, TextCells):
            found += [near for near in [near_texts(pair)] if near is not None]
        elif isinstance(pair.judged, MediaCells) and isinstance(pair.training, MediaCells):
            look = near_pictures if facts.type == "image" else near_sounds
            found += [near for near in [look(pair)] if near is not None]
    return found


def _pair(judging: Judging, training: Training, facts: ColumnFacts, chosen: np.ndarray, others: np.ndarray) -> Pair:
    options = judging.predictor.signature.options
    judged, seen = (cells_of(table, facts, options) for table in (judging.table, training.ready.table))
    return Pair(facts.name, judged, chosen, seen, others)


def _exact(training: Training) -> int:
    return int(np.isin(training.rows, training.ready.twins).sum())


def _reason(copied: Sequence[Near], rows: int, ask: Ask) -> str:
    worst = max(copied, key=lambda near: int(near.twin_N.sum()))
    count = int(worst.twin_N.sum())
    return (
        f"{count} of {rows:,} {ask.role} rows looked at are nearly the same as a row that trained or selected, "
        f"{worst.what}: the model has all but seen them; keep such rows on one side with split.group, or remove the "
        "copies, and see the scores without them"
    )


def _without(judging: Judging, twins: np.ndarray) -> list[Entry]:
    """The scores of all other rows."""
    keep = np.setdiff1d(np.arange(len(judging.table)), twins)
    if not 0 < len(keep) < len(judging.table):
        return []
    answers = {name: answer.take(keep) for name, answer in judging.answers.items()}
    truths = {name: truth.take(keep) for name, truth in judging.truths.items()}
    return quality(answers, truths, judging.ask, prefix="honesty", slice="without near twins")
