"""A folder of class sub-folders as rows: a file each, and the name of the folder it lies in."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from trueweight.data.media import in_threads
from trueweight.data.media_kinds import named_kind
from trueweight.errors import DataError
from trueweight.files import digest_bytes, digest_file

__all__ = ["FILE", "LABEL", "SPLIT", "FolderRows", "read_folder"]

FILE, LABEL, SPLIT = "file", "label", "split"
"""Columns: the path below the folder, the class, and which part a row belongs to where folders say so."""

_PARTS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_WORDS = {"image": "pictures", "audio": "sounds"}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FolderRows:
    """What a folder holds."""

    data: pa.Table
    digest: str
    """Of the names and contents of the files; of the names alone if only some rows were asked for."""
    notes: tuple[str, ...]


def read_folder(folder: Path, rows: int | None, *, classes: bool = True) -> FolderRows:
    """Rows of a folder: each sub-folder is a class; above them may be ``train``, ``validation`` and ``test``.

    Hidden files are passed over; so are, with a note, files that are no pictures or sounds.

    Args:
        folder: To be read.
        rows: At most so many, evenly from everywhere, so that there are some of each class.
        classes: Whether there must be class folders. Else the files of a folder without any will do: rows to answer.

    Raises:
        DataError: There are no class folders with such files in it, or it cannot be listed.
    """
    parts = {name: _PARTS.get(name.lower()) for name in _folders(folder)}
    if parts and all(parts.values()) and any(_folders(folder / name) for name in parts):
        found = [_Found(f"{name}/", part or "", _classes(folder / name)) for name, part in parts.items()]
    else:
        found = [_Found("", "", _classes(folder))]
    kind, others = _usual_kind(found)
    if kind is None and not classes:
        found = [_Found("", "", {"": [path.name for path in sorted(folder.iterdir()) if _is_shown(path)]})]
        kind, others = _usual_kind(found)
    if kind is None:
        raise _nothing(folder)
    listed, what = [row for one in found for row in one.rows(kind)], _WORDS[kind]
    notes = [f"class folder {one.below + name!r} holds no {what}" for one in found for name in one.empty(kind)]
    if others:
        notes.append(f"skipped files that are no {what}: {others:,}")
    if rows is not None and rows < len(listed):
        listed = [listed[place] for place in np.linspace(0, len(listed) - 1, rows).astype(np.int64)]
    table = _table(listed, found)
    if "" in found[0].classes:
        table = table.select([FILE])
    return FolderRows(table, _digest(folder, listed, whole=rows is None), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Found:
    """Classes of one part."""

    below: str
    """The part's folder with a slash, or "" where there are no parts."""
    part: str
    classes: dict[str, list[str]]
    """Files by class, as paths from the part's folder."""

    def files(self) -> list[str]:
        return [file for files in self.classes.values() for file in files]

    def rows(self, kind: str) -> list[tuple[str, str, str]]:
        """(file, label, part) of the files of one kind."""
        return [
            (self.below + file, label, self.part)
            for label, files in self.classes.items()
            for file in files
            if named_kind(file) == kind
        ]

    def empty(self, kind: str) -> list[str]:
        return [label for label, files in self.classes.items() if not any(named_kind(f) == kind for f in files)]


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        where = str(folder)
        problem = f"the folder cannot be listed: {error.strerror}"
        raise DataError(problem, where=where, hint="check its rights") from None


def _classes(folder: Path) -> dict[str, list[str]]:
    return {name: [f"{name}/{file}" for file in _files(folder / name)] for name in _folders(folder)}


def _files(folder: Path) -> Iterator[str]:
    """Paths below a class folder, sorted, hidden ones left out."""
    for here, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        inner = Path(here).relative_to(folder)
        for name in sorted(names):
            if not name.startswith("."):
                yield (inner / name).as_posix()


def _usual_kind(found: Sequence[_Found]) -> tuple[str | None, int]:
    """The kind that most files are of, and how many are not; None where there is no picture and no sound."""
    kinds = Counter(named_kind(file) for one in found for file in one.files())
    known = {kind: count for kind, count in kinds.items() if kind is not None}
    kind = max(known, key=lambda name: known[name], default=None)
    return kind, sum(kinds.values()) - known.get(kind or "", 0)


def _is_shown(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _nothing(folder: Path) -> DataError:
    """What to say of a folder without a picture or sound in a class folder."""
    name, names = folder.name or str(folder), _folders(folder)
    loose = sorted(path.name for path in folder.iterdir() if _is_shown(path))
    media = [file for file in loose if named_kind(file)]
    if len(media) > len(loose) / 2:
        problem = f"there are no class folders: {len(media):,} files lie in {name} itself, e.g. {media[0]!r}"
        hint = "put the files of each class into a sub-folder called like it, or bring a table with their paths"
        return DataError(problem, where=str(folder), hint=hint)
    if loose or not names:
        hint = f"name the files in it, e.g. '{folder}/*.csv', or give a folder with a sub-folder of pictures per class"
        return DataError(f"{name} is a folder, not a file", where=str(folder), hint=hint)
    shown = ", ".join(names[:_SHOWN])
    hint = "each class needs a sub-folder with pictures (png, jpg, webp, gif, tif) or sounds (wav, flac, ogg, mp3)"
    rest = ", … hold" if len(names) > _SHOWN else " hold" if len(names) > 1 else " holds"
    which = f"its sub-folder{'s' if len(names) > 1 else ''} {shown}{rest} no pictures or sounds"
    return DataError(f"{name} has no rows: {which}", where=str(folder), hint=hint)


def _table(listed: Sequence[tuple[str, str, str]], found: Sequence[_Found]) -> pa.Table:
    files, labels, parts = (list(column) for column in zip(*listed, strict=True))
    columns = {FILE: files, LABEL: labels} | ({SPLIT: parts} if any(one.part for one in found) else {})
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})


def _digest(folder: Path, listed: Sequence[tuple[str, str, str]], *, whole: bool) -> str:
    names = "\n".join("\t".join(row) for row in listed).encode(errors="surrogateescape")
    files = in_threads(lambda row: _content(folder / row[0]), listed) if whole else ()
    return digest_bytes(names, *files)


def _content(path: Path) -> bytes:
    try:
        return digest_file(path).encode()
    except OSError:
        return b"unreadable"  # which is said, and counted, when the column is read
