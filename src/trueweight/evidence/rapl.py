"""Energy counters of processors: RAPL, as Linux shows it below /sys/class/powercap (Intel's and AMD's).

What has to be minded, and is:

* a counter starts again at 0 after ``max_energy_range_uj``, within 20 minutes at full power, so it is read in between;
* ``psys`` (the whole platform) holds the packages, and ``core`` and ``uncore`` are inside them: counted once;
* ``intel-rapl-mmio`` shows the same packages a second time;
* some processors show one counter for each of their dies though there is but one;
* since CVE-2020-8694 most systems let only root read it; in virtual machines there usually is none;
* a counter may stand still.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread

__all__ = ["POWERCAP", "Rapl", "Zone", "find_zones"]

POWERCAP = Path("/sys/class/powercap")

MOST_WATTS = 1000.0
"""No package draws more. A counter is read so often that at this power it cannot wrap unseen."""

_OPEN_UP = "let it be read: sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj"


@dataclass(frozen=True, slots=True)
class Zone:
    """One counter."""

    name: str
    """"package-0", "dram of package-0", "psys"."""
    path: Path
    most: int
    """Microjoules at which it starts again."""

    def read(self) -> int:
        """Microjoules since some moment."""
        return int((self.path / "energy_uj").read_text())


def find_zones(root: Path = POWERCAP) -> tuple[Zone, ...] | str:
    """The counters that together count everything once; or why there are none.

    Args:
        root: The folder of power zones.
    """
    if not root.is_dir():
        return "this machine shows no energy counters (no powercap in /sys)"
    found = [_zone(folder) for folder in sorted(root.glob("intel-rapl*:*"))]
    zones = [one for one in found if isinstance(one, Zone)]
    kept = _once(zones)
    if not kept:
        said = [one for one in found if isinstance(one, str) and one]
        return said[0] if said else "this machine shows no energy counters (no RAPL zones)"
    return kept


def _zone(folder: Path) -> Zone | str:
    """A zone that can be read; or why it cannot, empty for what is no zone."""
    try:
        name = (folder / "name").read_text().strip()
        zone = Zone(name, folder, int((folder / "max_energy_range_uj").read_text()))
        zone.read()
    except PermissionError:
        return f"there are energy counters, but only root may read them; {_OPEN_UP}"
    except (OSError, ValueError):
        return "there are energy counters, but they cannot be read"
    return zone if zone.most > 0 else "there are energy counters, but they do not say where they wrap"


def _once(zones: Sequence[Zone]) -> tuple[Zone, ...]:
    """Packages and the memory beside them, each once; the platform's counter only where there are no packages."""
    kept: dict[str, Zone] = {}
    by_folder = {zone.path.name: zone for zone in zones}
    # The registers' own interface first: "intel-rapl:0" sorts before "intel-rapl-mmio:0" by the rule below.
    for zone in sorted(zones, key=lambda z: ("-mmio" in z.path.name, z.path.name)):
        parent = by_folder.get(zone.path.name.rpartition(":")[0])
        if zone.name.startswith("package"):
            kept.setdefault(zone.name, zone)
        elif zone.name == "dram" and parent is not None:
            name = f"dram of {parent.name}"
            kept.setdefault(name, Zone(name, zone.path, zone.most))
    if any(name.startswith("package") for name in kept):
        return tuple(kept.values())
    return tuple(zone for zone in zones if zone.name == "psys")[:1]


class Rapl:
    """Adds up what counters count, from its start on.

    Args:
        zones: From :func:`find_zones`.
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.zones = tuple(zones)
        self._lock, self._end = Lock(), Event()
        self._joules = dict.fromkeys((zone.name for zone in zones), 0.0)
        self._twins = self._alike()
        self._last = self._sample()
        seconds = min(zone.most for zone in zones) / 1e6 / MOST_WATTS / 2
        self._thread = Thread(target=self._watch, args=(seconds,), daemon=True, name="energy counters")
        self._thread.start()

    def stop(self) -> None:
        """No more readings."""
        self._end.set()
        self._thread.join()

    def joules(self) -> Mapping[str, float]:
        """By zone, since the start. A die that shows its neighbour's counter is left out.

        Raises:
            OSError: A counter has gone.
        """
        with self._lock:
            self._advance()
            self._twins &= self._alike()
            return {name: joules for name, joules in self._joules.items() if name not in self._twins}

    def _watch(self, seconds: float) -> None:
        while not self._end.wait(seconds):
            with self._lock:
                try:
                    self._advance()
                except ValueError:
                    continue  # half a number, the next reading has the whole one
                except OSError:
                    return  # whoever asks for the sum is told

    def _advance(self) -> None:
        now = self._sample()
        for zone in self.zones:
            step = now[zone.name] - self._last[zone.name]
            self._joules[zone.name] += (step if step >= 0 else step + zone.most) / 1e6
        self._last = now

    def _sample(self) -> dict[str, int]:
        return {zone.name: zone.read() for zone in self.zones}

    def _alike(self) -> set[str]:
        """Names of zones whose counter reads the same as that of an earlier one.

        Each is read between two readings of the other, to the microjoule: two counters of their own do not agree so.
        """
        first, second = self._sample(), self._sample()
        found = set()
        for place, zone in enumerate(self.zones):
            for other in self.zones[:place]:
                between = first[other.name] <= first[zone.name] <= second[other.name] <= second[zone.name]
                if between and zone.most == other.most and zone.name.startswith("package"):
                    found.add(zone.name)
        return found
