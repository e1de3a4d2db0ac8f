"""Do what the pages say: every console block is typed, every Python block is run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
VERBS = [str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs" / "verbs").glob("*.md"))]
LESSONS = [str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs" / "learn").glob("*.md"))]
PLAIN = ("quickstart", "python", "other-models", "text-targets", "tuning", "start-from", "serving")
TOLD = ["README.md", *(f"docs/{page}.md" for page in PLAIN)]
PAGES = [*TOLD, *LESSONS, *VERBS]

sys.path.insert(0, str(ROOT / "scripts"))
from docs_run import blocks, differences, plain  # noqa: E402

sys.path.pop(0)


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    """Differences by page. One process for all pages: torch is loaded once."""
    command = [sys.executable, "scripts/docs_run.py", *PAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_shows(page: str, found: dict[str, list[str]]):
    assert not found[page], "\n".join(found[page])


def test_every_verb_has_a_page_with_an_example():
    from trueweight.cli.main import cli

    for verb in cli.commands:
        page = ROOT / "docs" / "verbs" / f"{verb}.md"
        console = [block for block in blocks(page.read_text(encoding="utf-8")) if block.kind == "console"]
        assert any(f"trueweight {verb}" in block.text for block in console), verb


def test_numbers_and_digests_are_not_compared():
    assert plain("  rmse   54.2   47.5 … 61.0") == plain("rmse 1,054.23 4.75e-1 … −61")
    assert plain("Conv2d (3, 6, 28, 28) 1.5") == plain("Conv2d (3, 6, 28, 28) 2") != plain("Conv2d (3, 6, 14, 14) 2")
    assert plain("files, sha256:abc") == plain("files, sha256:0123")
    assert plain("Better than linear?  Yes: rmse +1") == plain("Better than linear?  Not shown: mae −2")


@pytest.mark.parametrize(
    ("expected", "output", "differs"),
    [
        (["a 1", "b 2"], "a 5\nx\nb 7", False),
        (["b", "a"], "a\nb", True),
        (["a", "…", "c"], "a\nb\nc", False),
        (["found …"], "found in a folder", False),
        (["found …"], "lost in a folder", True),
        (["missing"], "", True),
    ],
)
def test_what_is_shown_must_appear_in_order(expected: list[str], output: str, differs: bool):
    assert bool(list(differences(expected, output))) is differs
