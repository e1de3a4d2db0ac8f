"""What every test gets: folders of its own, so that no test reads or leaves anything in the user's home."""

import json
import os
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure; and what a build server finds, the next person who runs the tests should find too.
settings.register_profile("steady", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("steady")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: small work is slower on many threads


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and state below a temporary folder; no colours or debug switches from outside."""
    home: Path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TRUEWEIGHT_CACHE", str(home / "cache"))
    monkeypatch.setenv("TRUEWEIGHT_STATE", str(home / "state"))
    for name in ("TRUEWEIGHT_DEBUG", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _denormals_are_numbers() -> None:
    """A command that runs inside the test process counts them as zero, for good; other tests must not notice."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def _spellings(secret: str | float) -> list[bytes]:
    """Every way in which a text or a number might have been written into a file."""
    if isinstance(secret, str):
        escaped = json.dumps(secret)[1:-1]
        return [secret.encode("utf-8"), secret.encode("utf-16-le"), secret.encode("utf-32-le"), escaped.encode()]
    packed = [struct.pack(form, secret) for form in ("<f", "<d")]
    return [*packed, repr(secret).encode(), f"{secret:g}".encode()]


@pytest.fixture
def find_planted() -> Callable[[Path, Sequence[str | float]], list[str]]:
    """Looks for secrets in the names and the bytes of everything below a folder: a bundle, a run, a cache.

    Gives "file: secret" for each one found. Texts must be long enough not to occur by chance.
    """

    def find(folder: Path, secrets: Sequence[str | float]) -> list[str]:
        found = []
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder)).encode()
            content = path.read_bytes() if path.is_file() else b""
            for secret in secrets:
                if any(spelling in name or spelling in content for spelling in _spellings(secret)):
                    found.append(f"{path.relative_to(folder)}: {secret}")
        return found

    return find
