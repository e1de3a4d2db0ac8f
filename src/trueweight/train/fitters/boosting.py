"""The ``boosting`` fitter: trees, one after the other, each learning what those before it left."""

from collections.abc import Generator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.errors import SpecError
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.train.job import FitResult, Job
    from trueweight.train.loop import Step

__all__ = ["BoostingFitter"]


class BoostingFitter(PartSpec):
    """Gradient boosted trees, grown by LightGBM and copied to tensors; validation rows say when to stop.

    What is kept are the trees as arrays of numbers: a bundle needs no LightGBM to be opened, and holds nothing of it.
    LightGBM is asked for the same trees whatever the number of threads.

    Source: Friedman 2001, "Greedy function approximation"; Ke et al. 2017, "LightGBM: A Highly Efficient Gradient
    Boosting Decision Tree".

    Example:
        ``fitter: {type: boosting, learning_rate: 0.05}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [0.03, 0.05, 0.1], "leaves": [7, 15, 31, 63], "min_leaf_rows": [5, 20, 50],
    }  # fmt: skip

    solving: ClassVar[bool] = True
    boosting: ClassVar[bool] = True

    type: Literal["boosting"] = "boosting"
    """Name of the part."""

    rounds: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Most trees of each score: one for a number or two classes, one for each of more classes."""

    patience: Annotated[int, Field(ge=1)] = 50
    """Rounds without a better score on validation rows before it ends. The best round is kept."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Share of what a tree has learnt that counts."""

    leaves: Annotated[int, Field(ge=2, le=1024)] = 31
    """Most leaves of a tree."""

    depth: Annotated[int, Field(ge=1, le=64)] = 8
    """Most questions on the way to a leaf."""

    min_leaf_rows: Annotated[int, Field(ge=1)] = 20
    """Fewest training rows of a leaf."""

    column_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the columns that each tree may ask, drawn for it."""

    l2: Annotated[float, Field(ge=0)] = 1.0
    """Penalty on the values of leaves."""

    def require(self) -> None:
        """Refuse if LightGBM is not installed.

        Raises:
            SpecError: It is not.
        """
        if find_spec("lightgbm") is None:
            hint = "pip install 'trueweight[boosting]', or leave boosted trees out"
            problem = "boosted trees are grown by LightGBM, which is not installed"
            raise SpecError(problem, where="model.members.fitter", hint=hint)

    def fit(self, job: "Job") -> "Generator[Step, None, FitResult]":
        """Grow trees; see :func:`trueweight.train.boosting.boost`."""
        from trueweight.train.boosting import boost

        return boost(job, self)
