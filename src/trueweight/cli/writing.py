"""What ``predict`` knows of models that write: options, prompts, and answers as they come."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from trueweight.bundle.bundle import Bundle
    from trueweight.nn.decoding import Decoding

__all__ = ["asked_rows", "write_stream", "writing_options"]

_OPTIONS = (
    click.option("--prompt", "prompts", multiple=True, metavar="TEXT",
                 help="Instead of SOURCE: how a language model's text begins, or what its only column holds. Several: "
                      "several rows."),
    click.option("--stream", "streaming", is_flag=True,
                 help="Write each text as it comes, one row after the other; not to a terminal as JSON lines."),
    click.option("--beams", type=int, metavar="N", help="Texts followed side by side; 1 takes the likeliest token."),
    click.option("--length-penalty", type=float, metavar="X", help="Of beams: larger favours longer texts."),
    click.option("--temperature", type=float, metavar="X", help="Draw: 1 as the model believes, lower more likely."),
    click.option("--top-k", type=int, metavar="N", help="Draw from so many likeliest tokens."),
    click.option("--top-p", type=float, metavar="P", help="Draw from the likeliest that reach this probability."),
    click.option("--repetition-penalty", type=float, metavar="X", help="Above 1: say again less."),
    click.option("--stop", multiple=True, metavar="TEXT", help="End before this text. May be given several times."),
    click.option("--max-tokens", type=int, metavar="N", help="Most tokens of an answer."),
    click.option("--samples", type=int, default=1, metavar="N", help="So many candidates of each row."),
    click.option("--seed", type=int, default=0, metavar="N", help="Of whatever is drawn."),
)  # fmt: skip


def writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of writing to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def asked_rows(bundle: "Bundle", source: str | None, prompts: tuple[str, ...]) -> Any:
    """The source, or prompts as a table."""
    from trueweight.bundle.asked import texts_table

    return texts_table(bundle.signature, prompts) if prompts else source


def write_stream(
    bundle: "Bundle", source: str | None, prompts: tuple[str, ...], how: "Decoding", seed: int, media_dir: Path | None
) -> None:
    """Write each row's text to standard output as it comes."""
    from trueweight import api

    on_terminal = sys.stdout.isatty()
    rows = asked_rows(bundle, source, prompts)
    for piece in api.stream(bundle, rows, how=how, seed=seed, media_dir=media_dir):
        if on_terminal:
            text = "\n" if piece.ends else piece.text
        else:
            told: dict[str, Any] = {"row": piece.row} | ({"end": True} if piece.ends else {"piece": piece.text})
            text = json.dumps(told, ensure_ascii=False) + "\n"
        sys.stdout.write(text)
        sys.stdout.flush()
