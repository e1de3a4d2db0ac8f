"""Train a model. Get the evidence with it."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueweight.api import (
        check,
        diff,
        evaluate,
        explain,
        gate,
        init,
        load,
        predict,
        report,
        serve,
        show,
        stream,
        train,
        verify,
    )
    from trueweight.api.export import export
    from trueweight.api.served import application
    from trueweight.api.tune import tune
    from trueweight.bundle.bundle import Bundle
    from trueweight.bundle.onnx_folder import open_onnx
    from trueweight.estimator import Estimator, Regressor, Writer
    from trueweight.nn.decoding import decoding
    from trueweight.serve.client import Client

try:
    __version__ = version("trueweight")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

__all__ = [
    "Bundle", "Client", "Estimator", "Regressor", "Writer", "application", "check", "decoding", "diff", "evaluate",
    "explain", "export", "gate", "init", "load", "open_onnx", "predict", "report", "serve", "show", "stream", "train",
    "tune", "verify",
]  # fmt: skip

_HOMES = {
    "Bundle": "trueweight.bundle.bundle",
    "Client": "trueweight.serve.client",
    "Estimator": "trueweight.estimator",
    "Regressor": "trueweight.estimator",
    "Writer": "trueweight.estimator",
    **dict.fromkeys(
        ("check", "diff", "evaluate", "explain", "gate", "init", "load", "predict", "report"), "trueweight.api"
    ),
    **dict.fromkeys(("serve", "show", "stream", "train", "verify"), "trueweight.api"),
    "application": "trueweight.api.served",
    "decoding": "trueweight.nn.decoding",
    "export": "trueweight.api.export",
    "open_onnx": "trueweight.bundle.onnx_folder",
    "tune": "trueweight.api.tune",
}


class _Package(ModuleType):
    """Keeps ``trueweight.train``, ``evaluate``, ``explain`` and ``report`` the verbs that they are.

    Some subpackages have the same names, and whoever imports one makes Python set it as an attribute here: without
    this, the second call of ``trueweight.train(…)`` would find a module. ``from trueweight.train.loop import …`` is
    not touched by it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Public names, resolved on first use: ``import trueweight`` alone loads nothing heavy."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'trueweight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
