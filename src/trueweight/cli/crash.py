"""What happens when the program itself is wrong: a short word, a file with the details, exit code 70."""

import platform
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from trueweight.cli.console import complain, debugging
from trueweight.files import private_dir, state_dir

__all__ = ["EXIT_BUG", "report_crash"]

EXIT_BUG = 70


def report_crash(error: Exception) -> int:
    """Say that it is our fault, keep the traceback in a file, and return the exit code.

    With ``TRUEWEIGHT_DEBUG=1`` the traceback is shown instead.
    """
    details = "".join(traceback.format_exception(error))
    if debugging():
        sys.stderr.write(details)
    words = str(error).strip().splitlines()
    problem = f"{type(error).__name__}: {words[0][:200]}" if words else type(error).__name__
    where = "above" if debugging() else _kept(details)
    complain(
        f"unexpected {problem}\n"
        "  This is a fault of trueweight, not of your data or spec.\n"
        f"  hint: please report it with the details {where} and the command you typed"
    )
    return EXIT_BUG


def _kept(details: str) -> str:
    heading = f"trueweight {_version()}, Python {platform.python_version()}, {platform.platform()}\n"
    try:
        folder = private_dir(state_dir() / "crashes")
        file = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.txt"
        file.write_text(heading + details, encoding="utf-8")
    except Exception:  # a full disk must not hide the first fault
        return "that TRUEWEIGHT_DEBUG=1 shows"
    return f"in {file} (it may quote your data: read it first)"


def _version() -> str:
    try:
        return version("trueweight")
    except PackageNotFoundError:
        return "unknown"
