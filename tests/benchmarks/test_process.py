"""What is said of a process that is over is true: seconds, memory of its children too, cores, and why it ended."""

import sys

from benchmarks.process import run


def python(code: str, folder, **options):
    return run([sys.executable, "-c", code], folder, **({"limit": 300, "threads": 1} | options))


def test_output_code_and_environment(tmp_path):
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['ASKED'], len(os.sched_getaffinity(0)))"
    done = python(f"import time; time.sleep(0.3); {code}", tmp_path, env={"ASKED": "yes"})
    assert (done.code, done.out.split(), done.reason) == (0, ["1", "yes", "1"], None)
    assert done.seconds > 0.3


def test_modules_stay_compiled_whatever_the_shell_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert python("import sys; print(sys.dont_write_bytecode)", tmp_path).out.strip() == "False"


def test_the_clock_of_the_process_is_that_of_the_harness(tmp_path):
    done = python("import os, time; print(time.monotonic() - float(os.environ['RACE_BEGAN']))", tmp_path)
    assert 0 < float(done.out) < done.seconds


def test_memory_of_children_counts(tmp_path):
    hold = "import time; held = bytearray(150_000_000); time.sleep(0.6)"
    alone = python("import time; time.sleep(0.6)", tmp_path)
    both = python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])", tmp_path)
    # 150 MB are 143 MiB, and a second interpreter comes on top
    assert 143 < both.peak_mb - alone.peak_mb < 200


def test_a_failure_says_its_last_line(tmp_path):
    done = python("raise ValueError('no such column')", tmp_path)
    assert done.reason == "ended with 1: ValueError: no such column"
    ours = "import sys; sys.exit('error: no column\\n  where: x\\n  hint: look')"
    assert python(ours, tmp_path).reason == "ended with 1: error: no column where: x hint: look"


def test_what_takes_too_long_is_stopped_with_its_children(tmp_path):
    child = "import time, pathlib; time.sleep(3); pathlib.Path('late').touch()"
    done = python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])", tmp_path, limit=0.8)
    assert done.code is None
    assert done.reason == "stopped after 1 s"
    assert 0.8 <= done.seconds < 2.5
    assert not (tmp_path / "late").exists()
