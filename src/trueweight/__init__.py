"""Train a model. Get the evidence with it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("trueweight")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"
