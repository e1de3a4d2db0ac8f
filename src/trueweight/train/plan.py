"""The plan of a run: everything that a clock decided, so that it can be replayed without one.

``plan.json`` is written before the first step. A run that reads it back takes the same steps in the same
order on the same batches, and so ends at the same weights.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from math import inf
from pathlib import Path
from typing import Any, Literal

from trueweight.errors import SpecError, VerifyError
from trueweight.files import read_json, write_json

__all__ = ["SCHEMA", "Climb", "Event", "MemberPlan", "Plan", "Trial", "record_climb", "record_member"]

SCHEMA = 1

_GIVE = "give a run's plan.json"
"""Version of ``plan.json``."""

_CHOICES = {
    "dtype": ("float32", "bfloat16", "float16"),
    "layout": ("contiguous", "channels_last", "channels_first"),
    "optimizer": ("fused", "foreach"),
}
"""What a plan may say, where it is one of a few words."""

EventKind = Literal["slow", "plateau", "diverged", "stop"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed the course of a run."""

    kind: EventKind
    """slow: the clock ended the run early. plateau: validation stopped improving. diverged: weights were put
    back and the rate halved. stop: somebody pressed Ctrl-C."""
    step: int
    """The last step before it took effect."""
    length: int = 0
    """Steps left after it, for ``slow`` and ``plateau``."""
    note: str = ""
    """For people."""


@dataclass(frozen=True, slots=True)
class Climb:
    """What became of a member that is begun only where it promises something."""

    name: str
    """Of the member."""
    begun: bool
    gained: bool
    """Whether the blend gained more than noise by it: else none is begun after it."""
    why: str
    """For people: what it gained, or why it was not begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the step plan found out about one way of taking a step. For people: a replay reads none of it."""

    name: str
    """"plain", "channels last", "bfloat16", "1 thread"."""
    seconds: float | None = None
    """Of a step, of fewer rows where the plain way's reason says so."""
    ratio: float | None = None
    """Time of a row to that of the plain way: below 1 is faster."""
    difference: float | None = None
    """Largest relative difference of its first losses from the plain way's; None where they cannot be compared."""
    agrees: bool | None = None
    """Whether that is within what rounding explains."""
    chosen: bool = False
    status: Literal["measured", "not_run", "not_applicable", "failed"] = "measured"
    reason: str = ""
    """Why it was not chosen, or not tried; of the plain way, how ways were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlan:
    """What one member's fit will do. Decided once, before its first step."""

    name: str
    steps: int
    """Optimiser steps, if no event ends the run early."""
    batch_size: int
    """Rows per step; on average, where steps are counted in tokens."""
    epochs: float
    """``steps * batch_size / training rows``."""
    validate_every: int
    """Steps from one validation look to the next."""
    checkpoint_every: int
    """Steps from one checkpoint to the next. Changes nothing but what a kill costs."""
    seconds: float | None = None
    """Wall time that the fit was given; None: no limit."""
    seconds_per_step: float = 0.0
    """Measured before the first step."""
    seconds_per_look: float = 0.0
    """Measured before the first step; two networks are looked at, the raw and the averaged one."""
    memory_bytes: int = 0
    """Predicted need of weights, optimiser, copies, activations and the rows themselves."""
    limited_by: str = ""
    """Which limit set ``steps``: "time", "steps", "epochs"."""
    threads: int = 1
    """Torch's, while the member is fitted; no more than the process had before."""
    dtype: str = "float32"
    """What encoders compute with; weights and losses are always float32."""
    device: str = "cpu"
    layout: str = "contiguous"
    """Of pictures' convolutions. contiguous: weights as they are stored, pictures with channels last, as they come.
    channels_last: weights too. channels_first: pictures are turned round first."""
    compile: bool = False
    optimizer: str = "fused"
    """How it goes through the weights: in one kernel, or one operation at a time."""
    rate: float = 1.0
    """Factor on all learning rates: the root of the ratio of the batch size to the usual one. SGD takes its
    square."""
    tokens: int = 0
    """Of each step, where texts are learnt to be written. 0: every step has ``batch_size`` rows."""
    packed: bool = False
    """Whether rows lie end to end and are cut into steps of exactly so many tokens (``data.packing``). Otherwise those
    of like length meet, as many as fit into so many tokens with their padding (``data.budget``)."""
    clock: bool = True
    """Whether a machine that turns slow may still end the run early. A replay reads no clock."""
    events: tuple[Event, ...] = ()
    """What the clock (or Ctrl-C) decided on the way, in order; a replay obeys them."""
    trials: tuple[Trial, ...] = ()
    """What the step plan was chosen from."""

    @classmethod
    def from_json(cls, raw: Any) -> "MemberPlan":
        """The inverse of :meth:`to_json`.

        Raises:
            SpecError: A key is missing, unknown, or of the wrong type.
        """
        known = {f.name for f in fields(cls)}
        where = "plan.members"
        if not isinstance(raw, dict):
            raise SpecError(f"a member's plan must be a mapping, not {raw!r}", where=where)
        if unknown := sorted(raw.keys() - known):
            raise SpecError(f"unknown key {unknown[0]!r} in the plan of {raw.get('name')!r}", where=where)
        try:
            events = tuple(Event(**event) for event in raw.get("events", ()))
            trials = tuple(Trial(**trial) for trial in raw.get("trials", ()))
            plan = cls(**{**raw, "events": events, "trials": trials})
            counts = (plan.steps, plan.batch_size, plan.validate_every, plan.checkpoint_every)
            whole = all(isinstance(count, int) and count >= 1 for count in counts)
        except TypeError as error:
            raise SpecError(f"the plan of {raw.get('name')!r} is incomplete: {error}", where=where) from None
        if not whole:
            raise SpecError(f"the plan of {plan.name!r} needs whole numbers of at least 1, got {counts}", where=where)
        for key, words in _CHOICES.items():
            if (word := raw.get(key, words[0])) not in words:
                problem = f"{key} {word!r} in the plan of {plan.name!r} is none that we know"
                raise SpecError(problem, where=where, hint=f"choose from {', '.join(words)}")
        _require(isinstance(plan.threads, int) and plan.threads >= 1, plan, "threads", plan.threads)
        _require(isinstance(plan.rate, int | float) and 0 < plan.rate < inf, plan, "rate", plan.rate)
        _require(isinstance(plan.tokens, int) and plan.tokens >= 0, plan, "tokens", plan.tokens)
        _require(isinstance(plan.packed, bool) and (plan.tokens > 0 or not plan.packed), plan, "packed", plan.packed)
        _require(isinstance(plan.compile, bool), plan, "compile", plan.compile)
        return plan

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def with_event(self, event: Event) -> "MemberPlan":
        """The plan, one event later."""
        return replace(self, events=(*self.events, event))

    def replayed(self) -> "MemberPlan":
        """The plan to follow again, without a clock."""
        return replace(self, clock=False, trials=())  # which were of another run


def _require(right: bool, plan: MemberPlan, key: str, value: Any) -> None:
    if not right:
        problem = f"{key} {value!r} in the plan of {plan.name!r} makes no sense"
        raise SpecError(problem, where="plan.members", hint="leave it out, or take what a run wrote")


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole run: one plan per member."""

    members: tuple[MemberPlan, ...] = field(default=())
    climbs: tuple[Climb, ...] = ()
    """What was decided about members that climb, in their order."""

    def member(self, name: str) -> MemberPlan | None:
        """A member's plan; None if it has none yet."""
        return next((plan for plan in self.members if plan.name == name), None)

    def climb(self, name: str) -> Climb | None:
        """What was decided about a member that climbs; None if nothing is known."""
        return next((climb for climb in self.climbs if climb.name == name), None)

    def with_member(self, member: MemberPlan) -> "Plan":
        """The plan with one member's part added or replaced."""
        others = tuple(plan for plan in self.members if plan.name != member.name)
        return replace(self, members=tuple(sorted((*others, member), key=lambda plan: plan.name)))

    def with_climb(self, climb: Climb) -> "Plan":
        """The plan with one decision added or replaced."""
        return replace(self, climbs=(*(known for known in self.climbs if known.name != climb.name), climb))

    def replayed(self) -> "Plan":
        """The plan to follow again, without a clock."""
        return replace(self, members=tuple(member.replayed() for member in self.members))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: ``{"schema": 1, "members": [...]}``, and ``climbs`` where members climb."""
        raw: dict[str, Any] = {"schema": SCHEMA, "members": [member.to_json() for member in self.members]}
        return raw | {"climbs": [asdict(climb) for climb in self.climbs]} if self.climbs else raw

    @classmethod
    def from_json(cls, raw: Any) -> "Plan":
        """The inverse of :meth:`to_json`.

        Raises:
            SpecError: Not a plan, or of a version we do not know.
        """
        if not isinstance(raw, dict) or not isinstance(raw.get("members"), list):
            raise SpecError("this is not a plan: no list of members", where="plan", hint=_GIVE)
        if raw.get("schema") != SCHEMA:
            hint = "use the version of trueweight that wrote it"
            raise SpecError(f"plan of schema {raw.get('schema')!r}, we read {SCHEMA}", where="plan.schema", hint=hint)
        members = tuple(MemberPlan.from_json(member) for member in raw["members"])
        return cls(members, tuple(_climb(one) for one in _listed(raw.get("climbs", []))))

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Read ``plan.json``.

        Raises:
            SpecError: The file is missing, or is not a plan.
        """
        try:
            return cls.from_json(read_json(path))
        except (SpecError, VerifyError) as error:
            where = f"{path}: {error.where}" if error.where.startswith("plan.") else str(path)
            raise SpecError(error.problem, where=where, hint=error.hint or _GIVE) from None

    def write(self, path: Path) -> None:
        """Write ``plan.json`` atomically."""
        write_json(path, self.to_json())


def _listed(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise SpecError(f"climbs must be a list, not {raw!r}", where="plan.climbs", hint=_GIVE)
    return raw


def _climb(raw: Any) -> Climb:
    try:
        climb = Climb(**raw)
    except TypeError:
        climb = Climb("", False, False, "")
    named = isinstance(climb.name, str) and isinstance(climb.why, str) and bool(climb.name)
    if not named or not isinstance(climb.begun, bool) or not isinstance(climb.gained, bool):
        raise SpecError(f"a climb needs name, begun, gained and why, got {raw!r}", where="plan.climbs", hint=_GIVE)
    return climb


def record_member(path: Path, member: MemberPlan) -> None:
    """Add a member's plan to ``plan.json``, or replace it there. What ``Job.on_plan`` is usually bound to."""
    plan = Plan.read(path) if path.exists() else Plan()
    plan.with_member(member).write(path)


def record_climb(path: Path, climb: Climb) -> None:
    """Add a decision about a member that climbs to ``plan.json``, or replace it there."""
    plan = Plan.read(path) if path.exists() else Plan()
    plan.with_climb(climb).write(path)
