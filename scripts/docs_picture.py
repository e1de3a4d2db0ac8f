"""The terminal picture of the README: a real run, as text and as an image."""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

__all__ = ["draw"]

COMMAND = "trueweight train data/tumours.csv --target diagnosis --budget 5s"
START, END = "<!-- generated: picture -->\n", "<!-- end of generated: picture -->"


def draw(root: Path) -> None:
    """Train once, and put what was printed into ``README.md`` and ``docs/img/train.svg``."""
    printed = _printed(root)
    readme = root / "README.md"
    page = readme.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    block = f"{START}\n```console\n$ {COMMAND}\n{printed}```\n\n{END}"
    readme.write_text(before + block + after, encoding="utf-8")
    (root / "docs" / "img" / "train.svg").write_text(_image(printed), encoding="utf-8")


def _printed(root: Path) -> str:
    tool = Path(sys.executable).with_name("trueweight")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(root / "examples", Path(folder) / "examples")
        subprocess.run([sys.executable, "examples/make_data.py", "data"], cwd=folder, check=True)
        words, both = [str(tool), *COMMAND.split()[1:]], {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(words, cwd=folder, check=True, text=True, **both)
    # How often a slow machine reports its progress is no part of the picture.
    return "".join(line for line in done.stdout.splitlines(keepends=True) if not line.startswith("training "))


def _image(printed: str) -> str:
    lines = printed.splitlines()
    console = Console(record=True, width=max(len(line) for line in [*lines, COMMAND]) + 3, file=io.StringIO())
    console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
    for line in lines:
        style = "bold" if line.startswith("Test:") else "cyan" if "Better than" in line else ""
        console.print(Text(line, style=style))
    # A picture fetches nothing: readers without the font get another one of equal widths.
    return re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="trueweight train"), flags=re.DOTALL)
