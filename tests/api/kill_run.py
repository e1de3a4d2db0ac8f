"""Run by test_kill_whole_runs.py: runs the command line in forks that are killed with SIGKILL, until one gets through.

    kill_run.py KILLS -- ARGUMENTS      KILLS: "data.blocks:_put:1 after:0.2 …"

``module:function:N`` kills the process when it enters that function for the N-th time, ``after:S`` from outside
after S seconds. Every fork after the first is given ``--resume``. Prints, as JSON, what each fork came to and what
was found in the run's folder after each kill.
"""

import importlib
import json
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

from trueweight.api import run as _whole  # noqa: F401  # everything is imported before the first fork
from trueweight.bundle.load import load_bundle
from trueweight.cli.main import run
from trueweight.train import probe


def arm(place: str, number: int) -> None:
    """Put a tripwire into a function, or a method such as ``Descent.after``."""
    module, path = place.split(":")
    owner = importlib.import_module(f"trueweight.{module}")
    *outer, name = path.split(".")
    for part in outer:
        owner = vars(owner)[part]
    real, calls = vars(owner)[name], count(1)

    def tripped(*args, **kwargs):
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(owner, name, tripped)


def attempt(kill: str, arguments: list[str]) -> None:
    words = os.open(f"words-{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(words, 1)
    os.dup2(words, 2)
    if kill and not kill.startswith("after:"):
        place, _, number = kill.rpartition(":")
        arm(place, int(number))
    os._exit(run(arguments))


def found(folder: Path) -> dict[str, object]:
    """What a kill left: every bundle must be whole, or not there."""
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    for bundle in folder.glob("[!.]*.bundle"):
        load_bundle(bundle)
    return {"names": names}


def main() -> None:
    kills, arguments = sys.argv[1].split(), sys.argv[3:]
    folder = Path(arguments[arguments.index("--out") + 1])
    probe.CHECKPOINT_SECONDS = 0.02
    story = []
    for place, kill in enumerate([*kills, ""]):
        if (child := os.fork()) == 0:
            attempt(kill, [*arguments, "--resume"] if place else arguments)
        if kill.startswith("after:"):
            time.sleep(float(kill.removeprefix("after:")))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        words = Path(f"words-{child}.txt").read_text()
        end = "killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        story.append({"kill": kill, "end": end, "words": words, **found(folder)})
        if end == 0:
            break
    sys.stdout.write(json.dumps(story))


if __name__ == "__main__":
    main()
