"""From probabilities at each step to a text: the best path, prefix beams, and where the tokens of a text lie.

Shape suffixes in this file:
    R  rows    L  steps    V  tokens, of which number 0 is the blank
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log1p

import numpy as np
from torch import Tensor

from trueweight.nn.token_ngrams import END, Ngrams

__all__ = ["Weighing", "greedy", "places", "search", "searched"]

_LEAST = -12.0
"""Log probability below which a beam does not go on with a token, but for the likeliest."""

_KINDS = 32
"""Most tokens that beams go on with at each step."""

Prefix = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weighing:
    """What beams are ordered by: ``log p(text | sound) + weight * log p(text) + bonus * tokens``."""

    ngrams: Ngrams | None = None
    weight: float = 0.0
    bonus: float = 0.0

    def of(self, prefix: Prefix, token: int) -> float:
        """What one token more adds."""
        language = self.weight * self.ngrams.logp(prefix, token) if self.ngrams is not None else 0.0
        return language + (self.bonus if token != END else 0.0)


def greedy(logp_RLV: Tensor, steps_R: Tensor) -> list[list[int]]:
    """The likeliest token of each step; then repeats and blanks are taken out."""
    best_RL = logp_RLV.argmax(2).cpu().numpy()
    found = []
    for row, steps in enumerate(steps_R.tolist()):
        path_L = best_RL[row, :steps]
        new_L = np.concatenate([np.ones(min(1, steps), bool), path_L[1:] != path_L[:-1]])
        found.append(path_L[new_L & (path_L != 0)].tolist())
    return found


def search(logp_RLV: Tensor, steps_R: Tensor, beams: int, weighing: Weighing) -> list[list[int]]:
    """The best text of each row by :func:`searched`."""
    rows = logp_RLV.detach().double().cpu().numpy()
    return [searched(rows[row, :steps], beams, weighing) for row, steps in enumerate(steps_R.tolist())]


def searched(logp_LV: np.ndarray, beams: int, weighing: Weighing) -> list[int]:
    """The best text that prefix beams find: beginnings of texts are followed, each with the probability of all its
    alignments, those that end in a blank apart from those that do not.

    Source: Hannun et al. 2014, arXiv:1408.2873, algorithm 1, with a language model of tokens instead of words.

    Args:
        logp_LV: Log probabilities of one row's real steps.
        beams: Beginnings that are kept after each step.
        weighing: How they are ordered.
    """
    kept: dict[Prefix, tuple[float, float]] = {(): (0.0, -inf)}  # ends in a blank, ends in a token
    added: dict[Prefix, float] = {(): 0.0}
    for step_V in logp_LV:
        kept = _step(kept, step_V, added, weighing)
        best = sorted(kept, key=lambda prefix: _both(*kept[prefix]) + added[prefix], reverse=True)[:beams]
        kept = {prefix: kept[prefix] for prefix in best}
        added = {prefix: added[prefix] for prefix in best}
    worth = {prefix: _both(*kept[prefix]) + added[prefix] + weighing.of(prefix, END) for prefix in kept}
    best_of_all = max(worth, key=worth.__getitem__)
    return list(best_of_all)


def _step(
    kept: dict[Prefix, tuple[float, float]], step_V: np.ndarray, added: dict[Prefix, float], weighing: Weighing
) -> dict[Prefix, tuple[float, float]]:
    """Every kept beginning after one step more. ``added`` is told what language says of new ones."""
    likely = np.argsort(-step_V[1:], kind="stable")[:_KINDS] + 1
    tokens = [int(token) for place, token in enumerate(likely) if not place or step_V[token] >= _LEAST]
    found: dict[Prefix, tuple[float, float]] = {}
    for prefix, (blank, token_end) in kept.items():
        either = _both(blank, token_end)
        last = float(step_V[prefix[-1]]) if prefix else -inf
        _add(found, prefix, either + float(step_V[0]), token_end + last)
        for token in tokens:
            longer = (*prefix, token)
            if longer not in added:
                added[longer] = added[prefix] + weighing.of(prefix, token)
            # Of a repeated token, only what came after a blank says it anew.
            before = blank if prefix and token == prefix[-1] else either
            _add(found, longer, -inf, before + float(step_V[token]))
    return found


def _add(found: dict[Prefix, tuple[float, float]], prefix: Prefix, blank: float, token: float) -> None:
    was_blank, was_token = found.get(prefix, (-inf, -inf))
    found[prefix] = (_both(was_blank, blank), _both(was_token, token))


def _both(a: float, b: float) -> float:
    """Logarithm of the sum of what ``a`` and ``b`` are logarithms of."""
    if a < b:
        a, b = b, a
    return a if b == -inf else a + log1p(exp(b - a))


def places(logp_RLV: Tensor, steps_R: Tensor, texts: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """First step, and the one behind the last, of every token of each text, on its likeliest alignment; none for a
    text that needs more steps than there are."""
    rows = logp_RLV.detach().double().cpu().numpy()
    return [_aligned(rows[row, :steps], texts[row]) for row, steps in enumerate(steps_R.tolist())]


def _aligned(logp_LV: np.ndarray, text: Sequence[int]) -> list[tuple[int, int]]:
    """Viterbi's path through blank, token, blank, token, …, blank."""
    if not text or not len(logp_LV):
        return []
    state_K = np.zeros(2 * len(text) + 1, np.int64)
    state_K[1::2] = text
    skips_K = np.zeros(len(state_K), bool)
    skips_K[3::2] = state_K[3::2] != state_K[1:-2:2]
    best_K = np.full(len(state_K), -inf)
    best_K[:2] = logp_LV[0, state_K[:2]]
    came_LK = np.zeros((len(logp_LV), len(state_K)), np.int64)
    for step in range(1, len(logp_LV)):
        one_K = np.concatenate([[-inf], best_K[:-1]])
        two_K = np.where(skips_K, np.concatenate([[-inf, -inf], best_K[:-2]]), -inf)
        every = np.stack([best_K, one_K, two_K])
        came_LK[step] = every.argmax(0)
        best_K = every.max(0) + logp_LV[step, state_K]
    state = len(state_K) - 1 - int(best_K[-2] > best_K[-1])
    if best_K[state] == -inf:
        return []
    path = [state]
    for step in range(len(logp_LV) - 1, 0, -1):
        state -= int(came_LK[step, state])
        path.append(state)
    path_L = np.array(path[::-1])
    return [(int(at[0]), int(at[-1]) + 1) for k in range(len(text)) if len(at := np.flatnonzero(path_L == 2 * k + 1))]
