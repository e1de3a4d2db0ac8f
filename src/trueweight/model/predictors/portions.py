"""How much a network reads and answers at once: enough to be fast, little enough for memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueweight.model.network import Network

__all__ = [
    "CHUNK_ITEMS", "CHUNK_PLACES", "CHUNK_ROWS", "CHUNK_STEPS", "SLICE_CELLS", "SLICE_MEDIA", "chunk_rows",
    "slice_rows",
]  # fmt: skip

CHUNK_ROWS = 4096
"""Rows times members that are answered at once."""

SLICE_CELLS = 2**24
"""Cells of a table that are read and encoded at once."""

SLICE_MEDIA = 2**14
"""Rows of a table with pictures, sounds, texts or series that are read and decoded at once."""

CHUNK_ITEMS = 2**20
"""Numbers that are read at once, padding included: what a network makes of pictures is much larger than they are."""

CHUNK_STEPS = 2**13
"""Tokens and frames that a network with attention reads at once, padding included: each becomes hundreds of numbers in
every layer. A transformer 128 wide judged 1,000 descriptions of 118 tokens in 5.6 s of one thread and 0.9 GB with this,
in 17.0 s and 3.0 GB without. Recurrent layers want many rows instead, and convolutions were not measured."""

CHUNK_PLACES = 2**22
"""Numbers of the encodings at once: linear models of texts have tens of thousands a row."""


def slice_rows(columns: int, *, sensed: bool) -> int:
    """Rows of a table that are read and encoded at once.

    Args:
        columns: Of the table.
        sensed: Whether some hold pictures, sounds, texts or series.
    """
    return SLICE_MEDIA if sensed else max(1024, SLICE_CELLS // max(1, columns))


def chunk_rows(network: Network) -> int:
    """Encoded rows that a network answers at once."""
    width = 1 if network.sparse else max(1, network.form.width)
    return max(1, min(CHUNK_ROWS // network.form.members, CHUNK_PLACES // width))
