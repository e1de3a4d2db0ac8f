"""The pictures of a report in the documentation: train on a small table, open the page in Chromium, take its picture.

    python scripts/docs_screenshots.py [BUNDLE]

Needs playwright and Chromium (see tests/report/test_report_in_browser.py). Pictures are of few colours, to stay small.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
SHOTS = (
    ("report.png", {"width": 1280, "height": 880}, "light", "en"),
    ("report-phone.png", {"width": 390, "height": 844}, "light", "en"),
    ("report-phone-dark-zh.png", {"width": 390, "height": 844}, "dark", "zh"),
)
CARD = ("card.owner=oncology@example.org", "card.intended_use=a second look by a doctor")


def main() -> None:
    """Train unless a bundle is given, write its report in both languages, and take the pictures."""
    tool = str(Path(sys.executable).with_name("trueweight"))
    with tempfile.TemporaryDirectory() as folder:
        bundle = sys.argv[1] if len(sys.argv) > 1 else trained(tool, Path(folder))
        pages = {}
        for language in ("en", "zh"):
            pages[language] = Path(folder) / f"{language}.html"
            words = [tool, "report", bundle, "-o", str(pages[language]), "--language", language]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        take(pages)


def trained(tool: str, folder: Path) -> str:
    """The bundle of the README's table."""
    subprocess.run([sys.executable, str(ROOT / "examples" / "make_data.py"), "data"], cwd=folder, check=True)
    words = [tool, "train", "data/tumours.csv", "--target", "diagnosis", "--budget", "5s", "--out", "run"]
    words += [word for setting in CARD for word in ("--set", setting)]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return str(folder / "run" / "tumours.bundle")


def take(pages: dict[str, Path]) -> None:
    """One picture for each of the shots."""
    path = os.environ.get("TRUEWEIGHT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, size, scheme, language in SHOTS:
            page = browser.new_page(viewport=size, color_scheme=scheme, device_scale_factor=1)
            page.goto(pages[language].as_uri())
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(96)
            image.save(ROOT / "docs" / "img" / name, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
