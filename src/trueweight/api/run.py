"""``train`` from end to end: folder, preparation, fitting, baselines, evidence, bundles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from trueweight.api.begin import Begun, begun
from trueweight.api.request import Request
from trueweight.api.starting import lineage_of, start_entries
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.bundle.card import model_card
from trueweight.bundle.detached import evidence_folder
from trueweight.bundle.format import MANIFEST, Lineage
from trueweight.bundle.golden import make_golden
from trueweight.bundle.parts import distributions
from trueweight.bundle.save import Contents, save_bundle
from trueweight.data.digest import digest_rows
from trueweight.data.reading import forget_many
from trueweight.data.spill import taken
from trueweight.errors import SpecError
from trueweight.evaluate.asked import require_labels, require_metrics
from trueweight.evaluate.baselines import fit_baselines, kept, remembered_rows, require_baselines
from trueweight.evaluate.data_facts import data_entries, reading
from trueweight.evaluate.judging import Training, digest_of_role, judged_cases, judging_of
from trueweight.evaluate.measure import measure
from trueweight.evaluate.quality import Ask, now
from trueweight.evidence.ledger import record_look
from trueweight.evidence.meters import Meter, Stages
from trueweight.evidence.record import Curve, Data, Entry, Evidence, Method
from trueweight.files import disk_errors, read_json, safe_name, write_atomic
from trueweight.metrics.curves import thinned
from trueweight.model.predictors.portions import SLICE_MEDIA
from trueweight.model.protocols import Predictor
from trueweight.recipes.resolve import linear_member
from trueweight.spec.load import dump_resolved, dump_spec
from trueweight.spec.run import RunSpec
from trueweight.train.build import Fitted, MemberReport, fit, linear_rows
from trueweight.train.job import FitterPart
from trueweight.train.plan import Climb, MemberPlan, Plan, Trial, record_member
from trueweight.train.prepare import Prepared
from trueweight.train.runs import Run

__all__ = ["finish", "opened", "run"]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Models with what was measured of them."""

    entries: list[Entry]
    """Of the model: scores, and how it compares."""
    baselines: Mapping[str, list[Entry]]
    """Of each baseline: its own scores."""
    beside: Mapping[str, bytes]
    """Files that name rows, for the folder beside the bundle."""


def _nothing_more(_ready: Prepared, _fitted: Fitted) -> list[Entry]:
    return []


def run(
    request: Request, stages: Stages, *, out: Path | None, resume: bool, plan: Path | None, sealed: bool,
    more: Callable[[Prepared, Fitted], Sequence[Entry]] = _nothing_more,
) -> Bundle:  # fmt: skip
    """One whole run; see :func:`trueweight.api.train`. ``more`` gives facts of how the spec came about."""
    with begun(request, stages, out=out, resume=resume, plan=plan) as beginning:
        bundle = finish(beginning, sealed=sealed, more=more)
    return opened(bundle)


def finish(
    begun: Begun, *, sealed: bool, more: Callable[[Prepared, Fitted], Sequence[Entry]] = _nothing_more
) -> Path:  # fmt: skip
    """All of a run that follows when its data is prepared. Gives the folder of the bundle."""
    request, the_run, ready, spec = begun.request, begun.run, begun.ready, begun.request.spec
    require_metrics(ready.spec)
    require_labels(ready.spec, ready.signature)
    require_baselines(ready)
    digest = request.table.provenance.digest
    names = [spec.name, *(ready.spec.evaluate.baselines or ())]
    if begun.replay is not None:
        _require_members(begun.replay, ready.spec, where=str(begun.plan))
    the_run.begin(dump_spec(spec), dump_resolved(ready.spec), digest, names)
    known = the_run.plan(begun.replay)
    begun.energy.idle_until_now(wait=ready.spec.train.device in ("auto", "cuda"))
    begun.stages.end("opening the run")
    with Meter() as fitting:
        fitted = fit(ready, the_run.folder, known, begun.lent, on_encoded=lambda: begun.stages.end("encoding"))
    spent = begun.energy.lap("train")
    with Meter() as rivals:
        baselines, followed = _baselines(ready, fitted, known, the_run)
    with Meter() as judgement:
        judged = _judge(ready, fitted, baselines, the_run, sealed)
    parts = {"fit": fitting, "baselines": rivals, "judge": judgement}
    entries = [
        *judged.entries,
        *data_entries(ready, digest),
        *_fit_entries(fitted),
        *_baseline_entries(ready, baselines),
        *more(ready, fitted),
        *begun.stages.entries(),
        *begun.meter.reading().entries("train"),
        *(entry for work, part in parts.items() for entry in part.reading().seconds(work)),
        *spent,
        *begun.energy.lap("judge"),
    ]
    simple = _save_baselines(ready, request, baselines, judged, the_run)
    line = None if begun.lent is None else lineage_of(begun.lent, ready.spec, fitted.started)
    bundle = _save(spec.name, request, ready.spec, followed, ready, fitted.predictor, entries, the_run, line)
    _write_beside(bundle, judged.beside)
    the_run.finish("partial" if fitted.partial else "finished", [*simple, bundle])
    return bundle


def opened(bundle: Path) -> Bundle:
    """What was just trained: parts of other packages were chosen in its spec, so they may be imported."""
    return open_bundle(bundle, allow=distributions(read_json(bundle / MANIFEST)["parts"]))


def _write_beside(bundle: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        folder = evidence_folder(bundle)
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
        write_atomic(folder / name, content)


def _require_members(plan: Plan, spec: RunSpec, where: str) -> None:
    """Refuse a plan that says nothing about a member: a clock would have to decide."""
    for member in spec.model.fitted:
        fitter, climb = cast(FitterPart, member.fitter), plan.climb(member.name)
        planned_by_clock = not fitter.solving or fitter.boosting
        refused = climb is not None and not climb.begun
        if planned_by_clock and not refused and plan.member(member.name) is None:
            planned = ", ".join(repr(known.name) for known in plan.members) or "nothing"
            raise SpecError(
                f"the plan says nothing about the member {member.name!r}",
                where=where,
                hint=f"it plans {planned}: give the plan.json of a run of this very spec",
            )


def _baselines(ready: Prepared, fitted: Fitted, known: Plan | None, the_run: Run) -> tuple[dict[str, Predictor], Plan]:
    """The baselines, and the run's plan with what they followed, so that they can be fitted again without a clock."""
    noted: list[MemberPlan] = []
    found = fit_baselines(ready, fitted, known, noted.append)
    plan = fitted.plan
    for one in noted:
        record_member(the_run.folder / "plan.json", one)
        plan = plan.with_member(one)
    return found, plan


def _baseline_entries(ready: Prepared, baselines: Mapping[str, Predictor]) -> list[Entry]:
    """Where a baseline had to make do with some of the training rows."""
    used = {"linear": linear_rows, "nearest_neighbour": remembered_rows}
    counts = {name: len(rows_of(ready)) for name, rows_of in used.items() if name in baselines}
    return [
        reading(f"fit/baseline/{name}/rows", f"training rows of the {name} baseline", count, "rows")
        for name, count in counts.items()
        if count < len(ready.split.train)
    ]


def _judge(ready: Prepared, fitted: Fitted, baselines: Mapping[str, Predictor], the_run: Run, sealed: bool) -> _Judged:
    role = "test" if len(ready.split.test) and not sealed else "validation"
    rows = judged_cases(ready, role)
    forget_many(ready.table)
    table = taken(ready.table, rows)
    if len(rows) <= SLICE_MEDIA:  # more would be read and encoded bit by bit, so as not to fill memory
        fitted.encoded.lend(table, rows)
    digest = digest_rows(table)
    reproduce = "trueweight verify BUNDLE --recompute --data SOURCE"
    ask = Ask(ready.spec.evaluate, ready.spec.seed, Data(digest, role), reproduce, ready.spec.bundle.min_group)
    cluster = None if ready.cluster_N is None else ready.cluster_N[rows]
    # Noted before looking, so that a look counts even if the process is killed in the middle of it. A resumed run
    # looks again, and says so: nobody can know what was seen the first time.
    look = 0
    if role == "test":
        whole = digest_of_role(ready, role, ask.data)
        look = record_look(the_run.folder.parent, whole, by=ready.spec.name, purpose="train")
    judging = judging_of(fitted.predictor, table, ask, cluster, Training(ready, rows))
    entries = measure(judging, baselines, np.isin(rows, ready.twins))
    if role == "test":
        entries.append(reading("ledger/test/look", "look", look, "looks", ask.data))
    else:
        why = (
            "the test rows stay sealed"
            if sealed and len(ready.split.test)
            else "no test rows were kept: split.test is 0"
        )
        entries.append(
            Entry(id="quality/test", axis="quality", metric="all", status="not_run", reason=why, produced_at=now())
        )
    own = {name: [_as_own(e, name) for e in entries if e.id.startswith(f"baseline/{name}/")] for name in baselines}
    return _Judged(entries, own, judging.beside)


def _as_own(entry: Entry, baseline: str) -> Entry:
    """A baseline's score as its own bundle tells it."""
    return replace(entry, id=entry.id.replace(f"baseline/{baseline}/", "quality/", 1), axis="quality")


def _fit_entries(fitted: Fitted) -> list[Entry]:
    """Members, their weights in the blend, seconds, steps; and whether the run was cut short."""
    entries = []
    for place, member in enumerate(fitted.members):
        start = f"fit/{place}"  # names may be equal once they are made fit for an id
        entries.append(reading(f"{start}/seconds", f"seconds of {member.name}", round(member.seconds, 3), "s"))
        first = round(member.first_step, 3)
        entries.append(reading(f"{start}/first_step", f"seconds to the first step of {member.name}", first, "s"))
        entries.append(reading(f"{start}/steps", f"steps of {member.name}", member.steps, "steps"))
        told = (
            ("weights", "weights kept of", member.kept),
            ("written", "texts written by", member.written),
            ("optimizer", "optimiser of", member.optimizer),
        )
        entries += [reading(f"{start}/{key}", f"{what} {member.name}", text, None) for key, what, text in told if text]
        for target, weight in member.weights.items():
            entries.append(reading(f"{start}/weight/{target}", f"weight of {member.name}", weight, "share"))
        entries += [
            reading(f"{start}/event/{number}", f"event of {member.name}", text, None)
            for number, text in enumerate(member.events, 1)
        ]
        entries += [_trial_entry(start, member.name, trial) for trial in member.trials]
        entries += _learning(start, member)
    entries += [_climb_entry(number, climb) for number, climb in enumerate(fitted.climbs, 1)]
    entries += start_entries(fitted.started)
    entries += [
        reading(f"fit/left_out/{number}", "left out", f"{name}: {reason}", None)
        for number, (name, reason) in enumerate(fitted.left_out.items(), 1)
    ]
    if fitted.partial:
        entries.append(
            reading("fit/partial", "partial", "stopped before its end: the best weights so far are kept", None)
        )
    return entries


def _trial_entry(start: str, member: str, trial: Trial) -> Entry:
    """One way to take a step that the step plan tried, or why it did not."""
    told = "; ".join(filter(None, ("chosen" * trial.chosen, trial.reason)))
    method = None
    if trial.status == "measured":
        facts = {"time of a row to plain": trial.ratio, "difference of losses": trial.difference,
                 "losses agree": trial.agrees, "chosen": trial.chosen}  # fmt: skip
        method = Method("clock", parameters={key: value for key, value in facts.items() if value is not None})
    name = trial.name.replace(" ", "_")
    return Entry(
        id=f"{start}/step_plan/{name}", axis="fit", metric=f"seconds a step of {member}, {trial.name}",
        value=None if trial.seconds is None else float(f"{trial.seconds:.4g}"), unit="s", status=trial.status,
        reason=told or None, method=method, produced_at=now(),
    )  # fmt: skip


def _climb_entry(number: int, climb: Climb) -> Entry:
    """What became of a member that climbs: what it gained, or why it was not begun."""
    place, metric = f"fit/climb/{number}", f"climb to {climb.name}"
    if climb.begun:
        return reading(place, metric, climb.why, None)
    return Entry(id=place, axis="fit", metric=metric, status="not_run", reason=climb.why, produced_at=now())


def _learning(start: str, member: MemberReport) -> list[Entry]:
    """How the score on validation rows went, where it was looked at more than twice."""
    looks = [(look.step, look.score) for look in member.history if look.score is not None]
    averaged = [(look.step, look.averaged) for look in member.history if look.averaged is not None]
    entries = []
    for name, found in (("validation", looks), ("averaged", averaged)):
        if len(found) > 2:
            kept = [found[place] for place in thinned(np.arange(len(found)))]
            curve = Curve("step", "validation_score", tuple((float(x), float(f"{y:.6g}")) for x, y in kept))
            about = "score of" if name == "validation" else "score of the averaged weights of"
            entry = reading(f"{start}/curve/{name}", f"{about} {member.name}", len(kept), "points")
            entries.append(replace(entry, curve=curve))
    return entries


def _save_baselines(
    ready: Prepared, request: Request, baselines: Mapping[str, Predictor], judged: _Judged, the_run: Run
) -> list[Path]:
    found = []
    for name, predictor in ((name, one) for name, one in baselines.items() if name in kept(ready.spec)):
        members = [linear_member()] if name == "linear" else ready.spec.model.members
        model = ready.spec.model.model_copy(update={"members": members})
        spec = ready.spec.model_copy(update={"model": model, "name": name})
        found.append(_save(name, request, spec, Plan(), ready, predictor, judged.baselines[name], the_run))
    return found


def _save(
    name: str, request: Request, resolved: RunSpec, plan: Plan, ready: Prepared, predictor: Predictor,
    entries: list[Entry], the_run: Run, line: Lineage | None = None,
) -> Path:  # fmt: skip
    evidence = Evidence(tuple(entries))
    golden = make_golden(predictor, real=_real_rows(ready), seed=ready.spec.seed)
    ours = request.spec.name
    card = model_card(resolved, ready.signature, evidence, baseline_of=None if name == ours else ours)
    contents = Contents(
        name=name, spec_yaml=dump_spec(request.spec), resolved_yaml=dump_resolved(resolved), plan=plan.to_json(),
        signature=ready.signature, predictor=predictor, evidence=evidence, card=card, golden=golden,
        settings=request.settings, min_group=ready.spec.bundle.min_group,
        parent=None if line is None else line.digest, lineage=line,
    )  # fmt: skip
    return save_bundle(the_run.folder / f"{safe_name(name)}.bundle", contents)


def _real_rows(ready: Prepared) -> Any:
    """Rows of people, only when the spec asks for them."""
    if ready.spec.bundle.golden_rows == "synthetic":
        return None
    used = [c.name for c in ready.signature.features()]
    used += [c.name for c in ready.signature.targets() if c.type == "text"]  # whose probability pins the model down
    return ready.table.select(used).take(ready.split.validation[:16])
