"""A run's folder: its name, its lock, what it was asked, and whether it can be taken up again."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trueweight.errors import DataError, SpecError, TrainError
from trueweight.files import disk_errors, drop_folder, free_name, locked, read_json, safe_name, write_atomic, write_json
from trueweight.train.plan import Plan

__all__ = ["Run", "open_run"]

RUNS = Path("runs")

_BEGINNINGS = {".lock", "spec.yaml", "resolved.yaml", "run.json", "plan.json"}
"""What a run writes before its first step."""

_BEFORE_BEGINNING = {"spec.yaml", "resolved.yaml", "plan.json"}
"""What a run writes before ``run.json`` says that it has begun."""


@dataclass(frozen=True, slots=True)
class Run:
    """A folder that holds one run, locked by this process."""

    folder: Path
    resumed: bool
    """Whether it had begun before: killed, or stopped by Ctrl-C."""

    def begin(self, spec_yaml: str, resolved_yaml: str, data_digest: str, names: Sequence[str]) -> None:
        """Write down what was asked, or make sure that a resumed run was asked the same.

        Bundles that a killed process wrote but never told anybody about are dropped: they are written again.

        Args:
            spec_yaml: As asked for.
            resolved_yaml: With every default.
            data_digest: Of the whole data.
            names: Of the bundles that will be written.

        Raises:
            SpecError: The run was started with another spec.
            DataError: The run was started on other data.
        """
        facts = {"data": data_digest, "state": "running", "bundles": []}
        if self.resumed:
            facts = read_json(self.folder / "run.json")
            self._require_the_same(facts, resolved_yaml, data_digest)
            self._drop_untold(facts["bundles"], names)
        else:
            write_atomic(self.folder / "spec.yaml", spec_yaml.encode())
            write_atomic(self.folder / "resolved.yaml", resolved_yaml.encode())
            Plan().write(self.folder / "plan.json")
        write_json(self.folder / "run.json", facts | {"state": "running"})

    def _require_the_same(self, before: dict[str, object], resolved_yaml: str, data_digest: str) -> None:
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

    def _drop_untold(self, told: object, names: Sequence[str]) -> None:
        for stem in map(safe_name, names):
            for path in [self.folder / f"{stem}.bundle", *_numbered(self.folder, stem, ".bundle")]:
                if path.exists() and path.name not in told:  # type: ignore[operator]
                    drop_folder(path)

    def plan(self, asked: Plan | None) -> Plan | None:
        """What members are to follow: first what this very run has decided before, then what was asked for.

        Raises:
            SpecError: The two differ.
        """
        if not self.resumed:
            return asked
        merged = asked or Plan()
        before = Plan.read(self.folder / "plan.json")
        for member in before.members:
            other = None if asked is None else asked.member(member.name)
            if other is not None and other.replayed() != member.replayed():
                raise SpecError(
                    f"this run follows another plan for {member.name!r}",
                    where=str(self.folder / "plan.json"),
                    hint="repeat the command as it was and add --resume, or start anew without --resume",
                )
            merged = merged if other is not None else merged.with_member(member)
        for climb in before.climbs:
            merged = merged if merged.climb(climb.name) is not None else merged.with_climb(climb)
        return merged

    def finish(self, state: str, bundles: Sequence[Path]) -> None:
        """Note how it ended, "finished" or "partial", and its bundles, the model's own last."""
        before = read_json(self.folder / "run.json")
        told = [*before["bundles"], *(path.name for path in bundles)]
        write_json(self.folder / "run.json", before | {"state": state, "bundles": told, "bundle": told[-1]})


@contextmanager
def open_run(name: str, out: Path | None, *, resume: bool) -> Iterator[Run]:
    """Choose and lock the folder of a run.

    Args:
        name: Of the run; ``runs/<name>-01`` and so on unless ``out`` says otherwise.
        out: The folder to use. It may be new, empty, or hold an unfinished run with ``resume``.
        resume: Take up the unfinished run in ``out``, or the newest one of this name. Unfinished are runs that
            were killed, and those that Ctrl-C ended early.

    Raises:
        TrainError: The folder is in use, holds something else, or there is nothing to resume.
    """
    folder, made = (_unfinished(name, out), False) if resume else _fresh(name, out)
    with locked(folder, purpose="training"):
        state = _state(folder)
        if resume and state == "finished":  # by another process, while we looked
            raise _nothing_to_resume(name, folder)
        if not resume and state is not None:
            hint = "choose another --out" + ("" if state == "finished" else ", or add --resume to go on with it")
            raise TrainError(f"this folder already holds a {_WORDS[state]} run", where=str(folder), hint=hint)
        _sweep(folder)
        try:
            yield Run(folder, resumed=state is not None)
        except BaseException:
            if state is None:
                _take_back(folder, made)
            raise


def _take_back(folder: Path, made: bool) -> None:
    """Leave no half folder behind when a run was refused before there was anything worth keeping."""
    with suppress(OSError):  # the refusal itself is what is to be told
        if {path.name for path in folder.iterdir()} - _BEGINNINGS:
            return
        for path in folder.iterdir():
            path.unlink()
        if made:
            folder.rmdir()
        if folder.parent == RUNS:
            RUNS.rmdir()  # goes only if it is empty


_WORDS = {"running": "unfinished", "partial": "partial", "finished": "finished"}


def _state(folder: Path) -> str | None:
    """ "running" (also after a kill), "partial" or "finished"; None if nothing has begun."""
    path = folder / "run.json"
    return str(read_json(path)["state"]) if path.is_file() else None


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half-written. Safe because we hold the folder's lock."""
    for path in folder.glob(".*.tmp"):
        if path.is_dir():
            drop_folder(path)
        else:
            path.unlink(missing_ok=True)


def _fresh(name: str, out: Path | None) -> tuple[Path, bool]:
    """A folder for a new run, and whether it was made just now."""
    stem = safe_name(name)
    while True:
        folder = out or free_name(RUNS, stem)
        if file := next((path for path in folder.parents if path.exists() and not path.is_dir()), None):
            raise TrainError(f"{file.name} is a file", where=str(file.parent), hint="choose a folder with --out")
        with disk_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.mkdir()
            except FileExistsError:
                if out is None:
                    continue  # another run took the number in between
                if not folder.is_dir():
                    problem = f"{folder.name} is a file"
                    raise TrainError(problem, where=str(folder.parent), hint="choose a folder") from None
                if not (folder / "run.json").exists() and (strangers := _strangers(folder)):
                    problem = f"the folder is not empty: it holds {strangers[0]!r}"
                    raise TrainError(problem, where=str(folder), hint="choose a new or empty one with --out") from None
                return folder, False
        return folder, True


def _strangers(folder: Path) -> list[str]:
    """Files that no run of ours has put there before it began."""
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    ours = _BEFORE_BEGINNING if (folder / ".lock").exists() else set()
    return sorted(names - ours)


def _unfinished(name: str, out: Path | None) -> Path:
    """A run that was cut off, however early: one that was killed before it began only has its lock."""
    candidates = [out] if out else _numbered(RUNS, safe_name(name))[::-1]
    for folder in candidates:
        if not (folder / ".lock").exists():
            continue
        state = _state(folder)
        if state in ("running", "partial") or (state is None and not _strangers(folder)):
            return folder
    raise _nothing_to_resume(name, out)


def _numbered(parent: Path, stem: str, suffix: str = "") -> list[Path]:
    """What is called ``stem-01``, ``stem-02``, … (not ``stem-2-01``) in a folder, by number."""
    pattern = re.compile(rf"{re.escape(stem)}-(\d+){re.escape(suffix)}")
    found = [(int(match[1]), path) for path in parent.glob("*") if (match := pattern.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _nothing_to_resume(name: str, folder: Path | None) -> TrainError:
    place = str(folder or RUNS)
    if folder is not None and (folder / "run.json").is_file():
        bundle = folder / str(read_json(folder / "run.json").get("bundle"))
        problem = "there is nothing to resume: the run has finished"
        return TrainError(problem, where=place, hint=f"its bundle is {bundle}")
    return TrainError(
        f"there is no unfinished run of {name!r} to resume", where=place, hint="start one by leaving out --resume"
    )
