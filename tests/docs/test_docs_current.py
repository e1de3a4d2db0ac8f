"""Whatever the code knows better than we do is generated, and is up to date; no link between pages is dead."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_generated_pages_are_up_to_date():
    command = [sys.executable, "scripts/docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_name_no_machine():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for word in ("/home/", "/root/", "/tmp/", "/Users/"):
            assert word not in text, f"{page.name} names {word}"


def test_the_image_shows_the_run_of_the_readme():
    image = (ROOT / "docs" / "img" / "train.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    picture = readme.partition("<!-- generated: picture -->")[2].partition("<!-- end of")[0]
    scores = [line.strip() for line in picture.splitlines() if " … " in line and "Better" not in line]
    assert scores
    assert all(line in image for line in scores)
