"""The application on uvicorn: sockets, TLS, workers, signals."""

import asyncio
import errno
import ipaddress
import json
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trueweight.bundle.bake_off import SECONDS, WAYS
from trueweight.bundle.bundle import Bundle
from trueweight.errors import SpecError, TrainError, TrueweightError, VerifyError
from trueweight.files import safe_name
from trueweight.serve.app import LOOPBACK_NAMES, Application, Verbs
from trueweight.serve.audit import AuditLog
from trueweight.serve.exchange import BrokenOff
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused

__all__ = [
    "ENGINES", "Wish", "application", "bound", "first_key", "from_environment", "is_loopback", "named_bundles",
    "opened", "quiet", "run",
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
    runtime: str = "auto"
    """How networks are run: "auto" measures what is fastest here, see ``bundle.bake_off``."""
    bake_off: float = SECONDS
    """Seconds to measure it for each model; 0: models are run as they were tested."""
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What was measured already, by digest of the bundle: workers need not measure again."""
    names: Sequence[str] = ()
    """That the models had when the server started; (): it has not opened them yet. They stay, whatever is swapped."""

    @property
    def alone(self) -> bool:
        """Whether the process that is asked to serve answers itself, and no other does."""
        return self.workers == 1 and self.engine == "uvicorn"

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
        if self.certificate is not None:
            _require_pair(self.certificate, str(self.private_key))
        for asked, known, where in (
            (self.runtime, ("auto", *WAYS), "--runtime"), (self.engine, ENGINES, "--engine"),
        ):  # fmt: skip
            if asked not in known:
                raise SpecError(f"unknown {where[2:]} {asked!r}", where=where, hint=f"choose from {', '.join(known)}")
        if self.engine == "ray" and self.port == 0:
            raise SpecError("Ray takes no free port by itself", where="--port", hint="name one, such as 8000")
        if self.workers < 1:
            raise SpecError(f"{self.workers} workers answer nothing", where="--workers", hint="give 1 or more")
        return self


def _require_pair(certificate: str, private_key: str) -> None:
    """Tell before models are opened that a server could not speak TLS with these.

    Raises:
        SpecError: They are no PEM files, or do not belong together.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private_key, password=_no_password)
    except (OSError, ValueError) as error:  # the latter is raised where a password is asked for
        said = "the key is locked with a password" if isinstance(error, ValueError) else str(error)
        hint = "give a certificate and the key it was made for, unlocked, both as PEM files"
        where = "--certificate, --private-key"
        raise SpecError(f"{certificate!r} and {private_key!r} are of no use: {said}", where=where, hint=hint) from None


def _no_password() -> str:
    """Rather than ask a terminal that may not be there."""
    raise ValueError


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
            hint = (
                f"both {found[bundle.name].path} and {bundle.path} are called so: serve them by two servers (--port), "
                "or train one with a name: --name NAME, or name: NAME in its spec"
            )
            if found[bundle.name].path.resolve() == bundle.path.resolve():
                hint = f"{bundle.path} is named twice: name it once"
            raise SpecError(f"two models are called {bundle.name!r}", hint=hint)
        found[bundle.name] = bundle
    return found


def opened(wish: Wish, verbs: Verbs) -> dict[str, Bundle]:
    """What is to be served, opened and checked, by name.

    Raises:
        SpecError: Two have the same name.
        VerifyError: One is changed, answers its golden rows differently, or is of another name than before.
    """
    found = named_bundles([verbs.load(Path(path)) for path in wish.bundles])
    if wish.names and set(wish.names) != set(found):
        hint = "train it with --name, under the old one's name, or start the server anew"
        said = f"{', '.join(wish.names)} would become {', '.join(found)}: a bundle is of another model"
        raise VerifyError(said, where=", ".join(wish.bundles), hint=hint)
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
        VerifyError: A bundle is changed, answers its golden rows differently, or is of another name than before.
    """
    bundles = opened(wish, verbs)
    audit = None
    if wish.audit is not None:
        name = f"{safe_name('-'.join(bundles))[:60]}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        audit = AuditLog(Path(wish.audit) / name)
    hosts = (*LOOPBACK_NAMES, wish.host) if is_loopback(wish.host) else ()
    limits = Limits.of(wish.limits)
    return Application(
        bundles, verbs, store=store, audit=audit, limits=limits, hosts=hosts, alone=wish.alone, started=_watch_reload
    )


def run(wish: Wish, app: Application | str, listener: socket.socket) -> None:
    """Answer until a signal says to stop; what was accepted is still answered.

    Args:
        wish: What and how, checked.
        app: The application; or, for several workers, ``module:function`` that makes it in each of them from
            :func:`from_environment`.
        listener: From :func:`bound`.
    """
    import uvicorn

    from trueweight.serve.one_write import OneWriteProtocol

    os.environ[VARIABLE] = json.dumps(asdict(wish))
    config = uvicorn.Config(
        app, factory=isinstance(app, str), host=wish.host, port=wish.port, workers=wish.workers, log_level="warning",
        access_log=False, server_header=False, date_header=False, lifespan="on", ws="none", proxy_headers=False,
        ssl_certfile=wish.certificate, ssl_keyfile=wish.private_key, timeout_keep_alive=30, reset_contextvars=False,
        timeout_worker_healthcheck=_READY_SECONDS, http=OneWriteProtocol,
    )  # fmt: skip
    with _stopped_quietly(), _hushed():
        if isinstance(app, str):
            from uvicorn.supervisors import Multiprocess

            Multiprocess(config, [listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


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
    """The socket, had before models are opened and keys made: a taken address is told before anything else.

    Raises:
        SpecError: The extra is not installed.
        TrainError: The address is taken or not ours.
    """
    if find_spec("uvicorn") is None:
        hint = "pip install 'trueweight[serve]'"
        raise SpecError("serving needs the extra 'serve', which is not installed", hint=hint)
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
        said = getattr(error, "strerror", None) or str(error)
        raise TrainError(f"cannot listen on {wish.host}:{wish.port}: {said}", hint=_where_to_listen(error)) from None
    found.set_inheritable(True)
    return found


def _where_to_listen(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return "ports below 1024 are for administrators: choose another --port"
    if isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL):
        return "--host names an address of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for all that can reach it"
    return "choose another --port, or stop what listens there"


def quiet() -> None:
    """No line for every request that leaves a column out: that is what missing values are for. And none of uvicorn's
    for answers that break off, of which the application has said so."""
    logging.getLogger("trueweight.bundle").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(_not_broken_off)


@contextmanager
def _hushed() -> Iterator[None]:
    """:func:`quiet` until the server has stopped: whoever serves from Python goes on to hear of both."""
    before = logging.getLogger("trueweight.bundle").level
    quiet()
    try:
        yield
    finally:
        logging.getLogger("trueweight.bundle").setLevel(before)
        logging.getLogger("uvicorn.error").removeFilter(_not_broken_off)


def _not_broken_off(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], BrokenOff)


def from_environment() -> Wish:
    """What a worker is to serve."""
    return Wish(**json.loads(os.environ[VARIABLE]))


def _watch_reload(app: Application) -> None:
    """SIGHUP opens every bundle's folder again. Call it on the event loop."""
    if sys.platform == "win32":
        return
    tasks: set[asyncio.Task[Any]] = set()

    def again() -> None:
        for name in app.models:
            task = asyncio.ensure_future(_reloaded(app, name))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    with suppress(NotImplementedError, ValueError):  # not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again)


async def _reloaded(app: Application, name: str) -> None:
    try:
        await app.reload(name)
    except (TrueweightError, Refused) as error:
        _LOG.error("%s is not swapped, the one that was answers on: %s", name, error)
