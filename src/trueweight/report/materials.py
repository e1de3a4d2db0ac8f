"""A CycloneDX 1.6 bill of materials of a model: what it is made of, what was measured, what it is not for.

Source: the CycloneDX specification, version 1.6 (ECMA-424), section "modelCard".
"""

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from trueweight.evidence.record import Entry
from trueweight.report.card import task_of
from trueweight.report.subject import Subject

__all__ = ["bill_of_materials"]


def bill_of_materials(subject: Subject) -> str:
    """JSON, the same for the same bundle: its serial number is derived from the digest."""
    reference = f"model:{subject.name}"
    # A bundle's digest covers its evidence; a model from elsewhere may be measured again and again.
    identity = subject.digest if subject.elsewhere is None else f"{subject.digest} {subject.name} {subject.created}"
    libraries = _libraries(subject)
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'trueweight:{identity}')}",
        "version": 1,
        "metadata": {
            "timestamp": subject.created,
            "tools": {"components": [{"type": "application", "name": "trueweight", "version": subject.trueweight}]},
            "component": _model(subject, reference),
        },
        "components": [*libraries, *_files(subject)],
        "dependencies": [{"ref": reference, "dependsOn": [library["bom-ref"] for library in libraries]}],
    }
    return json.dumps(bill, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _model(subject: Subject, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model", "bom-ref": reference, "name": subject.name,
        **({"version": subject.digest[7:19], "hashes": [_hash(subject.digest)]} if subject.digest else {}),
        "modelCard": {
            "modelParameters": {
                **_made(subject),
                "task": task_of(subject.signature),
                "inputs": [{"format": f"{facts.name}: {facts.type}"} for facts in subject.signature.features()],
                "outputs": [{"format": f"{facts.name}: {facts.type}"} for facts in subject.signature.targets()],
            },
            "quantitativeAnalysis": {"performanceMetrics": [_metric(e) for e in subject.evidence if _told(e)]},
            "considerations": _considerations(subject),
        },
    }  # fmt: skip
    if subject.spec.card.owner:
        found["supplier"] = {"name": subject.spec.card.owner}
    return found


def _made(subject: Subject) -> dict[str, Any]:
    """How it was trained, where that is known."""
    if subject.elsewhere is not None:
        return {}
    family = " + ".join(m.name for m in subject.spec.model.fitted) or "baseline"
    return {"approach": {"type": "supervised"}, "architectureFamily": family}


def _considerations(subject: Subject) -> dict[str, Any]:
    card = subject.spec.card
    limits = [card.limits] if card.limits else []
    limits += [entry.reason for entry in subject.flags() if entry.reason]
    found: dict[str, Any] = {"technicalLimitations": limits} if limits else {}
    return found | ({"useCases": [card.intended_use]} if card.intended_use else {})


def _told(entry: Entry) -> bool:
    number = isinstance(entry.value, float | int)
    return (
        entry.axis in ("quality", "slices", "fairness", "calibration", "robustness") and number and entry.n is not None
    )


def _metric(entry: Entry) -> dict[str, Any]:
    part = " / ".join(word for word in (entry.target, entry.data.role if entry.data else None, entry.slice) if word)
    found: dict[str, Any] = {"type": entry.metric, "value": f"{entry.value:.6g}", "slice": part}
    if entry.interval:
        ends = {"lowerBound": f"{entry.interval.low:.6g}", "upperBound": f"{entry.interval.high:.6g}"}
        found["confidenceInterval"] = ends
    return found


def _libraries(subject: Subject) -> list[dict[str, Any]]:
    if subject.elsewhere is not None:
        return []  # what it needs is not known
    known = [("trueweight", subject.trueweight), ("torch", subject.torch)]
    found = [{"type": "library", "bom-ref": f"pkg:pypi/{name}@{version}", "name": name, "version": version,
              "purl": f"pkg:pypi/{name}@{version}"} for name, version in known]  # fmt: skip
    return found + [{"type": "library", "bom-ref": f"part:{name}", "name": name} for name in subject.strangers()]


def _files(subject: Subject) -> list[dict[str, Any]]:
    return [
        {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [_hash(digest)]}
        for name, digest in subject.files.items()
    ]


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest.removeprefix("sha256:")}
