"""``diff``: is the second of two models better or worse than the first?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueweight.api.recompute import judged_rows
from trueweight.api.request import as_cases
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.bundle.judged import read_judged
from trueweight.data.digest import digest_rows
from trueweight.data.read import read_table
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError
from trueweight.evaluate.diff import Line, aligned_with, changed_flags, first_worse, paired_lines, unpaired_lines
from trueweight.evaluate.judging import answers_of
from trueweight.evaluate.truths import truths_of
from trueweight.evidence.ledger import record_known_look
from trueweight.evidence.record import Data, Evidence
from trueweight.metrics.compare import Difference, paired_all
from trueweight.metrics.registry import metric
from trueweight.seeds import stream_seed

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found of two models."""

    a: str
    b: str
    lines: tuple[Line, ...]
    paired: bool
    """Whether both were asked about the same rows."""
    how: str
    """On which rows, and why not on the same ones."""
    flags: tuple[str, ...]
    """Flags that only one of them raises."""

    @property
    def worse(self) -> list[str]:
        """Targets by whose first number the second is shown to be worse."""
        return first_worse(self.lines)

    @property
    def ok(self) -> bool:
        """The second is not shown to be worse."""
        return not self.worse

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "a": self.a, "b": self.b, "paired": self.paired, "how": self.how, "worse": self.worse,
            "lines": [line.to_json() for line in self.lines], "flags": list(self.flags),
        }  # fmt: skip


def compare(a: Any, b: Any, data: Any, allow: Sequence[str]) -> Comparison:
    """See :func:`trueweight.api.diff`."""
    one, two = _known(a), _known(b)
    _require_shared_targets(one, two)
    flags = tuple(changed_flags(one.evidence, two.evidence))
    unpaired = unpaired_lines(one.evidence, two.evidence)
    how = _same_rows(one.evidence, two.evidence)
    if data is not None:
        first, second = (_bundle(x, allow) for x in (a, b))
        rows = _shared(first, second, data)
        if not isinstance(rows, str):
            table, cluster, where, digest = rows
            record_known_look(first.path.resolve().parent.parent, digest, by=f"{one.name}, {two.name}", purpose="diff")
            lines, apart = _paired(first, second, table, cluster)
            costs = [line for line in unpaired if line.target is None]
            left = [line for line in unpaired if line.target in apart]
            return Comparison(one.name, two.name, (*lines, *left, *costs), True, where, flags)
        how = rows
    return Comparison(one.name, two.name, tuple(unpaired), False, how, flags)


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    evidence: Evidence


def _known(subject: Any) -> _Named:
    if isinstance(subject, Bundle):
        return _Named(subject.name, subject.evidence)
    found = read_judged(Path(subject))
    return _Named(found.name, found.evidence)


def _require_shared_targets(a: _Named, b: _Named) -> None:
    """Models of different things cannot be better or worse than each other."""
    one, two = (dict.fromkeys(e.target for e in x.evidence.select(axis="quality") if e.target) for x in (a, b))
    if one and two and not one.keys() & two.keys():
        told = [", ".join(map(repr, list(targets)[:3])) for targets in (one, two)]
        problem = f"{a.name!r} and {b.name!r} have no target in common: one answers {told[0]}, the other {told[1]}"
        raise SpecError(problem, hint="give two models of the same target")


def _bundle(subject: Any, allow: Sequence[str]) -> Bundle:
    if isinstance(subject, Bundle):
        return subject
    if not (Path(subject) / "manifest.json").exists():
        raise SpecError(f"{str(subject)!r} is no bundle, and only bundles can be asked about rows", where="--data")
    return open_bundle(Path(subject), allow=allow)


def _judged_by(evidence: Evidence) -> Data | None:
    return next((e.data for e in evidence.select(axis="quality") if e.data is not None), None)


def _same_rows(a: Evidence, b: Evidence) -> str:
    one, two = _judged_by(a), _judged_by(b)
    if one is not None and two is not None and one.digest == two.digest:
        return "both were measured on the same rows, which makes these intervals wider than need be: add --data"
    return "they were measured on different rows"


def _shared(a: Bundle, b: Bundle, data: Any) -> tuple[Table, np.ndarray | None, str, str] | str:
    """Rows that neither was trained on, their groups, words for them, and what the ledger of looks knows them by; or
    why there are none."""
    one, two = _judged_by(a.evidence), _judged_by(b.evidence)
    if one is not None and two is not None and one.digest == two.digest:
        try:
            judged = judged_rows(a.loaded, data)
        except DataError:
            pass  # not the file that they were trained from: later rows, then
        else:
            where = f"both were asked about the same {len(judged.table):,} {one.role} rows"
            return judged.table, judged.cluster_N, where, judged.whole
    reading = a.resolved.data.model_copy(update=_OWN)
    table = as_cases(read_table(data, reading), reading, single=list(a.resolved.targets))
    if _trained_on(table, a) or _trained_on(table, b):
        return "they were measured on different rows of this data, and each may have been trained on the other's"
    return table, None, f"both were asked about all {len(table):,} rows of {table.label}", digest_rows(table)


_OWN = {"source": None, "format": None, "delimiter": None, "encoding": None}


def _trained_on(table: Table, bundle: Bundle) -> bool:
    """Whether a bundle was made from these very rows; of a split into files only the name of the first can tell."""
    whole = {e.data.digest for e in bundle.evidence.select(axis="data") if e.data is not None}
    source = bundle.resolved.data.source
    same_name = isinstance(source, str) and table.provenance.names == (Path(source).name,)
    return table.provenance.digest in whole or (bundle.resolved.split.method == "files" and same_name)


def _paired(a: Bundle, b: Bundle, table: Table, cluster: np.ndarray | None) -> tuple[list[Line], list[str]]:
    """Lines of the targets that can be paired, and the targets that cannot."""
    truths = truths_of(a.signature, table, cluster)
    ours, theirs = answers_of(a.predictor, table), answers_of(b.predictor, table)
    found: dict[str, list[tuple[Difference, float, float]]] = {}
    apart = []
    for target, truth in truths.items():
        other = aligned_with(theirs[target], ours[target]) if target in theirs else "only one answers it"
        if isinstance(other, str):
            apart.append(target)
            continue
        asked = [metric(name) for name in _metrics(a, b, target)]
        how = a.resolved.evaluate.interval
        seed = stream_seed(a.resolved.seed, "interval") % 2**32
        differences = paired_all(
            asked, other, ours[target], truth, level=how.level, n_resamples=how.n_resamples, seed=seed
        )
        values = [(m.compute(ours[target], truth), m.compute(other, truth)) for m in asked]
        found[target] = [(one, x, y) for one, (x, y) in zip(differences, values, strict=True)]
    return paired_lines(found), apart


def _metrics(a: Bundle, b: Bundle, target: str) -> list[str]:
    """What both measure, in the order of the first; of one alone, what it measures."""
    asked: list[Mapping[str, list[str]]] = [x.resolved.evaluate.metrics or {} for x in (a, b)]
    first, second = (one.get(target, []) for one in asked)
    return [name for name in first if name in second] or first
