"""``trueweight diff``: two models side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch
from trueweight.errors import GateError

if TYPE_CHECKING:
    from trueweight.api.compare import Comparison

__all__ = ["diff"]


@click.command(short_help="Say whether one model is better or worse than another.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(), metavar="SOURCE", help="Rows to ask both about: far sharper than without.")
@click.option("--report-only", is_flag=True, help="Exit with 0 even if B is worse.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let bundles load parts of this installed package.")
def diff(a: Path, b: Path, data: str | None, report_only: bool, as_json: bool, allow: tuple[str, ...]) -> None:
    """Put the numbers of bundle B beside those of bundle A, with the interval of each difference.

    With --data both are asked about the same rows, if neither was trained on them. Without, their evidence is compared,
    and A and B may also be NAME.evidence folders.

    Exits with 6 if B is shown to be worse by the first metric of a target, unless --report-only is given.

    \b
    Examples:
        trueweight diff old.bundle new.bundle --data claims.csv
        trueweight diff old.bundle new.bundle --report-only
    """
    from trueweight import api

    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        found = api.diff(a, b, data, allow=allow)
    if as_json:
        print_json(found.to_json())
    else:
        click.echo("\n".join(_lines(found)))
    if not found.ok and not report_only:
        click.get_current_context().exit(GateError.exit_code)


def _lines(found: "Comparison") -> Iterator[str]:
    from trueweight.cli.tables import aligned

    targets = list(dict.fromkeys(line.target for line in found.lines if line.target))
    rows: list[Sequence[str]] = [("", found.a, found.b, "difference", "")]
    for line in found.lines:
        name, *cells = line.cells()
        rows.append((f"{line.target} {name}" if line.target and len(targets) > 1 else name, *cells))
    yield from (text.rstrip() for text in aligned(rows))
    yield f"{'Paired' if found.paired else 'Not paired'}: {found.how}."
    yield from (f"Flag {flag}" for flag in found.flags)
    if all(line.verdict is None for line in found.lines):
        yield "No number of both could be compared: nothing is shown."
        return
    told = ", ".join(found.worse)
    yield f"{found.b} is worse by the first metric of {told}." if told else f"{found.b} is not shown to be worse."
