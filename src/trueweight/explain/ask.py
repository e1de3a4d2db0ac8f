"""From a table and a wish to checked explanations."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from trueweight.data.digest import digest_rows
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError, TrueweightError, fault_of
from trueweight.explain.asked import Asked, Output, outputs_of
from trueweight.explain.methods import METHODS
from trueweight.explain.record import Explanation, Explanations
from trueweight.explain.usual import canonical, with_usual
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import Predictor
from trueweight.progress import advance
from trueweight.seeds import row_hashes, stream_seed
from trueweight.spec.run import RunSpec
from trueweight.train.selection import run_truths

__all__ = ["Wish", "explain_table"]

_LOG = logging.getLogger("trueweight.explain")

CHECKED_ROWS, BACKGROUND_ROWS, FEWEST_LENDERS = 20, 16, 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to know."""

    rows: int = 5
    """How many rows to explain, the first of the source."""
    row: int | None = None
    """Explain this one alone."""
    methods: Sequence[str] = ()
    """Names; () for all."""
    target: str | None = None
    """None for all."""
    keep: Sequence[str] = ()
    """Columns that counterfactuals must not change."""


def explain_table(
    predictor: Predictor, table: Table, spec: RunSpec, wish: Wish, *, name: str = "", kept: Table | None = None
) -> Explanations:
    """Explain some rows of a table, and check the explanations on these and some others of it.

    Args:
        predictor: What answers.
        table: Rows; with the target, importance can be told too.
        spec: Resolved: seed, metrics.
        wish: What is asked.
        name: Of the bundle.
        kept: Rows that the bundle may keep.

    Raises:
        SpecError: An unknown method, target or column.
        DataError: No such row.
    """
    methods, targets = _known(wish, predictor.signature)
    if wish.row is not None and not 0 <= wish.row < len(table):
        hint = f"rows count from 0: give 0 to {len(table) - 1}" if len(table) else "the source is empty"
        raise DataError(f"there is no row {wish.row} among {len(table):,}", where=table.label, hint=hint)
    if not len(table):
        raise DataError("there are no rows to explain", where=table.label)
    digest = digest_rows(table)
    truths = run_truths(predictor.signature, table, None, None)
    asked = _asked(predictor, table, spec, wish, kept)
    entries: list[Explanation] = []
    jobs = [(method, target) for target in targets for method in methods]
    for number, (method, target) in enumerate(jobs):
        advance("explaining", number, len(jobs), unit="methods")
        entries += _of_target(asked, method, target, truths.get(target), spec)
    return Explanations(tuple(entries), name, digest, spec.seed)


def _known(wish: Wish, signature: Signature) -> tuple[list[str], list[str]]:
    methods = list(dict.fromkeys(wish.methods)) or list(METHODS)
    targets = [facts.name for facts in signature.targets()]
    features = [facts.name for facts in signature.features()]
    for given, there, what in (
        (methods, list(METHODS), "method"), ([wish.target] if wish.target else [], targets, "target"),
        (wish.keep, features, "column"),
    ):  # fmt: skip
        unknown = next((one for one in given if one not in there), None)
        if unknown is not None:
            raise SpecError(f"there is no {what} {unknown!r}", hint=f"choose from {', '.join(there[:20])}")
    return [name for name in METHODS if name in methods], [wish.target] if wish.target else targets


def _asked(predictor: Predictor, table: Table, spec: RunSpec, wish: Wish, kept: Table | None) -> Asked:
    """The question without its target."""
    count = len(table)
    first = np.arange(min(wish.rows, count)) if wish.row is None else np.array([wish.row])
    others = np.setdiff1d(np.arange(count), first)
    order = np.argsort(row_hashes(stream_seed(spec.seed, "lenders"), others), kind="stable")
    others = others[order]
    checked = others[: max(0, CHECKED_ROWS - len(first))]
    lenders = others[len(checked) :][:BACKGROUND_ROWS]
    lenders = lenders if len(lenders) >= FEWEST_LENDERS else others[:BACKGROUND_ROWS]
    plain = canonical(table, predictor.signature)
    if len(lenders) < FEWEST_LENDERS:
        plain, lenders = with_usual(plain, predictor.signature), np.array([count])
    rows = np.concatenate([first, checked])
    nothing = (Output(0, "", 0.0),) * len(rows)
    return Asked(
        predictor, "", plain, rows, np.arange(len(rows)) < len(first), nothing, np.sort(lenders), spec.seed,
        keep=frozenset(wish.keep), kept=kept,
    )  # fmt: skip


def _of_target(asked: Asked, method: str, target: str, truth: Truth | None, spec: RunSpec) -> list[Explanation]:
    start = perf_counter()
    outputs = outputs_of(asked.predictor.predict(asked.table.take(asked.rows))[target])
    if isinstance(outputs, str) and method != "importance":
        return [Explanation(method, target, status="not_applicable", reason=outputs)]
    if truth is not None and len(truth) < len(asked.table):
        truth = None  # a usual row was added: there are too few to judge by
    metrics = tuple((spec.evaluate.metrics or {}).get(target, ()))
    one = replace(
        asked, target=target, truth=truth, metrics=metrics,
        outputs=asked.outputs if isinstance(outputs, str) else outputs,
    )  # fmt: skip
    try:
        found = METHODS[method](one)
    except TrueweightError as error:
        reason = error.problem if error.__cause__ is None else fault_of(error)  # a foreign text may hold a cell
        found = [Explanation(method, target, status="failed", reason=reason)]
    except Exception as error:  # one method's fault must not lose what the others say
        _LOG.warning("%s of %s ended with %r", method, target, error, exc_info=_LOG.isEnabledFor(logging.DEBUG))
        found = [Explanation(method, target, status="failed", reason=f"a fault of ours: {fault_of(error)}")]
    seconds = round(perf_counter() - start, 3)
    return [replace(each, seconds=seconds / len(found)) for each in found]
