"""Energy against counters that are known: trees of files as the system shows them, drivers, and meter files."""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trueweight.errors import SpecError
from trueweight.evidence.energy import CORE_WATTS, EnergyMeter
from trueweight.evidence.meter_file import read_meter
from trueweight.evidence.nvml import Nvml
from trueweight.evidence.rapl import Rapl, find_zones
from trueweight.evidence.record import Entry
from trueweight.spec.energy import EnergySpec
from trueweight.spec.load import parse_spec

MOST = 262_143_328_850
"""Microjoules at which a server's counter wraps."""

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes a folder like /sys/class/powercap from names of zones to (name, microjoules[, most])."""

    def make(**zones: tuple[Any, ...]) -> Path:
        root = tmp_path / "powercap"
        (root / "intel-rapl").mkdir(parents=True, exist_ok=True)
        for place, (name, microjoules, *most) in zones.items():
            folder = root / place.replace("__", ":").replace("_", "-")
            folder.mkdir(exist_ok=True)
            (folder / "name").write_text(f"{name}\n")
            (folder / "energy_uj").write_text(f"{microjoules}\n")
            (folder / "max_energy_range_uj").write_text(f"{most[0] if most else MOST}\n")
        return root

    return make


def spend(root: Path, **microjoules: int) -> None:
    for place, value in microjoules.items():
        (root / place.replace("__", ":").replace("_", "-") / "energy_uj").write_text(f"{value}\n")


def work(seconds: float = 0.1) -> None:
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def named(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.id: entry for entry in entries}


def lap(root: Path, change: Callable[[], None], **spec: Any) -> dict[str, Entry]:
    with EnergyMeter(EnergySpec(**spec), root=root, nvml="") as meter:
        change()
        return named(meter.lap("train"))


def names(root: Path) -> list[str]:
    found = find_zones(root)
    assert not isinstance(found, str), found
    return sorted(zone.name for zone in found)


# --- Which counters are counted --------------------------------------------------------------------------------------


def test_packages_and_memory_are_counted_once(tree: Tree) -> None:
    root = tree(
        intel_rapl__0=("package-0", 0), intel_rapl__0__0=("core", 0), intel_rapl__0__1=("uncore", 0),
        intel_rapl__0__2=("dram", 0), intel_rapl__1=("psys", 0), intel_rapl_mmio__0=("package-0", 0),
        intel_rapl__2=("package-1", 0), intel_rapl__2__0=("dram", 0), intel_rapl_mmio__0__0=("dram", 0),
    )  # fmt: skip
    assert names(root) == ["dram of package-0", "dram of package-1", "package-0", "package-1"]
    found = find_zones(root)
    assert all("mmio" not in zone.path.name for zone in found)  # type: ignore[union-attr]


def test_the_platform_alone_is_better_than_nothing(tree: Tree) -> None:
    assert names(tree(intel_rapl__0=("psys", 0))) == ["psys"]


def test_the_second_interface_alone_is_used(tree: Tree) -> None:
    assert names(tree(intel_rapl_mmio__0=("package-0", 0))) == ["package-0"]


@pytest.mark.parametrize("what", ["missing", "empty", "denied", "garbled", "no range"])
def test_without_counters_it_is_said_why(tree: Tree, tmp_path: Path, what: str, monkeypatch: Any) -> None:
    root, words = tmp_path / "powercap", "no powercap in /sys"
    if what == "empty":
        root, words = tree(), "no RAPL zones"
    if what == "denied":
        root, words = tree(intel_rapl__0=("package-0", 5)), "only root may read them; let it be read: sudo chmod a+r"
        read = Path.read_text

        def refuse(path: Path, *rest: Any, **more: Any) -> str:  # chmod does not stop root, as whom tests may run
            if path.name == "energy_uj":
                raise PermissionError(13, "Permission denied", str(path))
            return read(path, *rest, **more)

        monkeypatch.setattr(Path, "read_text", refuse)
    if what == "garbled":
        root, words = tree(intel_rapl__0=("package-0", "?")), "cannot be read"
    if what == "no range":
        root, words = tree(intel_rapl__0=("package-0", 5, 0)), "do not say where they wrap"
    found = find_zones(root)
    assert isinstance(found, str)
    assert words in found
    joules = lap(root, work)["cost/train/joules"]
    assert joules.status == "estimated"
    assert joules.interval is not None
    assert words in (joules.reason or "")


# --- What they counted -----------------------------------------------------------------------------------------------


def test_what_counters_count_is_measured(tree: Tree) -> None:
    root = tree(intel_rapl__0=("package-0", 1_000_000), intel_rapl__0__0=("dram", 500_000), intel_rapl__1=("psys", 7))

    def change() -> None:
        work()
        spend(root, intel_rapl__0=13_000_000, intel_rapl__0__0=2_500_000, intel_rapl__1=99_000_000)

    found = lap(root, change)
    joules, flag = found["cost/train/joules"], found["cost/train/energy_flag"]
    assert joules.value == pytest.approx(12 + 2)
    assert (joules.status, joules.interval, joules.unit) == ("measured", None, "J")
    assert "idle included" in (joules.reason or "")
    assert joules.method is not None
    assert 0 < joules.method.parameters["share_of_processor_time"] <= 1
    assert (flag.value, flag.reason) == (0, None)


def test_a_counter_that_starts_again_goes_on(tree: Tree) -> None:
    root = tree(intel_rapl__0=("package-0", MOST - 3_000_000))

    def change() -> None:
        work()
        spend(root, intel_rapl__0=2_000_000)

    assert lap(root, change)["cost/train/joules"].value == pytest.approx(5.0)


def test_a_counter_that_wraps_twice_is_read_in_between(tree: Tree) -> None:
    root = tree(intel_rapl__0=("package-0", 0, 40_000_000))  # wraps after 40 J: watched every 20 ms
    found = find_zones(root)
    assert not isinstance(found, str)
    rapl = Rapl(found)
    for microjoules in (30_000_000, 20_000_000, 10_000_000, 35_000_000):  # 30 + 30 + 30 + 25
        spend(root, intel_rapl__0=microjoules)
        end = time.monotonic() + 20
        while rapl._last["package-0"] != microjoules and time.monotonic() < end:  # seen by the watch, not by us
            time.sleep(0.01)
    assert rapl.joules()["package-0"] == pytest.approx(115)
    rapl.stop()


def test_dies_that_mirror_each_other_are_counted_once(tree: Tree) -> None:
    root = tree(intel_rapl__0=("package-0-die-0", 5_000_000), intel_rapl__1=("package-0-die-1", 5_000_000),
                intel_rapl__2=("package-1-die-0", 7_000_000))  # fmt: skip

    def change() -> None:
        work()
        spend(root, intel_rapl__0=15_000_000, intel_rapl__1=15_000_000, intel_rapl__2=10_000_000)

    joules = lap(root, change)["cost/train/joules"]
    assert joules.value == pytest.approx(10 + 3)
    assert joules.method is not None
    assert joules.method.parameters["zones"] == ["package-0-die-0", "package-1-die-0"]


@pytest.mark.parametrize(
    ("microjoules", "words"), [(1_000_000, "stands still"), (90_000_000_000, "which is not believed")]
)
def test_a_counter_that_cannot_be_right_is_flagged(tree: Tree, microjoules: int, words: str) -> None:
    root = tree(intel_rapl__0=("package-0", 1_000_000))

    def change() -> None:
        work(0.6)
        spend(root, intel_rapl__0=microjoules)

    found = lap(root, change)
    joules, flag = found["cost/train/joules"], found["cost/train/energy_flag"]
    assert flag.value == 1
    assert words in (flag.reason or "")
    assert joules.status == "estimated"
    assert words in (joules.reason or "")
    assert joules.interval is not None


def test_a_counter_that_goes_away_is_no_crash(tree: Tree) -> None:
    root = tree(intel_rapl__0=("package-0", 1_000_000))
    found = lap(root, lambda: (root / "intel-rapl:0" / "energy_uj").unlink())
    assert "went away" in (found["cost/train/joules"].reason or "")


# --- Estimates -------------------------------------------------------------------------------------------------------


def test_an_estimate_is_an_interval_that_names_its_source(tmp_path: Path) -> None:
    joules = lap(tmp_path / "none", work)["cost/train/joules"]
    assert joules.interval is not None
    assert joules.method is not None
    cpu, (low, high) = joules.method.parameters["cpu_seconds"], CORE_WATTS
    assert cpu == pytest.approx(0.1, abs=0.08)
    assert (joules.interval.low, joules.interval.high) == pytest.approx((low * cpu, high * cpu), rel=1e-3)
    assert joules.interval.low < joules.value < joules.interval.high  # type: ignore[operator]
    assert "TDP" in joules.method.parameters["source"]


def test_watts_of_ones_own_narrow_it(tmp_path: Path) -> None:
    wide = lap(tmp_path / "none", work)["cost/train/joules"].interval
    own = lap(tmp_path / "none", work, watts=[4, 6])["cost/train/joules"]
    assert wide is not None
    assert own.interval is not None
    assert own.interval.high - own.interval.low < wide.high - wide.low
    assert "evaluate.energy.watts" in own.method.parameters["source"]  # type: ignore[union-attr]


def test_carbon_is_told_only_with_a_factor(tmp_path: Path) -> None:
    factor: dict[str, Any] = {"grams_per_kwh": 360.0, "source": "an agency", "year": 2024}
    assert "cost/train/carbon_grams" not in lap(tmp_path / "none", work)
    found = lap(tmp_path / "none", work, carbon=factor)
    joules, grams = found["cost/train/joules"], found["cost/train/carbon_grams"]
    assert grams.value == pytest.approx(joules.value * 1e-4)  # type: ignore[operator]
    assert grams.interval is not None
    assert (grams.status, grams.depends_on) == ("estimated", ("cost/train/joules",))
    assert "360 g/kWh (an agency, 2024)" in (grams.reason or "")
    with pytest.raises(SpecError, match=r"evaluate\.energy\.carbon\.year: is missing"):
        parse_spec(
            {"targets": {"y": "number"}, "evaluate": {"energy": {"carbon": {"grams_per_kwh": 1, "source": "a"}}}}
        )


def test_idle_may_not_draw_more_than_busy() -> None:
    with pytest.raises(SpecError, match="idle 9 W are more than busy 5 W"):
        parse_spec({"targets": {"y": "number"}, "evaluate": {"energy": {"watts": [9, 5]}}})


# --- Predictions -----------------------------------------------------------------------------------------------------


def test_a_thousand_predictions_are_told_apart(tmp_path: Path) -> None:
    start = time.perf_counter()
    with EnergyMeter(EnergySpec(), root=tmp_path / "none", nvml="") as meter:
        work(0.2)
        found = named(meter.per_thousand(500, lambda: pytest.fail("nothing counts: once is enough")))
    most = 2 * (time.perf_counter() - start)
    assert 0.4 <= found["cost/predict/seconds_per_1000"].value <= most  # type: ignore[operator]
    joules = found["cost/predict/joules_per_1000"]
    assert joules.interval is not None
    assert joules.interval.low == pytest.approx(2 * CORE_WATTS[0] * 0.2, rel=0.2)


def test_counters_see_predictions_for_long_enough(tree: Tree) -> None:
    root, calls = tree(intel_rapl__0=("package-0", 0)), []

    def again() -> int:
        calls.append(1)
        time.sleep(0.05)
        spend(root, intel_rapl__0=2_000_000 * len(calls))
        return 100

    with EnergyMeter(EnergySpec(), root=root, nvml="") as meter:
        found = named(meter.per_thousand(100, again))
    assert 1 <= len(calls) <= 4
    expected = 2.0 * len(calls) / (100 * (len(calls) + 1)) * 1000
    assert found["cost/predict/joules_per_1000"].value == pytest.approx(expected)
    with EnergyMeter(EnergySpec(), root=root, nvml="") as meter:
        assert meter.per_thousand(0, again) == []


# --- Graphics cards --------------------------------------------------------------------------------------------------


class Driver:
    """A graphics driver with two cards, the second one counting; or one that knows no energy."""

    def __init__(self, code: int = 0) -> None:
        self.code, self.millijoules = code, [1_000, 5_000]

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, place: int, handle: Any) -> int:
        handle._obj.value = place + 1
        return 0

    def nvmlDeviceGetUUID(self, handle: ctypes.c_void_p, name: Any, size: int) -> int:
        name.value = b"GPU-%d" % handle.value
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p, millijoules: Any) -> int:
        millijoules._obj.value = self.millijoules[(handle.value or 1) - 1]
        return self.code


def test_what_a_card_draws_idle_is_subtracted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr("trueweight.evidence.energy._cuda_is_there", lambda: True)
    monkeypatch.setattr("trueweight.evidence.energy._cards_in_use", lambda: {"GPU-2"})
    monkeypatch.setattr("trueweight.evidence.energy._GPU_WINDOW", 0.2)
    with EnergyMeter(EnergySpec(), root=tmp_path, nvml=Nvml(driver)) as meter:
        time.sleep(0.2)
        driver.millijoules = [1_000, 5_000 + 10_000]  # about 50 W idle
        meter.idle_until_now()
        meter.lap("prepare")
        time.sleep(0.2)
        driver.millijoules = [9_999_000, 15_000 + 60_000]  # somebody else uses the first card
        found = named(meter.lap("train"))
    gross, idle = found["cost/train/gpu_joules"], found["cost/train/gpu_idle_joules"]
    assert gross.value == pytest.approx(60.0)
    assert idle.value > 0  # type: ignore[operator]
    joules = found["cost/train/joules"]
    assert joules.interval is not None
    net = max(0.0, float(gross.value) - float(idle.value))
    assert joules.interval.low == pytest.approx(net, abs=1.0)


def test_a_card_that_does_not_count_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueweight.evidence.energy._cards_in_use", lambda: {"GPU-2"})
    with EnergyMeter(EnergySpec(), root=tmp_path, nvml=Nvml(Driver(code=3))) as meter:
        found = named(meter.lap("train"))
    missing = found["cost/train/gpu_joules"]
    assert missing.status == "not_run"
    assert "does not count energy on this card" in (missing.reason or "")
    assert "gpu_idle_joules" not in str(found)


# --- Meters at the plug ----------------------------------------------------------------------------------------------


def test_power_between_two_moments(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("Time,Watts\n100,10\n110,30\n120,30\n130,10\n")
    found = read_meter(tmp_path / "m.csv", 105, 125)
    assert not isinstance(found, str)
    # 20 W at 105 and at 125, in between 30 W: two ramps of 25 W for 5 s, 10 s of 30 W
    assert found.joules == pytest.approx(5 * 25 + 10 * 30 + 5 * 25)
    assert (found.samples, found.longest) == (2, 10)


@pytest.mark.parametrize(("unit", "size"), [("joules", 1.0), ("wh", 3600.0), ("kWh", 3.6e6)])
def test_a_count_between_two_moments(tmp_path: Path, unit: str, size: float) -> None:
    lines = [f"2026-01-01T00:00:{s:02d}{'Z' if s % 20 else ''},{5 + s / 10}" for s in (0, 10, 20, 30)]
    (tmp_path / "m.csv").write_text("\n".join([f"time,{unit}", *lines]))
    start = 1_767_225_600.0  # that midnight in UTC
    found = read_meter(tmp_path / "m.csv", start + 5, start + 25)
    assert not isinstance(found, str)
    assert found.joules == pytest.approx(2 * size)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not there"),
        ("time,volts\n1,2\n", "cannot be understood: it needs a header with 'time'"),
        ("time,watts\n1,x\n", "cannot be read: could not convert"),
        ("time,watts\n1,nan\n2,1\n", "not finite"),
        ("time,watts\n100,1\n", "two readings or more"),
        ("time,watts\n100,1\n90,1\n", "in the order of time"),
        ("time,watts\n101,1\n200,1\n", "reaches from 1970-01-01T00:01:41Z to 1970-01-01T00:03:20Z"),
        ("time,watts\n90,1\n95,1\n100,1\n", "the work from 1970-01-01T00:01:40Z to 1970-01-01T00:02:00Z"),
        ("time,joules\n90,5\n110,3\n130,9\n", "counts joules that fall"),
    ],
)
def test_a_file_that_does_not_tell_is_not_believed(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "m.csv").write_text(text)
    found = read_meter(tmp_path / "m.csv", 100, 120)
    assert isinstance(found, str)
    assert words in found


def test_the_meter_of_the_spec_comes_first(tmp_path: Path, tree: Tree) -> None:
    root, file = tree(intel_rapl__0=("package-0", 0)), tmp_path / "plug.csv"

    def change() -> None:
        now = time.time()
        file.write_text(f"time,watts\n{now - 100},50\n{now + 100},50\n")
        time.sleep(0.1)

    start = time.perf_counter()
    with EnergyMeter(EnergySpec(meter="plug.csv"), base=tmp_path, root=root, nvml="") as meter:
        change()
        joules = named(meter.lap("train"))["cost/train/joules"]
        assert 5 <= joules.value <= 50 * (time.perf_counter() - start)
        assert joules.method is not None
        assert (joules.method.name, joules.status, joules.interval) == ("meter file", "measured", None)
        file.unlink()
        later = named(meter.lap("more"))["cost/more/joules"]
    assert "plug.csv is not there; everything that ran" in (later.reason or "")
    assert later.method is not None
    assert later.method.name == "RAPL energy counters"
