"""``show``: what a bundle holds."""

import csv
import io
import shlex
from typing import Any

from trueweight.bundle.bundle import Bundle
from trueweight.bundle.summary import column_summary, made_up_row
from trueweight.evaluate.calibration import nodes_of
from trueweight.model.predictors.threshold import ThresholdPredictor
from trueweight.model.protocols import Predictor

__all__ = ["predict_line", "show_bundle", "thresholds"]


def show_bundle(bundle: Bundle) -> dict[str, Any]:
    """A bundle's facts as plain data."""
    said = thresholds(bundle.predictor)
    columns = [
        {"name": f.name, "role": f.role, "type": f.type, "why": f.why,
         "summary": "; ".join(filter(None, (column_summary(f), said.get(f.name))))}
        for f in bundle.signature.columns.values()
    ]  # fmt: skip
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


def thresholds(predictor: Predictor) -> dict[str, str]:
    """For each target whose threshold was learnt, the threshold in words."""
    classes = {facts.name: facts.learnt.get("classes", ("",)) for facts in predictor.signature.targets()}
    return {
        target: f"answered {classes[target][-1]} from a probability of {found.value:.3g} on (learnt from costs "
        f"{found.false_positive:g} : {found.false_negative:g})"
        for node in nodes_of(predictor)
        if isinstance(node, ThresholdPredictor)
        for target, found in node.thresholds.items()
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
