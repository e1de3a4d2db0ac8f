"""``.ts`` files of the UCR and UEA archives: one series a line, channels parted by colons, the label last."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.parse_series import steps_first
from trueweight.data.parse_texts import trim
from trueweight.data.ragged import starts_of
from trueweight.data.source import Piece, SourceFile
from trueweight.errors import DataError
from trueweight.progress import advance
from trueweight.spec.base import PartSpec
from trueweight.spec.data import DataSpec

__all__ = ["TsSource"]

_BLOCK = 1 << 24
"""Bytes of lines that are read at once."""

_STAMPED = re.compile(r"\([^(),]*,([^()]*)\)")
_HINT = "is it a .ts file of the UCR archive? Its lines begin with @ up to @data, then come the series"


@dataclass(slots=True)
class _Head:
    """What the lines before ``@data`` say."""

    labelled: bool = False
    stamped: bool = False
    dimensions: int | None = None
    length: int | None = None
    """Steps of every series, where the file says that they are equal."""
    line: int = 0
    """Number of the line ``@data``."""


@dataclass(slots=True)
class _Found:
    """What has been read so far."""

    series: list[pa.Array] = field(default_factory=list)
    labels: list[pa.Array] = field(default_factory=list)
    total: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


class TsSource(PartSpec):
    """Files of the UCR and UEA archives of series: the columns ``series`` and, if the file has labels, ``label``.

    Series of one channel become lists of numbers, those of several lists of steps of channels. A label is a text, also
    where it is a number to predict. Time stamps are not kept: steps come in the order of the file.

    Format: aeon and sktime, https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html
    """

    type: Literal["ts"] = "ts"
    """Registered name."""

    suffixes: ClassVar[tuple[str, ...]] = (".ts",)

    def recognises(self, head: bytes) -> bool:
        lines = (line.strip().lower() for line in head.splitlines())
        first = next((line for line in lines if line and not line.startswith(b"#")), b"")
        return first.startswith(b"@problemname")

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:
        encoding = spec.encoding or "utf-8"
        with file.open() as raw, io.BufferedReader(cast(io.RawIOBase, raw), 1 << 20) as stream:
            lines = (line.decode(encoding, "replace").strip() for line in stream)
            head = _head(lines, file.name)
            found, taken, place = _Found(), 0, head.line
            for block in _blocks(lines):
                numbered = [(place + number, line) for number, line in enumerate(block, 1) if line]
                place += len(block)
                if rows is not None:
                    numbered = numbered[: rows - taken]
                taken += len(numbered)
                _take(numbered, head, found)
                advance(f"reading {file.name}", taken, rows)
                if rows is not None and taken >= rows:
                    break
        return _piece(found, head, file.name, spec, encoding)

    def example(self) -> bytes:
        return b"@problemName example\n@univariate true\n@classLabel true a b c\n@data\n1:a\n2:b\n3:c\n"


def _head(lines: Iterator[str], name: str) -> _Head:
    head, equal = _Head(), False
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if not line.startswith("@"):
            raise DataError(f"there is {line[:40]!r} before @data", where=f"{name}:{number}", hint=_HINT)
        match words[0].lower(), words[1:]:
            case "@data", _:
                head.line = number
                head.length = head.length if equal else None
                return head
            case (("@classlabel" | "@targetlabel"), [said, *_]):
                head.labelled |= said.lower() == "true"
            case "@timestamps", [said, *_]:
                head.stamped = said.lower() == "true"
            case "@univariate", [said, *_] if said.lower() == "true":
                head.dimensions = 1
            case (("@dimensions" | "@dimension"), [said, *_]) if said.isdigit():
                head.dimensions = int(said)
            case "@equallength", [said, *_]:
                equal = said.lower() == "true"
            case "@serieslength", [said, *_] if said.isdigit():
                head.length = int(said)
    raise DataError("the file ends before @data", where=name, hint=_HINT)


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    while first := list(islice(lines, 1)):
        block, size = first, len(first[0])
        while size < _BLOCK and (more := list(islice(lines, 256))):
            block += more
            size += sum(map(len, more))
        yield block


def _take(numbered: list[tuple[int, str]], head: _Head, found: _Found) -> None:
    """Read a block of lines, and put it to the others."""
    if not numbered:
        return
    numbers, lines = zip(*numbered, strict=True)
    found.total += len(lines)
    if head.stamped:
        lines = tuple(_STAMPED.sub(r"\1", line) for line in lines)
    fields = pc.split_pattern(pa.array(lines, pa.large_string()), ":")
    counts = np.asarray(pc.list_value_length(fields)).astype(np.int64)
    channels = counts - head.labelled
    if head.dimensions is None:
        usual = np.bincount(np.maximum(channels, 0)).argmax()
        head.dimensions = max(1, int(usual))
    right = channels == head.dimensions
    found.bad += [(numbers[i], f"{channels[i]} channels instead of {head.dimensions}") for i in np.flatnonzero(~right)]
    _append(fields.filter(pa.array(right)), [n for n, fine in zip(numbers, right, strict=True) if fine], head, found)


def _append(fields: pa.Array, numbers: list[int], head: _Head, found: _Found) -> None:
    """Lines that have as many channels as they should."""
    channels = cast(int, head.dimensions)
    parts = fields.flatten()
    place = np.arange(len(parts)).reshape(len(numbers), channels + head.labelled)
    runs = pc.split_pattern(trim(parts.take(pa.array(place[:, :channels].ravel()))), ",")
    texts = trim(runs.flatten())
    value_M, readable_M = _numbers(texts)
    length_RC = np.asarray(pc.list_value_length(runs)).astype(np.int64).reshape(-1, channels)
    start = starts_of(length_RC.ravel())
    unread = np.concatenate([[0], np.cumsum(~readable_M)])
    whole_R = (unread[start[1:]] == unread[start[:-1]]).reshape(-1, channels).all(1)
    right_R = whole_R & ((length_RC == head.length).all(1) if head.length else True)
    for row in np.flatnonzero(~right_R):
        why = f"{length_RC[row, 0]} steps instead of {head.length}" if whole_R[row] else "a value that is no number"
        found.bad.append((numbers[row], why))
    found.series.append(_lists(value_M, length_RC, right_R))
    if head.labelled:
        found.labels.append(trim(parts.take(pa.array(place[right_R, -1]))).cast(pa.string()))


def _numbers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Values, NaN where there is none, and whether each text is a number or says that it is missing; (M,)."""
    absent = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(["", "?", "nan", "na", "null"], texts.type))
    bare = pc.if_else(absent, None, texts)
    try:
        return np.asarray(bare.cast(pa.float64()).fill_null(np.nan)), np.ones(len(texts), bool)
    except pa.ArrowInvalid:
        plain = pc.match_substring_regex(bare, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$").fill_null(False)
        value = pc.if_else(plain, bare, None).cast(pa.float64()).fill_null(np.nan)
        return np.asarray(value), np.asarray(plain) | np.asarray(absent)


def _lists(value_M: np.ndarray, length_RC: np.ndarray, right_R: np.ndarray) -> pa.Array:
    """One list a row: of numbers, or of steps of channels; channels that end early lack values then."""
    channels = length_RC.shape[1]
    value_M = value_M[np.repeat(np.repeat(right_R, channels), length_RC.ravel())]
    length_RC = length_RC[right_R]
    if channels == 1:
        return pa.LargeListArray.from_arrays(starts_of(length_RC[:, 0]), _column(value_M))
    longest_R = length_RC.max(1, initial=0)
    if (length_RC != longest_R[:, None]).any():
        size = np.repeat(longest_R, channels)
        start, place = starts_of(size), np.arange(len(value_M))
        run = np.repeat(np.arange(length_RC.size), length_RC.ravel())
        padded = np.full(start[-1], np.nan)
        padded[start[run] + place - starts_of(length_RC.ravel())[run]] = value_M
        value_M = padded
    step_SC = steps_first(value_M, longest_R, channels)
    steps = pa.LargeListArray.from_arrays(np.arange(0, step_SC.size + 1, channels), _column(step_SC.ravel()))
    return pa.LargeListArray.from_arrays(starts_of(longest_R), steps)


def _column(value: np.ndarray) -> pa.Array:
    return pa.array(value, pa.float64(), mask=np.isnan(value))


def _piece(found: _Found, head: _Head, name: str, spec: DataSpec, encoding: str) -> Piece:
    found.bad.sort()
    if len(found.bad) > spec.max_bad_rows * found.total:
        lines = ", ".join(str(number) for number, _ in found.bad[:3]) + (", …" if len(found.bad) > 3 else "")
        problem = f"{len(found.bad):,} of {found.total:,} series cannot be read (lines {lines}): {found.bad[0][1]}"
        hint = "each line must hold its channels parted by colons"
        if spec.max_bad_rows:
            hint += "; data.max_bad_rows allows more bad lines, which are skipped"
        raise DataError(problem, where=f"{name}:{found.bad[0][0]}", hint=hint)
    if not sum(map(len, found.series)):
        raise DataError("there is no series below @data", where=name, hint="was it written completely?")
    columns = {"series": pa.chunked_array(found.series)}
    if head.labelled:
        columns["label"] = pa.chunked_array(found.labels)
    notes = ("time stamps of series are not used: steps come in the order of the file",) if head.stamped else ()
    return Piece(pa.table(columns), encoding, skipped_rows=len(found.bad), notes=notes)
