"""The baseline that answers with the text of the training row whose sound is most alike.

Shape suffixes:
    N  rows    K  rows that are remembered    P  numbers that a row's sounds become
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from trueweight.data.column import ColumnType
from trueweight.data.field import Field
from trueweight.data.ragged import Ragged
from trueweight.data.reading import column_part, encoded_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import Prediction
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.copied import answered, texts_as_target
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["NearestSoundPredictor"]

_AT_ONCE = 64
"""Rows whose spectra are padded to one length and looked at together."""

_LEAST = 1e-6
"""Standard deviation below which a number tells rows no further apart."""


@dataclass(frozen=True, eq=False)
class NearestSoundPredictor:
    """A leaf that remembers what sounds are like: of each band the mean, the spread and the means of eight parts, and
    how long it is; every one of these numbers is divided by its standard deviation, and the nearest row by straight
    distance answers. Other targets than texts get the constant answer, and so do rows without a sound.

    Its state holds the texts of rows, so bundles keep it only where they may hold real rows.
    """

    signature: Signature
    value_KP: np.ndarray
    """float64."""
    answers: Mapping[str, tuple[str, ...]]
    """By target, of the same rows."""

    @classmethod
    def of(cls, signature: Signature, table: Table) -> "NearestSoundPredictor":
        """One that remembers these rows, those without a sound or a text left out."""
        written = [facts for facts in signature.targets() if facts.type == "text"]
        found = {facts.name: texts_as_target(table, facts, signature) for facts in written}
        value_NP, heard_N = _summed_up(table, signature)
        kept = [n for n in np.flatnonzero(heard_N).tolist() if any(texts[n] for texts in found.values())]
        return cls(signature, value_NP[kept], {name: tuple(texts[n] for n in kept) for name, texts in found.items()})

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """Texts of the nearest rows."""
        found = dict(ConstantPredictor(self.signature).predict(table))
        nearest = self._nearest(*_summed_up(table, self.signature)).tolist()
        for name, texts in self.answers.items():
            usual = str(self.signature.columns[name].learnt["usual"])
            found[name] = answered([usual if place < 0 else texts[place] for place in nearest])
        return found

    def _nearest(self, value_NP: np.ndarray, heard_N: np.ndarray) -> np.ndarray:
        """Number of the nearest row, the first of equals; -1 for rows without a sound."""
        found_N = np.full(len(value_NP), -1)
        if not len(self.value_KP):
            return found_N
        std_P = self.value_KP.std(0)
        scale_P = np.where(std_P > _LEAST, 1 / np.maximum(std_P, _LEAST), 0.0)
        mine_KP = self.value_KP * scale_P
        for row in np.flatnonzero(heard_N):
            away_K = np.square(mine_KP - value_NP[row] * scale_P).sum(1)
            found_N[row] = int(np.round(away_K, 6).argmin())  # sums differ in their last digits, equals stay equal
        return found_N

    def with_runtime(self, way: Way) -> "NearestSoundPredictor":  # noqa: ARG002  # there is nothing to run
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """What the sounds are like, and the texts."""
        import torch

        answers = {name: list(texts) for name, texts in self.answers.items()}
        return State("nearest_sound", {"answers": answers}, {"value": torch.from_numpy(self.value_KP)})

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "NearestSoundPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Numbers and texts that do not belong together.
        """
        try:
            answers = {str(name): tuple(map(str, texts)) for name, texts in state.facts["answers"].items()}
            value_KP: Any = state.tensors["value"].double().numpy()
        except (KeyError, TypeError, AttributeError) as error:
            raise VerifyError(f"the remembered sounds cannot be read: {error!r}", where="facts.json") from None
        if value_KP.ndim != 2 or any(len(texts) != len(value_KP) for texts in answers.values()):
            raise VerifyError("remembered sounds and answers are not equally many", where="facts.json")
        return cls(signature, value_KP, answers)


def _summed_up(table: Table, signature: Signature) -> tuple[np.ndarray, np.ndarray]:
    """What each row's sounds are like, (N, P) float64, and whether it has any."""
    heard_N, parts = np.zeros(len(table), bool), [np.zeros((len(table), 0))]
    for facts in signature.features():
        if facts.type == "audio" and (frames := _frames(table, facts, signature)) is not None:
            heard_N |= frames.lengths > 0
            parts.append(_numbers(frames, facts))
    return np.concatenate(parts, axis=1), heard_N


def _frames(table: Table, facts: ColumnFacts, signature: Signature) -> Ragged | None:
    """The spectra of one column; None where training rows had no sound."""
    codec = cast(ColumnType, column_part(facts)).codec(facts.name, facts.learnt)
    field = Field(f"column {facts.name}", {facts.name: codec}, {facts.name: facts.type})
    found = encoded_of(table, field, signature).get("frame")
    return found if isinstance(found, Ragged) else None


def _numbers(frames: Ragged, facts: ColumnFacts) -> np.ndarray:
    import torch

    from trueweight.data.packed import Packed
    from trueweight.nn.summaries import FrameSummary

    sense = cast(ColumnType, column_part(facts)).codec(facts.name, facts.learnt).senses()["frame"]
    # In double: how long the others of a chunk are must not show in the last digits.
    summary, packed = FrameSummary(sense.mean, sense.std, sense.length).double(), Packed.of(frames)
    found = [torch.zeros(0, summary.width, dtype=torch.float64)]
    for start in range(0, len(frames), _AT_ONCE):
        frame_BTC, length_B = packed.padded(torch.arange(start, min(start + _AT_ONCE, len(frames))))
        found.append(summary({"frame": frame_BTC, "frame.length": length_B}))
    return np.asarray(torch.cat(found).numpy())
