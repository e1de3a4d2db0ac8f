"""The beginning of ``train``: folder, meters, preparation, which need no network.

Nothing here imports torch before the data is prepared. Its import takes about as long, so that a program may let a
thread do it meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueweight.api.request import Request, make_request
from trueweight.evidence.energy import EnergyMeter
from trueweight.evidence.meters import Meter, Stages
from trueweight.spec.run import RunSpec
from trueweight.train.plan import Plan
from trueweight.train.prepare import Prepared, prepare
from trueweight.train.runs import Run, open_run

if TYPE_CHECKING:
    from trueweight.bundle.bundle import Bundle
    from trueweight.train.starting import Bodies

__all__ = ["Begun", "begun", "trained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run whose data is prepared."""

    request: Request
    stages: Stages
    run: Run
    meter: Meter
    energy: EnergyMeter
    ready: Prepared
    plan: Path | None
    """Of the plan that is replayed."""
    replay: Plan | None
    lent: "Bodies | None"


@contextmanager
def begun(
    request: Request, stages: Stages, *, out: Path | None, resume: bool, plan: Path | None
) -> Iterator[Begun]:  # fmt: skip
    """Inside, the run's folder is ours; see :func:`trueweight.api.train`."""
    spec = request.spec
    replay = None if plan is None else Plan.read(plan).replayed()  # an unreadable plan makes no folder
    lent = _lent(request)
    note = "only what came after the run was taken up again" if resume else ""
    with (
        open_run(spec.name, out, resume=resume) as the_run,
        Meter() as meter,
        EnergyMeter(spec.evaluate.energy, base=request.base, note=note) as energy,
    ):
        ready = prepare(request.table, spec, labels=request.labels, lent=lent)
        stages.end("preparing")
        yield Begun(
            request=request, stages=stages, run=the_run, meter=meter, energy=energy, ready=ready, plan=plan,
            replay=replay, lent=lent,
        )  # fmt: skip


def _lent(request: Request) -> "Bodies | None":
    """What the model to start from lends.

    Raises:
        VerifyError: It is no bundle, or was changed.
    """
    asked = request.spec.model.start
    if asked is None:
        return None
    from trueweight.api.starting import bodies_of

    return bodies_of((request.base or Path()) / asked.source)


def trained(
    data: Any, *, target: str | Sequence[str] | None = None,
    spec: RunSpec | Mapping[str, Any] | str | Path | None = None, budget: str | float | None = None,
    seed: int | None = None, name: str | None = None, out: str | Path | None = None, resume: bool = False,
    plan: str | Path | None = None, sealed: bool = False, settings: Sequence[str] = (), base: Path | None = None,
    prepared: Callable[[], object] = lambda: None,
) -> "Bundle":  # fmt: skip
    """As :func:`trueweight.api.train`."""
    stages = Stages()
    changes = {"train.budget.time": budget, "seed": seed, "name": name}
    request = make_request(data, target, spec, changes, settings, base)
    stages.end("reading")
    folder, replay = (None if p is None else Path(p) for p in (out, plan))
    with begun(request, stages, out=folder, resume=resume, plan=replay) as beginning:
        prepared()
        from trueweight.api.run import finish, opened

        stages.end("importing")
        bundle = finish(beginning, sealed=sealed)
    return opened(bundle)
