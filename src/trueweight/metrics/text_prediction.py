"""Texts as answers: what was written, and how likely the model held it, or the truth, to be.

Shape suffixes:
    N  rows    K  candidates beside the first
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueweight.metrics.prediction import Prediction

__all__ = ["TextPrediction", "Word"]

Array = np.ndarray

Word = tuple[str, float, float]
"""A word, where it begins and where it ends: seconds of a sound."""


@dataclass(frozen=True, slots=True)
class TextPrediction:
    """A text per row, written token by token."""

    text_N: Array
    """object: str. "" where nothing was written because the truth was only scored."""
    logp_N: Array
    """float64: the model's log probability of the text, its end included where it was reached."""
    tokens_N: Array
    """int64: tokens that it is the sum of."""
    truth_logp_N: Array | None = None
    """float64: log probability of the true text, where that was asked for."""
    truth_tokens_N: Array | None = None
    """int64."""
    words_N: Array | None = None
    """object: for each text a list of :data:`Word`, where that was asked for and can be known."""
    other_NK: Array | None = None
    """object: further candidates, str; None where there are fewer."""
    other_logp_NK: Array | None = None
    """float64: as ``logp_N``."""
    truth_bytes_N: Array | None = None
    """int64: bytes of the true text that ``truth_logp_N`` is of, where that may be less than all: long texts are cut
    before they are scored."""
    written: bool = True
    """Whether anything was written; False where only the truth was scored."""

    def __len__(self) -> int:
        return len(self.text_N)

    def columns(self, name: str) -> dict[str, Array]:
        found = {name: self.text_N, f"{name}.logp": self.logp_N}
        if self.words_N is not None:
            found[f"{name}.times"] = np.array([*map(_spelled_out, self.words_N), None], dtype=object)[:-1]
        if self.other_NK is not None and self.other_logp_NK is not None:
            for place in range(self.other_NK.shape[1]):
                found[f"{name}.other[{place + 2}]"] = self.other_NK[:, place]
                found[f"{name}.other[{place + 2}].logp"] = self.other_logp_NK[:, place]
        return found

    def take(self, rows: Array) -> "TextPrediction":
        truth_logp, truth_tokens, truth_bytes, other, other_logp = (
            None if array is None else array[rows]
            for array in (
                self.truth_logp_N, self.truth_tokens_N, self.truth_bytes_N, self.other_NK, self.other_logp_NK
            )
        )  # fmt: skip
        return replace(
            self, text_N=self.text_N[rows], logp_N=self.logp_N[rows], tokens_N=self.tokens_N[rows],
            truth_logp_N=truth_logp, truth_tokens_N=truth_tokens, other_NK=other, other_logp_NK=other_logp,
            truth_bytes_N=truth_bytes,
            words_N=None if self.words_N is None else self.words_N[rows],
        )  # fmt: skip

    def scores(self) -> Array:
        """Log probabilities: texts that were drawn may differ where those agree."""
        return np.stack([self.logp_N if self.truth_logp_N is None else self.truth_logp_N], axis=1)

    def scored_by(self, forced: "TextPrediction") -> "TextPrediction":
        """The same texts, with the likelihood of the truth."""
        return replace(
            self, truth_logp_N=forced.truth_logp_N, truth_tokens_N=forced.truth_tokens_N,
            truth_bytes_N=forced.truth_bytes_N,
        )  # fmt: skip

    def mix(self, others: Sequence[Prediction], weights: Sequence[float]) -> "TextPrediction":
        """The texts of the member with the greatest weight: half of one text and half of another is none."""
        every = [self, *others]
        best = every[int(np.argmax(weights))]
        assert isinstance(best, TextPrediction)
        return best


def _spelled_out(words: Sequence[Word]) -> str:
    """``[["three", 0.12, 0.48]]``."""
    return json.dumps([[word, round(start, 3), round(end, 3)] for word, start, end in words], ensure_ascii=False)
