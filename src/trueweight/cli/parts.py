"""``trueweight parts``: every column type, encoder, head, … that a spec may name."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click

from trueweight.cli.console import print_json
from trueweight.registry import KINDS, registry

__all__ = ["parts"]


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    name: str
    origin: str
    doc: str


@click.command(short_help="List what a spec may name: column types, encoders, heads, …")
@click.argument("kind", required=False, type=click.Choice(KINDS), metavar="[KIND]")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def parts(kind: str | None, as_json: bool) -> None:
    """List the parts that are installed, ours and plugins', each with where it comes from.

    \b
    Example:
        trueweight parts encoder
    """
    rows = list(_rows([kind] if kind else list(KINDS)))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    from trueweight.cli.tables import aligned

    table = [(row.kind, row.name, row.origin, row.doc) for row in rows]
    click.echo("\n".join(line.rstrip() for line in aligned(table, left=4)))


def _rows(kinds: list[str]) -> Iterator[_Row]:
    for kind in kinds:
        for name in registry(kind):
            yield _Row(kind, name, registry(kind).origin(name), _first_line(kind, name))


def _first_line(kind: str, name: str) -> str:
    try:
        lines = (registry(kind)[name].__doc__ or "").strip().splitlines()
    except Exception as error:  # a broken plugin is told in its own line
        return f"cannot be loaded: {type(error).__name__}: {error}"
    return lines[0] if lines else ""
