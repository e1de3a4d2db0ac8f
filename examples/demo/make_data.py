"""Write the wine data that scikit-learn ships as two CSV files: all bottles but one, and that one without its answer.

178 Italian wines of three cultivars, 13 chemical measurements each (Forina et al., UCI machine learning repository).

    python examples/demo/make_data.py build/demo
"""

import csv
import sys
from pathlib import Path

from sklearn.datasets import load_wine

CULTIVARS = ("Barolo", "Grignolino", "Barbera")
LEFT_OUT = 100  # any bottle will do


def main(folder: Path) -> None:
    """Fill ``folder`` with ``wine.csv`` and ``new-bottle.csv``."""
    wine = load_wine()
    names = [name.replace("/", "_") for name in wine.feature_names]
    rows = [[f"{cell:g}" for cell in row] for row in wine.data.tolist()]
    answers = [CULTIVARS[number] for number in wine.target]

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "wine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "cultivar"])
        kept = (number for number in range(len(rows)) if number != LEFT_OUT)
        writer.writerows([*rows[number], answers[number]] for number in kept)
    with (folder / "new-bottle.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, rows[LEFT_OUT]])
    print(f"{folder}/wine.csv: {len(rows) - 1} bottles; new-bottle.csv: the one left out, a {answers[LEFT_OUT]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
