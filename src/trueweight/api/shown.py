"""``show``: what a bundle holds."""

import csv
import io
import shlex
from typing import Any

from trueweight.bundle.bundle import Bundle
from trueweight.bundle.summary import column_summary, made_up_row

__all__ = ["predict_line", "show_bundle"]


def show_bundle(bundle: Bundle) -> dict[str, Any]:
    """A bundle's facts as plain data."""
    columns = [
        {"name": f.name, "role": f.role, "type": f.type, "why": f.why, "summary": column_summary(f)}
        for f in bundle.signature.columns.values()
    ]
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
    row = made_up_row(bundle.signature)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(row)
    writer.writerow(row.values())
    # What printf would take for a format or an escape is doubled; line ends become its own.
    made_up = text.getvalue().replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")
    printed = shlex.quote(made_up)
    return f"printf {printed} | trueweight predict {shlex.quote(str(bundle.path))} -"
