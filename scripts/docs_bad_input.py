"""The table of what bad input gets: each case is run, and what it says is written down."""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_words import table

__all__ = ["as_row", "bad_input_table", "run"]

BUG = 70
"""Exit code that no case may have."""

TRAIN = ("train", "data.csv", "--target", "y", "--set", "model.preset=fast", "--out", "run")


@dataclass(frozen=True)
class Case:
    """One bad input and the command that meets it."""

    title: str
    files: dict[str, str | bytes]
    command: Sequence[str] = TRAIN


def _rows(line: Callable[[int], str], header: str = "x,y", count: int = 60) -> str:
    return "\n".join([header, *(line(n) for n in range(count))]) + "\n"


def _plain(n: int) -> str:
    return f"{n % 7},{n % 3}.5"


GOOD = _rows(_plain)
FINISHED = '{"state": "finished", "data": "", "bundles": []}'
SPEC = "data: {source: data.csv}\ntargets: {y: number}\n"

CASES = (
    Case("a missing file", {"date.csv": GOOD}),
    Case("an empty file", {"data.csv": ""}),
    Case("a header and no rows", {"data.csv": "x,y\n"}),
    Case("something else, named csv", {"data.csv": b"\x00\x01\x02junk\xff" * 50}),
    Case("a Parquet file, named csv", {"data.csv": b"PAR1" + b"\x15\x04" * 99}),
    Case("rows of unequal length", {"data.csv": _rows(lambda n: "1,2,3" if n % 9 == 4 else _plain(n))}),
    Case("the wrong delimiter", {"data.csv": GOOD.replace(",", ";"),
                                 "s.yaml": SPEC.replace("csv", 'csv, delimiter: ","')},
         ("train", "s.yaml", "--out", "run")),
    Case("a quote that is never closed", {"data.csv": _rows(lambda n: '"1,2' if n == 50 else _plain(n))}),
    Case("two columns of one name", {"data.csv": _rows(lambda n: f"{n},{n},{n}", "x,x,y")}),
    Case("a target that is not there", {"data.csv": GOOD.replace("x,y", "x,yy")}),
    Case("a target that never varies", {"data.csv": _rows(lambda n: f"{n},1")}),
    Case("a target without values", {"data.csv": _rows(lambda n: f"{n},")}),
    Case("a class with a single row", {"data.csv": _rows(lambda n: f"{n % 7},{'c' if n == 5 else 'ab'[n % 2]}")}),
    Case("too few rows to share out", {"data.csv": _rows(_plain, count=3)}),
    Case("a target of dates", {"data.csv": _rows(lambda n: f"{n % 7},2024-01-{n % 28 + 1:02d}")}),
    Case("no column left to learn from", {"data.csv": _rows(lambda n: f"same,{n % 3}.5")}),
    Case("a column without any value", {"data.csv": _rows(lambda n: f"{_plain(n)},", "x,y,empty")}),
    Case("infinite numbers", {"data.csv": _rows(lambda n: f"inf,{n % 3}.5" if n == 5 else _plain(n))}),
    Case("a cell of a million letters", {"data.csv": _rows(lambda n: f"{_plain(n)},{'z' * (10**6 if n == 5 else 1)}",
                                                          "x,y,note")}),
    Case("whole numbers above 2^53", {"data.csv": _rows(lambda n: f"{2**53 + n % 7 + 1},{n % 3}.5")}),
    Case("numbers with a few words among them", {"data.csv": _rows(lambda n: f"ten,{n % 3}.5" if n == 5 else _plain(n),
                                                                  count=200)}),
    Case("a spec with mistakes", {"s.yaml": SPEC + "sed: 1\ntrain: {batch_size: none, budget: {time: soon}}\n",
                                  "data.csv": GOOD}, ("check", "s.yaml")),
    Case("a spec that names a missing column", {"s.yaml": SPEC + "features: {xx: number}\n", "data.csv": GOOD},
         ("check", "s.yaml")),
    Case("a spec that is no YAML", {"s.yaml": "targets: {y: number\n"}, ("check", "s.yaml")),
    Case("a folder that holds something else", {"data.csv": GOOD, "run/letter.txt": "dear"}),
    Case("a second run in the same folder", {"data.csv": GOOD, "run/run.json": FINISHED}),
    Case("nothing to resume", {"data.csv": GOOD}, (*TRAIN, "--resume")),
    Case("a bundle that is not there", {"data.csv": GOOD}, ("predict", "run/data.bundle", "data.csv")),
)  # fmt: skip

BUNDLE_CASES: tuple[tuple[str, Callable[[Path], Any], Sequence[str]], ...] = (
    ("a bundle with one number changed", lambda b: _edit(b / "evidence.json"), ("predict", "{}", "new.csv")),
    ("the same, asked to verify", lambda b: _edit(b / "evidence.json"), ("verify", "{}")),
    ("a bundle with a file cut short", lambda b: _cut(b / "signature.json"), ("predict", "{}", "new.csv")),
    ("a bundle with a file missing", lambda b: (b / "spec.yaml").unlink(), ("predict", "{}", "new.csv")),
    ("a bundle with a file too many", lambda b: (b / "run.py").write_text("print()"), ("predict", "{}", "new.csv")),
    ("new rows without any of its columns", lambda b: b, ("predict", "{}", "other.csv")),
    ("later rows without answers", lambda b: b, ("evaluate", "{}", "new.csv")),
    ("other data than it was trained from", lambda b: b, ("verify", "{}", "--recompute", "--data", "later.csv")),
)


def bad_input_table() -> str:
    """Run every case in a folder of its own and tell what came of it."""
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"TRUEWEIGHT_CACHE": f"{name}/cache", "TRUEWEIGHT_STATE": f"{name}/state", "NO_COLOR": "1"}
        rows = [_tried(case, Path(name) / str(n)) for n, case in enumerate(CASES)]
        rows += _bundles(Path(name) / "bundles")
    return table(["what comes in", "exit code", "what is said"], rows)


def _tried(case: Case, folder: Path) -> tuple[str, str, str]:
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, said = run(case.command, folder)
    bundle = folder / "run" / "data.bundle" if case.command[0] == "train" else None
    return as_row(case.title, code, said, bundle)


def as_row(title: str, code: int, said: str, bundle: Path | None) -> tuple[str, str, str]:
    """A row of the table: of a run that went well, what it counted and left out; of others, what was said."""
    return title, str(code), _code_marks(_noticed(bundle) if code == 0 and bundle is not None else said)


def _bundles(folder: Path) -> list[tuple[str, str, str]]:
    import shutil

    folder.mkdir()
    (folder / "data.csv").write_text(GOOD)
    (folder / "new.csv").write_text("x\n1\n2\n")
    (folder / "other.csv").write_text("z\n1\n2\n")
    (folder / "later.csv").write_text(_rows(lambda n: f"{n % 5},{n % 3}.25"))
    run((*TRAIN[:-1], "first"), folder)
    rows = []
    for place, (title, damage, command) in enumerate(BUNDLE_CASES):
        bundle = folder / f"{place}" / "data.bundle"
        shutil.copytree(folder / "first" / "data.bundle", bundle)
        damage(bundle)
        code, said = run([word.format(bundle.relative_to(folder)) for word in command], folder)
        said = "answers; a column that is not there counts as missing values" if code == 0 else said
        rows.append((title, str(code), _code_marks(said.replace(f"{place}/data.bundle", "data.bundle"))))
    return rows


def run(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Exit code and complaint of one command, run inside ``folder``, without what differs between machines."""
    from trueweight.cli.main import run as run_command

    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command(command)
    if code == BUG:
        raise SystemExit(f"{' '.join(command)} met a fault of ours:\n{err.getvalue()}")
    printed = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    said = err.getvalue().strip() or printed.strip()
    said = said.replace(f"{folder}/", "").replace(str(folder), "the folder")
    said = re.sub(r"sha256:[0-9a-f]{6,}…?", "sha256:…", said)
    return code, re.sub(r"(pid|of) \d+( bytes)?", lambda m: f"{m[1]} …{m[2]}" if m[2] or m[1] == "pid" else m[0], said)


def _noticed(bundle: Path) -> str:
    """What a run that went well has counted and left out."""
    from trueweight.api import load

    opened = load(bundle)
    notes = [str(e.value) for e in opened.evidence if e.id.startswith("data/note/")]
    counted = [note for note in notes if not note.startswith("left out ") and "cross-fitted" not in note]
    counted += [f"{e.metric}: {e.value:,}" for e in opened.evidence if re.match(r"data/(dirt|missing)/", e.id)]
    left = [f"{c.name} is left out: {c.why}" for c in opened.signature.columns.values() if c.role == "ignored"]
    return "trains; " + "; ".join([*counted, *left] or ["nothing to report"])


def _code_marks(said: str) -> str:
    """Lines as Markdown code, so that nothing in them is read as markup."""
    lines = [line.strip().removeprefix("error: ") for line in said.splitlines() if line.strip()][:8]
    return "<br>".join("`" + line.replace("`", "'")[:300] + "`" for line in lines)


def _edit(path: Path) -> None:
    path.write_text(path.read_text().replace('"n": 1', '"n": 9', 1))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])
