"""Pictures of the served page for the documentation: train on pictures, texts and numbers, serve, ask, take pictures.

    python scripts/docs_page.py [BUNDLE]

BUNDLE is one of examples/mixed.yaml, so that it need not be trained again. Needs playwright and Chromium (see
tests/serve/test_page.py). Pictures are of few colours, to stay small.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
SHOTS: tuple[tuple[str, Any, Any, str], ...] = (
    ("serve.png", {"width": 1000, "height": 1030}, "light", "en"),
    ("serve-phone-dark-zh.png", {"width": 390, "height": 844}, "dark", "zh"),
)
WORDS = "rows of a matrix are sparse, and most of what is kept are places of values"


def main() -> None:
    """Train unless a bundle is given, serve it, and take the pictures."""
    tool = str(Path(sys.executable).with_name("trueweight"))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        subprocess.run([sys.executable, str(ROOT / "examples" / "make_data.py"), str(data)], check=True)
        bundle = sys.argv[1] if len(sys.argv) > 1 else trained(tool, data)
        picture = data / "digit.png"
        picture.write_bytes(pq.read_table(data / "orders.parquet").column("copies")[0].as_py())
        with served(tool, bundle, Path(folder)) as address:
            take(address, picture)


def trained(tool: str, data: Path) -> str:
    """The bundle of examples/mixed.yaml."""
    source = f"data.source={data / 'orders.parquet'}"
    words = [tool, "train", str(ROOT / "examples" / "mixed.yaml"), "--set", source, "--out", str(data / "run")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return str(data / "run" / "orders.bundle")


@contextmanager
def served(tool: str, bundle: str, folder: Path) -> Iterator[str]:
    """The page's address, the key in it."""
    environment = os.environ | {"TRUEWEIGHT_STATE": str(folder / "state")}
    words = [tool, "serve", bundle, "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        try:
            yield next(found[0] for line in server.stderr if (found := re.search(r"http\S+#key=\S+", line)))
        finally:
            server.terminate()


def take(address: str, picture: Path) -> None:
    """One picture for each of the shots."""
    path = os.environ.get("TRUEWEIGHT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, size, scheme, language in SHOTS:
            page = browser.new_page(viewport=size, color_scheme=scheme, device_scale_factor=1, locale=language)
            page.set_default_timeout(120_000)
            page.goto(address)
            ask(page, picture)
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(96)
            image.save(ROOT / "docs" / "img" / name, optimize=True)
        browser.close()


def ask(page: Any, picture: Path) -> None:
    """Fill the form in, and have it answered."""
    page.wait_for_selector(".field")
    page.set_input_files(".field[data-type=image] input", str(picture))
    page.fill(".field[data-type=text] textarea", WORDS)
    page.fill(".field[data-name=pages] input", "120")
    page.select_option(".field[data-name=cover] select", "=linen")
    page.click("#go")
    page.wait_for_selector("#answer .card .big")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")


if __name__ == "__main__":
    main()
