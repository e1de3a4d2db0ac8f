"""The folder of a search: its lock, what was asked, and whether it can be taken up again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueweight.errors import TrainError, VerifyError
from trueweight.files import (
    disk_errors,
    drop_folder,
    free_name,
    locked,
    read_json,
    require_types,
    safe_name,
    write_json,
)

__all__ = ["TABLE", "Study", "open_study"]

RUNS = Path("runs")

FACTS, TABLE = "study.json", "trials.jsonl"

_TYPES: dict[str, Any] = {
    "schema": int, "state": str, "asked": Mapping, "fit_seconds": float | int | None, "written": str | None,
    "run": str | None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Study:
    """A folder that holds one search, locked by this process."""

    folder: Path
    resumed: bool

    @property
    def table(self) -> Path:
        """The trials, one a line."""
        return self.folder / TABLE

    def begin(self, asked: Mapping[str, str], fit_seconds: float | None) -> float | None:
        """Write down what was asked, or make sure that a resumed search was asked the same.

        Args:
            asked: Digests of what decides the trials, by what they are of, in words.
            fit_seconds: Time that each fit of a trial may take.

        Returns:
            The time for a fit, as it was when the search began.

        Raises:
            TrainError: It was begun with something else.
        """
        if not self.resumed:
            facts: dict[str, Any] = {
                "schema": 1,
                "asked": dict(asked),
                "fit_seconds": fit_seconds,
                "written": None,
                "run": None,
            }
            write_json(self.folder / FACTS, facts | {"state": "running"})
            return fit_seconds
        facts = self.facts()
        if other := [word for word, digest in asked.items() if facts["asked"].get(word) != digest]:
            hint = "repeat the command as it was and add --resume, or start anew without --resume"
            raise TrainError(f"this search was begun with another {other[0]}", where=str(self.folder), hint=hint)
        self.note(state="running")
        seconds: float | None = facts["fit_seconds"]
        return seconds

    def facts(self) -> dict[str, Any]:
        """What is known of it."""
        return _facts(self.folder)

    def note(self, **facts: Any) -> None:
        """Write down something more: ``state`` ("running", "partial" or "finished"), ``written`` or ``run``."""
        write_json(self.folder / FACTS, self.facts() | facts)


def _facts(folder: Path) -> dict[str, Any]:
    raw: Any = read_json(folder / FACTS)
    try:
        require_types(raw, _TYPES, "it")
    except (VerifyError, AttributeError, TypeError) as error:
        told = error.problem if isinstance(error, VerifyError) else str(error)
        raise VerifyError(f"not what a search has written: {told}", where=str(folder / FACTS)) from None
    return dict(raw)


@contextmanager
def open_study(name: str, out: Path | None, *, resume: bool) -> Iterator[Study]:
    """Choose and lock the folder of a search.

    Args:
        name: Of the model; ``runs/<name>-tune-01`` and so on unless ``out`` says otherwise.
        out: The folder to use: new, empty, or that of an unfinished search with ``resume``.
        resume: Take up the unfinished search in ``out``, or the newest one of this name.

    Raises:
        TrainError: The folder is in use, holds something else, or there is nothing to resume.
    """
    stem = f"{safe_name(name)}-tune"
    folder = _unfinished(stem, out) if resume else out or free_name(RUNS, stem)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not resume and (there := sorted(path.name for path in folder.iterdir() if path.name != ".lock")):
        hint = "choose a new or empty one with --out, or go on with a search by --resume"
        raise TrainError(f"the folder is not empty: it holds {there[0]!r}", where=str(folder), hint=hint)
    with locked(folder, purpose="tuning"):
        if (folder / "trial").exists():  # the trial that a kill cut short begins again
            drop_folder(folder / "trial")
        study = Study(folder, resumed=(folder / FACTS).is_file())
        try:
            yield study
        except BaseException:
            if not (folder / FACTS).is_file():  # refused before there was anything worth keeping
                (folder / ".lock").unlink(missing_ok=True)
                _remove_if_empty(folder)
            raise


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _unfinished(stem: str, out: Path | None) -> Path:
    found = [out] if out is not None else sorted(RUNS.glob(f"{stem}-[0-9][0-9]*"), reverse=True)
    for folder in found:
        if (folder / FACTS).is_file() and _facts(folder)["state"] != "finished":
            return folder
    where = str(out or RUNS)
    hint = "start one by leaving out --resume"
    raise TrainError(f"there is no unfinished search {stem!r} to resume", where=where, hint=hint)
