"""Plain columns as they are, for trees."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ColumnsEncoder"]


class ColumnsEncoder(PartSpec):
    """Numbers with their gaps as gaps, yes-no columns and categories by number, side by side; nothing is learnt.

    Only ``fitter: boosting`` can read them: a gap is no number that could be multiplied, and the number of a category
    says nothing by its size.

    Example:
        ``encoder: {type: columns}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {"max_levels": [32, 255]}

    weightless: ClassVar[bool] = True
    ngrams: ClassVar[bool] = False

    type: Literal["columns"] = "columns"
    """Name of this part."""

    max_levels: Annotated[int, Field(ge=1)] = 254
    """Levels of a category that are told apart, the most frequent ones; all others count as one."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.columns.RawColumns``."""
        from trueweight.nn.columns import RawColumns

        if layout.senses:
            hint = "leave the member out, or the column: a member of its own reads it"
            problem = f"encoder {self.type!r} reads numbers and categories, no pictures, sounds, texts or series"
            raise SpecError(problem, where="encoder", hint=hint)
        limits = [min(count, self.max_levels + 2) for count in layout.cardinalities]  # beside missing and rare
        return RawColumns(layout.width("number"), layout.width("flag"), layout.marks, limits)
