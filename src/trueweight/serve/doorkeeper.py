"""Lets requests in: who asks, whether the key is good for it, and whether it is not too much."""

import base64
import binascii
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from trueweight.errors import SpecError
from trueweight.serve.exchange import Request
from trueweight.serve.keys import Key, KeyStore, split_key
from trueweight.serve.refusals import Refused

__all__ = ["Doorkeeper", "Guest", "given_key"]

_LOG = logging.getLogger("trueweight.serve")

_FRESH = 1.0
"""Seconds that keys are remembered: so soon a revoked one stops working."""

_CHALLENGE = {"www-authenticate": 'Bearer realm="trueweight"'}


@dataclass(slots=True)
class _Bucket:
    """Rows that a key may still ask for; it fills up again at an even pace."""

    rows: float
    at: float


@dataclass(frozen=True, slots=True)
class Guest:
    """Who asks. Without keys it is everybody."""

    key: Key | None

    @property
    def id(self) -> str:
        """Of the key, "" without."""
        return "" if self.key is None else self.key.id


class Doorkeeper:
    """Holds requests against the keys of a store.

    Args:
        store: None: everybody may do everything.
        clock: Seconds since 1970.
    """

    def __init__(self, store: KeyStore | None, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._keys: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._buckets: dict[str, _Bucket] = {}
        self._spent: dict[str, int] = {}
        self._written: dict[str, int] = {}
        """What is just being written: whether it is in the store already nobody knows."""
        self._unwritten: dict[str, int] = {}
        """What could not be written, and is tried again with the next."""
        self._shut = False

    def admit(self, given: str, scope: str) -> Guest:
        """Who this is, if the key may be used for that.

        Args:
            given: The key as it came.
            scope: One of ``keys.SCOPES``, or "any".

        Raises:
            Refused: No key, an unknown, revoked or expired one (401), one for other things (403), or nobody can tell,
                since the keys cannot be read (503).
        """
        if self._store is None:
            return Guest(None)
        now = self._clock()
        if now - self._read_at > _FRESH:
            self._read(self._store, now)
        if self._shut:
            raise Refused(503, "nobody is let in: the keys cannot be read", hint="the server's log says why",
                          headers={"retry-after": "1"})  # fmt: skip
        parts = split_key(given)
        key = self._keys.get(parts[0]) if parts else None
        if parts is None or key is None or not key.opens(parts[1]):
            hint = "send it as Authorization: Bearer tw_…"
            raise Refused(401, "a valid key is needed" if not given else "this key is not known", hint=hint,
                          headers=_CHALLENGE)  # fmt: skip
        if (state := key.state(now)) in ("revoked", "expired"):
            raise Refused(401, f"this key is {state}", headers=_CHALLENGE)
        if scope != "any" and scope not in key.scopes and "admin" not in key.scopes:
            raise Refused(403, f"this key is not for {scope!r}", hint=f"it is for {', '.join(sorted(key.scopes))}")
        return Guest(key)

    def _read(self, store: KeyStore, now: float) -> None:
        self._read_at = now
        try:
            found = store.all()
        except SpecError as error:  # it names a path: not for those who ask
            _LOG.error("%s", error)
            self._keys, self._shut = {}, True
            return
        late = self._written, self._unwritten
        found = [replace(key, used=key.used + sum(rows.get(key.id, 0) for rows in late)) for key in found]
        self._keys, self._shut = {key.id: key for key in found}, False

    def charge(self, guest: Guest, rows: int) -> None:
        """Count rows against a key before they are answered.

        Raises:
            Refused: More than its pace (429, with the seconds to wait), or than is left to it (403).
        """
        if guest.key is None:
            return
        key = self._keys.get(guest.key.id, guest.key)  # of a stream it may be long since it was admitted
        spent = self._spent.get(key.id, 0)
        if key.budget is not None and key.used + spent + rows > key.budget:
            left = max(0, key.budget - key.used - spent)
            raise Refused(403, f"{rows:,} rows are more than the {left:,} left to this key")
        if key.per_minute is not None:
            self._pace(key, key.per_minute, rows)
        self._spent[key.id] = spent + rows

    def _pace(self, key: Key, most: int, rows: int) -> None:
        if rows > most:
            raise Refused(413, f"{rows:,} rows at once are more than this key's {most:,} a minute")
        now = self._clock()
        bucket = self._buckets.setdefault(key.id, _Bucket(float(most), now))
        bucket.rows = min(float(most), bucket.rows + (now - bucket.at) * most / 60)
        bucket.at = now
        if bucket.rows < rows:
            wait = max(1, round((rows - bucket.rows) * 60 / most + 0.5))
            raise Refused(429, f"this key may ask for {most:,} rows a minute", headers={"retry-after": str(wait)})
        bucket.rows -= rows

    def take(self) -> dict[str, int]:
        """What was used since the last time, to be written down with :meth:`write`. Belongs to the event loop."""
        spent, self._spent = self._spent, {}
        # Until keys are read again, what is about to be written must still count.
        for name, rows in spent.items():
            if (key := self._keys.get(name)) is not None:
                self._keys[name] = replace(key, used=key.used + rows)
        for name, rows in self._unwritten.items():  # which counts already
            spent[name] = spent.get(name, 0) + rows
        self._written, self._unwritten = spent, {}
        return spent

    def write(self, spent: dict[str, int]) -> None:
        """Write it down; may run in any thread."""
        try:
            if self._store is not None and spent:
                self._store.spend(spent)
        except SpecError:
            self._unwritten = spent
            raise
        finally:
            self._written = {}


def given_key(request: Request) -> str:
    """The key as it was sent: as a bearer, as a header of its own, or as the password that a browser asked for."""
    kind, _, rest = request.header(b"authorization").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("latin-1").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return request.header(b"x-api-key")
