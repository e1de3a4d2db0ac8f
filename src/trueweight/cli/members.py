"""The members of a blend on a terminal: how much each says, and what it took."""

from trueweight.evidence.record import Entry, Evidence
from trueweight.spec.units import describe_seconds

__all__ = ["members_lines"]


def members_lines(evidence: Evidence) -> list[str]:
    """One line for the members that were fitted, one for each that was not and why; none for a model of one member.

    Args:
        evidence: Of a run.
    """
    facts = {entry.id: entry for entry in evidence.select(axis="fit")}
    told: list[str] = []
    place = 0
    while (spent := facts.get(f"fit/{place}/seconds")) is not None:
        name = str(spent.metric).removeprefix("seconds of ")
        shares = [entry for id_, entry in facts.items() if id_.startswith(f"fit/{place}/weight/")]
        told.append(f"{name} {_shares(shares)} in {describe_seconds(float(spent.value or 0))}")
        place += 1
    left_out = [f"  Left out: {entry.value}" for id_, entry in facts.items() if id_.startswith("fit/left_out/")]
    return [*([f"Members: {', '.join(told)}"] if len(told) > 1 or left_out else []), *left_out]


def _shares(weights: list[Entry]) -> str:
    """The share of the answer, or that of each target's answer."""
    if len({float(entry.value or 0) for entry in weights}) == 1:
        return f"{float(weights[0].value or 0):.0%}".replace("%", " %")
    each = (f"{float(entry.value or 0):.0%} of {entry.id.split('/', 3)[3]}" for entry in weights)
    return " + ".join(each).replace("%", " %")
