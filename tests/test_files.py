"""Our JSON, against the standard library's."""

import json
import logging
import random
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight.files import canonical_json, private_dir, state_dir


def made(rng: random.Random, depth: int) -> Any:
    """Any JSON there may be, long lists among it."""
    kind = rng.randrange(9 if depth else 6)
    if kind < 6:
        text = "".join(rng.choice('a"\\\n\t/é漢🙂 {}[],:\u2028\x00') for _ in range(rng.randrange(6)))
        number = rng.random() * 10.0 ** rng.randrange(-20, 20)
        return (None, number, rng.randrange(-(10**20), 10**20), rng.random() < 0.5, text, np.float64(number))[kind]
    if kind == 6:
        names = [rng.choice(["a", "b", "é", 'q"', 3, 2.5]) for _ in range(rng.randrange(4))]
        names = [name for name in names if isinstance(name, str) or len(set(map(type, names))) == 1]
        return {name: made(rng, depth - 1) for name in names}
    found = [made(rng, depth - 1) for _ in range(rng.randrange(4))] if rng.random() < 0.7 else list(range(300))
    return found if kind == 7 else tuple(found)


def test_the_same_bytes_as_the_standard_library_writes():
    rng = random.Random(0)
    for _ in range(2000):
        value = made(rng, 4)
        plain = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        assert canonical_json(value) == plain


NAN = float("nan")


@pytest.mark.parametrize("value", [[1.0] * 300 + [NAN], {"a": [float("inf")]}, {"a": [0] * 300, "b": NAN}])
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_folders_of_ours_are_private_and_others_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    made = private_dir(tmp_path / "a" / "b c")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert caplog.messages == []
    found = tmp_path / "found 1"
    found.mkdir()
    for mode, said in ((0o755, "can be read by others: chmod 700 '"), (0o770, None), (0o700, None)):
        found.chmod(mode)
        assert private_dir(found) == found
        assert stat.S_IMODE(found.stat().st_mode) == mode
        assert ([said in one for one in caplog.messages] == [True]) if said else not caplog.messages  # once
        caplog.clear()
    # Names in the folder of folders may be read by others, but nothing put in another's place.
    for mode, said in ((0o755, None), (0o1777, None), (0o775, "can be changed by its group: chmod go-w ")):
        state = tmp_path / f"state{mode}"
        monkeypatch.setenv("TRUEWEIGHT_STATE", str(state))
        state.mkdir()
        state.chmod(mode)
        assert state_dir() == state
        assert stat.S_IMODE(state.stat().st_mode) == mode
        assert ([f"{said}{state}" in one for one in caplog.messages] == [True]) if said else not caplog.messages
