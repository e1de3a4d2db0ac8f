"""What verbs have in common: a bundle from its path, rows read as its own files, the folder of pictures and sounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueweight.bundle.bundle import Bundle
    from trueweight.data.table import Table

__all__ = ["load", "media_of", "opened_bundle", "read_like"]


def load(path: str | Path, *, allow: Sequence[str] = ()) -> "Bundle":
    """Open a bundle, checking every digest and that its golden rows still get the same answers.

    Args:
        path: The bundle's folder.
        allow: Distributions, beside trueweight, whose parts may be imported.

    Raises:
        VerifyError: It is changed, cut short, too new, or answers differently.
    """
    from trueweight.bundle.bundle import open_bundle

    return open_bundle(Path(path), allow=allow)


def opened_bundle(bundle: Any, allow: Sequence[str]) -> "Bundle":
    """A bundle, from its path too.

    Raises:
        SpecError: Something else, such as a model that was trained elsewhere.
    """
    from trueweight.bundle.bundle import Bundle
    from trueweight.errors import SpecError

    opened = load(bundle, allow=allow) if isinstance(bundle, str | Path) else bundle
    if not isinstance(opened, Bundle):
        hint = "for a model that was trained elsewhere name what it predicts: target='COLUMN'"
        raise SpecError(f"a {type(bundle).__name__} is no bundle", hint=hint)
    return opened


def read_like(bundle: "Bundle", source: Any, **changes: Any) -> "Table":
    """Read new rows by the spec the bundle was trained with, but for what belongs to its file, and ``changes``.

    Where the model was trained on cases of several rows, a table without their column has one row a case. Where it was
    trained on pieces of plain text, a file named as a table has a text in each row all the same.
    """
    from trueweight.api.request import as_cases
    from trueweight.data.read import named_as_tables, read_table
    from trueweight.data.table import Table

    if isinstance(source, Table):
        return source
    own = {"source": None, "format": None, "delimiter": None, "encoding": None}
    if named_as_tables(source) and not named_as_tables(bundle.resolved.data.source):
        own["chunks"] = None
    data = bundle.resolved.data.model_copy(update=own | changes)
    table = read_table(source, data, classes=False)
    if data.cases.case not in table.names:
        return table
    single = [*bundle.resolved.targets, *(name for name in (data.primary_key, data.sample_weight) if name)]
    return as_cases(table, data, single=single)


def media_of(folder: str | Path | None) -> dict[str, str]:
    """The folder as a spec says it, whole: here it starts from where we are, there from the data."""
    return {} if folder is None else {"media_dir": str(Path(folder).expanduser().absolute())}
