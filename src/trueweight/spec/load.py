"""Turns what the user wrote into a spec, or into one message that lists every mistake."""

import errno
import io
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from trueweight.errors import SpecError
from trueweight.files import TOO_LONG, shortened
from trueweight.spec.document import Document, Path, read_yaml
from trueweight.spec.mistakes import Mistake, mistakes_of
from trueweight.spec.run import RunSpec
from trueweight.spec.settings import apply_settings

__all__ = ["all_of", "dump_resolved", "dump_spec", "is_data_file", "judge", "load_spec", "parse_spec", "read_document"]

DATA_SUFFIXES = (
    ".csv", ".tsv", ".txt", ".parquet", ".pq", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson", ".xlsx", ".gz",
)  # fmt: skip
MOST_BYTES = 4_000_000
MOST_LINES = 50
MOST_ROUNDS = 5


def is_data_file(path: FilePath | str) -> bool:
    """Whether a name is that of a data file rather than of a spec."""
    return str(path).lower().endswith(DATA_SUFFIXES)


def load_spec(path: FilePath | str, *, settings: Sequence[str] = ()) -> RunSpec:
    """Read a spec file.

    Args:
        path: A YAML file (JSON is YAML too).
        settings: Changes as ``a.b=c``, applied in order; see :mod:`trueweight.spec.settings`.

    Raises:
        SpecError: The file cannot be read, is not YAML, or asks for something that does not exist. Lists every
            mistake as ``file:line:column: option: problem``.
    """
    return _build(apply_settings(read_document(path), settings))


def parse_spec(
    raw: Mapping[str, Any], *, settings: Sequence[str] = (), positions: Document | None = None, origin: str = ""
) -> RunSpec:
    """Build a spec from plain data.

    Args:
        raw: What a YAML file would hold.
        settings: Changes as ``a.b=c``, applied in order.
        positions: Where the values were written, if somebody knows: a document whose places are used.
        origin: Name for messages, if there are no positions.

    Raises:
        SpecError: ``raw`` is wrong. Lists every mistake.
    """
    document = Document(dict(raw), origin)
    if positions is not None:
        document = Document(dict(raw), positions.origin, positions.keys, positions.values, positions.mistakes)
    return _build(apply_settings(document, settings))


def _build(document: Document) -> RunSpec:
    understood, mistakes = judge(document)
    if mistakes or understood is None:
        raise all_of(mistakes, document.origin)
    return understood


def judge(document: Document) -> tuple[RunSpec | None, list[str]]:
    """The spec that a document asks for, and a line for every mistake in it.

    With mistakes, the spec is what is left without them, so that more can be said about it; its targets may then
    be empty. None if nothing can be understood.

    Raises:
        SpecError: The document is no mapping at all.
    """
    _require_mapping(document)
    try:
        return RunSpec.model_validate(document.raw), list(document.mistakes)
    except ValidationError as error:
        found = mistakes_of(RunSpec, error.errors(include_url=False), document)
    return _understood(document, found), [*document.mistakes, *(mistake.line for mistake in found)]


def _require_mapping(document: Document) -> None:
    if document.raw is None:
        hint = "a spec names at least one target, e.g. 'targets: {price: {type: number}}'; trueweight init writes one"
        raise SpecError("the spec is empty", where=document.origin, hint=hint)
    if not isinstance(document.raw, dict):
        form = "a list" if isinstance(document.raw, list) else f"only {str(document.raw)[:40]!r}"
        hint = "write 'key: value' lines; trueweight init DATA --target COLUMN writes a first spec"
        raise SpecError(f"expected a mapping of options, found {form}", where=document.origin, hint=hint)


def _understood(document: Document, found: Sequence[Mistake]) -> RunSpec | None:
    """What a spec says without its mistakes; taking some away may show others, which have been told already."""
    raw = document.raw
    for _ in range(MOST_ROUNDS):
        raw = _without(raw, {mistake.path for mistake in found})
        lost = not raw.get("targets")
        try:
            spec = RunSpec.model_validate(raw | {"targets": {"": "number"}} if lost else raw)
        except ValidationError as error:
            found = mistakes_of(RunSpec, error.errors(include_url=False), Document(raw))
        else:
            return spec.model_copy(update={"targets": {}}) if lost else spec
    return None


def _without(raw: Any, paths: AbstractSet[Path], here: Path = ()) -> Any:
    if isinstance(raw, dict):
        return {key: _without(v, paths, (*here, key)) for key, v in raw.items() if (*here, key) not in paths}
    if isinstance(raw, list):
        return [_without(v, paths, (*here, n)) for n, v in enumerate(raw) if (*here, n) not in paths]
    return raw


def all_of(lines: Sequence[str], origin: str) -> SpecError:
    """One error that lists every mistake, in the order of the file."""
    if len(lines) == 1:
        return SpecError(lines[0])
    more = [f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    listed = "\n".join(f"  {line}" for line in [*sorted(lines, key=_place_order)[:MOST_LINES], *more])
    return SpecError(f"{len(lines)} mistakes in {origin or 'the spec'}\n{listed}")


def _place_order(line: str) -> tuple[int, int]:
    """Sort by line and column where a line begins with ``file:line:column:``."""
    numbers = [int(word) for word in line.partition(": ")[0].split(":")[1:] if word.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def read_document(path: FilePath | str) -> Document:
    """Read a spec file without judging what it asks for.

    Raises:
        SpecError: Missing, a folder, a data file, binary, too large, or not YAML.
    """
    path = FilePath(path)
    if is_data_file(path):
        hint = f"train on it with --target COLUMN, or let trueweight init {path} --target COLUMN write a spec"
        raise SpecError("a data file, not a spec", where=str(path), hint=hint)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)  # a device has no size and may have no end
    except FileNotFoundError:
        raise SpecError("no such file", where=str(path), hint=_near_files(path)) from None
    except IsADirectoryError:
        raise SpecError("a folder, not a spec", where=str(path), hint=_near_files(path / "spec.yaml")) from None
    except OSError as error:
        hints = {errno.ENAMETOOLONG: TOO_LONG, errno.EACCES: f"ask its owner, or: chmod u+r {path}"}
        hint = hints.get(error.errno or 0, "check the name")
        raise SpecError(f"cannot be read: {error.strerror}", where=shortened(str(path), 200), hint=hint) from None
    if (size := max(size, len(content))) > MOST_BYTES:
        raise SpecError(f"{size:,} bytes are too many for a spec", where=str(path), hint="is it a data file?")
    return read_yaml(_text(content, path), str(path))


def _text(content: bytes, path: FilePath) -> str:
    hint = "a spec is a text file in YAML"
    if b"\0" in content:
        raise SpecError("a binary file, not a spec", where=str(path), hint=hint)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8: byte 0x{content[error.start]:02x}"
        raise SpecError(problem, where=f"{path}:{line}", hint="save the file as UTF-8") from None


def _near_files(path: FilePath) -> str:
    try:
        names = sorted(file.name for file in path.parent.iterdir() if file.suffix in (".yaml", ".yml", ".json"))
    except OSError:
        return f"there is no folder {path.parent}"
    near = get_close_matches(path.name, names, n=3) or names[:5]
    return f"there is {', '.join(near)}" if near else "trueweight init DATA --target COLUMN writes a first spec"


def dump_spec(spec: RunSpec) -> str:
    """The spec as YAML, only what was asked for. Reading it gives an equal spec."""
    return _yaml(spec.model_dump(mode="json", by_alias=True, exclude_unset=True))


def dump_resolved(spec: RunSpec, *, settings: Sequence[str] = ()) -> str:
    """The spec as YAML with every default filled in, headed by the settings of the command line."""
    notes = "".join(f"# set on the command line: {setting!r}\n" for setting in settings)
    return notes + _yaml(spec.model_dump(mode="json", by_alias=True))


def _yaml(raw: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 10_000  # long texts stay on one line: no folding to get wrong
    yaml.allow_unicode = True
    text = io.StringIO()
    yaml.dump(dict(raw), text)
    return text.getvalue()
