"""``trueweight keys``: who may ask a server, and whether its log of who did is whole."""

from datetime import UTC, datetime
from pathlib import Path
from time import time

import click

from trueweight.cli.console import note
from trueweight.errors import DataError

__all__ = ["keys"]

_FILE = click.option("--keys", "path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Where keys are kept; the state folder by default.")  # fmt: skip


@click.group(short_help="Give out, list and revoke keys for serve.")
def keys() -> None:
    """Keys for trueweight serve. What a key is is shown once, when it is made; only its digest is kept."""


@keys.command("add", short_help="Make a key.")
@click.argument("label")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(["predict", "explain", "evidence", "admin"]),
              help="What it is for; may be given several times. predict by default.")  # fmt: skip
@click.option("--expires", metavar="TIME", help="How long it is valid, such as 30d or 12h; until revoked by default.")
@click.option("--per-minute", type=click.IntRange(1), metavar="ROWS", help="Most rows a minute.")
@click.option("--budget", type=click.IntRange(1), metavar="ROWS", help="Most rows in its life.")
@_FILE
def add(
    label: str, scopes: tuple[str, ...], expires: str | None, per_minute: int | None, budget: int | None,
    path: Path | None,
) -> None:  # fmt: skip
    """Make a key for LABEL, who will use it, and print it.

    \b
    Example:
        trueweight keys add "claims desk" --expires 90d --per-minute 6000
    """
    from trueweight.serve.keys import KeyStore, default_path
    from trueweight.spec.units import parse_duration

    try:
        seconds = None if expires is None else parse_duration(expires)
    except ValueError as error:
        raise click.UsageError(f"--expires {expires!r}: {error}") from None
    store = KeyStore(path or default_path())
    text, key = store.add(label, scopes or ("predict",), seconds=seconds, per_minute=per_minute, budget=budget)
    click.echo(text)
    note(f"key {key.id} for {', '.join(sorted(key.scopes))}: keep it, it is not shown again")


@keys.command("list", short_help="List keys.")
@_FILE
def list_keys(path: Path | None) -> None:
    """List what is known of each key: not the key itself."""
    from trueweight.serve.keys import KeyStore, default_path

    now = time()
    rows = [("id", "state", "label", "for", "expires", "rows used", "of", "a minute")]
    rows += [
        (key.id, key.state(now), key.label, ",".join(sorted(key.scopes)), _day(key.expires), f"{key.used:,}",
         "–" if key.budget is None else f"{key.budget:,}", "–" if key.per_minute is None else f"{key.per_minute:,}")
        for key in KeyStore(path or default_path()).all()
    ]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _day(moment: float | None) -> str:
    return (
        "–" if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
    )


@keys.command("revoke", short_help="Make a key worthless.")
@click.argument("number", metavar="ID")
@_FILE
def revoke(number: str, path: Path | None) -> None:
    """Make the key ID worthless; running servers refuse it within a second."""
    from trueweight.serve.keys import KeyStore, default_path

    key = KeyStore(path or default_path()).revoke(number)
    note(f"key {key.id} ({key.label}) is revoked")


@keys.command("audit", short_help="Check a log of who asked.")
@click.argument("logs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def audit(logs: tuple[Path, ...]) -> None:
    """Follow the chain of each audit log in LOGS (files or folders): was a line changed, taken out or put in?"""
    from trueweight.serve.audit import check_audit

    paths = [found for log in logs for found in (sorted(log.glob("*.jsonl")) if log.is_dir() else [log])]
    if not paths:
        raise DataError("there is no log here", where=", ".join(map(str, logs)), hint="logs are *.jsonl files")
    for path in paths:
        count, head = check_audit(path)
        click.echo(f"{path}: {count:,} lines follow from each other; the last digest is {head}")
