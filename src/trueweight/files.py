"""Files that are either whole or not there: atomic writes, digests, safe names, locks, folders of our own."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import shlex
import shutil
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from trueweight.errors import TrainError, VerifyError

__all__ = [
    "atomic_folder", "cache_dir", "canonical_json", "digest_bytes", "digest_compact", "digest_file",
    "drop_folder", "free_name", "locked", "open_to_others", "own_dir", "private_dir", "read_json",
    "require_types", "safe_name", "state_dir", "write_atomic", "write_json", "write_pieces",
]  # fmt: skip

_LOG = logging.getLogger("trueweight.files")

_CHUNK = 1 << 20


def digest_bytes(*parts: bytes) -> str:
    """SHA-256 over the parts, each preceded by its length, as ``sha256:<hex>``."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return f"sha256:{total.hexdigest()}"


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as ``sha256:<hex>``. Reads in pieces of 1 MiB."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return f"sha256:{total.hexdigest()}"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, two-space indent and a final line break; no NaN, no infinity.

    Raises:
        ValueError: A float is not finite: JSON has no word for it, so the caller must choose one.
    """
    return _indented(value, "\n") + "\n"


_FLAT = frozenset({str, int, float, bool, type(None)})
"""Types of values that stand on one line."""

_LONG = 256


def _indented(value: Any, line: str) -> str:
    """What ``json.dumps`` with an indent of 2 writes. It does that value by value in Python; here long lists of plain
    values, such as the vocabulary of a text, are left to its C code as a whole.

    Args:
        value: Plain JSON.
        line: Line break and indent of the line that it stands in.
    """
    inner = f"{line}  "
    if not _has_long(value):
        text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return text.replace("\n", line)  # breaks within texts are written as an escape
    if isinstance(value, dict):
        pieces = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(value[key], inner)}" for key in sorted(value)]
        return f"{{{inner}{f',{inner}'.join(pieces)}{line}}}"
    if _FLAT.issuperset(map(type, value)):
        text = json.dumps(value, separators=(f",{inner}", ""), ensure_ascii=False, allow_nan=False)
        return f"[{inner}{text[1:-1]}{line}]"
    return f"[{inner}{f',{inner}'.join(_indented(one, inner) for one in value)}{line}]"


def _has_long(value: Any) -> bool:
    """Whether there is a long list of plain values in it, and names are texts."""
    if isinstance(value, dict):
        return any(map(_has_long, value.values())) and {*map(type, value)} == {str}
    if isinstance(value, list | tuple):
        return len(value) >= _LONG if _FLAT.issuperset(map(type, value)) else any(map(_has_long, value))
    return False


def digest_compact(value: Any) -> str:
    """A short name for plain JSON: 40 hexadecimal digits of the SHA-256 of its tightest form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON atomically."""
    write_atomic(path, canonical_json(value).encode())


def read_json(path: Path) -> Any:
    """Parse a JSON file, refusing NaN and infinities.

    Raises:
        VerifyError: The file is missing, cut short or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise VerifyError(f"{path.name} is missing", where=str(path.parent)) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise VerifyError(f"this is not valid JSON: {error}", where=str(path)) from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed in our JSON")


def require_types(raw: Mapping[str, Any], types: Mapping[str, Any], what: str) -> None:
    """Refuse parsed JSON whose values are not of the types that its reader counts on.

    Args:
        raw: A mapping of JSON.
        types: Key to what :func:`isinstance` takes; keys that are not there are left to the caller.
        what: Words for the mapping, for the message.

    Raises:
        VerifyError: The first value of another type.
    """
    for key, kind in types.items():
        if key in raw and not isinstance(raw[key], kind):
            raise VerifyError(f"{what} cannot be understood: {key} is {shortened(repr(raw[key]), 60)}")


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file in one step: at any moment there is either the old one or the new one.

    Raises:
        TrainError: The disk is full, or the folder may not be written to.
    """
    write_pieces(path, [content])


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """The same for content that comes piece by piece, and need not be in memory as a whole.

    Raises:
        TrainError: The disk is full, or the folder may not be written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with disk_errors(path):
        try:
            with temporary.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def require_target(target: Path) -> None:
    """Refuse before anything is done what could not be written afterwards.

    Args:
        target: The file to write; it need not be there yet.

    Raises:
        TrainError: It is a folder, its folder does not exist, or it may not be written to.
    """
    target = Path(os.path.realpath(target))  # a link stays a link
    if target.is_dir():
        raise TrainError(f"{target.name} is a folder", where=str(target.parent), hint="name a file in it")
    if not target.parent.is_dir():
        hint = f"make it first: mkdir -p {target.parent}"
        raise TrainError(f"the folder {target.parent} does not exist", where=str(target), hint=hint)
    # A file is replaced by a new one beside it; a device or a pipe is written to as it is.
    written = target if target.exists() and not target.is_file() else target.parent
    if not os.access(written, os.W_OK):
        hint = "choose a folder you may write to, with --out or -o"
        raise TrainError(f"no permission to write {target.name}", where=str(target.parent), hint=hint)


TOO_LONG = "a name may have 255 bytes, and a path 4,096: choose a shorter one"

_NO_PLACE = (errno.ENAMETOOLONG, errno.ENOENT, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.ELOOP)
"""Places where there can be no file: names too long, folders of the kernel's such as ``/proc``."""


def shortened(text: str, most: int) -> str:
    """The beginning of a text that may be longer than anybody reads."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def disk_errors(path: Path, option: str = "--out or -o") -> Iterator[None]:
    """Turn the operating system's complaints about writing to ``path``, which ``option`` chooses, into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            hint = "free some space, or choose another place; nothing written so far is lost"
            raise TrainError(f"no space left for {path.name}", where=str(path.parent), hint=hint) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = f"choose a folder you may write to, with {option}"
            raise TrainError(f"no permission to write {path.name}", where=str(path.parent), hint=hint) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            hint = f"choose another folder, with {option}"
            raise TrainError("a file is where the folder should be", where=str(path.parent), hint=hint) from error
        if error.errno in _NO_PLACE:
            hint = TOO_LONG if error.errno == errno.ENAMETOOLONG else "choose another place"
            problem = f"{shortened(path.name, 80)} cannot be written: {error.strerror}"
            raise TrainError(problem, where=shortened(str(path.parent), 200), hint=hint) from error
        raise


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A new folder that appears at ``target`` complete, by one rename, or not at all.

    Yields a temporary sibling to fill. ``target`` must not exist.

    Raises:
        TrainError: ``target`` exists, the disk is full, or the parent may not be written to.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    with disk_errors(target):
        if target.exists():
            raise TrainError(f"{target.name} exists already", where=str(target.parent), hint="choose another --out")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.mkdir()
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
            os.rename(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def drop_folder(folder: Path) -> None:
    """Remove a folder so that nobody ever sees half of it: it is renamed first."""
    doomed = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    with disk_errors(folder):
        os.rename(folder, doomed)
        shutil.rmtree(doomed)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def safe_name(text: str, *, fallback: str = "model") -> str:
    """A short file name made of ASCII letters, digits, dot, dash and underscore."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:60]
    return name or fallback


def free_name(parent: Path, stem: str) -> Path:
    """The first of ``stem-01``, ``stem-02``, … that does not exist below ``parent`` yet."""
    number = 1
    while (path := parent / f"{stem}-{number:02d}").exists():
        number += 1
    return path


@contextmanager
def locked(folder: Path, *, purpose: str, wait: bool = False) -> Iterator[IO[str]]:
    """Hold a folder for one process. The lock dies with the process, so a kill leaves nothing behind.

    Args:
        folder: Made if it is not there.
        purpose: What the holder is doing, for the other's message: "training".
        wait: Wait for the other process rather than raise.

    Raises:
        TrainError: Another process holds it.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            hint = "wait for it to finish, or choose another folder with --out DIR"
            raise TrainError(
                f"another process (pid {holder}) is {purpose} here", where=str(folder), hint=hint
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield file


def private_dir(path: Path) -> Path:
    """A folder that only its owner can read, and its path: made with mode 0700. One that is there already is left as it
    is, since it may be so on purpose; if others can look into it, that is said once."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _say_if_open(path, 0o077, "chmod 700")
    return path


def own_dir(path: Path) -> Path:
    """The same for a folder in which everything is private itself: others may read the names, but must not be able to
    put anything in another's place.

    Raises:
        OSError: It cannot be made; see :func:`disk_errors`.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    _say_if_open(path, 0o022, "chmod go-w")
    return path


def cache_dir() -> Path:
    """Where encoded data is kept: ``$TRUEWEIGHT_CACHE``, else ``$XDG_CACHE_HOME/trueweight``."""
    return _root("TRUEWEIGHT_CACHE", "XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """Where small lasting facts are kept: ``$TRUEWEIGHT_STATE``, else ``$XDG_STATE_HOME/trueweight``."""
    return _root("TRUEWEIGHT_STATE", "XDG_STATE_HOME", ".local/state")


def _root(ours: str, xdg: str, below_home: str) -> Path:
    path = _own_folder(ours, xdg, below_home)
    with disk_errors(path):
        return own_dir(path)


def _say_if_open(path: Path, bits: int, mend: str) -> None:
    if (said := open_to_others(path, bits)) and path not in _SAID:
        _SAID.add(path)
        _LOG.warning("%s %s: %s %s", path, said, mend, shlex.quote(str(path)))


_SAID: set[Path] = set()
"""Folders of which it was said that they are open: once in a process is enough."""


def open_to_others(path: Path, bits: int = 0o077) -> str:
    """What others than a file's or a folder's owner may do with it: "can be read by others"; "" for nothing.

    Args:
        path: There is one.
        bits: Permissions that count. A group's do not where the owner is another user: then it is theirs to say who
            belongs to it; nor does writing into a folder in which, as in ``/tmp``, everybody can move their own alone.
    """
    facts = path.stat()
    found = facts.st_mode & bits & (0o077 if facts.st_uid == os.getuid() else 0o007)
    if stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX:
        found &= ~0o022
    if not found:
        return ""
    who = "others" if found & 0o007 else "its group"
    return f"can be {'changed' if found & 0o022 else 'read'} by {who}"


def _own_folder(ours: str, xdg: str, below_home: str) -> Path:
    if chosen := os.environ.get(ours):
        return Path(chosen)
    base = os.environ.get(xdg, "")
    # The XDG specification says that relative paths are to be ignored.
    return (Path(base) if base.startswith("/") else Path.home() / below_home) / "trueweight"
