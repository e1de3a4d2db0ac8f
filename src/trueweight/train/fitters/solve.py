"""The ``solve`` fitter: heads find their own weights, in closed form or by Newton's method."""

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, Literal

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.train.job import FitResult, Job
    from trueweight.train.loop import Step

__all__ = ["SolveFitter"]


class SolveFitter(PartSpec):
    """Each head solves for its weights along a path of regularisation strengths, validation choosing.

    Example:
        ``fitter: solve``
    """

    solving: ClassVar[bool] = True
    boosting: ClassVar[bool] = False

    type: Literal["solve"] = "solve"
    """Name of the part."""

    def require(self) -> None:
        """Nothing beside torch."""

    def fit(self, job: "Job") -> "Generator[Step, None, FitResult]":
        """Solve; see :func:`trueweight.train.solving.solve`."""
        from trueweight.train.solving import solve

        return solve(job)
