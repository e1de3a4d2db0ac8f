"""The table of suites in docs/robustness.md, from the suites themselves."""

from trueweight.evaluate.changed_rows import FAMILIES

__all__ = ["suites_table"]


def suites_table() -> str:
    """A row for each suite: what is changed, at three strengths, and whether the first may raise a flag."""
    lines = ["| columns | change | mild | strong | severe | raises the flag |", "|---|---|---|---|---|---|"]
    for family in FAMILIES:
        for suite in family.suites:
            strengths = " | ".join(f"{strength:g}" for strength in suite.strengths)
            mild = "yes" if suite.mild else "no"
            lines.append(f"| {family.name} | {suite.words.format('…')} | {strengths} | {mild} |")
    return "\n".join(lines)
