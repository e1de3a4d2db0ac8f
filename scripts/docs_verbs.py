"""Usage and options of each command, from the command line itself."""

import inspect

import click
from docs_words import table

from trueweight.cli.main import SECTIONS, cli

__all__ = ["verb_options", "verb_table"]

_HELP = ("-h, --help", "Show the help and exit.")


def verb_options() -> dict[str, str]:
    """Generated part of each verb's page, by verb."""
    return {name: _options(name, command) for name, command in cli.commands.items()}


def verb_table() -> str:
    """All verbs by what they are for."""
    rows = [
        (title if place == 0 else "", f"[`{command.name}`]({command.name}.md)", command.get_short_help_str(200))
        for title, commands in SECTIONS.items()
        for place, command in enumerate(commands)
    ]
    return table(["for", "verb", "what it does"], rows)


def _options(name: str, command: click.Command) -> str:
    with click.Context(command, info_name=f"trueweight {name}") as context:
        usage = " ".join(command.collect_usage_pieces(context))
        options = [p for p in command.get_params(context) if isinstance(p, click.Option) and "--help" not in p.opts]
        rows = [record for option in options if (record := option.get_help_record(context))]
    text = inspect.cleandoc(command.help or "").split("\b", maxsplit=1)[0].strip()
    listed = table(["option", "meaning"], [(f"`{names}`", meaning) for names, meaning in [*rows, _HELP]])
    return f"```text\ntrueweight {name} {usage}\n```\n\n{text}\n\n{listed}"
