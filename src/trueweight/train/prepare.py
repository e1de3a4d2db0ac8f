"""Everything before the first step: roles, cases, the resolved spec, the split and the Signature."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from trueweight.data.cases import Cases, fingerprints, repeats_of_earlier_rows
from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells, ReadOptions
from trueweight.data.channels import JOINED
from trueweight.data.copied import copies_of, with_copies, with_one_vocabulary
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.likes import like_roots, shared_spellings
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.roles import Role, assign_roles, left_out, read_options_of, require_features
from trueweight.data.signature import Signature
from trueweight.data.spelling import Spelling
from trueweight.data.split import (
    Shares,
    Split,
    Units,
    count_twins,
    cut_by_label,
    cut_by_share,
    cut_by_time,
    merge_groups,
    words_of,
)
from trueweight.data.table import Provenance, Table
from trueweight.errors import DataError
from trueweight.metrics.words import counted
from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve, with_quantiles
from trueweight.recipes.senses import hurry, with_defaults
from trueweight.recipes.speech import SPEECH, is_speech, kept_whole, with_text_read_off
from trueweight.recipes.writing import for_writing, with_beams, with_letters, with_quick_decoder, with_smoothing
from trueweight.registry import registry
from trueweight.spec.run import FromDate, RunSpec, SplitSpec
from trueweight.train.broken import refuse_broken, without_any_file
from trueweight.train.patience import letters_of, much_time, seldom_seen, with_patience
from trueweight.train.whole_sounds import with_whole_sounds

if TYPE_CHECKING:
    from trueweight.train.starting import Bodies

__all__ = ["Prepared", "group_codes", "prepare", "row_weights"]

TWINS_STAY_TOGETHER = 0.9
"""Share of distinct feature rows from which identical rows are taken for copies, not for coincidence."""

MOST_SECONDS = 1e11
"""The year 5138: larger times are milliseconds or finer units."""

LONGEST = 100
"""Most letters of a cell in a message."""

_COPIED = ("text", "image", "audio", "video", "timeseries", "vector")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready for its first step."""

    spec: RunSpec
    """Resolved: every field has a value."""
    cases: Cases
    split: Split
    signature: Signature
    weight_N: np.ndarray | None
    """float64 weights of all table rows."""
    cluster_N: np.ndarray | None
    """int64 groups of all table rows, for intervals."""
    twins: np.ndarray
    """Test cases whose features equal those of a row that trained or selected."""
    repeats: int
    """Cases that repeat an earlier row in every column that is used."""
    left_out: tuple[str, ...]
    """Columns that are not learnt from though nobody asked for that, in sentences."""

    @property
    def table(self) -> Table:
        """All rows."""
        return self.cases.table


def prepare(
    table: Table, spec: RunSpec, *, labels: Sequence[str | None] | None = None, lent: "Bodies | None" = None
) -> Prepared:
    """Settle everything that can be settled before training.

    Args:
        table: All rows.
        spec: As asked for.
        labels: For ``split.method: files``: which part each row's file belongs to.
        lent: What an older model lends.

    Raises:
        SpecError: A wish that the data's types rule out.
        DataError: The data cannot carry the run.
    """
    if len(table) == 0:
        raise DataError("there are no rows, only a header", where=table.label, hint="bring a file with data below it")
    spec = with_quantiles(spec)
    options = read_options_of(spec.data)
    little_time = hurry(spec, len(table))
    roles = assign_roles(table, spec)
    roots = like_roots(roles)  # what is wrong with them is told before anything is read
    spec, roles, borrowed = (spec, roles, dict[str, Spelling]()) if lent is None else _adopted(spec, roles, lent)
    features = {role.name: role.part.type for role in roles if role.role == "feature"}
    spec = with_smoothing(with_text_read_off(spec, features, len(table)), features)
    letters = letters_of(roles, table)
    spec = with_beams(spec, features, letters)
    seldom = lent is None and seldom_seen(roles, letters, little_time)
    spec = with_quick_decoder(spec, features, little_time, seldom=seldom) if lent is None else spec
    patient = [role.name for role in roles if much_time(role, table, options, little_time)]
    spec, roles = with_patience(spec, roles, patient)
    roles = [_sensed(role, spec, little_time, patient=role.name in patient, seldom=seldom) for role in roles]
    blank = blank_signature(table, roles, options, np.arange(len(table)))
    _require_readable(blank, table)
    refuse_broken(blank, table, spec.data.max_bad_rows)
    weight_N = row_weights(table, blank)
    cases, prints, repeats = _cases(table, blank, spec, weight_N)
    cases = with_whole_sounds(cases, blank)
    resolved = _resolved(spec, roles, len(cases), table.provenance, little_time)
    group = group_codes(table, resolved.split.group, options)
    split = _split(cases, blank, resolved, prints, group, labels)
    min_group = resolved.bundle.min_group
    copies = copies_of(blank, table, split.train, roles, borrowed)
    alike = with_one_vocabulary(roles, copies)
    spellings = shared_spellings(blank, table, split.train, alike, min_group=min_group) | dict(borrowed)
    # What shares a vocabulary has one, wherever it comes from.
    spellings |= {name: spellings[root] for name, root in roots.items() if root in spellings}
    signature = learn_signature(blank, table, split.train, min_group=min_group, weight_N=weight_N, spellings=spellings)
    signature = with_copies(signature, copies)
    require_features(roles)
    cluster = group_codes(table, resolved.evaluate.interval.cluster, options)
    return Prepared(
        resolved, cases, split, signature, weight_N, group if cluster is None else cluster,
        count_twins(prints, split), repeats, tuple(left_out(roles, spec)),
    )  # fmt: skip


def _adopted(
    spec: RunSpec, roles: Sequence[Role], lent: "Bodies"
) -> tuple[RunSpec, list[Role], Mapping[str, Spelling]]:  # fmt: skip
    """With what an older model says of texts; see :mod:`trueweight.train.starting`, which alone here needs torch."""
    from trueweight.train.starting import adopted, spellings_of

    spec, changed = adopted(spec, roles, lent)
    return spec, changed, spellings_of(changed, lent)


def _sensed(role: Role, spec: RunSpec, little_time: float, *, patient: bool, seldom: bool) -> Role:
    """With the recipe's encoder, where the column needs one of its own and names none; targets as the spec has them."""
    if role.role == "target":
        return replace(role, part=spec.targets[role.name])
    if role.role != "feature":
        return role
    kind = role.part.type
    if any(is_speech({role.name: kind}, part.type) for part in spec.targets.values()):
        part = with_defaults(kept_whole(role.part), spec.model.preset, little_time, recipe=SPEECH)
        return replace(role, part=part)
    decoders = {part.model_dump()["decoder"]["type"] for part in spec.targets.values() if part.type == "text"}
    recipe = for_writing(kind, {name: part.type for name, part in spec.targets.items()}, decoders, seldom=seldom)
    own = role.part if recipe is None else with_letters(role.part)
    return replace(role, part=with_defaults(own, spec.model.preset, little_time, patient=patient, recipe=recipe))


def _require_readable(blank: Signature, table: Table) -> None:
    """Refuse columns whose type was asked for and fits none of their cells.

    Raises:
        DataError: Such a column, with a cell of it.
    """
    for facts in [*blank.features(), *blank.targets()]:
        unread = [kind for kind in facts.notes if kind.startswith("not a ")]
        if unread and facts.missing == len(table):
            cells = table.column(facts.name)
            cell = next(cell for cell in cells.to_pylist() if cell not in (None, *blank.options.missing_values))
            shown = repr(cell) if len(repr(cell)) <= LONGEST else f"{repr(cell)[:LONGEST]}…"
            kind = f"{'an' if facts.type[0] in 'aeiou' else 'a'} {facts.type}"
            problem = f"column {facts.name!r} is said to be {kind}, but no cell can be read as one: {shown}"
            hint = f"change the type of {facts.role}s.{facts.name}; trueweight init guesses one"
            raise DataError(problem, where=table.label, hint=hint)


def _cases(table: Table, blank: Signature, spec: RunSpec, weight_N: np.ndarray | None) -> tuple[Cases, np.ndarray, int]:
    """Rows with a label and some weight; fingerprints of all rows' features; repeats among the cases."""
    options, notes = blank.options, []

    def features() -> Iterator[Cells]:  # not all at once: they may be more than memory holds
        return (cells_of(table, facts, options) for facts in blank.features())

    targets = [cells_of(table, facts, options) for facts in blank.targets()]
    labelled = ~np.logical_and.reduce([cells.missing_N for cells in targets])
    if not labelled.any():
        names = ", ".join(repr(facts.name) for facts in blank.targets())
        raise DataError(f"target {names} has no value in any row", where=table.label, hint="check data.missing_values")
    if gaps := int((~labelled).sum()):
        notes.append(f"{counted(gaps, 'row')} without any label left out")
    without_N = without_any_file(features(), len(table))
    if empty := int((labelled & without_N).sum()):
        labelled &= ~without_N
        notes.append(f"{counted(empty, 'row')} left out whose files are broken or missing, without other features")
    prints = fingerprints(features(), len(table)) if blank.features() else np.arange(len(table)).astype(np.uint64)
    if weight_N is not None and (nothing := int((labelled & (weight_N == 0)).sum())):
        labelled &= weight_N > 0  # no metric would see them: they must not teach or select either
        notes.append(f"{counted(nothing, 'row')} of weight 0 left out")
    rows = np.flatnonzero(labelled)
    repeated = repeats_of_earlier_rows(fingerprints(chain(features(), targets), len(table))[rows])
    if spec.data.drop_duplicates and repeated.any():
        notes.append(f"{counted(int(repeated.sum()), 'row that repeats', 'rows that repeat')} an earlier one dropped")
        rows, repeated = rows[~repeated], repeated[:0]
    return Cases(table, rows.astype(np.int64), tuple(notes)), prints, int(repeated.sum())


def _resolved(spec: RunSpec, roles: Sequence[Role], rows: int, origin: Provenance, hurry: float) -> RunSpec:
    """The spec with columns and recipe filled in."""
    features = {r.name: r.part.type for r in roles if r.role == "feature"}
    facts = Facts(rows, features, {name: part.type for name, part in spec.targets.items()}, hurry)
    columns = {r.name: _with_reason(r) for r in roles if r.role in ("feature", "ignored")}
    changes: dict[str, object] = {"features": columns, "other_features": "ignore"}
    if origin.series is not None:  # so that later tables are put together in the same way
        alone = [name for name in origin.series if not (origin.channels and name == JOINED)]
        known = {"series": [*alone, *origin.channels], "channels": list(origin.channels)}
        cases = spec.data.cases.model_copy(update=known)
        changes["data"] = spec.data.model_copy(update={"cases": cases})
    return resolve(spec, facts).model_copy(update=changes)


def _with_reason(role: Role) -> object:
    if role.role == "feature":
        return role.part
    kind = registry("column")["ignore"]
    return kind.model_validate({"type": "ignore", "reason": role.why})  # type: ignore[attr-defined]


def group_codes(table: Table, name: str | None, options: ReadOptions) -> np.ndarray | None:
    """A column as group numbers, (N,) int64; a missing group is a group of its own row. None without a name.

    Raises:
        DataError: There is no such column, or its cells cannot name groups.
    """
    if name is None:
        return None
    facts = plain_facts(name, "id", len(table))
    cells = cells_of(table, facts, options)
    if not isinstance(cells, LevelCells):
        raise DataError(f"column {name!r} cannot name groups", where="split.group")
    alone = len(cells.levels) + np.arange(len(table))
    return np.where(cells.missing_N, alone, cells.code_N).astype(np.int64)


def row_weights(table: Table, signature: Signature) -> np.ndarray | None:
    """Weights of all rows, (N,) float64; None where no column says them, or the table lacks it.

    Raises:
        DataError: A weight is missing or below 0, or all are 0.
    """
    facts = signature.named("weight")
    if facts is None or facts.name not in table.names:
        return None
    cells = cells_of(table, facts, signature.options)
    if not isinstance(cells, NumberCells) or cells.missing_N.any() or (cells.value_N < 0).any():
        raise DataError(
            f"column {facts.name!r} has weights that are missing or below 0",
            where="data.sample_weight",
            hint="every row needs a weight of 0 or more",
        )
    if not cells.value_N.any():
        raise DataError(f"every weight in column {facts.name!r} is 0", where="data.sample_weight", hint="leave it out")
    return cells.value_N


def _split(
    cases: Cases, blank: Signature, spec: RunSpec, prints: np.ndarray, group: np.ndarray | None,
    labels: Sequence[str | None] | None,
) -> Split:  # fmt: skip
    wish, rows, seed = spec.split, cases.rows, spec.seed
    shares = Shares(_share(wish.validation), _share(wish.test), _calibrates(spec, blank))
    if wish.method in ("column", "files"):
        chosen = labels if labels is not None else words_of(cases.table, wish.column or "", blank.options)
        return cut_by_label(Units(rows), [chosen[r] for r in rows], shares, seed, wish.method)
    if wish.method == "time":
        gap, starts = round((wish.gap or 0) * 1e6), _starts(wish)
        micros = _micros(cases.table, wish.time_column or "", blank.options, measured=bool(gap or starts))[rows]
        return cut_by_time(Units(rows), micros, shares, starts, gap, seed)
    together = None if group is None else group[rows]
    if _twins_stay_together(blank, prints[rows]):
        together = prints[rows].view(np.int64) if together is None else merge_groups(together, prints[rows])
    stratum = _strata(blank, cases) if wish.method == "stratified" else None
    return cut_by_share(Units(rows, together, stratum), shares, seed, wish.method or "random")


def _calibrates(spec: RunSpec, blank: Signature) -> bool:
    """Whether anything is to be learnt on calibration rows: intervals, sets, probabilities, a threshold."""
    kinds = {facts.type for facts in blank.targets()}
    if spec.evaluate.conformal is not None and kinds & {"number", "binary", "category"}:
        return True
    if any(method != "none" for method in (spec.evaluate.calibration or {}).values()):
        return True
    return any(not isinstance(facts.spec.get("threshold", 0.5), float | int) for facts in blank.targets())


def _twins_stay_together(blank: Signature, prints: np.ndarray) -> bool:
    if not blank.features():
        return False
    if any(facts.type in _COPIED for facts in blank.features()):
        return True
    distinct = len(np.unique(prints))
    return TWINS_STAY_TOGETHER * len(prints) <= distinct < len(prints)


def _share(wish: float | FromDate | None) -> float:
    """A share of rows; where time says what belongs to the part, the share is not looked at."""
    return wish if isinstance(wish, float) else 0.2


def _starts(wish: SplitSpec) -> dict[str, int]:
    found = {}
    for name, value in (("validation", wish.validation), ("test", wish.test)):
        if isinstance(value, FromDate):
            found[name] = _moment(value.start)
    return found


def _moment(value: date | datetime) -> int:
    stamp = value if isinstance(value, datetime) else datetime.combine(value, time())
    stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return round(stamp.timestamp() * 1e6)


def _micros(table: Table, name: str, options: ReadOptions, *, measured: bool) -> np.ndarray:
    """Times of all rows; a column of plain numbers orders rows as well as dates do.

    Args:
        table: All rows.
        name: The column.
        options: How cells are read.
        measured: Whether a gap or a date counts, not only the order: numbers are then seconds since 1970.
    """
    table.column(name)
    for kind in ("date", "number"):
        facts = plain_facts(name, kind, len(table))
        cells = cells_of(table, facts, options)
        if cells.missing_N.any():
            continue
        if isinstance(cells, DateCells):
            return cells.micros_N
        if isinstance(cells, NumberCells):
            return _seconds(cells.value_N, name) if measured else np.unique(cells.value_N, return_inverse=True)[1]
    raise DataError(
        f"column {name!r} has cells that are neither dates nor numbers",
        where="split.time_column",
        hint="every row needs a time",
    )


def _seconds(value_N: np.ndarray, name: str) -> np.ndarray:
    """Microseconds from seconds."""
    if np.abs(value_N).max() > MOST_SECONDS:
        raise DataError(
            f"column {name!r} has numbers up to {np.abs(value_N).max():.4g}, too many to be seconds since 1970",
            where="split.time_column",
            hint="a gap, or parts that begin 'from' a date, need dates or seconds: write the times as dates",
        )
    return np.round(value_N * 1e6).astype(np.int64)


def _strata(blank: Signature, cases: Cases) -> np.ndarray | None:
    """Classes of the first target that has some; a missing label is a class of its own."""
    for facts in blank.targets():
        cells = cells_of(cases.table, facts, blank.options)
        if isinstance(cells, LevelCells):
            codes: np.ndarray = cells.code_N[cases.rows].astype(np.int64)
            return codes
    raise DataError(
        "a stratified split needs a target with classes",
        where="split.method",
        hint="use random, or leave the method out",
    )
