"""``serve``: bundles over HTTP, with what only this layer can do lent to the server."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from trueweight.api.explained import explain_bundle
from trueweight.api.reported import METHODS, subject_of
from trueweight.bundle.bake_off import BakeOff
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.data.table import Table
from trueweight.errors import TrueweightError
from trueweight.explain.ask import Wish as ExplainWish
from trueweight.report.page import html_report
from trueweight.serve.app import Application, Verbs
from trueweight.serve.audit import AuditLog
from trueweight.serve.keys import KeyStore, default_path
from trueweight.serve.server import Wish, application, bound, first_key, from_environment, opened, quiet, run

_LOG = logging.getLogger("trueweight.serve")

__all__ = ["make_application", "make_worker", "serve_bundles", "verbs_for"]


def verbs_for(allow: tuple[str, ...] = (), running: Wish | None = None) -> Verbs:
    """What the server cannot do itself.

    Args:
        allow: Distributions whose parts bundles may load.
        running: Says how networks are run; None: as they were tested.
    """
    return Verbs(load=partial(_load, allow=allow, running=running), explain=_explain, report=_report)


def _load(path: Path, *, allow: tuple[str, ...], running: Wish | None) -> Bundle:
    """A bundle that is verified, run as it was asked for; so is one that is swapped in later."""
    bundle = open_bundle(path, allow=allow)
    if running is None:
        return bundle
    if (known := running.known.get(bundle.manifest.digest)) is not None:
        return bundle.run_as_known(BakeOff.from_json(known))
    found = bundle.run_as(running.runtime, seconds=running.bake_off)
    for line in found.running.lines() if found.running is not None else ():
        _LOG.info("%s: %s", bundle.name, line)
    return found


def _report(bundle: Bundle, language: str) -> str:
    return html_report(subject_of(bundle), "zh" if language == "zh" else "en")


def _explain(bundle: Bundle, table: Table, wishes: Mapping[str, Any]) -> dict[str, Any]:
    methods = tuple(wishes.get("methods") or METHODS)
    wish = ExplainWish(len(table), None, methods, wishes.get("target"), tuple(wishes.get("keep", ())))
    return explain_bundle(bundle, _among_others(bundle, table), wish).to_json()


def _among_others(bundle: Bundle, table: Table) -> Table:
    """The rows, followed by the bundle's made-up ones: cells to put in another's place must come from somewhere."""
    golden = bundle.loaded.golden
    if golden is None:
        return table
    names = [facts.name for facts in bundle.signature.features()]
    columns: dict[str, pa.ChunkedArray] = {}
    for name in names:
        if name not in golden.table.names:
            continue
        theirs = golden.table.column(name)
        ours = table.column(name) if name in table.names else pa.chunked_array([pa.nulls(len(table), theirs.type)])
        if theirs.type != ours.type:
            try:
                theirs = theirs.cast(ours.type)
            except pa.ArrowException:
                return table  # joined columns of two types would mean something else
        columns[name] = pa.chunked_array([*ours.chunks, *theirs.chunks], ours.type)
    return Table(pa.table(columns), table.provenance) if columns else table


def serve_bundles(wish: Wish, keys: Path | None, listening: Callable[[Sequence[str], str | None, int], object]) -> None:
    """See :func:`trueweight.api.serve`.

    Args:
        wish: What is asked for, checked here.
        keys: File of the keys; the usual one by default.
        listening: Called with the models' names, the first key if one was made, and the port, when all is ready.
    """
    wish = wish.checked()
    if wish.engine == "ray":
        _serve_on_ray(wish, keys, listening)
        return
    with bound(wish) as listener:
        wish, app, key = _opened(wish, keys)
        listening(list(app.models), key, listener.getsockname()[1])
        # Several workers each open the bundles for themselves; that they are good is known by now.
        run(wish, app if wish.alone else "trueweight.api.serving:make_worker", listener)


def _opened(wish: Wish, keys: Path | None) -> tuple[Wish, Application, str | None]:
    """The wish with all that other processes have to know, the application, and the first key if one was made."""
    store = None if wish.open else KeyStore(keys or default_path())
    wish = replace(wish, keys=None if store is None else str(store.path))
    if not wish.alone and wish.audit is not None:  # others keep logs of their own; that none can be is told now
        AuditLog(Path(wish.audit) / f"{os.getpid()}.jsonl").close()
    app = application(wish if wish.alone else replace(wish, audit=None), verbs_for(tuple(wish.allow), wish), store)
    bundles = [hosted.bundle for hosted in app.models.values()]
    known = {one.manifest.digest: one.running.to_json() for one in bundles if one.running is not None}
    key = None if store is None else first_key(store, wish.host)
    return replace(wish, known=known, names=tuple(app.models)), app, key


def _serve_on_ray(
    wish: Wish, keys: Path | None, listening: Callable[[Sequence[str], str | None, int], object]
) -> None:  # fmt: skip
    from trueweight.serve.on_ray import run_on_ray

    wish, app, key = _opened(wish, keys)
    wish = replace(wish, known={})  # what is fastest here may be missing on another machine
    verbs = verbs_for(tuple(wish.allow), wish)
    run_on_ray(
        wish, make_application, lambda: opened(wish, verbs),
        lambda: listening(list(app.models), key, wish.port),
    )  # fmt: skip


def make_worker() -> Application:
    """:func:`make_application` in a process of its own. What cannot be served is told in a line, and the process that
    it was to take the place of answers on."""
    try:
        return make_application()
    except TrueweightError as error:
        _LOG.error("the models are not swapped, those that were answer on: %s", error)
        raise SystemExit(1) from None


def make_application() -> Application:
    """In each worker or replica: what was asked for, from the environment."""
    import torch

    quiet()
    wish = from_environment()
    torch.set_num_threads(max(1, torch.get_num_threads() // wish.workers))
    return application(
        wish, verbs_for(tuple(wish.allow), wish), None if wish.keys is None else KeyStore(Path(wish.keys))
    )
