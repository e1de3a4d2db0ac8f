"""``verify``: three separate words about a bundle, the last by measuring again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trueweight.api.request import read_source
from trueweight.bundle.format import TOLERANCES
from trueweight.bundle.load import Loaded
from trueweight.bundle.verify import Again, Verification, verify_bundle
from trueweight.data.digest import digest_rows
from trueweight.data.spill import taken
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.evaluate.baselines import OF_TEXTS, fit_baselines
from trueweight.evaluate.data_facts import data_entries
from trueweight.evaluate.judging import Judging, Training, digest_of_role, judged_cases, judging_of
from trueweight.evaluate.measure import measure
from trueweight.evaluate.quality import Ask
from trueweight.evaluate.tipping import Tipping, tipping
from trueweight.evidence.ledger import record_known_look
from trueweight.evidence.record import NOT_AGAIN, Data, Entry, Evidence
from trueweight.model.protocols import Predictor
from trueweight.train.plan import Plan
from trueweight.train.prepare import Prepared, prepare

__all__ = ["JudgedRows", "judged_rows", "verify_path"]


def verify_path(
    path: Path, *, recompute: bool, data: Any, allow: Sequence[str], media_dir: str | None = None
) -> Verification:
    """See :func:`trueweight.api.verify`."""
    if recompute and data is None:
        raise DataError(
            "nothing to measure on", where="--data", hint="give the file the model was trained from: --data FILE"
        )
    again = None if not recompute else lambda bundle: _measure_again(bundle, data, media_dir)
    return verify_bundle(path, recompute=again, allow=allow, not_again=NOT_AGAIN)


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """The rows that a bundle was measured on, found again."""

    ready: Prepared
    rows: np.ndarray
    """Case numbers."""
    table: Table
    cluster_N: np.ndarray | None
    data: Data
    whole: str
    """Digest of all rows of their role, of which they may be a sample."""


def judged_rows(bundle: Loaded, data: Any, media_dir: str | None = None) -> JudgedRows:
    """The rows that the bundle's own spec sets apart from the data to measure it on.

    Raises:
        DataError: The data gives other rows than those that were measured.
    """
    stored = [e for e in bundle.evidence if e.axis == "quality" and e.data is not None]
    if not stored:
        raise DataError("the bundle holds no scores to measure again", where=str(bundle.path))
    claimed = stored[0].data
    assert claimed is not None  # by the filter above
    source, base = _from_anywhere(data, bundle.resolved.data.source)
    spec = bundle.resolved
    if media_dir is not None:
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"media_dir": media_dir})})
    table, labels = read_source(spec, source, base)
    ready = prepare(table, bundle.resolved, labels=labels)
    rows = judged_cases(ready, claimed.role)
    judged = taken(ready.table, rows)
    digest = digest_rows(judged)
    if digest != claimed.digest:
        raise DataError(
            f"these are not the rows that were measured: their digest is {digest[:19]}…, not {claimed.digest[:19]}…",
            where=table.label,
            hint="give the very file the model was trained from",
        )
    cluster = None if ready.cluster_N is None else ready.cluster_N[rows]
    return JudgedRows(ready, rows, judged, cluster, claimed, digest_of_role(ready, claimed.role, claimed))


def _measure_again(bundle: Loaded, data: Any, media_dir: str | None) -> Again:
    """Scores of the bundle on the rows that its own spec sets apart from the data.

    Raises:
        DataError: The data gives other test rows than those that were measured.
    """
    found = judged_rows(bundle, data, media_dir)
    ready, rows = found.ready, found.rows
    ledger = bundle.path.resolve().parent.parent
    record_known_look(ledger, found.whole, by=bundle.manifest.name, purpose="verify")
    least = bundle.resolved.bundle.min_group
    ask = Ask(bundle.resolved.evaluate, bundle.resolved.seed, found.data, min_group=least)
    plan = Plan.from_json(bundle.plan).replayed()
    judging = judging_of(bundle.predictor, found.table, ask, found.cluster_N, Training(ready, rows))
    baselines = fit_baselines(ready, replay=plan)
    entries: list[Entry] = measure(judging, baselines, np.isin(rows, ready.twins))
    evidence = Evidence((*entries, *data_entries(ready, ready.table.provenance.digest)))
    return Again(evidence, _tipping(bundle, judging, baselines), _is_whole(bundle))


def _tipping(bundle: Loaded, judging: Judging, baselines: Mapping[str, Predictor]) -> dict[str, Tipping]:
    """Rows whose answer this machine's rounding may tip, of the model and of baselines that were fitted again."""
    allowed = TOLERANCES["probability", "float32"]
    tolerance = allowed.same_torch if bundle.manifest.torch == version("torch") else allowed.elsewhere
    found = {name: tipping(judging.answers[name], truth, tolerance) for name, truth in judging.truths.items()}
    for rival, predictor in baselines.items():
        # The answers of a constant are counts, and baselines of texts copy or count: no machine rounds them otherwise.
        if rival not in ("constant", *OF_TEXTS):
            theirs = predictor.predict(judging.table)
            found |= {f"{rival}/{name}": tipping(theirs[name], t, tolerance) for name, t in judging.truths.items()}
    return found


def _is_whole(bundle: Loaded) -> bool:
    """Whether this version would have kept all that it measures: a baseline's bundle holds its scores alone."""
    return bundle.manifest.trueweight == version("trueweight") and bundle.spec.name == bundle.resolved.name


def _from_anywhere(data: Any, source: object) -> tuple[Any, Path | None]:
    """The data with whole paths, and the folder that the spec's other files (of test rows) start from.

    It is the folder from which the spec's own source leads to the data; where it does not, the data's folder.
    """
    if not isinstance(data, str | Path) or str(data) == "-" or "://" in str(data):
        return data, None
    whole = Path(data).expanduser().absolute()
    named = Path(source).parts if isinstance(source, str) else ()
    depth = len(named) if named and whole.parts[-len(named) :] == named else 1
    return str(whole), whole.parents[depth - 1]
