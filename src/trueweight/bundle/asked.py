"""What people ask of a model that writes, without a file: a prompt, or one row."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.nn.decoding import GREEDY, Decoding

__all__ = ["require_writing", "row_table", "texts_table", "written_target"]

_DECIDED = ("binary", "category", "number", "set", "vector")
"""Types of targets that are not written."""


def written_target(signature: Signature, asked: str | None = None) -> str:
    """The target that is a text.

    Args:
        signature: Of the model.
        asked: Which, where there are several.

    Raises:
        SpecError: There is none, or several and none was named.
    """
    names = [facts.name for facts in signature.targets() if facts.type not in _DECIDED]
    if asked is not None:
        if asked not in names:
            known = f"choose from {', '.join(map(repr, names))}" if names else "this model writes no text"
            raise SpecError(f"{asked!r} is no target that is written", where="target", hint=known)
        return asked
    if len(names) != 1:
        found = f"writes {', '.join(map(repr, names))}" if names else "writes no text"
        hint = "say which by target" if names else "ask it without prompts, streams and options of writing"
        raise SpecError(f"the model {found}", where="target", hint=hint)
    return names[0]


def texts_table(signature: Signature, texts: Sequence[str]) -> Table:
    """Texts as rows: prompts of a language model, else what its only column reads.

    Raises:
        SpecError: The model reads several columns.
    """
    features = [facts.name for facts in signature.features()]
    if len(features) > 1:
        shown = ", ".join(map(repr, features[:8])) + (", …" if len(features) > 8 else "")
        hint = "give rows with these columns: a file, or in Python a mapping"
        raise SpecError(
            f"the model reads {len(features)} columns ({shown}), and a text is one", where="prompt", hint=hint
        )
    name = features[0] if features else written_target(signature)
    return Table(pa.table({name: pa.array(list(texts), pa.string())}))


def row_table(signature: Signature, row: str | Mapping[str, Any]) -> Table:
    """One row.

    Raises:
        SpecError: A text, of a model that reads several columns.
    """
    if isinstance(row, str):
        return texts_table(signature, [row])
    return Table(pa.table({name: pa.array([value]) for name, value in row.items()}))


def require_writing(signature: Signature, how: Decoding) -> None:
    """Refuse options of writing where nothing is written: they would change nothing.

    Raises:
        SpecError: All targets are of other types.
    """
    if how is not GREEDY and how != GREEDY and all(facts.type in _DECIDED for facts in signature.targets()):
        names = ", ".join(f"{facts.name!r} is a {facts.type}" for facts in signature.targets())
        hint = "leave the options of writing out (beams, temperature, stop and the like)"
        raise SpecError(f"the model writes no text: {names}", where="decoding", hint=hint)
