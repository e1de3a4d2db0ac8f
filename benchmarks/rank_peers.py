"""Other systems on a table. Run in their own virtual environment: python rank_peers.py SYSTEM SECONDS THREADS

Reads task.json, train.csv and test.csv of the working folder, and writes answers.csv: a column of numbers, or one of
probabilities for each class. Without a word more than its documentation's first page has, except the threads, and that
neural networks get scaled targets. ``-expert``: what a good engineer would set in five minutes.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BEGAN = time.monotonic()


class Asked:
    """The task, the rows, and the means."""

    def __init__(self, seconds: float, threads: int) -> None:
        task = json.loads(Path("task.json").read_text())
        self.metric, self.target = task["metric"], task["target"]
        self.seconds, self.threads = seconds, threads
        self.train, self.test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
        self.y = self.train.pop(self.target)
        for name in self.test.columns:
            if not pd.api.types.is_numeric_dtype(self.train[name]):
                known = self.train[name].astype("string")
                levels = sorted(known.dropna().unique())
                self.train[name] = pd.Categorical(known, levels)
                self.test[name] = pd.Categorical(self.test[name].astype("string"), levels)
        self.words = [name for name in self.train if isinstance(self.train[name].dtype, pd.CategoricalDtype)]
        self.classes = [] if self.numbers else sorted(self.y.astype(str).unique())
        self.codes = self.y.to_numpy(float) if self.numbers else np.searchsorted(self.classes, self.y.astype(str))

    @property
    def numbers(self) -> bool:
        """Whether the target is a number."""
        return bool(self.metric == "rmse")

    def fitted(self, classifier: Callable[[], Any], regressor: Callable[[], Any], **options: Any) -> np.ndarray:
        """Fit scikit-learn's protocol, and answer."""
        if self.numbers:
            return np.asarray(regressor().fit(self.train, self.codes, **options).predict(self.test))
        return np.asarray(classifier().fit(self.train, self.codes, **options).predict_proba(self.test))

    def prepared(self) -> Any:
        """Numbers scaled, words one-hot, gaps filled: scikit-learn's usual preparation."""
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        for frame in (self.train, self.test):
            frame[self.words] = frame[self.words].astype(object).where(frame[self.words].notna(), "(none)")
        numbers = [name for name in self.train if name not in self.words]
        return make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), self.words),
        )

    def held_out(self) -> tuple[Any, Any, Any, Any]:
        """A fifth of the training rows to stop by."""
        from sklearn.model_selection import train_test_split

        return train_test_split(  # type: ignore[no-any-return]
            self.train, self.codes, test_size=0.2, random_state=0, stratify=None if self.numbers else self.codes
        )


def lightgbm(asked: Asked) -> np.ndarray:
    from lightgbm import LGBMClassifier, LGBMRegressor

    options = {"verbose": -1, "n_jobs": asked.threads}
    return asked.fitted(lambda: LGBMClassifier(**options), lambda: LGBMRegressor(**options))


def lightgbm_expert(asked: Asked) -> np.ndarray:
    """Small steps, many trees, stopped by a fifth of the rows."""
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    maker = LGBMRegressor if asked.numbers else LGBMClassifier
    model = maker(verbose=-1, n_jobs=asked.threads, n_estimators=3000, learning_rate=0.03, min_child_samples=10,
                  subsample=0.8, subsample_freq=1, colsample_bytree=0.7, reg_lambda=1.0)  # fmt: skip
    x, vx, y, vy = asked.held_out()
    model.fit(x, y, eval_set=[(vx, vy)], callbacks=[early_stopping(100, verbose=False)])
    return np.asarray(model.predict(asked.test) if asked.numbers else model.predict_proba(asked.test))


def xgboost(asked: Asked) -> np.ndarray:
    from xgboost import XGBClassifier, XGBRegressor

    options = {"enable_categorical": True, "n_jobs": asked.threads}
    return asked.fitted(lambda: XGBClassifier(**options), lambda: XGBRegressor(**options))


def xgboost_expert(asked: Asked) -> np.ndarray:
    """Small steps, many trees, stopped by a fifth of the rows."""
    from xgboost import XGBClassifier, XGBRegressor

    maker = XGBRegressor if asked.numbers else XGBClassifier
    model = maker(enable_categorical=True, n_jobs=asked.threads, n_estimators=3000, learning_rate=0.03, max_depth=6,
                  subsample=0.8, colsample_bytree=0.7, early_stopping_rounds=100)  # fmt: skip
    x, vx, y, vy = asked.held_out()
    model.fit(x, y, eval_set=[(vx, vy)], verbose=False)
    return np.asarray(model.predict(asked.test) if asked.numbers else model.predict_proba(asked.test))


def _cat(asked: Asked, **options: Any) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    for frame in (asked.train, asked.test):
        frame[asked.words] = frame[asked.words].astype(object).where(frame[asked.words].notna(), "(none)")
    maker = CatBoostRegressor if asked.numbers else CatBoostClassifier
    return maker(verbose=0, thread_count=asked.threads, allow_writing_files=False, cat_features=asked.words, **options)


def catboost(asked: Asked) -> np.ndarray:
    model = _cat(asked)
    return asked.fitted(lambda: model, lambda: model)


def catboost_expert(asked: Asked) -> np.ndarray:
    """Small steps, many trees, stopped by a fifth of the rows, the trees before the best kept."""
    _cat(asked)  # words first: the rows are cut after it
    x, vx, y, vy = asked.held_out()
    model = _cat(asked, iterations=3000, learning_rate=0.05)
    model.fit(x, y, eval_set=(vx, vy), early_stopping_rounds=100)
    return np.asarray(model.predict(asked.test) if asked.numbers else model.predict_proba(asked.test))


def catboost_tuned(asked: Asked) -> np.ndarray:
    """Up to 20 settings drawn at random, the first being the default, judged by a fifth of the rows, as many as fit
    into the time; the best is fitted again on all rows."""
    rng, best, longest = np.random.default_rng(0), None, 0.0
    until = BEGAN + 0.85 * asked.seconds
    _cat(asked)  # words first: the rows are cut after it
    x, vx, y, vy = asked.held_out()

    class Clock:
        """Stops a fit when time is up."""

        def after_iteration(self, _: Any) -> bool:
            return time.monotonic() < until

    for trial in range(20):
        start = time.monotonic()
        if trial and start + 2.2 * longest > until:
            break
        drawn = {} if not trial else {
            "depth": int(rng.integers(4, 9)), "learning_rate": float(10 ** rng.uniform(-1.7, -0.7)),
            "l2_leaf_reg": float(10 ** rng.uniform(0, 1.5)), "random_strength": float(rng.uniform(0.1, 2)),
            "bagging_temperature": float(rng.uniform(0, 1)),
        }  # fmt: skip
        model = _cat(asked, iterations=1000, **drawn)
        model.fit(x, y, eval_set=(vx, vy), early_stopping_rounds=50, callbacks=[Clock()])
        longest = max(longest, time.monotonic() - start)
        loss = model.get_best_score()["validation"]["RMSE" if asked.numbers else _loss(asked)]
        if best is None or loss < best[0]:
            best = (loss, drawn, model.get_best_iteration() + 1, model)
    assert best is not None
    loss, drawn, trees, model = best
    if time.monotonic() + 1.4 * longest < BEGAN + asked.seconds:
        model = _cat(asked, iterations=max(10, round(1.1 * trees)), **drawn).fit(asked.train, asked.codes)
    return np.asarray(model.predict(asked.test) if asked.numbers else model.predict_proba(asked.test))


def _loss(asked: Asked) -> str:
    return "Logloss" if len(asked.classes) == 2 else "MultiClass"


def random_forest(asked: Asked) -> np.ndarray:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.pipeline import make_pipeline

    options = {"n_jobs": asked.threads, "random_state": 0}
    made = asked.prepared()
    return asked.fitted(lambda: make_pipeline(made, RandomForestClassifier(**options)),
                        lambda: make_pipeline(made, RandomForestRegressor(**options)))  # fmt: skip


def random_forest_expert(asked: Asked) -> np.ndarray:
    """500 extremely randomised trees whose leaves are not single rows."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.pipeline import make_pipeline

    options = {"n_estimators": 500, "min_samples_leaf": 3, "n_jobs": asked.threads, "random_state": 0}
    made = asked.prepared()
    return asked.fitted(lambda: make_pipeline(made, ExtraTreesClassifier(**options)),
                        lambda: make_pipeline(made, ExtraTreesRegressor(**options, max_features=0.5)))  # fmt: skip


def linear(asked: Asked) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    made = asked.prepared()
    return asked.fitted(lambda: make_pipeline(made, LogisticRegression(max_iter=1000)),
                        lambda: make_pipeline(made, Ridge()))  # fmt: skip


def linear_expert(asked: Asked) -> np.ndarray:
    """The strength of the penalty by cross-validation."""
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline

    made, strengths = asked.prepared(), np.logspace(-2, 4, 13)
    options = {"scoring": "neg_log_loss", "max_iter": 1000, "l1_ratios": (0.0,), "use_legacy_attributes": False}
    return asked.fitted(lambda: make_pipeline(made, LogisticRegressionCV(**options)),
                        lambda: make_pipeline(made, RidgeCV(strengths)))  # fmt: skip


def sklearn_mlp(asked: Asked) -> np.ndarray:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    made = asked.prepared()
    numbers = TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())
    return asked.fitted(lambda: make_pipeline(made, MLPClassifier(random_state=0)),
                        lambda: make_pipeline(made, numbers))  # fmt: skip


def sklearn_mlp_expert(asked: Asked) -> np.ndarray:
    """Two layers of 256, some decay, stopped by a tenth of the rows."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    options = {"hidden_layer_sizes": (256, 256), "alpha": 1e-3, "early_stopping": True, "random_state": 0}
    made = asked.prepared()
    numbers = TransformedTargetRegressor(MLPRegressor(**options), transformer=StandardScaler())
    return asked.fitted(lambda: make_pipeline(made, MLPClassifier(**options)),
                        lambda: make_pipeline(made, numbers))  # fmt: skip


def keras_mlp(asked: Asked) -> np.ndarray:
    """keras.io/examples/structured_data/structured_data_classification_with_feature_space: 32 units, dropout, 20 epochs
    of 32 by Adam."""
    return _keras(asked, widths=(32,), dropout=0.5, epochs=20, batch=32)


def keras_mlp_expert(asked: Asked) -> np.ndarray:
    """Two layers of 256, AdamW, at most 100 epochs of 128 (256 for large tables), stopped by a fifth of the rows."""
    batch = 256 if len(asked.train) > 10_000 else 128
    return _keras(asked, widths=(256, 256), dropout=0.1, epochs=100, batch=batch, stop=True)


def _keras(asked: Asked, *, widths: tuple[int, ...], dropout: float, epochs: int, batch: int, stop: bool = False
           ) -> np.ndarray:  # fmt: skip
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    made = asked.prepared().fit(asked.train)
    x, tx = (np.asarray(made.transform(part), dtype="float32") for part in (asked.train, asked.test))
    y = asked.codes
    mean, spread = (y.mean(), y.std()) if asked.numbers else (0.0, 1.0)
    body = [part for width in widths for part in (layers.Dense(width, activation="relu"), layers.Dropout(dropout))]
    last = layers.Dense(1) if asked.numbers else layers.Dense(len(asked.classes), activation="softmax")
    model = keras.Sequential([keras.Input(shape=x.shape[1:]), *body, last])
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=0.01) if stop else "adam"
    model.compile(optimizer=optimizer, loss="mse" if asked.numbers else "sparse_categorical_crossentropy")
    options: dict[str, Any] = {"callbacks": [_Until(asked.seconds)]}
    if stop:
        order = np.random.default_rng(0).permutation(len(x))
        x, y = x[order], y[order]
        best = keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)
        options = {"callbacks": [best, _Until(asked.seconds)], "validation_split": 0.2}
    model.fit(x, (y - mean) / spread, epochs=epochs, batch_size=batch, verbose=0, **options)
    answers = model.predict(tx, verbose=0, batch_size=1024)
    return np.asarray(answers[:, 0] * spread + mean if asked.numbers else answers)


def _Until(seconds: float) -> Any:  # noqa: N802  # makes an object of a class that needs keras
    import keras

    class Until(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            self.model.stop_training |= time.monotonic() - BEGAN > 0.85 * seconds

    return Until()


def autogluon(asked: Asked) -> np.ndarray:
    """TabularPredictor with the preset medium_quality and a time limit."""
    from autogluon.tabular import TabularPredictor

    measured = "root_mean_squared_error" if asked.numbers else "roc_auc" if len(asked.classes) == 2 else "log_loss"
    rows = asked.train.assign(**{asked.target: asked.y})
    kind = "regression" if asked.numbers else "binary" if len(asked.classes) == 2 else "multiclass"
    predictor = TabularPredictor(asked.target, problem_type=kind, eval_metric=measured, path="models", verbosity=0)
    predictor.fit(rows, presets="medium_quality", time_limit=0.7 * asked.seconds, num_cpus=asked.threads, num_gpus=0)
    if asked.numbers:
        return np.asarray(predictor.predict(asked.test))
    return np.asarray(predictor.predict_proba(asked.test)[asked.classes])


def autogluon_expert(asked: Asked) -> np.ndarray:
    """The preset best_quality, which bags and stacks, in the same time."""
    from autogluon.tabular import TabularPredictor

    measured = "root_mean_squared_error" if asked.numbers else "roc_auc" if len(asked.classes) == 2 else "log_loss"
    rows = asked.train.assign(**{asked.target: asked.y})
    kind = "regression" if asked.numbers else "binary" if len(asked.classes) == 2 else "multiclass"
    predictor = TabularPredictor(asked.target, problem_type=kind, eval_metric=measured, path="models", verbosity=0)
    predictor.fit(rows, presets="best_quality", time_limit=0.7 * asked.seconds, num_cpus=asked.threads, num_gpus=0)
    if asked.numbers:
        return np.asarray(predictor.predict(asked.test))
    return np.asarray(predictor.predict_proba(asked.test)[asked.classes])


PEERS = {
    "lightgbm": lightgbm, "xgboost": xgboost, "catboost": catboost, "random-forest": random_forest, "linear": linear,
    "sklearn-mlp": sklearn_mlp, "keras-mlp": keras_mlp, "lightgbm-expert": lightgbm_expert,
    "xgboost-expert": xgboost_expert, "keras-mlp-expert": keras_mlp_expert, "catboost-tuned": catboost_tuned,
    "catboost-expert": catboost_expert, "random-forest-expert": random_forest_expert, "linear-expert": linear_expert,
    "sklearn-mlp-expert": sklearn_mlp_expert, "autogluon": autogluon, "autogluon-expert": autogluon_expert,
}  # fmt: skip


def main() -> None:
    """Answer test.csv."""
    asked = Asked(float(sys.argv[2]), int(sys.argv[3]))
    answers = PEERS[sys.argv[1]](asked)
    columns = ["y"] if asked.numbers else asked.classes
    pd.DataFrame(answers.reshape(len(answers), -1), columns=columns).to_csv("answers.csv", index=False)


if __name__ == "__main__":
    main()
