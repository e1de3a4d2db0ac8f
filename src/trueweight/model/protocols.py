"""The protocols that every model is made of. Changing one is dear: every part keeps them.

Imports without torch, because predictors are parts and parts are listed without it.

Shape suffixes:
    B  rows * members, member fastest    L  tokens    D  width    R  rows
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.metrics.prediction import Prediction
from trueweight.nn.decoding import FORCED, GREEDY, Context, Decoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Generator, Tensor

    from trueweight.data.batch import Batch
    from trueweight.nn.encoding import Encoding, Form, Tensors
    from trueweight.nn.entries import Entries

__all__ = [
    "FORCED", "GREEDY", "Again", "Context", "Decoding", "Encoder", "Enough", "Fusion", "Head", "Predictor", "Runtime",
    "Solving", "State", "Streaming", "Way",
]  # fmt: skip


Again: TypeAlias = "Callable[[], Iterable[tuple[Encoding | Entries, Tensors, Tensor | None]]]"
"""Starts another pass over the data: (encoding, one target's tensors, weight or None) batch by batch."""

Enough: TypeAlias = "Callable[[], bool]"
"""Asked in the middle of long work: whether there is no time for the rest of it."""


class Encoder(Protocol):
    """Column tensors in, Encoding out. May follow another encoder (cnn, then lstm)."""

    form: Form

    def __call__(self, x: Tensors) -> Encoding: ...


class Fusion(Protocol):
    """Many encodings in, one out."""

    form: Form

    def __call__(self, parts: Mapping[str, Encoding], rows: int) -> Encoding: ...


class Head(Protocol):
    """Owns its loss and its answer. ``y`` are the target's tensors, among them ``present`` (R,) bool unless all rows
    have the target. Losses are computed in single precision, whatever the plan. A head that has a network of its own
    may say ``halves = True``: it is then called within autocast, and takes its logits back to float32 itself."""

    row_wise: bool
    """False for in-batch losses: private training refuses them."""

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:
        """One scalar: the weighted mean over present rows (and members); 0 with gradient path if none."""
        ...

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        """What sampling needs, per row: {} for most."""
        ...

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        """Tensors only, first axis R (members already averaged): what is exported, quantised, served."""
        ...

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> Prediction:
        """Outputs to a Prediction in the target's own unit. ``facts`` is the target's ``learnt``."""
        ...


class Solving(Head, Protocol):
    """Closed forms and Newton: the body has no weights to train, the head's are computed."""

    def solve(self, train: Again, validation: Again, enough: Enough | None = None) -> Iterator[tuple[float, float]]:
        """Find the weights along a path of regularisation strengths, keeping the best on validation.

        Yields (strength, validation loss) per point of the path, so that progress can be shown. ``enough`` is asked at
        every pass over the rows; when it says so, the path ends with the last point that was found.
        """
        ...


class Streaming(Head, Protocol):
    """Answers step by step: owns decoder, cache and slots."""

    def stream(self, z: Encoding, how: Decoding, noise: Tensors) -> Iterator[Tensors]: ...


class Runtime(Protocol):
    """What runs a network for a leaf: eager, float64, compiled, int8, ONNX. Swapped inside a leaf."""

    def __call__(self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors]) -> Mapping[str, Tensors]: ...


Way: TypeAlias = "str | Callable[[Any], Runtime]"
"""How networks are run: a name of ``model.runtimes``, or what makes a runtime of each network, leaf after leaf in the
order of the tree."""


@dataclass(frozen=True, slots=True)
class State:
    """A predictor as data: what a bundle stores."""

    kind: str
    """Registered name of the predictor's class."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON."""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    codecs: Any = None
    """Plain JSON for ``codecs.json``; None for nodes."""
    members: tuple[State, ...] = ()


class Predictor(Protocol):
    """Cases in, predictions out: the only inference path. A leaf, or a node with members."""

    @property
    def signature(self) -> Signature:
        """What the data taught about every column."""
        ...

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """Answers by target, rows in the table's order. Columns missing from the table are all missing values."""
        ...

    def with_runtime(self, way: Way) -> Predictor:
        """The same predictor, its leaves run in another way; see ``model.runtimes``."""
        ...

    def members(self) -> Sequence[Predictor]: ...

    def state(self) -> State: ...

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> Predictor:
        """The inverse of :meth:`state`."""
        ...
