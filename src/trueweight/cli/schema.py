"""``trueweight schema``: the JSON Schema of a spec, for editors."""

import click

from trueweight.cli.console import print_json

__all__ = ["schema"]


@click.command(short_help="Print the JSON Schema of a spec, for editors.")
def schema() -> None:
    """Print the JSON Schema of a spec, with the options of every installed part.

    \b
    Example, for editors with the YAML language server:
        trueweight schema > trueweight.schema.json
        # first line of the spec:
        # yaml-language-server: $schema=trueweight.schema.json
    """
    from trueweight.spec.schema import json_schema

    print_json(json_schema())
