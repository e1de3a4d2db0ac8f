"""The pages of benchmarks say what was measured, not what was measured once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pages_are_those_of_the_results():
    command = [sys.executable, "-m", "benchmarks", "page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
