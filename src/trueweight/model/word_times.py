"""When the words of a text were said: from steps of an encoding to seconds of the sound.

Shape suffixes:
    N  rows
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from trueweight.data.columns.audio import AudioCodec
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction, Word

if TYPE_CHECKING:
    from trueweight.model.predictors.network import NetworkPredictor

__all__ = ["in_seconds", "spans_of_words"]

_PROBE = 960
"""Steps of a silent sound that tells how many of them an encoder makes one of: a multiple of usual strides."""

_SPACES = " \t\n\r\x0b\x0c"
_NOT_SPACES = re.compile(f"[^{_SPACES}]+")
_WRITTEN = {"Ġ": " ", "ĉ": "\t", "Ċ": "\n", "č": "\r", "ċ": "\x0b", "Č": "\x0c"}
"""How a byte-level vocabulary writes them."""


def spans_of_words(text: str, pieces: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[Word]:
    """Each word with its first step and the one behind its last.

    Args:
        text: What the pieces spell.
        pieces: Tokens as the byte-level vocabulary writes them.
        spans: Of each token; none where the text could not be aligned.
    """
    if len(spans) != len(pieces):
        return []
    found: list[tuple[int, int]] = []
    inside = False
    for piece, (start, end) in zip(pieces, spans, strict=True):
        for letter in piece:
            if letter in _WRITTEN:
                inside = False
            elif inside:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
                inside = True
    words = _NOT_SPACES.findall(text)
    if len(words) != len(found):  # bytes that are no letters may have become marks of other numbers
        return []
    return [(word, float(start), float(end)) for word, (start, end) in zip(words, found, strict=True)]


def in_seconds(leaf: "NetworkPredictor", answers: Mapping[str, Prediction]) -> Mapping[str, Prediction]:
    """The same answers, places of words in seconds from the beginning of the sound instead of steps."""
    scale = _seconds_per_step(leaf)
    found = dict(answers)
    for name, answer in answers.items():
        if isinstance(answer, TextPrediction) and answer.words_N is not None:
            scaled = [[(word, start * scale, end * scale) for word, start, end in row] for row in answer.words_N]
            found[name] = replace(answer, words_N=np.array([*scaled, None], dtype=object)[:-1])
    return found


def _seconds_per_step(leaf: "NetworkPredictor") -> float:
    """NaN where what is read has no seconds."""
    import torch

    from trueweight.data.batch import Batch

    codecs = [codec for field in leaf.fields.values() for codec in field.codecs.values()]
    if len(codecs) != 1 or not isinstance(codecs[0], AudioCodec):
        return float("nan")
    codec = codecs[0]
    inputs: dict[str, Any] = {name: torch.zeros(1, width) for name, width in codec.shapes().items() if name != "frame"}
    inputs["frame"] = torch.zeros(1, _PROBE, codec.spectrum.mels)
    inputs["frame.length"] = torch.tensor([_PROBE])
    fields = {name: {key: t.to(leaf.network.device) for key, t in inputs.items()} for name in leaf.network.fields}
    with torch.no_grad():
        steps = leaf.network.eval().encode(Batch(torch.arange(1), cast(Any, fields), {})).tokens_BLD.shape[1]
    return _PROBE / steps * codec.spectrum.hop / codec.spectrum.rate
