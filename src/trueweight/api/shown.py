"""``show``: what a bundle holds."""

import csv
import io
import json
import shlex
from typing import Any

import numpy as np

from trueweight.bundle.bundle import Bundle
from trueweight.data.reading import column_part
from trueweight.seeds import stream

__all__ = ["predict_line", "show_bundle"]


def show_bundle(bundle: Bundle) -> dict[str, Any]:
    """A bundle's facts as plain data."""
    columns = []
    for facts in bundle.signature.columns.values():
        part: Any = column_part(facts)
        known = part.summary(facts.learnt) if facts.learnt else ""
        columns.append({"name": facts.name, "role": facts.role, "type": facts.type, "why": facts.why, "summary": known})
    return {
        "name": bundle.name,
        "path": str(bundle.path),
        "created": bundle.manifest.created,
        "version": bundle.manifest.trueweight,
        "digest": bundle.manifest.digest,
        "rows": bundle.signature.rows,
        "columns": columns,
        "evidence": bundle.evidence.to_json()["entries"],
        "plan": bundle.plan,
        "predict": predict_line(bundle),
    }


def predict_line(bundle: Bundle) -> str:
    """A shell line that asks the bundle about one made-up row."""
    rng, row = stream(0, "show"), {}
    for facts in bundle.signature.features():
        part: Any = column_part(facts)
        value = part.synthetic(facts.learnt, rng, 8).drop_null()
        row[facts.name] = "" if len(value) == 0 else _cell(value[0].as_py())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(row)
    writer.writerow(row.values())
    # What printf would take for a format or an escape is doubled; line ends become its own.
    made_up = text.getvalue().replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")
    printed = shlex.quote(made_up)
    return f"printf {printed} | trueweight predict {shlex.quote(str(bundle.path))} -"


def _cell(value: object) -> str:
    if isinstance(value, list | np.ndarray):
        return json.dumps(list(value))
    return str(value)
