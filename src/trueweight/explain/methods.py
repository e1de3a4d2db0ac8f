"""The methods by name: each a function from what is asked to explanations that have been checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from trueweight.evaluate.explanation import FEWEST_COLUMNS, FEWEST_ROWS, proof_of
from trueweight.evaluate.importance import PERMUTATIONS, importance_of, measured_by, shuffle
from trueweight.evaluate.mosaic import Again
from trueweight.explain.asked import Asked, Output
from trueweight.explain.cascade import sees_weights
from trueweight.explain.counterfactual import counterfactuals
from trueweight.explain.cuts import Cut, cell_cut, column_cut
from trueweight.explain.dependence import curves
from trueweight.explain.gradients import LARGEST_GAP, Traced, integrated_gradients, leaves_of
from trueweight.explain.nudge import nudged
from trueweight.explain.occlusion import Occluded, erased, occluded, occlusion
from trueweight.explain.proofs import faithful, judged, stays
from trueweight.explain.prototypes import prototypes
from trueweight.explain.record import Attribution, Change, Curve, Explanation, Proof, Weight
from trueweight.explain.shapley import Shares, shapley
from trueweight.explain.usual import SENSES, grid_of, rewritten
from trueweight.metrics.metric import known_rows
from trueweight.metrics.prediction import ClassPrediction
from trueweight.model.protocols import Predictor
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["METHODS", "Method"]

Method = Callable[[Asked], list[Explanation]]

PAIRS = 32
MOST_CURVES, ROWS_OF_CURVES = 8, 100
ROWS_OF_SENSES = 12
"""Rows that are explained and checked within pictures, sounds, texts and series."""


def _nothing(method: str, asked: Asked, reason: str, column: str = "") -> Explanation:
    return Explanation(method, asked.target, column=column, status="not_applicable", reason=reason)


def _importance(asked: Asked) -> list[Explanation]:
    if asked.truth is None:
        return [_nothing("importance", asked, f"the source has no column {asked.target!r} to judge by")]
    if len(asked.columns) < 2:
        return [_nothing("importance", asked, "the model reads one column: there are none to compare")]
    if len(known_rows(asked.truth)) < FEWEST_ROWS:
        return [_nothing("importance", asked, f"it takes {FEWEST_ROWS} rows with known answers")]
    shuffled = shuffle(asked.predictor, asked.table, asked.seed)
    metric = measured_by(shuffled.whole[asked.target], asked.metrics)
    found = importance_of(shuffled, asked.target, asked.truth, metric)
    if not np.isfinite(found.score):
        return [_nothing("importance", asked, f"{metric.name} is not defined on these rows")]
    items = tuple(Weight(name, drop.value, drop.interval, metric.name) for name, drop in found.columns.items())
    parameters = {"metric": metric.name, "rows": found.n, "permutations": PERMUTATIONS, "score": found.score}
    ruin = proof_of(asked.predictor, asked.table, shuffled, asked.target, asked.truth, metric)
    if ruin is None:
        few = f"it takes {FEWEST_COLUMNS} columns and {2 * FEWEST_ROWS} rows"
        proof = Proof("deletion", "not_applicable", reason=few)
    else:
        ends = None if ruin.interval is None else (ruin.interval.low, ruin.interval.high)
        words = "faster than random orders" if ruin.holds else "no faster than random orders"
        status = "passed" if ruin.holds else "failed"
        proof = Proof("deletion", status, ruin.value, ends, ruin.n, f"the score falls {words} on other rows")  # type: ignore[arg-type]
    return [judged(Explanation("importance", asked.target, items, parameters=parameters), [proof])]


def _shapley(asked: Asked) -> list[Explanation]:
    if len(asked.columns) < 2:
        return [_nothing("shapley", asked, "the model reads one column: there is nothing to share out")]
    asked = _fewer(asked)
    shares = shapley(asked, pairs=PAIRS)
    cuts = [column_cut(asked, int(row)) for row in asked.rows]
    values = [share.value_P for share in shares]
    again = partial(_shapley_values, asked)
    proofs = [
        *faithful(values, partial(erased, asked, cuts), _signs(asked, shares), asked.seed),
        sees_weights(values, again, asked),
        stays(values, again(None, stream_seed(asked.seed, "again")), "other orders of columns"),
    ]
    items = tuple(
        Attribution(
            int(row), output.name, share.answer, share.baseline, cut.parts, tuple(share.value_P.tolist()),
            tuple(share.error_P.tolist()), gap=0.0,
        )
        for row, output, share, cut, shown in zip(asked.rows, asked.outputs, shares, cuts, asked.shown, strict=True)
        if shown
    )  # fmt: skip
    parameters = {"pairs": PAIRS, "background_rows": len(asked.background)}
    return [judged(Explanation("shapley", asked.target, items, parameters=parameters), proofs)]


def _shapley_values(asked: Asked, predictor: Predictor | None, seed: int | None = None) -> list[np.ndarray]:
    return [share.value_P for share in shapley(asked, pairs=PAIRS, predictor=predictor, seed=seed)]


def _signs(asked: Asked, found: Sequence[Shares | Traced | Occluded]) -> list[float]:
    """Which way the answer of each row points; of numbers, above or below the baseline."""
    return [
        output.sign or float(np.sign(one.answer - one.baseline))
        for output, one in zip(asked.outputs, found, strict=True)
    ]


def _fewer(asked: Asked, column: str | None = None) -> Asked:
    """Files, texts and series take long: fewer rows of them."""
    names = asked.columns if column is None else [column]
    slow = any(asked.signature.columns[name].type in SENSES for name in names)
    return asked.with_rows(max(ROWS_OF_SENSES, int(asked.shown.sum()))) if slow else asked


def _dependence(asked: Asked) -> list[Explanation]:
    order = np.argsort(row_hashes(stream_seed(asked.seed, "curves"), np.arange(len(asked.table))), kind="stable")
    rows = np.sort(np.setdiff1d(order[:ROWS_OF_CURVES], asked.background if len(asked.background) == 1 else []))
    output = max(set(asked.outputs), key=lambda one: (asked.outputs.count(one), one.name))
    found = curves(asked, output, rows)
    if not found or len(rows) < 2:
        reason = "the model reads no column of numbers, dates or levels" if not found else "it takes two rows"
        return [_nothing("dependence", asked, reason)]
    names = [curve.column for curve in found]
    shapes = partial(_shapes, asked, output, names)
    proofs = [
        sees_weights(
            [np.concatenate(shapes(None, rows))], lambda p: [np.concatenate(shapes(p, rows))], asked, curves=len(names)
        ),
        stays(shapes(None, rows[::2]), shapes(None, rows[1::2]), "other rows"),
    ]
    parameters = {"rows": len(rows), "output": output.name}
    return [judged(Explanation("dependence", asked.target, tuple(found[:MOST_CURVES]), parameters=parameters), proofs)]


def _shapes(
    asked: Asked, output: Output, names: Sequence[str], predictor: Predictor | None, rows: np.ndarray
) -> list[np.ndarray]:
    """Curves about their own mean, in the order of ``names``."""
    found: dict[str, Curve] = {curve.column: curve for curve in curves(asked, output, rows, predictor)}
    return [np.asarray(found[name].mean) - np.mean(found[name].mean) for name in names]


def _occlusion(asked: Asked) -> list[Explanation]:
    columns = [name for name in asked.columns if asked.signature.columns[name].type in SENSES]
    if not columns:
        return [_nothing("occlusion", asked, "the model reads no picture, sound, text or series")]
    return [_occluded(_fewer(asked, name), name) for name in columns]


def _occluded(asked: Asked, column: str) -> Explanation:
    asked, cuts = _with_cuts(asked, column)
    if not cuts:
        return _nothing("occlusion", asked, "no row has a cell of two parts or more", column)
    ways = occluded(cuts)
    found = occlusion(asked, cuts, ways=ways)
    values = [one.value_P for one in found]
    other = nudged(asked, column)
    proofs = [
        *faithful(values, partial(erased, asked, cuts), _signs(asked, found), asked.seed),
        sees_weights(values, partial(_occluded_values, asked, cuts, ways), asked),
        stays(values, None if other is None else _nudged_values(other, column), "a little noise"),
    ]
    items = tuple(
        Attribution(int(row), output.name, one.answer, one.baseline, cut.parts, tuple(one.value_P.tolist()))
        for row, output, one, cut, shown in zip(asked.rows, asked.outputs, found, cuts, asked.shown, strict=True)
        if shown
    )
    return judged(Explanation("occlusion", asked.target, items, column), proofs)


def _with_cuts(asked: Asked, column: str) -> tuple[Asked, list[Cut]]:
    """The rows whose cell has parts."""
    found = [cell_cut(asked, int(row), column) for row in asked.rows]
    kept = [i for i, cut in enumerate(found) if cut is not None]
    cuts: list[Cut] = [cut for cut in found if cut is not None]
    some = replace(asked, rows=asked.rows[kept], shown=asked.shown[kept], outputs=tuple(asked.outputs[i] for i in kept))
    return some, cuts


def _occluded_values(asked: Asked, cuts: Sequence[Cut], ways: Again, predictor: Predictor) -> list[np.ndarray]:
    return [one.value_P for one in occlusion(asked, cuts, predictor, ways)]


def _nudged_values(asked: Asked, column: str) -> list[np.ndarray] | None:
    some, cuts = _with_cuts(asked, column)
    return [one.value_P for one in occlusion(some, cuts)] if len(cuts) == len(asked.rows) else None


def _gradients(asked: Asked) -> list[Explanation]:
    leaves = leaves_of(asked.predictor, asked.target)
    if isinstance(leaves, str):
        return [_nothing("gradients", asked, leaves)]
    asked = _fewer(asked)
    found = integrated_gradients(asked, leaves)
    complete = _complete(found)
    parameters = {"steps": max(one.steps for one in found), "largest_gap": max(one.gap for one in found)}
    if leaves.above:
        parameters["before"] = list(leaves.above)  # type: ignore[assignment]
    blank = Explanation("gradients", asked.target, parameters=parameters)
    if complete.status == "failed":
        return [judged(blank, [complete])]
    values = [one.value_Q for one in found]
    other = nudged(asked)
    proofs = [
        complete,
        *faithful(values, partial(_traced_without, found), _signs(asked, found), asked.seed),
        sees_weights(values, partial(_traced_values, asked), asked),
        stays(values, None if other is None else _traced_values(other, other.predictor), "a little noise"),
    ]
    items = tuple(
        Attribution(
            int(row), output.name, one.answer, one.baseline, one.parts, tuple(one.value_Q.tolist()), gap=one.gap
        )
        for row, output, one, shown in zip(asked.rows, asked.outputs, found, asked.shown, strict=True)
        if shown
    )
    return [judged(replace(blank, items=items), proofs)]


def _complete(found: Sequence[Traced]) -> Proof:
    largest, wrong = max(one.gap for one in found), sum(one.gap > LARGEST_GAP for one in found)
    if not wrong:
        return Proof("completeness", "passed", largest, None, len(found), f"values miss at most {largest:.2%}")
    reason = (
        f"values miss the answer by up to {largest:.1%} in {wrong} of {len(found)} rows, {LARGEST_GAP:.0%} is allowed"
    )
    return Proof("completeness", "failed", largest, None, len(found), reason)


def _traced_without(found: Sequence[Traced], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    pairs = zip(found, masks, strict=True)
    return [one.at((~gone).astype(np.float64)) if len(gone) else np.zeros(0) for one, gone in pairs]


def _traced_values(asked: Asked, predictor: Predictor) -> list[np.ndarray]:
    leaves = leaves_of(predictor, asked.target)
    assert not isinstance(leaves, str)  # the same predictor, or with other weights
    return [one.value_Q for one in integrated_gradients(asked, leaves)]


def _counterfactual(asked: Asked) -> list[Explanation]:
    answer = asked.predictor.predict(asked.table.head(1))[asked.target]
    if not isinstance(answer, ClassPrediction):
        return [_nothing("counterfactual", asked, "only answers that are classes can turn")]
    if not any(grid_of(asked.signature.columns[name]) for name in asked.columns if name not in asked.keep):
        return [_nothing("counterfactual", asked, "there is no column of numbers, dates or levels to change")]
    found = counterfactuals(asked.with_rows(int(asked.shown.sum())))
    parameters = {"kept_columns": sorted(asked.keep), "found": sum(one.after is not None for one in found)}
    proof = _turns(asked, found)
    return [judged(Explanation("counterfactual", asked.target, tuple(found), parameters=parameters), [proof])]


def _turns(asked: Asked, found: Sequence[Change]) -> Proof:
    """Whether a change as it is written down turns the answer, asked row by row."""
    turned = [one for one in found if one.after is not None]
    wrong = 0
    for one in turned:
        answer = asked.predictor.predict(rewritten(asked.table, one.row, one.cells))[asked.target]
        assert isinstance(answer, ClassPrediction)
        wrong += answer.classes[int(answer.answer_N()[0])] != one.after
    if not turned:
        return Proof("turns", "not_applicable", reason="no change was found")
    reason = f"{wrong} of {len(turned)} changes do not turn the answer as written down"
    if wrong:
        return Proof("turns", "failed", float(len(turned) - wrong), None, len(turned), reason)
    words = "each change was asked for again, as written down"
    return Proof("turns", "passed", float(len(turned)), None, len(turned), words)


def _prototypes(asked: Asked) -> list[Explanation]:
    if asked.kept is None or not len(asked.kept):
        return [_nothing("prototypes", asked, "the bundle keeps no rows of people (bundle.golden_rows)")]
    found = prototypes(asked.with_rows(int(asked.shown.sum())))
    return [Explanation("prototypes", asked.target, tuple(found), parameters={"kept_rows": len(asked.kept)})]


METHODS: Mapping[str, Method] = {
    "importance": _importance,
    "shapley": _shapley,
    "occlusion": _occlusion,
    "gradients": _gradients,
    "dependence": _dependence,
    "counterfactual": _counterfactual,
    "prototypes": _prototypes,
}
"""In the order in which they are told."""
