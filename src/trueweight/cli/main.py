"""The command line: one group, one error handler."""

import errno
import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import click

from trueweight.cli.cache import cache
from trueweight.cli.check import check
from trueweight.cli.completion import completion
from trueweight.cli.console import complain, debugging, discard_output, speak_any_language
from trueweight.cli.crash import report_crash
from trueweight.cli.diff import diff
from trueweight.cli.doctor import doctor
from trueweight.cli.evaluate import evaluate
from trueweight.cli.explain import explain
from trueweight.cli.export import export
from trueweight.cli.gate import gate
from trueweight.cli.init import init
from trueweight.cli.keys import keys
from trueweight.cli.parts import parts
from trueweight.cli.predict import predict
from trueweight.cli.report import report
from trueweight.cli.schema import schema
from trueweight.cli.serve import serve
from trueweight.cli.show import show
from trueweight.cli.train import train
from trueweight.cli.tune import tune
from trueweight.cli.verify import verify
from trueweight.errors import TrueweightError
from trueweight.files import TOO_LONG, shortened

__all__ = ["cli", "main", "run"]

PROGRAM = "trueweight"

SECTIONS = {
    "Make": (init, check, train, tune, export),
    "Ask": (predict, explain, serve),
    "Judge": (evaluate, gate, diff, verify, report, show),
    "Help": (parts, schema, doctor, keys, cache, completion),
}

EXIT_INTERRUPTED, EXIT_USAGE, EXIT_FAILED = 130, 2, 4

_DISK = (
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.EIO, errno.ENAMETOOLONG,
)  # fmt: skip
"""What the operating system may refuse without anybody being wrong."""


class GroupedHelp(click.Group):
    """A group whose help lists commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """Write one section for each purpose."""
        width = max(len(name) for name in self.commands)
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                rows = [(command.name or "", command.get_short_help_str(80)) for command in commands]
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a reader that has had enough, as ``head`` does, is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            discard_output()
            return 0


@click.group(cls=GroupedHelp, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trueweight")
@click.option("-v", "--verbose", is_flag=True, help="Also say what is being done.")
def cli(verbose: bool) -> None:
    """Train a model. Get the evidence with it.

    \b
    trueweight train claims.csv --target fraud
    trueweight predict runs/claims-01/claims.bundle new.csv
    """
    level = logging.DEBUG if debugging() else logging.INFO if verbose else logging.WARNING
    click.get_current_context().with_resource(_logging_to_stderr(level))


@contextmanager
def _logging_to_stderr(level: int) -> Iterator[None]:
    """What is logged while a command runs goes to standard error, as it is now, and nowhere else once it has ended."""
    root, ours = logging.getLogger(), logging.getLogger("trueweight")
    handler, before = logging.StreamHandler(sys.stderr), ours.level
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    root.addHandler(handler)
    ours.setLevel(level)
    try:
        yield
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)


for _commands in SECTIONS.values():
    for _command in _commands:
        cli.add_command(_command)


def main() -> NoReturn:
    """Entry point of the command ``trueweight``."""
    speak_any_language()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    gc.freeze()  # the process ends: looking for cycles among all that torch holds would take half a second
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; says what went wrong on standard error."""
    try:
        code = cli.main(args=list(arguments), prog_name=PROGRAM, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except TrueweightError as error:
        complain(str(error))
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return EXIT_INTERRUPTED
    except MemoryError:
        complain("not enough memory\n  hint: lower train.batch_size, or set train.budget.memory")
        return EXIT_FAILED
    except SystemExit as end:  # click gives up so when nobody reads its help text
        return 0 if isinstance(end.__context__, BrokenPipeError) else int(end.code or 0)
    except Exception as error:  # the last line of defence: whatever it is, it is ours
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f": {shortened(os.fsdecode(error.filename), 200)}" if error.filename else ""
        hint = f"\n  hint: {TOO_LONG}" if error.errno == errno.ENAMETOOLONG else ""
        complain(f"{error.strerror}{where}{hint}")
        return EXIT_FAILED
    return report_crash(error)
