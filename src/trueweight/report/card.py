"""Front matter of a model card, as the Hugging Face hub reads it: what kind of model, and results with their names.

It claims nothing that was not measured: no licence, language or data set that nobody named.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from trueweight.data.signature import Signature
from trueweight.evidence.record import Entry, Evidence
from trueweight.report.subject import Elsewhere, Subject
from trueweight.spec.run import RunSpec

__all__ = ["card_with_front_matter", "front_matter"]

_FENCE = "---\n"
_SENSES = (("image", "image"), ("audio", "audio"), ("text", "text"), ("timeseries", "time-series"))


def card_with_front_matter(subject: Subject, card: str) -> str:
    """The card as the bundle has it; older bundles' cards begin without front matter."""
    if card.startswith(_FENCE):
        return card
    return front_matter(subject.spec, subject.signature, subject.evidence) + card


def front_matter(
    spec: RunSpec, signature: Signature, evidence: Evidence, elsewhere: Elsewhere | None = None
) -> str:  # fmt: skip
    """YAML between two lines of dashes, with a blank line behind."""
    task = task_of(signature)
    lines = ["library_name: trueweight"] if elsewhere is None else _LIBRARIES.get(elsewhere.kind, [])
    lines = [*lines, "tags:", *(f"- {tag}" for tag in _tags(signature))]
    lines += [f"pipeline_tag: {task}"] if task in _KNOWN else []
    results = list(_results(spec, signature, evidence, task))
    if results:
        lines += ["model-index:", f"- name: {_text(spec.name)}", "  results:", *results]
    return _FENCE + "\n".join(lines) + f"\n{_FENCE}\n"


_LIBRARIES = {"onnx": ["library_name: onnx"], "keras": ["library_name: keras"]}
"""Of models from elsewhere, where their kind says it; the "trueweight" among the tags stands for the evidence."""

_KNOWN = (
    "tabular-classification", "tabular-regression", "text-classification", "image-classification",
    "audio-classification", "time-series-forecasting",
)  # fmt: skip
"""Tasks that the hub knows; others it would refuse."""


def task_of(signature: Signature) -> str:
    """What people call this: "text-classification"; a table of several senses is tabular."""
    types = {facts.type for facts in signature.features()}
    sense = next((word for kind, word in _SENSES if types == {kind}), "tabular")
    kinds = {facts.type for facts in signature.targets()}
    return f"{sense}-{'regression' if kinds <= {'number', 'vector'} else 'classification'}"


def _tags(signature: Signature) -> list[str]:
    types = [facts.type for facts in signature.features()]
    return list(dict.fromkeys(["trueweight", "tabular", *(word for kind, word in _SENSES if kind in types)]))


def _results(spec: RunSpec, signature: Signature, evidence: Evidence, task: str) -> Iterator[str]:
    for facts in signature.targets():
        scores = [e for e in evidence.select(axis="quality", target=facts.name) if _counts(e)]
        if not scores:
            continue
        yield "  - task:"
        yield f"      type: {task}"
        yield f"      name: {_text(f'predict {facts.name}')}"
        yield "    dataset:"
        yield "      type: private"
        yield f"      name: {_text(_source(spec))}"
        yield f"      split: {scores[0].data.role if scores[0].data else 'other'}"
        yield "    metrics:"
        for entry in scores:
            yield f"    - type: {_text(entry.metric)}"
            yield f"      value: {json.dumps(entry.value)}"
            if entry.interval:
                ends = (
                    f"{100 * entry.interval.level:g} % interval {entry.interval.low:.6g} to {entry.interval.high:.6g}"
                )
                yield f"      name: {_text(f'{entry.metric} ({ends}, n = {entry.n})')}"


def _counts(entry: Entry) -> bool:
    """A score of all rows together."""
    return isinstance(entry.value, float) and entry.slice is None and "[" not in entry.metric and entry.n is not None


def _source(spec: RunSpec) -> str:
    source = spec.data.source
    return Path(source).name if isinstance(source, str) and source else "data of the owner"


def _text(text: str) -> str:
    """A text as YAML takes it whatever is in it: JSON is YAML."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
