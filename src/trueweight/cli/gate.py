"""``trueweight gate``: one line a rule, and an exit code for build servers."""

from pathlib import Path

import click

from trueweight.cli.console import print_json
from trueweight.errors import GateError

__all__ = ["gate"]


@click.command(short_help="Say whether a model keeps to the rules.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("policy", type=click.Path(path_type=Path), required=False)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write JUnit XML, one test case a rule.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the rulings as JSON.")
def gate(bundle: Path, policy: Path | None, junit: Path | None, as_json: bool) -> None:
    """Hold the evidence of BUNDLE against the rules in POLICY, or against those of its own spec.

    BUNDLE may also be a NAME.evidence folder, whose latest file is judged, or one such file.

    Each number is judged at the unfavourable end of its interval; what was not measured does not pass. Exits with 6
    if any rule does not hold.

    \b
    Examples:
        trueweight gate claims.bundle policy.yaml
        trueweight gate claims.evidence policy.yaml --junit gate.xml
    """
    from trueweight import api

    found = api.gate(bundle, policy)
    if as_json:
        print_json(found.to_json())
    else:
        click.echo("\n".join(map(str, found.rulings)))
    if junit is not None:
        found.write_junit(junit)
    if not found.passed:
        click.get_current_context().exit(GateError.exit_code)
