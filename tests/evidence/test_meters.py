"""Meters against work whose cost is known."""

import json
import platform
import subprocess
import sys
import time

import pytest

from trueweight.evidence.meters import Meter, machine
from trueweight.evidence.record import Evidence


def test_time_asleep_is_wall_time_only():
    with Meter() as meter:
        time.sleep(0.1)
    reading = meter.reading()
    assert 0.1 <= reading.wall_seconds < 1
    assert reading.cpu_seconds < 0.05
    assert meter.reading() == reading  # stopped


def test_work_is_processor_time():
    with Meter() as meter:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        assert meter.reading().wall_seconds > 0.05  # can be read while running
    assert meter.reading().cpu_seconds == pytest.approx(0.1, abs=0.05)


def test_memory_grows_by_what_was_taken():
    code = (
        "from trueweight.evidence.meters import Meter\n"
        "with Meter() as meter: block = bytearray(b'x') * (64 << 20)\n"
        "print(meter.reading().memory_growth_bytes, meter.reading().peak_memory_bytes)"
    )
    grown, peak = map(int, subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert 60 << 20 < grown < 80 << 20  # 64 MiB, in pages, beside what Python itself takes
    assert peak > grown


def test_readings_are_entries_without_interval():
    with Meter() as meter:
        pass
    entries = meter.reading().entries("train")
    assert [e.id for e in entries] == [
        "cost/train/wall_seconds", "cost/train/cpu_seconds", "cost/train/peak_memory_bytes",
        "cost/train/memory_growth_bytes",
    ]  # fmt: skip
    assert all(e.axis == "cost" and e.interval is None and e.n is None and e.status == "measured" for e in entries)
    assert Evidence.from_json(json.loads(json.dumps(Evidence(tuple(entries)).to_json()))).entries == tuple(entries)


def test_an_unused_meter_has_no_reading():
    with pytest.raises(RuntimeError, match="with block"):
        Meter().reading()


def test_the_machine_is_described_without_names():
    facts = machine()
    assert facts["cpus"] >= facts["usable_cpus"] >= 1
    assert facts["memory_bytes"] > 1 << 28
    assert facts["python"] == platform.python_version()
    assert platform.node() not in facts.values()
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {
        "system", "architecture", "processor", "cpus", "usable_cpus", "memory_bytes", "python", "implementation",
        "versions",
    }  # fmt: skip


def test_asking_about_the_machine_loads_nothing():
    code = (
        "import sys; from trueweight.evidence.meters import machine\n"
        "print(machine()['versions'], 'torch' in sys.modules)"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "torch" not in printed
    assert printed.strip().endswith("False")
