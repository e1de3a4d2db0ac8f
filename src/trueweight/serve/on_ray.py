"""The same application as replicas of Ray Serve: on as many machines as a cluster has, behind Ray's proxy.

Each replica is what a worker is on one machine: it opens and checks the bundles for itself, asks for the same keys, has
the same limits, and writes an audit log of its own. Folders of bundles and the file of keys must be at the same path on
every machine. Nothing of the application is sent over: a replica is told its wish as plain data and makes it there.
"""

import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trueweight.errors import SpecError, TrainError, TrueweightError
from trueweight.serve.app import Application
from trueweight.serve.limits import Limits
from trueweight.serve.server import VARIABLE, Wish, bound

__all__ = ["Replica", "run_on_ray"]

_LOG = logging.getLogger("trueweight.serve")

_NAME = "trueweight"

_EVERYBODY = {"RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0"}
"""For Ray's proxy, which would otherwise ask replicas of its own machine alone, until they are full."""

_PATIENCE = 4
"""Minutes that Ray's proxy may take to start."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Replica:
    """One process that answers; Ray wraps it around the application.

    Args:
        wish: See :class:`~trueweight.serve.server.Wish`, as plain data.
    """

    def __init__(self, wish: Mapping[str, Any]) -> None:
        os.environ[VARIABLE] = json.dumps(wish)  # where the factory looks, which Ray calls next


def run_on_ray(
    wish: Wish, factory: Callable[[], Application], check: Callable[[], object], listening: Callable[[], object]
) -> None:  # fmt: skip
    """Answer from a Ray cluster until a signal says to stop: the one that RAY_ADDRESS names or that runs here, else one
    of this machine alone, which ends with us.

    Args:
        wish: What and how, checked.
        factory: Makes the application in a replica, from :func:`~trueweight.serve.server.from_environment`.
        check: Opens the bundles and raises if one is not good: asked on SIGHUP, before replicas make way for new ones.
        listening: Called when all is ready.

    Raises:
        SpecError: The extra is not installed.
        TrainError: The address is taken, or the cluster listens elsewhere.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers
    for kind in ("READY", "HEALTH"):  # of a cluster that we start: its proxy must load much before it answers
        os.environ.setdefault(f"RAY_SERVE_PROXY_{kind}_CHECK_TIMEOUT_S", "60")
    try:
        import ray
        from ray import serve
    except ModuleNotFoundError as error:
        hint = "pip install 'trueweight[ray]'"
        raise SpecError("serving with Ray needs the extra 'ray', which is not installed", hint=hint) from error
    ours = not ray.is_initialized()
    if ours:
        _connect(ray)
    try:
        with _noted() as noted:
            try:
                _start(serve, wish)
                _require_listening(wish)
                _deploy(ray, serve, wish, factory)
            except (RuntimeError, TimeoutError, ray.exceptions.RayError) as error:
                serve.delete(_NAME)  # of a cluster that goes on without us
                hint = "its logs say more: by default below /tmp/ray/session_latest/logs/serve"
                raise TrainError(f"Ray Serve did not start: {str(error)[:300]}", hint=hint) from error
            listening()
            while _asked_to_swap(noted):
                try:
                    check()
                    _deploy(ray, serve, wish, factory)
                except (RuntimeError, TimeoutError, TrueweightError, ray.exceptions.RayError):
                    _LOG.exception("the models are not swapped")
            serve.delete(_NAME)  # replicas finish what they have
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any) -> None:
    said: dict[str, Any] = {"configure_logging": False, "log_to_driver": False}
    said |= {"runtime_env": {"env_vars": _EVERYBODY}}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**said)
        return
    try:
        ray.init("auto", **said)  # of this machine, if one runs
    except ConnectionError:
        ray.init("local", include_dashboard=False, _node_ip_address="127.0.0.1", **said)


def _start(serve: Any, wish: Wish) -> None:
    """Ray's proxy: whoever listens on the address."""
    if not _runs(serve):
        bound(wish).close()  # a taken address is told before anything else
    options = {"host": wish.host, "port": wish.port, "keep_alive_timeout_s": 30}
    wish = _absolute(wish)
    options |= {"ssl_certfile": wish.certificate, "ssl_keyfile": wish.private_key} if wish.certificate else {}
    for _ in range(_PATIENCE):  # Ray waits a minute each time, and a busy machine takes longer to load its proxy
        with suppress(TimeoutError):
            serve.start(proxy_location="HeadOnly", http_options=options, logging_config=_QUIET)
            return
    raise TimeoutError(f"its proxy was not ready after {_PATIENCE} minutes")


def _runs(serve: Any) -> bool:
    return bool(serve.status().proxies)


_QUIET = {"log_level": "WARNING", "enable_access_log": False}
"""Who asked is in our log, and with which keys; what was asked is nowhere."""


def _deploy(ray: Any, serve: Any, wish: Wish, factory: Callable[[], Application]) -> None:
    """Start replicas, in turn in the place of those that run: each opens the bundles as they are now, and what the old
    ones have accepted they still answer."""
    limits = Limits(**wish.limits)
    cores = ray.cluster_resources().get("CPU", 1.0)
    replicas = serve.deployment(serve.ingress(factory)(Replica)).options(
        name=_NAME, num_replicas=wish.workers, logging_config=_QUIET,
        ray_actor_options={"num_cpus": min(1.0, cores / wish.workers)},
        # Rows gather in our own queue, whose limits and 429 callers know.
        max_ongoing_requests=limits.queued, graceful_shutdown_timeout_s=limits.seconds,
    )  # fmt: skip
    serve.run(replicas.bind(asdict(_absolute(wish))), name=_NAME, route_prefix="/")


def _absolute(wish: Wish) -> Wish:
    """With whole paths: replicas start in folders of their own."""

    def whole(path: str | None) -> str | None:
        return None if path is None else str(Path(path).absolute())

    bundles = [str(Path(path).absolute()) for path in wish.bundles]
    return replace(
        wish, bundles=bundles, keys=whole(wish.keys), audit=whole(wish.audit), certificate=whole(wish.certificate),
        private_key=whole(wish.private_key),
    )  # fmt: skip


def _require_listening(wish: Wish) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(wish.host, wish.host)  # noqa: S104  # what it is compared with
    try:
        socket.create_connection((host, wish.port), timeout=10).close()
    except OSError:
        hint = "Ray Serve has one address for a whole cluster: give its own, or stop it with: serve shutdown"
        raise TrainError(f"the cluster's Ray Serve does not listen on {wish.host}:{wish.port}", hint=hint) from None


@contextmanager
def _noted() -> Iterator[socket.socket]:
    """Signals as bytes that can be waited for."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {one: signal.signal(one, lambda *_: None) for one in _SIGNALS}
    earlier = signal.set_wakeup_fd(writing.fileno())
    try:
        with closing(reading), closing(writing):
            yield reading
    finally:
        signal.set_wakeup_fd(earlier)
        for one, handler in before.items():
            signal.signal(one, handler)


def _asked_to_swap(noted: socket.socket) -> bool:
    """Waits for a signal that is for us; False if it says to stop."""
    while True:
        (number,) = noted.recv(1)
        if number in _SIGNALS:
            return bool(number == signal.SIGHUP)
