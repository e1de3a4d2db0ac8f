"""``trueweight doctor``: what this machine offers and what may be in the way."""

import locale
import os
import platform
import shutil
import stat
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from trueweight.cli.console import print_json
from trueweight.cli.machine import prepare_torch
from trueweight.cli.surroundings import Surroundings, advice, hints

__all__ = ["doctor"]

PACKAGES = (
    "trueweight", "torch", "numpy", "pyarrow", "pydantic", "safetensors", "tokenizers", "click", "rich", "ruamel.yaml",
)  # fmt: skip
EXTRAS = {
    "sklearn": "sklearn", "boosting": "lightgbm", "excel": "openpyxl", "onnx": "onnxruntime", "tune": "optuna",
    "serve": "uvicorn", "ray": "ray",
}  # fmt: skip
"""What ``pip install 'trueweight[NAME]'`` brings, by a module of it."""
LITTLE_SPACE = 2 * 10**9


@click.command(short_help="Show versions, threads, disk, folders, and what may be in the way.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def doctor(as_json: bool) -> None:
    """Show what this machine offers, and warn of what may be in the way: threads, memory, who else computes here.

    The place to start when something is slow or missing; its output belongs in a report of a fault.
    """
    facts = _facts()
    if as_json:
        print_json(facts)
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        if name not in ("warnings", "hints"):
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            click.echo(f"{name:<{width}}  {shown}")
    for warning in facts["warnings"]:
        click.echo(f"warning: {warning}")
    for hint in facts["hints"]:
        click.echo(f"hint: {hint}")


def _facts() -> dict[str, Any]:
    from trueweight.files import cache_dir, state_dir
    from trueweight.spec.units import describe_bytes

    cache, free = cache_dir(), shutil.disk_usage(Path.cwd()).free
    around = _surroundings()
    facts = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "extras": {name: "yes" if find_spec(module) else "no" for name, module in EXTRAS.items()},
        **around.facts(),
        "accelerator": _accelerator(),
        "memory": describe_bytes(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "disk free here": describe_bytes(free),
        "cache": f"{cache} (mode {_mode(cache):04o}, {describe_bytes(shutil.disk_usage(cache).free)} free)",
        "state": str(state_dir()),
        "text": f"locale {locale.setlocale(locale.LC_CTYPE)}, output in {sys.stdout.encoding}",
    }
    return facts | {"warnings": [*_warnings(facts, cache, free), *advice(around)], "hints": [*hints(around)]}


def _surroundings() -> Surroundings:
    import torch

    prepare_torch()
    tiny = torch.tensor([1e-42])
    return Surroundings.here(threads=torch.get_num_threads(), flushes=bool((tiny * 1.0 == 0).all()))


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"


def _warnings(facts: dict[str, Any], cache: Path, free: int) -> list[str]:
    found = []
    if _mode(cache) & 0o077:
        found.append(f"others may read {cache}: chmod 700 {cache}")
    if free < LITTLE_SPACE:
        found.append(f"only {facts['disk free here']} are free here: a run needs room for checkpoints and encoded data")
    if "utf" not in (sys.stdout.encoding or "").lower():
        found.append("the output is not UTF-8: some signs will be replaced; set LANG=C.UTF-8")
    found += [f"{name} is missing" for name, number in facts["packages"].items() if number == "missing"]
    return found


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
