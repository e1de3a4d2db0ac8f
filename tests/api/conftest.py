"""Small tables for whole runs, and ways to compare what came out of them."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight.bundle.bundle import Bundle
from trueweight.bundle.format import manifest_digest
from trueweight.files import canonical_json

NOT_AGAIN = ("cost", "fit", "ledger")
"""Axes with clock readings and counts of looks, which no two runs share."""


def table(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Two numbers and a category; a class and a number that depend on them."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, rows)).round(4)
    kind = rng.choice(["red", "green", "blue"], rows)
    score = x - 0.5 * z + (kind == "red") + rng.normal(scale=0.4, size=rows)
    return {"x": x, "z": z, "kind": kind, "won": np.where(score > 0.3, "yes", "no"), "cost": (10 + 3 * score).round(3)}


def write_csv(path: Path, columns: dict[str, Any]) -> Path:
    """Cells as Python prints them."""
    names = list(columns)
    rows = zip(*(columns[name] for name in names), strict=True)
    lines = [",".join(names), *(",".join("" if c is None else str(c) for c in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def make_table() -> Callable[..., dict[str, np.ndarray]]:
    return table


@pytest.fixture
def make_csv() -> Callable[..., Path]:
    return write_csv


@pytest.fixture
def weights() -> Callable[[Path], dict[str, bytes]]:
    """Every file of weights in a bundle, by its path."""

    def read(bundle: Path) -> dict[str, bytes]:
        files = sorted(bundle.rglob("*.safetensors"))
        assert files
        return {str(file.relative_to(bundle)): file.read_bytes() for file in files}

    return read


@pytest.fixture
def facts() -> Callable[[Bundle], dict[str, tuple[Any, ...]]]:
    """What was measured, by id, without what a clock says."""

    def read(bundle: Bundle) -> dict[str, tuple[Any, ...]]:
        kept = [e for e in bundle.evidence if e.axis not in NOT_AGAIN]
        return {e.id: (e.value, e.interval, e.n, e.status, e.reason) for e in kept}

    return read


@pytest.fixture
def reseal() -> Callable[[Path, Path, Callable[[list[dict[str, Any]]], None]], Path]:
    """Copies a bundle with other evidence, every digest agreeing, as somebody who means ill would."""

    def forge(bundle: Path, target: Path, plant: Callable[[list[dict[str, Any]]], None]) -> Path:
        shutil.copytree(bundle, target)
        evidence = json.loads((target / "evidence.json").read_text())
        plant(evidence["entries"])
        (target / "evidence.json").write_text(canonical_json(evidence))
        raw = json.loads((target / "manifest.json").read_text())
        data = (target / "evidence.json").read_bytes()
        raw["files"]["evidence.json"] = {"sha256": f"sha256:{sha256(data).hexdigest()}", "bytes": len(data)}
        raw["digest"] = manifest_digest(raw)
        (target / "manifest.json").write_text(canonical_json(raw))
        return target

    return forge
