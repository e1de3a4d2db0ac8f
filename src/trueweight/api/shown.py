"""``show``: what a bundle holds."""

import csv
import io
import shlex
from dataclasses import asdict
from typing import Any

from trueweight.bundle.bundle import Bundle
from trueweight.bundle.detached import Detached, read_detached
from trueweight.bundle.summary import by_target, column_summary, made_up_row
from trueweight.evaluate.calibration import nodes_of
from trueweight.evidence.record import Entry
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
        "lineage": None if bundle.manifest.lineage is None else asdict(bundle.manifest.lineage),
        "rows": bundle.signature.rows,
        "columns": columns,
        "evidence": bundle.evidence.to_json()["entries"],
        "later": [_later(one) for one in read_detached(bundle.path)],
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


def _later(one: Detached) -> dict[str, Any]:
    """A later measurement: when, by whom, on how many rows, and the first number of each target."""
    scores = [e for e in one.evidence.select(axis="quality") if e.slice is None and isinstance(e.value, float)]
    firsts = [entries[0] for entries in by_target(scores).values()]
    return {
        "file": one.path.name,
        "produced_at": one.produced_at,
        "by": one.by,
        "of_this_bundle": one.matches,
        "rows": max((entry.n or 0 for entry in firsts), default=0),
        "flags": sum(entry.metric.endswith("flag") and entry.value == 1 for entry in one.evidence),
        "evidence": [{"target": e.target, "metric": e.metric, "value": e.value} | _ends(e) for e in firsts],
    }


def _ends(entry: Entry) -> dict[str, Any]:
    return {} if entry.interval is None else {"low": entry.interval.low, "high": entry.interval.high}


def predict_line(bundle: Bundle) -> str:
    """A shell line that asks the bundle about one made-up row."""
    path = shlex.quote(str(bundle.path))
    if (prompt := _prompt(bundle)) is not None:
        return f"trueweight predict {path} --prompt {prompt}"
    row = made_up_row(bundle.signature)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(row)
    writer.writerow(row.values())
    # What printf would take for a format or an escape is doubled; line ends become its own.
    made_up = text.getvalue().replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")
    printed = shlex.quote(made_up)
    return f"printf {printed} | trueweight predict {path} -"


def _prompt(bundle: Bundle) -> str | None:
    """What a model that reads nothing but its own text is asked with; None for all others, which read columns."""
    if bundle.signature.features():
        return None
    kinds = [facts.type for facts in bundle.signature.targets()]
    prompts = {"text": "'' --temperature 0.8", "masked": "'a few words of your own'"}
    return prompts.get(kinds[0]) if len(kinds) == 1 else None
