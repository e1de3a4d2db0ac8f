"""Sounds that are too long for the text that goes with them."""

from dataclasses import replace
from typing import Any

import numpy as np

from trueweight.data.cases import Cases
from trueweight.data.gist import gist_of
from trueweight.data.reading import cells_of
from trueweight.data.signature import Signature
from trueweight.data.sound_facts import MOST_SECONDS
from trueweight.errors import DataError
from trueweight.metrics.words import counted

__all__ = ["with_whole_sounds"]

_KEPT = 400
"""Numbers that training keeps of each step of a sound, about: layers of 64 to 256, and their slopes."""


def with_whole_sounds(cases: Cases, blank: Signature) -> Cases:
    """The cases without those whose sound is cut, where a text is to be learnt: part of a sound has not all of its
    text, and nobody knows which part.

    Args:
        cases: Rows that take part.
        blank: Types and roles.

    Raises:
        DataError: No sound is left.
    """
    if all(facts.type != "text" for facts in blank.targets()):
        return cases
    for facts in blank.features():
        if facts.type != "audio":
            continue
        most = float(facts.spec.get("max_seconds") or MOST_SECONDS)
        seconds_N = gist_of("audio", cells_of(cases.table, facts, blank.options))
        assert seconds_N is not None
        longer = np.nan_to_num(seconds_N[cases.rows]) > most
        if longer.all() and len(longer):
            raise DataError(
                f"every sound in column {facts.name!r} is longer than {most:g} seconds, and a text cannot be learnt"
                " from a part of its sound",
                where=cases.table.label, hint=_remedy(facts.name, float(np.nanmax(seconds_N[cases.rows])), facts.spec),
            )  # fmt: skip
        if longer.any():
            count = counted(int(longer.sum()), "row")
            note = f"{count} left out whose sound in {facts.name!r} is longer than {most:g} seconds (max_seconds)"
            cases = replace(cases, rows=cases.rows[~longer], notes=(*cases.notes, note))
    return cases


def _remedy(name: str, longest: float, spec: Any) -> str:
    steps = longest * 1000 / float(spec.get("hop", 10.0))
    megabytes = steps * (float(spec.get("n_mels", 64)) + _KEPT) * 4 / 1e6
    return (
        "cut sounds and texts into pieces of a sentence or two, e.g. where it is quiet; or raise"
        f" features.{name}.max_seconds: the longest, {longest:,.0f} s, takes about {megabytes:,.0f} MB in a training"
        " step, and as much for each sound beside it"
    )
