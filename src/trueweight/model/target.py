"""What a head part is, without torch: reads labels, learns about them, builds the torch head."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, ReadOptions
from trueweight.data.column import FieldArrays
from trueweight.data.sample import BottomK
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.truth import Truth

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.boosted import Boosted
    from trueweight.nn.encoding import Form

__all__ = ["HeadType"]


class HeadType(Protocol):
    """A part of kind ``head``: a target's type. Implementations are ``PartSpec`` classes, torch-free to import.

    ``learnt`` is plain JSON: ``number`` {"mean", "std", "transform", "low", "high"}; ``binary`` and
    ``category`` {"classes": [...], "counts": [...]} with the positive class last for binary; ``set``
    {"labels", "counts"}; ``vector`` {"mean", "std"}. Target classes are kept even when rare, since the model
    must say them.
    """

    type: str
    loss_weight: float

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw label cells."""
        ...

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, name: str, weight_N: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Facts from training rows.

        Args:
            cells: Of all rows.
            rows: The training rows.
            sample: Those of them that scale-like facts come from.
            name: Of the target, for messages.
            weight_N: float64 >= 0 of all rows. Means, spreads and counts are weighted; counts add up to the labelled
                training rows all the same. None: 1 each.

        Raises:
            DataError: The target cannot be learnt: constant, all missing, a class with one row, three values
                for binary. Says so with the value and what to do.
        """
        ...

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> FieldArrays:
        """Training tensors: "present" bool (N,), and "value" float32 (N, D) or "index" int64 (N,) or
        "hot" float32 (N, C) or "token" ragged. Absent rows hold zeros. Labels never seen in training are absent."""
        ...

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:
        """True values for metrics, in the target's own unit; see :class:`Truth`."""
        ...

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":
        """The torch head for encodings of this form."""
        ...

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":
        """The torch head whose weights are solved rather than descended to."""
        ...

    def build_boosted(self, form: "Form", learnt: Mapping[str, Any]) -> "Boosted":
        """The torch head whose answer is made of scores that boosted trees give."""
        ...

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """What to answer for n rows without looking at them: the mean, or the class frequencies."""
        ...

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:
        """Default metrics, the most telling first."""
        ...

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """One short line for ``show``: "yes 38 %, no 62 %"."""
        ...
