"""Do what a page of the documentation says, and compare what comes of it with what the page shows.

    python scripts/docs_run.py PAGE...     prints one JSON list of differences to each page; empty when all is well

* Lines after ``$ `` in a console block are typed; the lines below them must appear in the output, in that order.
  Numbers are not compared (machines differ in the last digits) but for shapes like (2, 8, 64), nor digests, nor which
  way a verdict fell.
  A line ``…`` stands for any lines, ``…`` at the end of a line for any rest of it.
  A command must exit with 0 unless the next line is ``$ echo $?``.
* Python blocks of a page are run one after the other in one namespace; a text block right below one is its output.

Pages start in a folder of their own that holds ``examples/``, ``data/`` and a trained ``runs/tumours-01``, but for the
pages that make these themselves.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FROM_NOTHING = ("README.md", "quickstart.md", "train.md")
"""Pages that begin without a trained model."""
_SHELL = re.compile(r"[|<>;&$*`]")
_NUMBER = re.compile(r"(?P<shape>\(\d+,(?: \d+(?:, \d+)*)?\))|[+−-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?")
"""A number, or a shape like (2, 8, 64)."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    kind: str
    text: str
    line: int
    touches: bool
    """Whether it stands right below another block."""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    found, end = [], -1
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE):
        between = page[end : match.start()] if end >= 0 else "x"
        found.append(Block(match[1], match[2], page.count("\n", 0, match.start()) + 1, not between.strip()))
        end = match.end()
    return found


def plain(line: str) -> str:
    """A line without what may differ between machines."""
    line = re.sub(r"sha256:[0-9a-f]+", "sha256:#", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "#", line)
    line = re.sub(r"(Better than \w+\?)  .*", r"\1", line)
    line = _NUMBER.sub(lambda found: found["shape"] or "#", line)
    return " ".join(line.split())


def differences(expected: Sequence[str], output: str) -> Iterator[str]:
    """Expected lines that the output lacks, or has in another order."""
    lines = iter([plain(line) for line in output.splitlines()])
    for line in expected:
        wanted = plain(line)
        if wanted in ("", "…"):
            continue
        start = wanted.removesuffix("…")
        # Each search goes on from where the last one ended.
        if not any(line == wanted or (start != wanted and line.startswith(start)) for line in lines):
            yield f"no line like {line.strip()!r} in its place in:\n{output}"
            return


def run_page(page: Path, folder: Path) -> list[str]:
    """Do what a page says inside ``folder``; the differences."""
    found, names, printed = [], dict[str, Any](), ""
    with contextlib.chdir(folder):
        for block in blocks(page.read_text(encoding="utf-8")):
            place = f"{page.name}:{block.line}"
            if block.kind == "console":
                found += [f"{place}: {problem}" for problem in _console(block)]
            elif block.kind == "python":
                printed, problem = _python(block, names)
                found += [f"{place}: {problem}"] if problem else []
            elif block.kind == "text" and block.touches and printed:
                found += [f"{place}: {problem}" for problem in differences(block.text.splitlines(), printed)]
            if block.kind != "python":
                printed = ""
    return found


def _console(block: Block) -> Iterator[str]:
    pieces = [piece.splitlines() for piece in re.split(r"^\$ ", block.text, flags=re.MULTILINE) if piece.strip()]
    code = 0
    for place, (command, *expected) in enumerate(pieces):
        if command == "echo $?":
            if expected[:1] != [str(code)]:
                yield f"exit code {code}, not {expected[:1]}"
            continue
        code, output = _typed(command)
        following = pieces[place + 1][0] if place + 1 < len(pieces) else ""
        if code and following != "echo $?":
            yield f"{command}: exit code {code}:\n{output}"
        yield from (f"{command}: {problem}" for problem in differences(expected, output))


def _typed(command: str) -> tuple[int, str]:
    """Exit code and output of a command; of ours in this process, which saves starting Python each time."""
    command = command.partition("  # ")[0]
    if command.startswith("trueweight ") and not _SHELL.search(command):
        from trueweight.cli.main import run

        with _captured() as out:
            code = run(shlex.split(command)[1:])
        return code, out.getvalue().decode()
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode()


def _python(block: Block, names: dict[str, Any]) -> tuple[str, str]:
    with _captured() as out:
        try:
            exec(compile(block.text, "page", "exec"), names)
        except Exception:
            return "", traceback.format_exc()
    return out.getvalue().decode(), ""


@contextlib.contextmanager
def _captured() -> Iterator[io.BytesIO]:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield raw
    stream.detach()


def main(pages: Sequence[str]) -> int:
    """Run the pages and print what differs, as JSON."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ |= {
            "TRUEWEIGHT_CACHE": f"{home}/cache", "TRUEWEIGHT_STATE": f"{home}/state", "NO_COLOR": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",  # models of pages are small, and waiting threads slow a busy machine
        }  # fmt: skip
        _prepare(home / "empty", home / "trained")
        found = {}
        for number, text in enumerate(pages):
            page = Path(text).resolve()
            start = home / ("empty" if page.name in FROM_NOTHING else "trained")
            shutil.copytree(start, home / str(number))
            found[text] = run_page(page, home / str(number))
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return 1 if any(found.values()) else 0


def _prepare(empty: Path, trained: Path) -> None:
    shutil.copytree(ROOT / "examples", empty / "examples", ignore=shutil.ignore_patterns("data"))
    subprocess.run([sys.executable, "examples/make_data.py", "data"], cwd=empty, check=True)
    shutil.copytree(empty / "data", empty / "examples" / "data")
    shutil.copytree(empty, trained)
    with contextlib.chdir(trained):
        code, said = _typed("trueweight train data/tumours.csv --target diagnosis --set model.preset=fast")
    if code:
        raise SystemExit(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
