"""Texts with gaps as answers: what was put into them, and how often, and how surely, that was right.

Shape suffixes:
    N  rows    V  vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueweight.metrics.prediction import Prediction

__all__ = ["MaskedPrediction"]

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class MaskedPrediction:
    """A text per row, some of whose tokens were hidden and guessed from the others."""

    text_N: Array
    """object: str, with the guesses in their places."""
    hidden_N: Array
    """int64: tokens that were hidden."""
    right_N: Array
    """int64: of these, guessed right."""
    logp_N: Array
    """float64: sum of the log probabilities of the hidden tokens."""
    share_V: Array | None = None
    """float64: of an answer that looks at nothing, the probability of each token wherever it stands. It guesses every
    token of a text, since which ones are hidden tells it nothing; the other numbers are then 0."""

    def __len__(self) -> int:
        return len(self.text_N)

    def columns(self, name: str) -> dict[str, Array]:
        return {name: self.text_N, f"{name}.hidden": self.hidden_N, f"{name}.right": self.right_N}

    def take(self, rows: Array) -> "MaskedPrediction":
        return replace(
            self, text_N=self.text_N[rows], hidden_N=self.hidden_N[rows], right_N=self.right_N[rows],
            logp_N=self.logp_N[rows],
        )  # fmt: skip

    def scores(self) -> Array:
        """Log probabilities a token: guesses of equal probability may differ."""
        return np.asarray(self.logp_N / np.maximum(self.hidden_N, 1))[:, None]

    def mix(self, others: Sequence[Prediction], weights: Sequence[float]) -> "MaskedPrediction":
        """The guesses of the member with the greatest weight."""
        best = [self, *others][int(np.argmax(weights))]
        assert isinstance(best, MaskedPrediction)
        return best

    def counted(self, token_N: Array) -> tuple[Array, Array, Array]:
        """Tokens guessed, guessed right, and log probabilities, of each row.

        Args:
            token_N: object: the true tokens of each row, int arrays.
        """
        if self.share_V is None:
            return self.hidden_N, self.right_N, self.logp_N
        usual, logp_V = int(self.share_V.argmax()), np.log(self.share_V)
        rows = [np.asarray(tokens, np.int64) for tokens in token_N]
        return (
            np.array([len(tokens) for tokens in rows], np.int64),
            np.array([int((tokens == usual).sum()) for tokens in rows], np.int64),
            np.array([float(logp_V[tokens].sum()) for tokens in rows]),
        )
