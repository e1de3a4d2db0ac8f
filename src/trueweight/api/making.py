"""Verbs that make: ``init``, ``check``, ``memory``, ``train``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueweight.spec.run import RunSpec

if TYPE_CHECKING:
    from trueweight.api.describe import CheckReport
    from trueweight.bundle.bundle import Bundle

__all__ = ["check", "init", "memory", "train"]


def train(
    data: Any = None, *, target: str | Sequence[str] | None = None,
    spec: RunSpec | Mapping[str, Any] | str | Path | None = None, budget: str | float | None = None,
    seed: int | None = None, name: str | None = None, out: str | Path | None = None, resume: bool = False,
    plan: str | Path | None = None, sealed: bool = False, settings: Sequence[str] = (), base: Path | None = None,
    prepared: Callable[[], object] = lambda: None,
) -> "Bundle":  # fmt: skip
    """Train a model and measure it; everything is kept in a bundle.

    Args:
        data: A file, a glob, a list of them, or a frame (pandas, Polars, Arrow, a dict of arrays). May be left out
            when the spec names its source.
        target: Column or columns to predict, their types guessed. Needed unless ``spec`` names targets.
        spec: A RunSpec, the same as plain data, or the path of a YAML file.
        budget: Time for fitting, such as ``"2m"`` or seconds.
        seed: Of every random choice.
        name: Of the bundle.
        out: Folder of the run; ``runs/<name>-01`` by default.
        resume: Take up the unfinished run instead of starting one.
        plan: A ``plan.json`` to replay: no clock decides anything.
        sealed: Do not open the test rows: report validation only.
        settings: Changes to the spec, ``"train.budget.time=2m"``; recorded.
        base: Folder that relative sources in the spec start from; the spec's own by default.
        prepared: Called once the data is prepared, before torch computes.

    Returns:
        The bundle, on disk.

    Raises:
        SpecError: The request cannot be built; all mistakes at once.
        DataError: The data does not fit it.
        TrainError: The run could not finish.
    """
    from trueweight.api.begin import trained

    return trained(
        data, target=target, spec=spec, budget=budget, seed=seed, name=name, out=out, resume=resume, plan=plan,
        sealed=sealed, settings=settings, base=base, prepared=prepared,
    )  # fmt: skip


def init(source: Any, target: str | Sequence[str], *, name: str | None = None) -> str:
    """A first spec for a data set, as commented YAML.

    Args:
        source: A file or a frame.
        target: Column or columns to predict.
        name: Of the run; from the file's name by default.

    Raises:
        DataError: The source cannot be read, or has no such column.
    """
    from trueweight.api.propose import propose

    return propose(source, [target] if isinstance(target, str) else list(dict.fromkeys(target)), name=name)


def check(spec: str | Path, *, settings: Sequence[str] = ()) -> "CheckReport":
    """Say whether a spec would run, without running it. Reads at most the first 1,000 rows.

    Raises:
        SpecError: Every mistake at once, each with file, line and column.
        DataError: The data does not fit the spec.
    """
    from trueweight.api.describe import check_spec

    return check_spec(Path(spec), settings)


def memory(spec: str | Path, *, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What memory one training step of each member of a spec will need at its peak, in bytes, by what it is for.

    All rows are read, a few are encoded, and nothing is trained. Members that are solved take no steps and need little
    beside the rows.

    Args:
        spec: Path of a YAML file.
        settings: Changes to the spec.

    Returns:
        For each member ``name``, ``fitter``, ``parameters``, ``batch_size``, and for those that take steps ``weights``,
        ``gradients``, ``optimizer``, ``copies``, ``activations``, ``rows`` and their sum ``total``.

    Raises:
        SpecError: The request cannot be built; all mistakes at once.
        DataError: The data does not fit it.
    """
    from trueweight.api.needs import memory_of

    return memory_of(Path(spec), settings)
