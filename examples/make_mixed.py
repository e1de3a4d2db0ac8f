"""A table of four senses: orders of printed books, put together from real pieces. Called by ``make_data.py``.

The pieces are real: digits that people wrote, and paragraphs that people wrote. The prices are made up, by the rule in
:func:`price`, so that it is known what a model could find out: the price of an order follows from all columns together,
and each alone tells little of it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from make_pictures import digits
from make_texts import paragraphs

COVERS = {"paper": 2.0, "linen": 5.0, "leather": 9.0}
"""Euros a copy."""

PAGE = 0.02
"""Euros."""

EDITING = {"metrics": 0.0, "signals": 15.0, "optimization": 30.0, "sparse matrices": 45.0}
"""Euros an order: some subjects need a dearer reader."""


def write_mixed(folder: Path) -> None:
    """``orders.parquet``: a picture, a text, a number, a category, and the price."""
    rng = np.random.default_rng(0)
    written = [(png, int(digit)) for png, digit in digits() if digit != "0"]
    told = [(text, subject) for text, subject, _ in paragraphs()]
    count = min(len(written), len(told))
    order = rng.permutation(len(told))[:count]
    pages = rng.integers(20, 400, count)
    covers = rng.choice(list(COVERS), count)
    rows = zip(written[:count], (told[place] for place in order), pages, covers, strict=True)
    prices = [price(copies, subject, number, cover) for (_, copies), (_, subject), number, cover in rows]
    table = {
        "copies": pa.array([png for png, _ in written[:count]], pa.binary()),
        "about": [told[place][0] for place in order],
        "pages": pages,
        "cover": covers,
        "price": np.round(prices, 2),
    }
    pq.write_table(pa.table(table), folder / "orders.parquet")


def price(copies: int, subject: str, pages: int, cover: str) -> float:
    """Of an order, in euros."""
    return EDITING[subject] + copies * (COVERS[cover] + PAGE * pages)
