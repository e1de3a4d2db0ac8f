"""Other libraries' defaults, each as their documentation's first page has it. Reads train.csv, answers test.csv."""

import sys

import numpy as np
import pandas as pd

MISSING = ["", "NA", "n/a", "-", "?", "unknown"]


def read(name: str, key: str | None) -> pd.DataFrame:
    """A frame with numbers where a column is all numbers once decimal commas are read."""
    frame = pd.read_csv(name, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    frame = frame.apply(lambda cells: cells.str.strip()).replace(MISSING, np.nan)
    return frame.drop(columns=[key]) if key else frame


def typed(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same types in both."""
    for name in test.columns:
        numbers = pd.to_numeric(train[name].str.replace(",", ".", regex=False), errors="coerce")
        if numbers.notna().sum() == train[name].notna().sum():
            train[name] = numbers
            test[name] = pd.to_numeric(test[name].str.replace(",", ".", regex=False), errors="coerce")
        else:
            levels = sorted(train[name].dropna().unique())
            train[name] = pd.Categorical(train[name], levels)
            test[name] = pd.Categorical(test[name], levels)
    return train, test


def lightgbm(train: pd.DataFrame, y: pd.Series, test: pd.DataFrame, metric: str) -> np.ndarray:
    """LightGBM's scikit-learn interface, no options."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    if metric == "rmse":
        return LGBMRegressor(verbose=-1).fit(train, y.astype(float)).predict(test)
    return LGBMClassifier(verbose=-1).fit(train, y).predict_proba(test)[:, 1]


def logistic(train: pd.DataFrame, y: pd.Series, test: pd.DataFrame, _: str) -> np.ndarray:
    """scikit-learn's logistic regression behind its usual preparation."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    parts = make_column_transformer(
        (numbers, make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude=np.number)),
    )
    return make_pipeline(parts, LogisticRegression(max_iter=1000)).fit(train, y).predict_proba(test)[:, 1]


def main() -> None:
    """Answer test.csv into answers.txt."""
    name, target, metric, *key = sys.argv[1:]
    train, test = (read(file, key[0] if key else None) for file in ("train.csv", "test.csv"))
    y = train.pop(target)
    train, test = typed(train, test)
    np.savetxt("answers.txt", {"lightgbm": lightgbm, "logistic": logistic}[name](train, y, test, metric))


if __name__ == "__main__":
    main()
