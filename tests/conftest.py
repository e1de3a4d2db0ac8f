"""What every test gets: folders of its own, so that no test reads or leaves anything in the user's home."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: small work is slower on many threads


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and state below a temporary folder; no colours or debug switches from outside."""
    home: Path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TRUEWEIGHT_CACHE", str(home / "cache"))
    monkeypatch.setenv("TRUEWEIGHT_STATE", str(home / "state"))
    for name in ("TRUEWEIGHT_DEBUG", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
