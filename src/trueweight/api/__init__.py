"""The golden path: one short function per verb. The command line and Python users call the same ones."""

from trueweight.api.asking import explain, predict, serve, show, stream
from trueweight.api.judging import diff, evaluate, gate, report, verify
from trueweight.api.making import check, init, memory, train
from trueweight.api.opening import load

__all__ = [
    "check", "diff", "evaluate", "explain", "gate", "init", "load", "memory", "predict", "report", "serve", "show",
    "stream", "train", "verify",
]  # fmt: skip
