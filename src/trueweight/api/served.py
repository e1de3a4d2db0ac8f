"""Bundles as an application of this process, for other ASGI servers, for tests, and for the client."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.serve.app import Application
from trueweight.serve.audit import AuditLog
from trueweight.serve.keys import KeyStore
from trueweight.serve.limits import Limits
from trueweight.serve.server import named_bundles

if TYPE_CHECKING:
    from trueweight.serve.app import Verbs

__all__ = ["application"]


def application(
    bundles: "str | Path | Bundle | Sequence[str | Path | Bundle]", *, keys: str | Path | None = None,
    audit: str | Path | None = None, allow: Sequence[str] = (), limits: Mapping[str, Any] | None = None,
) -> Application:  # fmt: skip
    """What ``serve`` serves, as an ASGI application: for ``trueweight.Client`` without sockets, or a server of yours.

    Args:
        bundles: Bundles, or their paths; each that is not open yet is verified.
        keys: File of the keys; None: everybody who reaches it may ask everything.
        audit: File in which it is noted who asked; None: nowhere.
        allow: Distributions, beside trueweight, whose parts bundles may import.
        limits: Fields of :class:`trueweight.serve.limits.Limits` that are to differ.

    Raises:
        VerifyError: A bundle is changed, cut short, too new, or answers differently.
        SpecError: Two bundles have the same name, or there is no such limit.
    """
    verbs = verbs_for(tuple(allow))
    several = [bundles] if isinstance(bundles, str | Path | Bundle) else list(bundles)
    return Application(
        named_bundles([_opened(one, verbs) for one in several]),
        verbs,
        store=None if keys is None else KeyStore(Path(keys)),
        audit=None if audit is None else AuditLog(Path(audit)),
        limits=Limits.of(limits or {}),
    )


def _opened(bundle: str | Path | Bundle, verbs: "Verbs") -> Bundle:
    return bundle if isinstance(bundle, Bundle) else verbs.load(Path(bundle))
