"""The application on uvicorn: sockets, TLS, workers, signals."""

import asyncio
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trueweight.bundle.bundle import Bundle
from trueweight.errors import SpecError, TrainError, TrueweightError
from trueweight.files import safe_name
from trueweight.serve.app import LOOPBACK_NAMES, Application, Verbs
from trueweight.serve.audit import AuditLog
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused

__all__ = [
    "ENGINES", "Wish", "application", "bound", "first_key", "from_environment", "is_loopback", "named_bundles", "quiet",
    "run",
]  # fmt: skip

_LOG = logging.getLogger("trueweight.serve")

ENGINES = ("uvicorn", "ray")

_READY_SECONDS = 120
"""That a worker may take to open and check its bundles: one that has not by then is given up, on a swap as well."""

VARIABLE = "TRUEWEIGHT_SERVE"
"""Where workers find what to serve: they are new processes."""


@dataclass(frozen=True)
class Wish:
    """What is to be served, and how."""

    bundles: Sequence[str]
    """Folders."""
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    engine: str = "uvicorn"
    """What carries the application: one of :data:`ENGINES`."""
    open: bool = False
    """No keys: for this machine alone."""
    keys: str | None = None
    """File of the keys; None: none are asked for."""
    audit: str | None = None
    """Folder for audit logs; None: none is kept."""
    certificate: str | None = None
    private_key: str | None = None
    allow: Sequence[str] = ()
    """Distributions whose parts bundles may load."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Of :class:`~trueweight.serve.limits.Limits`, those that are not the usual ones."""

    def checked(self) -> "Wish":
        """Itself.

        Raises:
            SpecError: Something in it makes no sense, or is not safe.
        """
        local = is_loopback(self.host)
        if self.open and not local:
            hint = "leave --open out and give out keys: trueweight keys add"
            said = f"without keys {self.host} would answer everybody who can reach it"
            raise SpecError(said, where="--open", hint=hint)
        if (self.certificate is None) != (self.private_key is None):
            raise SpecError("a certificate and its private key belong together", where="--certificate, --private-key")
        for name, path in (("--certificate", self.certificate), ("--private-key", self.private_key)):
            if path is not None and not Path(path).is_file():
                raise SpecError(f"no file {path!r}", where=name)
        if self.engine not in ENGINES:
            hint = f"choose from {', '.join(ENGINES)}"
            raise SpecError(f"no engine {self.engine!r}", where="--engine", hint=hint)
        if self.workers < 1:
            raise SpecError(f"{self.workers} workers answer nothing", where="--workers", hint="give 1 or more")
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def named_bundles(bundles: Sequence[Bundle]) -> dict[str, Bundle]:
    """By the name each is served as.

    Raises:
        SpecError: Two have the same name.
    """
    found: dict[str, Bundle] = {}
    for bundle in bundles:
        if bundle.name in found:
            hint = f"both {found[bundle.name].path} and {bundle.path} are called so; train one under another --name"
            raise SpecError(f"two models are called {bundle.name!r}", hint=hint)
        found[bundle.name] = bundle
    return found


def first_key(store: KeyStore, host: str) -> str | None:
    """A key for everything, where there is none yet and only this machine can reach us; told this once."""
    if store.all() or not is_loopback(host):
        return None
    return store.add("first key", SCOPES)[0]


def application(wish: Wish, verbs: Verbs, store: KeyStore | None) -> Application:
    """What answers; every bundle is opened and checked first.

    Args:
        wish: What and how.
        verbs: What only the layer above can do.
        store: Of keys; None: everybody may ask.

    Raises:
        VerifyError: A bundle is changed, or answers its golden rows differently.
    """
    bundles = named_bundles([verbs.load(Path(path)) for path in wish.bundles])
    audit = None
    if wish.audit is not None:
        name = f"{safe_name('-'.join(bundles))[:60]}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        audit = AuditLog(Path(wish.audit) / name)
    hosts = (*LOOPBACK_NAMES, wish.host) if is_loopback(wish.host) else ()
    limits = Limits(**wish.limits)
    alone = wish.workers == 1 and wish.engine == "uvicorn"
    return Application(
        bundles, verbs, store=store, audit=audit, limits=limits, hosts=hosts, alone=alone, started=_watch_reload
    )


def run(wish: Wish, app: Application | str) -> None:
    """Answer until a signal says to stop; what was accepted is still answered.

    Args:
        wish: What and how, checked.
        app: The application; or, for several workers, ``module:function`` that makes it in each of them from
            :func:`from_environment`.

    Raises:
        SpecError: The extra is not installed.
        TrainError: The address is taken or not ours.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        hint = "pip install 'trueweight[serve]'"
        raise SpecError("serving needs the extra 'serve', which is not installed", hint=hint) from error
    os.environ[VARIABLE] = json.dumps(asdict(wish))
    config = uvicorn.Config(
        app, factory=isinstance(app, str), host=wish.host, port=wish.port, workers=wish.workers, log_level="warning",
        access_log=False, server_header=False, date_header=False, lifespan="on", ws="none", proxy_headers=False,
        ssl_certfile=wish.certificate, ssl_keyfile=wish.private_key, timeout_keep_alive=30, reset_contextvars=False,
        timeout_worker_healthcheck=_READY_SECONDS,
    )  # fmt: skip
    with bound(wish) as listening, _stopped_quietly():
        quiet()
        if isinstance(app, str):
            from uvicorn.supervisors import Multiprocess

            Multiprocess(config, [listening]).run()
        else:
            uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _stopped_quietly() -> Iterator[None]:
    """SIGTERM and Ctrl-C are how a server is told to stop, and nothing has gone wrong then: uvicorn finishes what was
    accepted and raises the signal once more, for whoever was there before."""
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def bound(wish: Wish) -> socket.socket:
    """The socket, so that a taken address is told before anything else."""
    try:
        family, _, _, _, address = socket.getaddrinfo(wish.host, wish.port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
        except BaseException:
            found.close()
            raise
    except (OSError, OverflowError) as error:
        hint = "choose another --port, or stop what listens there"
        raise TrainError(f"cannot listen on {wish.host}:{wish.port}: {error}", hint=hint) from None
    found.set_inheritable(True)
    return found


def quiet() -> None:
    """No line for every request that leaves a column out: that is what missing values are for."""
    logging.getLogger("trueweight.bundle").setLevel(logging.ERROR)


def from_environment() -> Wish:
    """What a worker is to serve."""
    return Wish(**json.loads(os.environ[VARIABLE]))


def _watch_reload(app: Application) -> None:
    """SIGHUP opens every bundle's folder again. Call it on the event loop."""
    if sys.platform == "win32":
        return
    tasks: set[asyncio.Task[Any]] = set()

    async def one(name: str) -> None:
        try:
            await app.reload(name)
        except (Refused, TrueweightError) as error:
            _LOG.error("%s is not swapped, the one before goes on: %s", name, error)

    def again() -> None:
        for name in app.models:
            task = asyncio.ensure_future(one(name))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    with suppress(NotImplementedError, ValueError):  # not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again)
