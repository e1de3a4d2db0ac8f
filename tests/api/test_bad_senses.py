"""Bad pictures, sounds, texts and series, as people bring them: an exit code, words that help, nothing lost, and the
very row that ``docs/bad-input.md`` shows. The cases are in ``scripts/docs_bad_senses.py``."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from docs_bad_senses import SENSE_CASES  # noqa: E402

PAGE = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("case", SENSE_CASES, ids=lambda case: case.id)
def test_bad_senses(case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    case.make(tmp_path)
    given = contents(tmp_path)
    code, said, row = case.row(tmp_path)
    assert code == case.code, said
    for words in case.says:
        assert words in said
    after = contents(tmp_path)
    assert {name: after.get(name) for name in given} == given, "something was lost"
    if code:
        assert "hint:" in said
        assert after == given, f"left behind: {sorted(after.keys() - given.keys())}"
    assert "| " + " | ".join(row) + " |" in PAGE, "run: python scripts/docs.py"
    assert capfd.readouterr() == ("", ""), "a decoder wrote past Python to the terminal"
