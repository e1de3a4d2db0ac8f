"""The ``gradient`` fitter: step by step downhill, by the optimiser that the spec names."""

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, Literal

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.train.job import FitResult, Job
    from trueweight.train.loop import Step

__all__ = ["GradientFitter"]


class GradientFitter(PartSpec):
    """Mini-batch gradient descent with a known horizon, checkpoints, and a guard against divergence.

    Example:
        ``fitter: gradient``
    """

    solving: ClassVar[bool] = False
    boosting: ClassVar[bool] = False

    type: Literal["gradient"] = "gradient"
    """Name of the part."""

    def require(self) -> None:
        """Nothing beside torch."""

    def fit(self, job: "Job") -> "Generator[Step, None, FitResult]":
        """Descend; see :func:`trueweight.train.descent.descend`."""
        from trueweight.train.descent import descend

        return descend(job)
