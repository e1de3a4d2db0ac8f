"""Every exception this package raises on purpose, and the exit code each becomes.

TrueweightError                exit code 70
├── SpecError           2   the request is wrong: fix the spec or the command line
├── DataError           3   the data does not fit the request
├── TrainError          4   the run failed: diverged, out of memory or disk, locked, broken checkpoint
├── ServeError          4   a server cannot be reached, is too busy, or failed
├── VerifyError         5   a bundle is changed, cut short, too new, or answers differently
└── GateError           6   a gate or a diff says no
"""

from pathlib import Path
from traceback import extract_tb

__all__ = [
    "DataError", "GateError", "ServeError", "SpecError", "TrainError", "TrueweightError", "VerifyError", "fault_of",
]  # fmt: skip


class TrueweightError(Exception):
    """Base class. Says what happened, where, and what to do next.

    Args:
        problem: One sentence, with the offending value in it.
        where: Dotted path into the spec, ``file:line:column``, or ``file:row``. Empty if none applies.
        hint: What the reader can type or change. Empty if we truly do not know.
    """

    exit_code = 70

    def __init__(self, problem: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(problem, where, hint)  # all three in args: picklable by default
        self.problem, self.where, self.hint = problem, where, hint

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries, so keyword arguments must survive pickling.
        return _rebuild, (type(self), self.problem, self.where, self.hint)

    def __str__(self) -> str:
        head = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{head}\n  hint: {self.hint}" if self.hint else head


class SpecError(TrueweightError):
    """The spec or the command line asks for something that cannot be built."""

    exit_code = 2


class DataError(TrueweightError):
    """The data contradicts the request, e.g. a declared column is missing."""

    exit_code = 3


class TrainError(TrueweightError):
    """A run started but could not finish, or could not start where it was told to."""

    exit_code = 4


class ServeError(TrueweightError):
    """A server does not answer: it cannot be reached, is too busy, or failed."""

    exit_code = 4


class VerifyError(TrueweightError):
    """A bundle is not what it says it is."""

    exit_code = 5


class GateError(TrueweightError):
    """A gate or a comparison says no."""

    exit_code = 6


def _rebuild(kind: type[TrueweightError], problem: str, where: str, hint: str) -> TrueweightError:
    return kind(problem, where=where, hint=hint)


def fault_of(error: Exception) -> str:
    """An error without its text, for records: "ValueError in asking.py, line 63", the last place in our own code.

    What a foreign library says of an error may hold a cell of the data, which no record may. Where an error of ours
    only passes one on, it is the other's type that helps.
    """
    told = error.__cause__ if isinstance(error, TrueweightError) and error.__cause__ is not None else error
    ours = Path(__file__).parent
    frames = [frame for frame in extract_tb(told.__traceback__) if Path(frame.filename).is_relative_to(ours)]
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(told).__name__}{place}"
