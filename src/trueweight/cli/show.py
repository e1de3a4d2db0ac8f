"""``trueweight show``: what a bundle holds, and a line to try it with."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from trueweight.cli.console import print_json
from trueweight.cli.machine import prepare_torch

__all__ = ["show"]

_FACTS = ("name", "path", "created", "version", "digest", "rows", "status")


@click.command(short_help="Show what a bundle holds, or what memory a spec needs.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--memory", is_flag=True, help="PATH is a spec: tell what memory a training step of each member needs.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def show(path: Path, memory: bool, as_json: bool, allow: tuple[str, ...]) -> None:
    """Show the facts of the bundle at PATH: columns, evidence, and a predict line with a made-up row.

    With --memory, PATH is a spec. Its data is read and nothing is trained.

    \b
    Examples:
        trueweight show runs/claims-01/claims.bundle
        trueweight show --memory claims.yaml
    """
    from trueweight import api

    prepare_torch()
    if memory:
        members = api.memory(path)
        print_json(members) if as_json else click.echo("\n".join(_memory_lines(members)))
        return
    facts = api.show(path, allow=allow)
    if as_json:
        print_json(facts)
        return
    click.echo("\n".join(_lines(facts)))


_PARTS = {
    "weights": "", "gradients": "", "optimizer": "what it remembers",
    "copies": "the running average, the best weights, a snapshot to go back to",
    "activations": "of one batch, or of one piece of it", "rows": "of the whole training part, and a batch",
    "total": "at the peak of a step", "between": "of a look between steps, when gradients and activations have gone",
    "whole": "of the whole fit, which train.budget.memory limits",
}  # fmt: skip


def _memory_lines(members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    from trueweight.cli.tables import aligned
    from trueweight.spec.units import describe_bytes

    for member in members:
        if "total" not in member:
            yield f"{member['name']}: solved, without steps"
            continue
        rows = f"{member['batch_size']:,} rows a step"
        yield f"{member['name']}: {member['parameters']:,} weights, {rows}, on the CPU"
        sizes = aligned([(part, describe_bytes(member[part])) for part in _PARTS], first="  ")
        yield from (f"{size}   {words}".rstrip() for size, words in zip(sizes, _PARTS.values(), strict=True))


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    from trueweight.cli.tables import aligned, confusion_tables, evidence_table, members_table, remarks
    from trueweight.evidence.record import SCHEMA, Evidence

    known = [(name, f"{facts[name]:,}" if isinstance(facts[name], int) else str(facts[name]))
             for name in _FACTS if facts.get(name) not in (None, "")]  # fmt: skip
    yield from (line.rstrip() for line in aligned(known, left=2))
    if (line := facts.get("lineage")) is not None:
        yield from ("", *_lineage_lines(line))
    columns = [("column", "role", "type", "")]
    columns += [(c["name"], c["role"], c["type"], c.get("summary") or c.get("why") or "") for c in facts["columns"]]
    yield ""
    yield from (line.rstrip() for line in aligned(columns, left=4))
    if facts.get("evidence"):
        evidence = Evidence.from_json({"schema": SCHEMA, "entries": facts["evidence"]})
        members = members_table(evidence)
        yield from ("", evidence_table(evidence), *confusion_tables(evidence), *([members] if members else []))
        if told := remarks(evidence):
            yield from ("", *told)
    for member in (facts.get("plan") or {}).get("members", ()):
        if member.get("trials"):
            yield from ("", *_trial_lines(member))
    if facts.get("later"):
        later = aligned(_later(facts["later"]), left=5, first="  ")
        yield from ("", "Measured later:", *(line.rstrip() for line in later))
    if facts.get("predict"):
        yield from ("", "Try it on a made-up row:", facts["predict"])


_LEARNT = {
    "whole": "all of it went on learning", "frozen": "none of it went on learning",
    "last_layers": "its last layers went on learning", "lora": "adapted by small matrices, which are merged into it",
}  # fmt: skip


def _lineage_lines(line: Mapping[str, Any]) -> Iterator[str]:
    """What was taken over from an older model."""
    yield f"Started from {line['digest']}: {line['share']:.1%} of the weights, {_LEARNT[line['train']]}"
    for one in line["copied"]:
        yield f"  {one['member']}: {one['role']} of {one['field']}, from {one['source']}, {one['weights']:,} weights"


def _trial_lines(member: Mapping[str, Any]) -> Iterator[str]:
    """The step plan's table; of one that was not made, why."""
    from trueweight.cli.tables import aligned

    trials = member["trials"]
    tried = [trial for trial in trials if trial["seconds"] is not None]
    if not tried:
        yield f"Step plan of {member['name']}: plain. {'; '.join(trial['reason'] for trial in trials)}."
        return
    rows: list[Sequence[str]] = [("way", "ms a step", "to plain, a row", "losses agree")]
    for trial in trials:
        agrees = {True: "yes", False: "NO", None: ""}[trial["agrees"]]
        if trial["seconds"] is None:
            rows.append((trial["name"], "", "", trial["status"].replace("_", " ")))
        else:
            rows.append((trial["name"], f"{1000 * trial['seconds']:.3g}", f"{trial['ratio']:.2f}", agrees))
    told = ["", *("; ".join(filter(None, ("chosen" * trial["chosen"], trial["reason"]))) for trial in trials)]
    yield f"Step plan of {member['name']}:"
    yield from (f"{line}   {why}".rstrip() for line, why in zip(aligned(rows, first="  "), told, strict=True))


def _later(measured: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """One row a measurement: when, of what, how many rows, the first numbers, by whom."""
    from trueweight.metrics.words import counted, shown

    rows: list[Sequence[str]] = []
    for one in measured:
        told = []
        for fact in one["evidence"]:
            value, ends = shown(fact["value"], fact.get("low"), fact.get("high"))
            told.append(f"{fact['target']} {fact['metric']} {value}{f' ({ends})' if ends else ''}")
        other = "" if one["of_this_bundle"] else "OF ANOTHER BUNDLE"
        flags = one.get("flags", 0)
        told_words = ("; ".join(told) or "no score") + (f"; {counted(flags, 'flag')} raised" if flags else "")
        rows.append((one["produced_at"], counted(one["rows"], "row"), told_words, f"by {one['by']}", other))
    return rows
