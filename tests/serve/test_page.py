"""The page in a real browser: every type of column, by keyboard, on a phone, in the dark, in Chinese, many rows."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_server import Server

from trueweight.bundle.bundle import Bundle

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


@pytest.fixture(scope="module")
def server(every: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    state = tmp_path_factory.mktemp("state")
    state.chmod(0o700)
    server = Server(every.path, state)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 900, "height": 900}, locale="en-US")
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    page.goto(f"http://127.0.0.1:{server.port}/#key={server.key}")
    page.wait_for_selector(".field")
    yield page
    page.close()
    assert said == []


def test_every_type_of_column(page: Any, every: Bundle, server: Server) -> None:
    assert "#" not in page.url  # the key is not left in the address
    kinds = {box.get_attribute("data-type") for box in page.query_selector_all(".field")}
    assert kinds == {facts.type for facts in every.signature.features()}
    for box in page.query_selector_all(".field"):
        control = box.query_selector("input, textarea")
        assert page.query_selector(f"label[for='{control.get_attribute('id')}']")
    page.click("#go")
    page.wait_for_selector("#answer .card")
    row = server.ask("/v1/models/every")["row"]["example"]
    expected = server.ask("/v1/models/every/predict", [row])["predictions"][0]
    assert page.inner_text("#answer .card .big") == expected["won"]
    assert page.query_selector(".drop img")
    assert page.query_selector(".drop audio")


def test_an_own_picture_and_an_empty_field(page: Any, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    import base64

    (tmp_path / "own.png").write_bytes(base64.b64decode(asked[0]["photo"].partition(",")[2]))
    page.set_input_files(".field[data-type=image] input", str(tmp_path / "own.png"))
    page.fill(".field[data-name=amount] input", "")
    with page.expect_request("**/predict") as caught:
        page.click("#go")
    sent = json.loads(caught.value.post_data)["rows"][0]
    assert sent["amount"] is None
    assert sent["photo"] == asked[0]["photo"]
    page.wait_for_selector("#answer .card")


def test_a_wrong_key(page: Any) -> None:
    page.fill("#key", "tw_no_key")
    page.press("#key", "Enter")
    page.wait_for_selector("#notice:not([hidden])")
    assert "trueweight keys add" in page.inner_text("#notice")


def test_many_rows(page: Any, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    rows = [{name: row.get(name) for name in ("amount", "kind", "note")} for row in asked] * 200
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.click("#tab-many")
    page.click("#many-go")
    assert "Choose a file" in page.inner_text("#notice")
    page.set_input_files("#many-file", str(file))
    page.click("#many-go")
    with page.expect_download() as caught:
        page.click("#many-download a", timeout=30_000)
    lines = Path(caught.value.path()).read_text().splitlines()
    assert len(lines) == len(rows)
    assert "1,200 of 1,200" in page.inner_text("#many-said")


def test_report_and_call(page: Any) -> None:
    page.focus("#tab-ask")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-report", "aria-selected") == "true"
    page.wait_for_selector("#report-frame[src]", timeout=30_000)
    page.frame_locator("#report-frame").locator("main").first.wait_for(timeout=30_000)
    page.keyboard.press("ArrowRight")
    assert "curl http://127.0.0.1" in page.inner_text("#call-curl")
    assert "TRUEWEIGHT_KEY" in page.inner_text("#call-python")
    assert "tw_" not in page.inner_text("#call-curl")


def test_phone_dark_and_chinese(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    page.select_option("#language", "zh")
    assert page.inner_text("#go") == "回答"
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    english, chinese = (page.evaluate(f"Object.keys(WORDS.{language})") for language in ("en", "zh"))
    assert sorted(english) == sorted(chinese)
