"""The reference page of the spec, from its pydantic models."""

import re
from typing import Annotated, Any, get_args

from docs_words import fields_of, paragraphs, table
from pydantic import BaseModel

from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metrics_for
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.recipes.resolve import ROCKET_ROWS
from trueweight.recipes.senses import SENSES
from trueweight.recipes.speech import SPEECH_METRICS
from trueweight.recipes.tables import LANGUAGE_METRICS, METRICS, PRESETS
from trueweight.spec.base import PartSpec, Spec
from trueweight.spec.run import RunSpec

__all__ = ["inside", "spec_page"]

_HEAD = """# The spec, key by key

A spec is a YAML file (read by the rules of YAML 1.2, so `1e-3` is a number and `NO` is a text) or the same as a Python
mapping. Every key may be left out but `targets`. `null` means: decide for me; what was decided is in the bundle's
`resolved.yaml`. A key that is not listed here is an error, and so is a value of the wrong type: `trueweight check`
tells all mistakes at once, with line and column. A part (a column type, an encoder, …) is written as its name, `mlp`,
or as a mapping with a `type`, `{type: mlp, dropout: 0.2}`.

`--set a.b=c` on the command line changes one key, e.g. `--set train.budget.time=2m`, and is recorded in the bundle.
`trueweight schema` prints the same reference as JSON Schema, with the parts that plugins add.

```yaml
version: 1
name: claims
data: {source: claims.csv, primary_key: claim_id}
split: {method: group, group: customer_id}
features:
  postcode: {type: category, min_frequency: 20}
  handler: {type: ignore, reason: known only after the decision}
targets:
  fraud: {type: binary, positive_class: "yes", class_weight: balanced}
train: {budget: {time: 5m}}
evaluate: {metrics: {fraud: [roc_auc, recall]}}
```
"""


def spec_page() -> str:
    """The whole page: one section for each model, in the order in which they are met."""
    sections = [_HEAD]
    for model in _models(RunSpec):
        title = "The whole spec" if model is RunSpec else model.__name__
        sections.append(f"## {title}\n\n{paragraphs(model.__doc__)}\n\n{fields_of(model, parts='parts/')}\n")
    return "\n".join([*sections, _presets(), _metrics()])


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []

    def visit(model: type[BaseModel]) -> None:
        if model in found:
            return
        found.append(model)
        for field in model.model_fields.values():
            for inner in inside(field.annotation):
                visit(inner)

    visit(root)
    return found


def inside(kind: Any) -> list[type[BaseModel]]:
    """Specs that a field may hold, parts aside."""
    if isinstance(kind, type) and issubclass(kind, Spec):
        return [] if issubclass(kind, PartSpec) else [kind]
    return [model for option in get_args(kind) for model in inside(option)] if kind is not Annotated else []


def _presets() -> str:
    rows = []
    for name, p in PRESETS.items():
        limits = f"{p.seconds:g} s", str(p.epochs)
        rows.append((f"`{name}`", " + ".join(p.members), *limits, _options(p.encoder), _options(p.optimizer)))
    head = ["preset", "members", "time", "at most epochs", "network", "optimiser"]
    return f"## Presets\n\nWhat `model.preset` stands for.\n\n{table(head, rows)}\n\n{_senses()}"


def _senses() -> str:
    rows = []
    for kind, sense in SENSES.items():
        read = " → ".join(f"`{part['type']}`" for part in sense.encoder)
        further = [f"{preset}: {_options(dict(part))}" for preset, parts in sense.further.items() for part in parts]
        climbs = "if a pass fits into the time left" if sense.climbs else "always"
        rows.append((f"`{kind}`", read, climbs, "; ".join(further) or "–"))
    head = ["column", "how the network reads it", "the network is begun", "then, if that helped"]
    told = f"Series of up to {ROCKET_ROWS:,} rows are solved by `rocket` before; with `fast` that is all."
    return f"Columns of the senses have more to them. {told}\n\n{table(head, rows)}\n"


def _options(options: dict[str, Any]) -> str:
    return f"`{options['type']}`: " + ", ".join(f"{key} {value}" for key, value in options.items() if key != "type")


def _metrics() -> str:
    kinds = {"binary": ClassPrediction, "category": ClassPrediction, "number": NumberPrediction,
             "set": SetPrediction, "vector": VectorPrediction, "text": TextPrediction,
             "masked": MaskedPrediction}  # fmt: skip
    rows = []
    for target, kind in kinds.items():
        names = [name for name in metrics_for(kind) if not re.search(r"confusion\[", name)]
        usual = _listed(METRICS[target])
        if target == "text":
            heard, alone = _listed(SPEECH_METRICS), _listed(LANGUAGE_METRICS)
            usual = f"read from something: {usual}; from sounds: {heard}; from nothing: {alone}"
        rows.append((f"`{target}`", usual, _listed(names)))
    text = (
        "What `evaluate.metrics` may name. Names and definitions are scikit-learn's; those of texts are "
        "[explained](judging-texts.md). `precision`, `recall` and `f1` "
        "can be asked of one class, `recall[yes]`."
    )
    return f"## Metrics\n\n{text}\n\n{table(['target', 'measured unless asked otherwise', 'all there are'], rows)}\n"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
