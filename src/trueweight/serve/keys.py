"""Keys: who may ask what, how often, how much and until when. Kept in SQLite, as digests only.

A key is ``tw_<id>_<secret>``; the secret has 256 random bits, so that one SHA-256 of it is as good as a slow hash.
"""

import hashlib
import hmac
import logging
import secrets
import shlex
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from trueweight.errors import SpecError
from trueweight.files import disk_errors, open_to_others, own_dir, state_dir

__all__ = ["SCOPES", "Key", "KeyStore", "default_path"]

_LOG = logging.getLogger("trueweight.serve")

SCOPES = ("predict", "explain", "evidence", "admin")

_TABLE = """\
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, label TEXT NOT NULL, digest BLOB NOT NULL, scopes TEXT NOT NULL, created REAL NOT NULL,
    expires REAL, per_minute INTEGER, budget INTEGER, used INTEGER NOT NULL DEFAULT 0, revoked REAL
) STRICT
"""

_COLUMNS = "id, label, digest, scopes, created, expires, per_minute, budget, used, revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; the key itself is not."""

    id: str
    label: str
    digest: bytes
    scopes: frozenset[str]
    created: float
    expires: float | None = None
    """Seconds since 1970, as all moments here."""
    per_minute: int | None = None
    """Rows a minute; None: as many as there is room for."""
    budget: int | None = None
    """Rows in its whole life."""
    used: int = 0
    revoked: float | None = None

    def opens(self, secret: str) -> bool:
        """Whether this is the secret, in the same time whatever it is."""
        return hmac.compare_digest(self.digest, _digest(secret))

    def state(self, now: float) -> str:
        """ "valid", "revoked", "expired" or "used up"."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and now >= self.expires:
            return "expired"
        return "used up" if self.budget is not None and self.used >= self.budget else "valid"


def default_path() -> Path:
    """Beside the other lasting facts: ``$TRUEWEIGHT_STATE``, else ``$XDG_STATE_HOME/trueweight``."""
    return state_dir() / "keys.sqlite"


def _require_own(path: Path) -> None:
    """Refuse keys that everybody can change, and say so where others can read them, or a group can change them."""
    for one, mend in ((path.parent, "chmod go-w"), (path, "chmod 600")):
        if open_to_others(one, 0o002):
            problem = f"everybody on this machine can change {one}, and so give out keys"
            hint = f"{mend} {shlex.quote(str(one))}, or name another file with --keys"
            raise SpecError(problem, where="--keys", hint=hint)
    if said := open_to_others(path, 0o066):
        _LOG.warning("%s, which holds keys, %s: chmod 600 %s", path, said, shlex.quote(str(path)))


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key as it was given; None if it is none."""
    start, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    return (number, secret) if start == "tw" and number and secret else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class KeyStore:
    """The file of keys, which several servers and the command line may use at the same time.

    Args:
        path: Of the database; made, readable by its owner alone, where there is none.

    Raises:
        SpecError: Everybody on this machine could give out keys: the file, or the folder that it is in, can be changed
            by all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path, "--keys"):
            own_dir(path.parent)
            path.touch(mode=0o600)
            _require_own(path)
        with self._open() as base:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute(_TABLE)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own each time: they are few, and threads must not share one."""
        try:
            # As it stands: one that was taken away is not made anew, empty and with any mode.
            base = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
            try:
                with base:
                    yield base
            finally:
                base.close()
        except sqlite3.Error as error:
            hint = "name another file with --keys, or move this one away"
            raise SpecError(f"the keys cannot be read: {error}", where=str(self.path), hint=hint) from None

    def add(
        self, label: str, scopes: Sequence[str], *, seconds: float | None = None, per_minute: int | None = None,
        budget: int | None = None,
    ) -> tuple[str, Key]:  # fmt: skip
        """A new key; it is told this once and never again.

        Args:
            label: Whose it is.
            scopes: Of :data:`SCOPES`.
            seconds: That it is valid for; None: until it is revoked.
            per_minute: Most rows a minute.
            budget: Most rows in its life.

        Raises:
            SpecError: An unknown scope, or a number below 1.
        """
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise SpecError(f"no scope {unknown[0]!r}", where="scopes", hint=f"choose from {', '.join(SCOPES)}")
        for name, value in (("per_minute", per_minute), ("budget", budget), ("expiry", seconds)):
            if value is not None and value <= 0:
                raise SpecError(f"{name} of {value} lets nothing through", where=name, hint="give a number above 0")
        number, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), time.time()
        expires = None if seconds is None else now + seconds
        key = Key(number, label, _digest(secret), frozenset(scopes), now, expires, per_minute, budget)
        row = (key.id, label, key.digest, ",".join(sorted(key.scopes)), now, expires, per_minute, budget)
        with self._open() as base:
            base.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, NULL)", row)  # noqa: S608
        return f"tw_{number}_{secret}", key

    def all(self) -> list[Key]:
        """Every key, the oldest first."""
        with self._open() as base:
            rows = base.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created, id").fetchall()  # noqa: S608
        return [Key(r[0], r[1], r[2], frozenset(r[3].split(",")), *r[4:]) for r in rows]

    def revoke(self, number: str) -> Key:
        """Make a key worthless from now on; of one that is revoked already nothing changes.

        Raises:
            SpecError: There is no such key.
        """
        found = next((key for key in self.all() if key.id == number), None)
        if found is None:
            raise SpecError(f"no key {number[:40]!r}", hint="trueweight keys list names them")
        now = found.revoked or time.time()
        with self._open() as base:
            base.execute("UPDATE keys SET revoked = ? WHERE id = ?", (now, number))
        return replace(found, revoked=now)

    def spend(self, rows: dict[str, int]) -> None:
        """Add what keys have used."""
        with self._open() as base:
            base.executemany("UPDATE keys SET used = used + ? WHERE id = ?", [(n, name) for name, n in rows.items()])
