"""A run's folder: its name, its lock, what it was asked, and whether it can be taken up again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueweight.errors import DataError, SpecError, TrainError
from trueweight.files import disk_errors, free_name, locked, read_json, safe_name, write_atomic, write_json

__all__ = ["Run", "open_run"]

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Run:
    """A folder that holds one run, locked by this process."""

    folder: Path
    resumed: bool

    def begin(self, spec_yaml: str, resolved_yaml: str, data_digest: str) -> None:
        """Write down what was asked, or make sure that a resumed run was asked the same.

        Raises:
            SpecError: The run was started with another spec.
            DataError: The run was started on other data.
        """
        facts = {"data": data_digest, "state": "running"}
        if self.resumed:
            before = read_json(self.folder / "run.json")
            if (self.folder / "resolved.yaml").read_text(encoding="utf-8") != resolved_yaml:
                raise SpecError(
                    "this run was started with another spec or other options",
                    where=str(self.folder / "resolved.yaml"),
                    hint="repeat the command as it was and add --resume, or start anew without --resume",
                )
            if before["data"] != data_digest:
                raise DataError(
                    "the data has changed since this run was started",
                    where=str(self.folder),
                    hint="bring the old data back, or start anew without --resume",
                )
        write_atomic(self.folder / "spec.yaml", spec_yaml.encode())
        write_atomic(self.folder / "resolved.yaml", resolved_yaml.encode())
        write_json(self.folder / "run.json", facts)

    def finish(self, state: str, bundle: Path, facts: Mapping[str, Any]) -> None:
        """Note how it ended: "finished" or "partial"."""
        before = read_json(self.folder / "run.json")
        write_json(self.folder / "run.json", before | {"state": state, "bundle": bundle.name} | dict(facts))


@contextmanager
def open_run(name: str, out: Path | None, *, resume: bool) -> Iterator[Run]:
    """Choose and lock the folder of a run.

    Args:
        name: Of the run; ``runs/<name>-01`` and so on unless ``out`` says otherwise.
        out: The folder to use. It may be new, empty, or hold an unfinished run with ``resume``.
        resume: Take up the unfinished run in ``out``, or the newest one of this name.

    Raises:
        TrainError: The folder is in use, holds something else, or there is nothing to resume.
    """
    folder = _unfinished(name, out) if resume else _fresh(name, out)
    with locked(folder, purpose="training"):
        if not resume and (folder / "run.json").exists():
            raise TrainError(
                "this folder already holds a run",
                where=str(folder),
                hint="add --resume to take up an unfinished run, or choose another --out",
            )
        yield Run(folder, resume)


def _fresh(name: str, out: Path | None) -> Path:
    stem = safe_name(name)
    while True:
        folder = out or free_name(RUNS, stem)
        with disk_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.mkdir()
            except FileExistsError:
                if out is None:
                    continue  # another run took the number in between
                if not folder.is_dir():
                    raise TrainError(
                        f"{folder.name} is a file", where=str(folder.parent), hint="choose a folder"
                    ) from None
                strangers = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
                if strangers and "run.json" not in strangers:
                    problem = f"the folder is not empty: it holds {strangers[0]!r}"
                    raise TrainError(
                        problem, where=str(folder), hint="choose a new or empty folder with --out"
                    ) from None
        return folder


def _unfinished(name: str, out: Path | None) -> Path:
    candidates = [out] if out else sorted(RUNS.glob(f"{safe_name(name)}-*"), reverse=True)
    for folder in candidates:
        if (folder / "run.json").is_file() and read_json(folder / "run.json").get("state") == "running":
            return folder
    place = str(out) if out else str(RUNS)
    raise TrainError(
        f"there is no unfinished run of {name!r} to resume", where=place, hint="start one by leaving out --resume"
    )
