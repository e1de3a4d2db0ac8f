"""What a piece of work cost in energy: measured where something counts it, else estimated between two ends.

In this order: a meter at the plug whose file the spec names; the processor's counters (RAPL); processor time times the
power of a core, from the least to the most that it may be. An estimate is never a bare number. Graphics cards are asked
for their own counter, and what they would have drawn idle is subtracted and told.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trueweight.evidence.meter_file import read_meter
from trueweight.evidence.meters import Meter
from trueweight.evidence.nvml import Nvml, open_nvml
from trueweight.evidence.rapl import MOST_WATTS, POWERCAP, Rapl, find_zones
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.spec.energy import EnergySpec

__all__ = ["CORE_WATTS", "EnergyMeter"]

CORE_WATTS = (1.0, 25.0)
"""A busy logical processor, least and most. Package power (TDP) by cores, from makers' data sheets: 1.5 W a core of a
6 W Atom, 4.4 W of an EPYC 7763, 6.8 W of a Xeon 8380, 23 W of an i7-7700K; half of a core's share where two logical
processors share it."""

_SOURCE = "makers' TDP by cores: 1 W (half a core of a small chip) to 25 W (a core of a desktop chip of four)"

_LEAST_BUSY = 0.5
"""Seconds of processor time from which a counter that has not moved is dead."""

_GPU_WINDOW = 2.0
"""Seconds that a card is watched at least: its counter is renewed every 100 ms."""

_COUNTED_WINDOW = 0.2
"""The same for processors, whose counters are renewed every millisecond."""

_MOST_REPEATS = 200


@dataclass(frozen=True, slots=True)
class _Mark:
    """Everything that counts, at one moment."""

    clock: float
    """Seconds since 1970."""
    wall: float
    cpu: float
    machine_cpu: float
    """Busy seconds of all processors, whoever used them; NaN where the system does not tell."""
    zones: Mapping[str, float] | str
    """Joules by zone, or why there are none."""
    cards: Mapping[str, float] | str


@dataclass(frozen=True, slots=True)
class _Found:
    """Energy between two marks."""

    joules: float
    low: float
    high: float
    status: str
    method: Method
    reason: str | None


class EnergyMeter:
    """Measures what happens inside a ``with`` block, lap by lap.

    Args:
        spec: Which meter, and what is assumed where there is none.
        base: Folder that the meter's file starts from.
        root: Where the system shows its power zones.
        nvml: The graphics cards; None asks the driver.
        note: What must be said beside each number, such as that the work was taken up in the middle.
    """

    def __init__(
        self, spec: EnergySpec, *, base: Path | None = None, root: Path = POWERCAP, nvml: Nvml | str | None = None,
        note: str = "",
    ) -> None:  # fmt: skip
        self.spec, self._base, self._note = spec, base or Path(), note
        self._root, self._nvml = root, open_nvml() if nvml is None else nvml
        self._rapl: Rapl | str = "not started"
        self._meter = Meter()
        self._idle: Mapping[str, float] = {}
        self._first: _Mark | None = None
        self._last: _Mark | None = None

    def __enter__(self) -> Self:
        zones = find_zones(self._root)
        try:
            self._rapl = zones if isinstance(zones, str) else Rapl(zones)
        except (OSError, ValueError) as error:
            self._rapl = f"there are energy counters, but they cannot be read: {error}"
        self._meter.__enter__()
        self._first = self._last = self._mark()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._meter.__exit__(kind, error, trace)
        if isinstance(self._rapl, Rapl):
            self._rapl.stop()

    def idle_until_now(self, *, wait: bool = True) -> None:
        """Say that no graphics card was used so far: what it drew since the start is what it draws idle.

        Args:
            wait: Sleep until the window is long enough to tell, if there is a card that will be used.
        """
        assert self._first is not None
        if isinstance(self._nvml, str) or not _cuda_is_there():
            return
        left = _GPU_WINDOW - (time.perf_counter() - self._first.wall)
        if wait and left > 0:
            time.sleep(left)
        now = self._mark()
        seconds = now.wall - self._first.wall
        if not isinstance(now.cards, str) and not isinstance(self._first.cards, str) and seconds >= _GPU_WINDOW / 2:
            self._idle = {name: (joules - self._first.cards[name]) / seconds for name, joules in now.cards.items()}

    def lap(self, work: str) -> list[Entry]:
        """Readings since the last lap, or since the start.

        Args:
            work: What was measured, e.g. "train". Becomes part of the ids: "cost/train/joules".
        """
        assert self._last is not None
        before, self._last = self._last, self._mark()
        return self._entries(work, before, self._last, scale=1.0, meter=True)

    def per_thousand(self, rows: int, again: Callable[[], int]) -> list[Entry]:
        """Time and energy of 1,000 predictions, from those of ``rows`` since the last lap.

        Args:
            rows: Predicted since then; 0 gives nothing.
            again: Predicts once more, where counters need a longer window, and says how many rows.
        """
        assert self._last is not None
        if rows == 0:
            return []
        before, now, done = self._last, self._mark(), rows
        seconds = (now.wall - before.wall) / rows * 1000
        least = _GPU_WINDOW if _cards_in_use() and not isinstance(now.cards, str) else _COUNTED_WINDOW
        counted = not isinstance(now.zones, str) or least == _GPU_WINDOW
        for _ in range(_MOST_REPEATS if counted else 0):
            if now.wall - before.wall >= least:
                break
            done += again()
            now = self._mark()
        self._last = now
        time_entry = Entry(id="cost/predict/seconds_per_1000", axis="cost", metric="seconds_per_1000", value=seconds,
                           unit="s", method=Method("clock", "1", {"rows": rows}))  # fmt: skip
        energy = self._entries("predict", before, now, scale=1000 / done, meter=False, ending="_per_1000")
        return [time_entry, *energy]

    def _mark(self) -> _Mark:
        reading = self._meter.reading()
        zones: Mapping[str, float] | str = self._rapl if isinstance(self._rapl, str) else {}
        if isinstance(self._rapl, Rapl):
            try:
                zones = self._rapl.joules()
            except (OSError, ValueError) as error:
                zones = f"the energy counters went away: {error}"
        return _Mark(time.time(), time.perf_counter(), reading.cpu_seconds, _machine_cpu(), zones, self._cards())

    def _cards(self) -> Mapping[str, float] | str:
        try:
            return self._nvml if isinstance(self._nvml, str) else self._nvml.joules()
        except OSError as error:
            return str(error)

    def _entries(
        self, work: str, before: _Mark, now: _Mark, *, scale: float, meter: bool, ending: str = ""
    ) -> list[Entry]:
        found, problem = self._of_machine(before, now, meter=meter)
        entries, net = self._of_cards(work, before, now, scale, ending)
        whole = found.method.name == "meter file"  # the plug knows of the cards too
        extra = 0.0 if whole else net
        interval = None
        if found.status == "estimated":
            ends = (found.low + extra) * scale, (found.high + extra) * scale
            interval = Interval(*ends, 1.0, "the least and the most power assumed")
        joules = Entry(
            id=f"cost/{work}/joules{ending}", axis="cost", metric=f"joules{ending}", unit="J",
            value=(found.joules + extra) * scale, interval=interval, status=found.status,  # type: ignore[arg-type]
            reason="; ".join(word for word in (found.reason, self._note) if word) or None, method=found.method,
        )  # fmt: skip
        carbon = [] if self.spec.carbon is None else [self._carbon(joules, work, ending)]
        return [joules, *entries, *carbon, *([] if ending else [_flag(work, self._rapl, problem)])]

    def _of_machine(self, before: _Mark, now: _Mark, *, meter: bool) -> tuple[_Found, str]:
        """Energy without that of cards, and what is wrong with the counters."""
        why = ""
        if meter and self.spec.meter is not None:
            told = read_meter(self._base / self.spec.meter, before.clock, now.clock)
            if not isinstance(told, str):
                facts = {"column": told.column, "samples": told.samples, "longest_gap_seconds": round(told.longest, 3)}
                method = Method("meter file", "1", facts)
                return _Found(told.joules, 0, 0, "measured", method, "all that hangs on the meter is in it"), ""
            why = f"{told}; "
        counted, problem = _counted(before, now)
        if counted is not None:
            return replace(counted, reason=f"{why}{counted.reason}"), problem
        return _estimated(self.spec, now.cpu - before.cpu, why + problem), problem

    def _of_cards(self, work: str, before: _Mark, now: _Mark, scale: float, ending: str) -> tuple[list[Entry], float]:
        """What graphics cards took, idle draw apart, and what they took beyond that."""
        used = _cards_in_use()
        if not used:
            return [], 0.0
        place, method = f"cost/{work}/gpu_joules{ending}", Method("NVML energy counter", "1")
        if isinstance(now.cards, str) or isinstance(before.cards, str):
            told = now.cards if isinstance(now.cards, str) else before.cards
            why = f"graphics cards are not in the energy: {told or 'their driver cannot be asked'}"
            missing = Entry(id=place, axis="cost", metric=f"gpu_joules{ending}", unit="J", status="not_run", reason=why)
            return [missing], 0.0
        ours = [name for name in now.cards if name in used] or list(now.cards)
        seconds = now.wall - before.wall
        gross = sum(now.cards[name] - before.cards.get(name, now.cards[name]) for name in ours)
        idle = seconds * sum(self._idle.get(name, 0.0) for name in ours)
        note = None if self._idle else "what they draw idle is not known, and not subtracted"
        entries = [
            Entry(id=place, axis="cost", metric=f"gpu_joules{ending}", value=gross * scale, unit="J", method=method,
                  reason=note),
            Entry(id=f"cost/{work}/gpu_idle_joules{ending}", axis="cost", metric=f"gpu_idle_joules{ending}",
                  value=idle * scale, unit="J", method=method),
        ]  # fmt: skip
        return entries, max(0.0, gross - idle)

    def _carbon(self, joules: Entry, work: str, ending: str) -> Entry:
        factor = self.spec.carbon
        assert factor is not None
        grams, ends = factor.grams_per_kwh / 3.6e6, joules.interval
        facts = {"grams_per_kwh": factor.grams_per_kwh, "source": factor.source, "year": factor.year}
        interval = None if ends is None else Interval(ends.low * grams, ends.high * grams, ends.level, ends.method)
        return Entry(
            id=f"cost/{work}/carbon_grams{ending}", axis="cost", metric=f"carbon_grams{ending}", unit="g CO2",
            value=float(joules.value or 0) * grams, interval=interval, status="estimated" if interval else "measured",
            reason=f"energy times {factor.grams_per_kwh:g} g/kWh ({factor.source}, {factor.year})",
            method=Method("joules times a factor", "1", facts), depends_on=(joules.id,),
        )  # fmt: skip


def _counted(before: _Mark, now: _Mark) -> tuple[_Found | None, str]:
    """What the processor's counters counted, unless there is something wrong with them."""
    if isinstance(now.zones, str) or isinstance(before.zones, str):
        return None, now.zones if isinstance(now.zones, str) else str(before.zones)
    steps = {name: joules - before.zones.get(name, 0.0) for name, joules in now.zones.items()}
    seconds, busy = now.wall - before.wall, now.cpu - before.cpu
    if dead := [name for name, step in steps.items() if step <= 0 and busy >= _LEAST_BUSY and "dram" not in name]:
        return None, f"the energy counter of {dead[0]} stands still"
    if wild := [name for name, step in steps.items() if step > MOST_WATTS * max(seconds, 0.01)]:
        watts = steps[wild[0]] / max(seconds, 0.01)
        return None, f"the energy counter of {wild[0]} tells of {watts:,.0f} W, which is not believed"
    joules = sum(steps.values())
    others = now.machine_cpu - before.machine_cpu
    facts: dict[str, Any] = {"zones": sorted(steps), "seconds": round(seconds, 3)}
    words = "everything that ran on this machine is in it, idle included"
    if math.isfinite(others) and others > 0:
        facts["share_of_processor_time"] = round(min(1.0, busy / others), 3)
        words += f"; {100 * facts['share_of_processor_time']:.0f} % of its processor time was ours"
    return _Found(joules, joules, joules, "measured", Method("RAPL energy counters", "1", facts), words), ""


def _estimated(spec: EnergySpec, cpu: float, why: str) -> _Found:
    """Processor time times the power of a core, between two ends."""
    if spec.watts is None:
        (low, high), source = CORE_WATTS, _SOURCE
    else:
        low, high = spec.watts[0] / (os.cpu_count() or 1), spec.watts[1] / _cores()
        source = "the spec's evaluate.energy.watts: idle by logical processors, busy by cores"
    facts = {"cpu_seconds": round(cpu, 4), "watts_low": low, "watts_high": high, "source": source}
    reason = f"{why}; processor time at {low:.3g} to {high:.3g} W, memory and disks left out"
    return _Found(
        cpu * math.sqrt(low * high), cpu * low, cpu * high, "estimated", Method("processor time", "1", facts), reason
    )


def _flag(work: str, rapl: Rapl | str, problem: str) -> Entry:
    """Whether counters that are there can be trusted."""
    place: dict[str, Any] = {"id": f"cost/{work}/energy_flag", "axis": "cost", "metric": "energy_flag", "unit": "flag"}
    if isinstance(rapl, str):
        return Entry(**place, status="not_applicable", reason=rapl)
    hint = f"{problem}: energy is estimated instead; compare with a meter at the plug (evaluate.energy.meter)"
    return Entry(**place, value=int(bool(problem)), reason=hint if problem else None,
                 depends_on=(f"cost/{work}/joules",))  # fmt: skip


def _machine_cpu() -> float:
    """Busy seconds of all processors since the system started; NaN where it does not tell."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # without idle and waiting
    except (OSError, ValueError, IndexError):
        return math.nan


def _cores() -> int:
    """Physical cores, each of which may hold two logical processors."""
    pairs = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    try:
        return len({path.read_text() for path in pairs}) or os.cpu_count() or 1
    except OSError:
        return os.cpu_count() or 1


def _cuda_is_there() -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def _cards_in_use() -> set[str]:
    """UUIDs of the cards that this process has used; asking must not load torch."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return set()
    used = [n for n in range(torch.cuda.device_count()) if torch.cuda.max_memory_allocated(n) > 0]
    return {f"GPU-{torch.cuda.get_device_properties(n).uuid}" for n in used}
