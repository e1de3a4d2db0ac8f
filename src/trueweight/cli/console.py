"""What the command line knows of the terminal it speaks to."""

import io
import json
import os
import sys
from typing import Any, TextIO

import click

from trueweight.files import shortened

__all__ = ["complain", "debugging", "discard_output", "draws", "note", "print_json", "speak_any_language", "styled"]

MOST_SIGNS = 1000
"""Of a line of an error: a cell of a megabyte may be quoted in it."""


def debugging() -> bool:
    """Whether ``TRUEWEIGHT_DEBUG=1`` asks for tracebacks."""
    return os.environ.get("TRUEWEIGHT_DEBUG", "") not in ("", "0")


def draws(stream: TextIO) -> bool:
    """Whether colours and moving bars make sense: a terminal that can, and nobody who forbids it."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb" and not os.environ.get("NO_COLOR")


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Text in a style of :func:`click.style` where the stream can show it, else as it is."""
    return click.style(text, **style) if draws(stream) else text


def complain(message: str) -> None:
    """An error, on standard error."""
    told = "\n".join(shortened(line, MOST_SIGNS) for line in message.splitlines())
    click.echo(f"{styled('error:', sys.stderr, fg='red', bold=True)} {told}", err=True)


def note(message: str = "") -> None:
    """Something said on the way, on standard error."""
    click.echo(message, err=True)


def print_json(value: Any) -> None:
    """A result for programs, on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def speak_any_language() -> None:
    """A terminal that lacks a sign gets a question mark, not a crash; odd bytes in file names stay as they are."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "replace")


def discard_output() -> None:
    """Let what is still to be written vanish: whoever read it has gone.

    Python would else complain when it flushes standard output at exit.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
