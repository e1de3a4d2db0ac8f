"""From what the user names to a Table: files, folders, globs, pipes and frames through one door."""

import errno
import glob
import stat
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import pyarrow as pa

from trueweight.data.chunks import read_chunks
from trueweight.data.folders import read_folder
from trueweight.data.frames import from_frame
from trueweight.data.plain import named, plain_types
from trueweight.data.source import Piece, Source, SourceFile
from trueweight.data.table import Provenance, Table
from trueweight.errors import DataError
from trueweight.files import TOO_LONG, digest_bytes, digest_file
from trueweight.registry import registry
from trueweight.spec.data import DataSpec

__all__ = ["named_as_tables", "read_table"]

_MAGIC_CHARACTERS = "*?["


_PLAIN = DataSpec()


def read_table(
    source: object, spec: DataSpec = _PLAIN, *, base: Path | None = None, rows: int | None = None, classes: bool = True
) -> Table:
    """Read rows from files or from a frame.

    Args:
        source: A file name, a folder of class sub-folders (see :mod:`~trueweight.data.folders`), a glob (its files
            are read in order of their names), a list of these, ``-`` for standard input, or any frame that
            :func:`~trueweight.data.frames.from_frame` takes.
        spec: How files are read: format, delimiter, encoding, how many bad rows are bearable.
        base: Folder that relative file names start from; None means the working directory.
        rows: Read at most this many rows, and hardly more of the files than they need.
        classes: Whether a folder must hold class folders; else its own files will do.

    Returns:
        Columns of text files are strings with "" for empty cells; all other sources keep their types.

    Raises:
        DataError: A file is missing, empty, broken, or of another kind than it seems; columns repeat or differ
            between files; or the object holds no rows.
    """
    if source is None:
        raise DataError("no data was given", hint="name a file, e.g. data.source: claims.csv, or pass a frame")
    names = _file_names(source)
    if names is None:
        table = from_frame(source)
        if spec.media_dir is not None and table.media_dir is None:
            table = replace(table, media_dir=(base or Path()) / spec.media_dir)
        return table if rows is None or len(table) <= rows else table.head(rows)
    parts: list[_Part] = []
    missing = rows
    paths = [path for name in names for path in _paths(name, base)]
    for path in paths:
        if missing == 0:
            break
        parts.append(_read_file(path, spec, missing, classes=classes))
        missing = None if missing is None else missing - len(parts[-1].data)
    return Table(_joined(parts), _provenance(parts, rows), _media_dir(paths, spec))


def named_as_tables(source: object) -> bool:
    """Whether all files end like tables (.csv, .parquet and so on), so that nobody would take them for plain text."""
    try:
        names = _file_names(source)
    except DataError:
        return False
    kinds = registry("source")
    endings = tuple(end for kind in kinds for end in cast(Source, kinds[kind]).suffixes)
    return bool(names) and all(name.lower().removesuffix(".gz").endswith(endings) for name in names or ())


def _media_dir(paths: Sequence[Path | None], spec: DataSpec) -> Path:
    """Where paths in cells start: beside the first file."""
    first = paths[0] if paths else None
    if first is not None and _is_folder(first):
        return first
    beside = Path() if first is None else first.parent
    return beside / spec.media_dir if spec.media_dir else beside


def _file_names(source: object) -> list[str] | None:
    """Names of files, or None for a frame."""
    if isinstance(source, str | Path):
        return [str(source)]
    if isinstance(source, Sequence) and source and all(isinstance(item, str | Path) for item in source):
        return [str(item) for item in source]
    if isinstance(source, list | tuple) and not source:
        raise DataError("the list of files is empty", hint="name at least one file")
    return None


def _paths(name: str, base: Path | None) -> list[Path | None]:
    """The files that a name stands for; None is standard input."""
    if name == "-":
        return [None]
    if "://" in name:
        hint = "nothing is fetched from a network: download it first and name the file"
        raise DataError(f"{name!r} is an address, not a file", hint=hint)
    path = (base or Path()) / Path(name).expanduser()
    if not any(mark in name for mark in _MAGIC_CHARACTERS) or path.exists():
        return [path]
    found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  # takes absolute ones
    files = [match for match in found if not match.is_dir()]
    if not files:
        raise DataError(f"no file matches {name!r}", where=str(path.parent), hint=_neighbours(path))
    return list(files)


def _neighbours(path: Path) -> str:
    """What the folder holds instead, nearest names first."""
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either"
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return f"the folder {folder} cannot be listed"
    near = get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"the folder {folder.resolve()} holds {shown}" if names else f"the folder {folder.resolve()} is empty"


@dataclass(frozen=True, slots=True)
class _Part:
    """One file, read."""

    name: str
    format: str
    digest: str
    piece: Piece
    data: pa.Table
    """Tidy names, plain types."""
    notes: tuple[str, ...]


def _read_file(path: Path | None, spec: DataSpec, rows: int | None, *, classes: bool) -> _Part:
    if path is not None and _is_folder(path):
        found = read_folder(path, rows, classes=classes)
        name = path.resolve().name or str(path)
        return _Part(name, "folder", found.digest, Piece(found.data), found.data, found.notes)
    file = SourceFile.held("standard input", sys.stdin.buffer.read()) if path is None else _opened(path)
    if not file.head:
        raise DataError("the file is empty (0 bytes)", where=file.name, hint="was it written completely?")
    read, kind = _reader(file, spec)
    with ThreadPoolExecutor(1) as beside:  # hashing and parsing each keep a core busy
        digest = beside.submit(_digest, file, rows)
        piece = read(file, spec, rows)
    data, notes = named(piece.data, file.name)
    if not len(data):
        raise DataError("there are columns, but no row", where=file.name, hint="is the file complete?")
    return _Part(file.name, kind, _value(digest, file.name), piece, plain_types(data), (*piece.notes, *notes))


def _reader(file: SourceFile, spec: DataSpec) -> tuple[Callable[[SourceFile, DataSpec, int | None], Piece], str]:
    """What reads the file, and the name of its kind."""
    if (chunks := spec.chunks) is not None:
        kind = "txt" if chunks.by == "paragraph" else f"txt by {chunks.size} {chunks.by}"
        return lambda file, spec, rows: read_chunks(file, spec, chunks, rows), kind
    kind = spec.format or _format_of(file)
    source = cast(Source, registry("source")["csv" if kind == "tsv" else kind]())
    return source.read, source.type


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # names that no file can have: said by whoever opens it
        return False


def _value(digest: "Future[str]", name: str) -> str:
    try:
        return digest.result()
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=name, hint="is its disk healthy?") from None


def _opened(path: Path) -> SourceFile:
    where = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):  # it may have no end
            raise DataError(f"{path.name} is a device, not a file", where=where, hint="name a file, or - for a pipe")
        if not stat.S_ISREG(mode):  # a pipe can be read once only
            return SourceFile.held(path.name, path.read_bytes())
        return SourceFile.at(path)
    except (FileNotFoundError, NotADirectoryError):
        what = "file" if path.suffix else "file or folder"
        raise DataError(f"there is no {what} {path.name!r}", where=where, hint=_neighbours(path)) from None
    except PermissionError:
        hint = f"ask its owner, or: chmod u+r {path}"
        raise DataError(f"no permission to read {path.name}", where=where, hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        why = error.strerror if isinstance(error, OSError) else error
        long = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
        hint = TOO_LONG if long else "check the name"
        raise DataError(f"{path.name[:80]!r} cannot be read: {why}", where=where[:200], hint=hint) from None


def _format_of(file: SourceFile) -> str:
    """By the end of the name, else by the first bytes, else CSV."""
    name = file.name.lower().removesuffix(".gz")
    kinds = registry("source")
    for kind in kinds:
        if name.endswith(cast(Source, kinds[kind]).suffixes):
            return kind
    for kind in kinds:
        if cast(Source, kinds[kind]()).recognises(file.head):
            return kind
    return "csv"


def _digest(file: SourceFile, rows: int | None) -> str:
    """Of the stored bytes; when only some rows are wanted, of the first bytes and the size."""
    if rows is not None:
        return digest_bytes(file.head, str(file.size).encode())
    return digest_bytes(file.content or b"") if file.path is None else digest_file(file.path)


def _joined(parts: list[_Part]) -> pa.Table:
    first = parts[0]
    if len(parts) == 1:
        return first.data
    names = first.data.column_names
    for part in parts[1:]:
        _refuse_other_columns(first, part)
    tables = [part.data.select(names) for part in parts]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        raise _clash(parts, names) from None


def _refuse_other_columns(first: _Part, part: _Part) -> None:
    ours, theirs = first.data.column_names, part.data.column_names
    lacking = [name for name in ours if name not in theirs]
    extra = [name for name in theirs if name not in ours]
    if not lacking and not extra:
        return
    facts = [f"lacks {_listed(lacking)}"] if lacking else []
    facts += [f"has {_listed(extra)} besides"] if extra else []
    problem = f"its columns differ from those of {first.name}: it {' and '.join(facts)}"
    raise DataError(problem, where=part.name, hint="give all files the same columns; their order may differ")


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _clash(parts: list[_Part], names: list[str]) -> DataError:
    for name in names:
        for part in parts[1:]:
            kinds = [parts[0].data.schema.field(name).type, part.data.schema.field(name).type]
            try:
                pa.unify_schemas([pa.schema([(name, kind)]) for kind in kinds], promote_options="permissive")
            except pa.ArrowException:
                problem = f"column {name!r} is {kinds[1]}, but {kinds[0]} in {parts[0].name}"
                hint = "give the column one type in all files, or read files of one format only"
                return DataError(problem, where=part.name, hint=hint)
    return DataError("the files' columns cannot be joined", where=parts[0].name, hint="read them one by one")


def _provenance(parts: list[_Part], rows: int | None) -> Provenance:
    """One record for all files. The digest covers what decides the raw cells, not how they are interpreted."""
    facts = [
        f"{part.digest} {part.format} {part.piece.encoding} {part.piece.delimiter!r} {part.piece.skipped_rows}".encode()
        for part in parts
    ]
    skipped = sum(part.piece.skipped_rows for part in parts)
    notes = [note if len(parts) == 1 else f"{part.name}: {note}" for part in parts for note in part.notes]
    if skipped:
        notes.append(f"{skipped:,} unreadable row{'s were' if skipped > 1 else ' was'} skipped")
    piece = parts[0].piece
    return Provenance(
        names=tuple(part.name for part in parts),
        digest=digest_bytes(*facts, str(rows).encode()),
        format="+".join(dict.fromkeys(part.format for part in parts)),
        encoding=piece.encoding,
        delimiter=piece.delimiter,
        skipped_rows=skipped,
        notes=tuple(notes),
    )
