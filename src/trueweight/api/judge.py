"""``gate``: does a model keep to the rules?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from trueweight.bundle.bundle import Bundle
from trueweight.bundle.judged import Judged, read_judged
from trueweight.errors import SpecError
from trueweight.evaluate.gates import Ruling, judge_gates
from trueweight.evidence.record import Evidence
from trueweight.files import write_atomic
from trueweight.spec.gates import GateSpec
from trueweight.spec.policy import PolicySpec, load_policy, parse_policy

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of each rule."""

    name: str
    """Of what was judged."""
    rulings: tuple[Ruling, ...]

    @property
    def passed(self) -> bool:
        """Every rule holds."""
        return all(ruling.passed for ruling in self.rulings)

    def __repr__(self) -> str:
        return "\n".join(map(str, self.rulings))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        rules = [{"rule": r.rule, "passed": r.passed, "why": r.why, "entries": list(r.entries)} for r in self.rulings]
        return {"name": self.name, "passed": self.passed, "rules": rules}

    def write_junit(self, path: Path) -> None:
        """Write the rulings as JUnit XML, one test case a rule, as build servers read it.

        Raises:
            TrainError: The file cannot be written.
        """
        failed = sum(not ruling.passed for ruling in self.rulings)
        counts = {"tests": str(len(self.rulings)), "failures": str(failed), "errors": "0"}
        suites = ET.Element("testsuites", counts)
        suite = ET.SubElement(suites, "testsuite", {"name": _plain(self.name), **counts})
        for ruling in self.rulings:
            named = {"classname": f"trueweight.{_plain(self.name)}", "name": _plain(ruling.rule)}
            case = ET.SubElement(suite, "testcase", named)
            if ruling.passed:
                ET.SubElement(case, "system-out").text = _plain(ruling.why)
            else:
                told = ET.SubElement(case, "failure", {"message": _plain(ruling.why), "type": "gate"})
                told.text = _plain("\n".join(ruling.entries))
        ET.indent(suites)
        write_atomic(path, ET.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n")


def _plain(text: str) -> str:
    """Without the control characters that XML cannot hold: user text may have any."""
    return (
        "".join(sign if sign >= " " or sign in "\t\n" else "?" for sign in text)
        .replace("\ufffe", "?")
        .replace("\uffff", "?")
    )


def judge(
    subject: Bundle | Evidence | str | Path, policy: PolicySpec | Mapping[str, Any] | Sequence[Any] | str | Path | None
) -> Judgement:  # fmt: skip
    """See :func:`trueweight.api.gate`."""
    judged = _judged(subject)
    return Judgement(judged.name, tuple(judge_gates(_rules(policy, judged), judged.evidence)))


def _judged(subject: Bundle | Evidence | str | Path) -> Judged:
    if isinstance(subject, Bundle):
        return Judged(subject.name, subject.evidence, tuple(subject.resolved.gates))
    if isinstance(subject, Evidence):
        return Judged("model", subject)
    return read_judged(Path(subject))


def _rules(policy: Any, judged: Judged) -> list[GateSpec]:
    if isinstance(policy, PolicySpec):
        return policy.gates
    if isinstance(policy, str | Path):
        return load_policy(policy).gates
    if policy is not None:
        return parse_policy(policy).gates
    if not judged.gates:
        hint = "give a policy file: gates: [{target: TARGET, metric: roc_auc, at_least: 0.8}]"
        raise SpecError(f"no rules: none were given, and the spec of {judged.name!r} has no gates", hint=hint)
    return parse_policy(judged.gates).gates
