"""The command as a real process: speed, terminals, pipes, signals."""

import json
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

TRUEWEIGHT = [sys.executable, "-m", "trueweight"]


def call(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRUEWEIGHT, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


IMPORTED = """
import sys
from trueweight.cli.main import run
code = run(sys.argv[1:])
unwanted = ("torch", "pyarrow", "numpy", "pydantic", "rich", "ruamel", "pandas", "asyncio")
heavy = [name for name in unwanted if name in sys.modules]
print(heavy, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["completion", "zsh"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["parts"], ["schema"], ["cache"], ["check", "nowhere.yaml"]])
def test_help_verbs_and_check_do_without_torch(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=False)
    assert "torch" not in done.stderr.splitlines()[-1]


def cpu_seconds(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_is_there_at_once(option: str) -> None:
    # CPU seconds, best of three: other work on the machine must not fail this.
    assert min(cpu_seconds([*TRUEWEIGHT, option]) for _ in range(3)) < 0.3


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert call(["--version"]).stdout == f"trueweight, version {version('trueweight')}\n"


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), ([], 2), (["nope"], 2), (["check", "nowhere.yaml"], 2)]
)
def test_exit_codes_reach_the_shell(arguments: list[str], code: int) -> None:
    done = call(arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", ["schema", "parts", "--help", "train --help"])
def test_a_closed_pipe_is_quiet(arguments: str) -> None:
    command = f"set -o pipefail; {' '.join(TRUEWEIGHT)} {arguments} | head -c 1 >/dev/null"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_that_was_never_read_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*TRUEWEIGHT, "schema"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def on_a_terminal(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Standard error as a terminal would get it."""
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")} | dict(environment)
    with subprocess.Popen([*TRUEWEIGHT, *arguments], stdout=subprocess.DEVNULL, stderr=theirs, env=env) as process:
        os.close(theirs)
        told = b""
        try:
            while piece := os.read(ours, 4096):
                told += piece
        except OSError:  # the end of a terminal is an error on Linux
            pass
        process.wait()
    os.close(ours)
    return told.decode()


@pytest.mark.parametrize(
    ("environment", "colourful"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_colours_only_where_they_are_wanted(environment: dict[str, str], colourful: bool) -> None:
    told = on_a_terminal(["check", "nowhere.yaml"], environment)
    assert "no such file" in told
    assert ("\x1b[" in told) is colourful


def test_an_ascii_terminal_gets_every_word() -> None:
    done = call(["--help"], PYTHONIOENCODING="ascii", PYTHONUTF8="0")  # it holds an ellipsis
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


BAR = """
import sys, time
from trueweight.cli.bar import showing_progress
from trueweight.progress import advance
with showing_progress():
    for step in range(8):
        advance("training mlp", step, 8, unit="steps", note="log_loss 0.4")
        time.sleep(0.11)
    advance("training mlp", 8, 8, unit="steps")
"""


def test_a_terminal_gets_a_bar_with_rate_and_time_left() -> None:
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", BAR], stderr=theirs, env=env) as process:
        os.close(theirs)
        told = b""
        try:
            while piece := os.read(ours, 4096):
                told += piece
        except OSError:
            pass
        assert process.wait() == 0
    os.close(ours)
    words = told.decode()
    for expected in ("training mlp", "of 8 steps, log_loss 0.4", "steps/s", "left"):
        assert expected in words


def test_completion_completes() -> None:
    done = call([], COMP_WORDS="trueweight ev", COMP_CWORD="1", _TRUEWEIGHT_COMPLETE="bash_complete")
    assert "plain,evaluate" in done.stdout.splitlines()


def test_the_schema_is_json() -> None:
    schema = json.loads(call(["schema"]).stdout)
    assert "targets" in schema["properties"]


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    program = "import sys\nfrom trueweight.cli import main\ndef stop(*a, **k): raise KeyboardInterrupt\n"
    program += "import trueweight.cli.cache\nimport trueweight.files\ntrueweight.files.cache_dir = stop\n"
    program += "sys.argv = ['trueweight', 'cache']\nmain.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.strip() == "error: interrupted"
