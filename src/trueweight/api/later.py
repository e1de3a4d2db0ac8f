"""Measuring a bundle on rows that came later, and keeping what was found beside it."""

import logging
from collections.abc import Callable

from trueweight.bundle.bundle import Bundle
from trueweight.bundle.detached import add_detached, evidence_folder, require_place
from trueweight.data.digest import digest_rows
from trueweight.data.table import Table
from trueweight.evidence.ledger import record_known_look
from trueweight.evidence.record import Evidence
from trueweight.metrics.words import counted

__all__ = ["evaluate_later"]

_LOG = logging.getLogger("trueweight.api")


def evaluate_later(
    bundle: Bundle, read: Callable[[], Table], *, keep: bool, by: str, measured: Callable[[Evidence], object] | None
) -> Evidence:
    """One measurement; see :func:`trueweight.api.evaluate`. A place that cannot be written is refused at once."""
    if keep:
        require_place(evidence_folder(bundle.path))
    table = read()
    if skipped := table.provenance.skipped_rows:
        told = counted(skipped, "unreadable row was skipped and is", "unreadable rows were skipped and are")
        _LOG.warning("%s: %s not in the scores", table.label, told)
    record_known_look(bundle.path.resolve().parent.parent, digest_rows(table), by=bundle.name, purpose="evaluate")
    found = bundle.evaluate(table)
    if measured is not None:
        measured(found)
    if keep:
        add_detached(bundle.path, found, by=by)
    return found
