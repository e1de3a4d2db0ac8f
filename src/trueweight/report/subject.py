"""What a report is about: a model, its evidence, and what was found when it was opened."""

from collections.abc import Mapping
from dataclasses import dataclass

from trueweight.data.signature import ColumnFacts, Signature
from trueweight.evidence.record import Entry, Evidence
from trueweight.report.examples import Examples
from trueweight.spec.run import RunSpec

__all__ = ["AXES", "Elsewhere", "Later", "Subject"]

AXES = (
    "quality", "comparison", "calibration", "slices", "fairness", "drift", "robustness", "honesty", "explanation",
    "cost",
)  # fmt: skip
"""What a sceptic expects to be looked at. An axis without facts is shown as not run."""


_AGAIN = "trueweight verify BUNDLE --recompute --data SOURCE"
_LATER = "trueweight evaluate BUNDLE SOURCE"
"""What measures again where a fact does not say."""


@dataclass(frozen=True, slots=True)
class Later:
    """Facts that somebody measured after the model was made."""

    by: str
    produced_at: str
    evidence: Evidence
    matches: bool
    """Whether this very model was measured."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model of another maker, seen from outside only: how it was trained is not known."""

    kind: str
    """"onnx", "estimator", "keras" or "function"."""
    model: str
    """What its file or its class is called."""
    by: str
    """Who measured."""
    command: str
    """What measures again."""
    same: bool | None = None
    """Whether the file beside the evidence is the one that was measured; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One model to be reported on."""

    name: str
    created: str
    """UTC, ISO 8601."""
    digest: str
    """Of the whole model: its identity."""
    trueweight: str
    torch: str
    files: Mapping[str, str]
    """Digest of every file."""
    parts: Mapping[str, Mapping[str, str]]
    """Kind to name to the distribution it came from."""
    spec: RunSpec
    """Resolved."""
    signature: Signature
    evidence: Evidence
    summaries: Mapping[str, str]
    """What training rows held in each column, in a few words."""
    weights: int = 0
    """Bytes of weights."""
    golden: int = 0
    """Golden rows that were answered as recorded when the model was opened."""
    signed_by: str | None = None
    parent: str | None = None
    later: tuple[Later, ...] = ()
    examples: Examples | None = None
    """Explained rows, where somebody gave some for the page."""
    elsewhere: Elsewhere | None = None
    """Of a model that was trained elsewhere."""

    def key(self, name: str) -> str:
        """Key of words that are others for a model that was trained elsewhere."""
        return name if self.elsewhere is None else f"{name}.elsewhere"

    def again(self, entry: Entry) -> str:
        """The command that measures a fact again."""
        if self.elsewhere is not None:
            return self.elsewhere.command
        later = entry.data is not None and entry.data.role == "other"
        known = entry.reproduce or (_LATER if later else _AGAIN)
        return known.replace("BUNDLE", f"{self.name}.bundle")

    @property
    def role(self) -> str:
        """Rows that the scores are of: "test", "validation" where the test rows stayed sealed, or ""."""
        roles = [
            e.data.role for e in self.evidence.select(axis="quality") if e.data is not None and e.value is not None
        ]
        return next((role for role in ("test", "validation") if role in roles), roles[0] if roles else "")

    def scores(self, target: str) -> list[Entry]:
        """Of all rows together, the most telling first; per-class scores are left out."""
        mine = self.evidence.select(axis="quality", target=target)
        return [
            e for e in mine
            if e.slice is None and "[" not in e.metric and e.data is not None and e.data.role == self.role
        ]  # fmt: skip

    def of_axis(self, axis: str) -> list[Entry]:
        """Facts of one axis; verdicts belong to comparisons."""
        both = ("comparison", "verdict") if axis == "comparison" else (axis,)
        return [entry for entry in self.evidence if entry.axis in both]

    def flags(self) -> list[Entry]:
        """What was found that a person must mind."""
        return [e for e in self.evidence if e.metric.endswith("flag") and e.value == 1]

    def rivals(self) -> list[str]:
        """Names of the simple models that stand beside, in the order compared."""
        found = (e.id.split("/")[1] for e in self.evidence.select(axis="baseline") if e.id.count("/") > 1)
        return list(dict.fromkeys(found))

    def rival_score(self, rival: str, like: Entry) -> Entry | None:
        """The same score of a simple model."""
        mine = self.evidence.select(axis="baseline", target=like.target, metric=like.metric)
        return next((e for e in mine if e.id.startswith(f"baseline/{rival}/")), None)

    def strangers(self) -> list[str]:
        """Packages of other makers whose parts it needs; we are none."""
        origins = {origin.partition(" ")[0] for names in self.parts.values() for origin in names.values()}
        return sorted(origins - {"trueweight"})

    def targets(self) -> list[ColumnFacts]:
        """Columns that it answers."""
        return self.signature.targets()
