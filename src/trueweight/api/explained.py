"""``explain``: why a bundle answers rows as it does."""

from trueweight.bundle.bundle import Bundle, require_columns
from trueweight.data.table import Table
from trueweight.explain.ask import Wish, explain_table
from trueweight.explain.record import Explanations

__all__ = ["explain_bundle"]


def explain_bundle(bundle: Bundle, table: Table, wish: Wish) -> Explanations:
    """See :func:`trueweight.api.explain`."""
    require_columns(bundle.signature, table)
    golden = bundle.loaded.golden
    kept = _with_content(golden.table, bundle) if golden is not None and golden.real else None
    return explain_table(bundle.predictor, table, bundle.resolved, wish, name=bundle.name, kept=kept)


def _with_content(kept: Table, bundle: Bundle) -> Table:
    """Without the golden row that has no value at all."""
    names = [facts.name for facts in bundle.signature.features() if facts.name in kept.names]
    filled = [
        i for i, row in enumerate(kept.select(names).data.to_pylist()) if any(v is not None for v in row.values())
    ]
    return kept.take(filled)
