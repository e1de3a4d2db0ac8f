"""The page in a real browser: all column types, texts, many rows, calls as they stand, keyboard, phone, dark, Chinese.

The page forbids evaluated scripts, so tests wait for what can be seen, never for a condition in JavaScript.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import png, wav
from tests.serve.test_server import Server

from trueweight.bundle.bundle import Bundle

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("TRUEWEIGHT_CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")

LOOK = Path(__file__).with_name("look.js").read_text()
"""Functions that find what a reader could not: labels, headings, contrast, what is too wide."""


@pytest.fixture(scope="module")
def server(every: Bundle, plain: Bundle, teller: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    state = tmp_path_factory.mktemp("state")
    state.chmod(0o700)
    server = Server(every.path, state, str(plain.path), str(teller.path))
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # A microphone that always says the same, and says yes when it is asked.
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *microphone])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 900, "height": 900}, locale="en-US", accept_downloads=True)
    page.set_default_timeout(60_000)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    page.on("request", lambda request: said.append(request.url) if not _ours(request.url, server.port) else None)
    page.goto(f"http://127.0.0.1:{server.port}/#key={server.key}")
    page.wait_for_selector(".field")
    yield page
    page.close()
    assert said == []  # no script failed, nothing was forbidden, nothing came from elsewhere


def _ours(url: str, port: int) -> bool:
    return url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:", "about:"))


def choose(page: Any, model: str) -> None:
    page.select_option("#model", model)
    page.wait_for_selector(f"#about[data-model='{model}']")


def field(page: Any, name: str) -> Any:
    return page.locator(f".field[data-name='{name}']")


def answered(page: Any, button: str = "#go") -> tuple[dict[str, Any], dict[str, Any]]:
    """The row that was sent, and its answer."""
    with page.expect_response("**/predict?notes=true") as caught:
        page.click(button)
    page.wait_for_selector("#answer .card .big")
    return json.loads(caught.value.request.post_data)["rows"][0], caught.value.json()["predictions"][0]


def drop(page: Any, target: str, content: bytes, name: str, kind: str) -> None:
    """As a hand would, with the mouse."""
    text = base64.b64encode(content).decode()
    script = """([target, text, name, kind]) => {
        const held = new DataTransfer();
        held.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, { type: kind }));
        const how = { dataTransfer: held, bubbles: true, cancelable: true };
        document.querySelector(target).dispatchEvent(new DragEvent("drop", how));
    }"""
    page.evaluate(script, [target, text, name, kind])


def bytes_of(address: str) -> bytes:
    return base64.b64decode(address.partition(",")[2])


def test_the_example_of_every_type_is_answered(page: Any, every: Bundle, server: Server) -> None:
    assert "#" not in page.url  # the key is not left in the address
    kinds = {box.get_attribute("data-type") for box in page.query_selector_all(".field")}
    assert kinds == {facts.type for facts in every.signature.features()}
    sent, found = answered(page)
    example = server.ask("/v1/models/every")["row"]["example"]
    assert sent == json.loads(json.dumps(example))
    assert found == server.ask("/v1/models/every/predict", [example])["predictions"][0]
    assert page.inner_text("#answer .card >> nth=0 >> .big") == found["won"]
    shares = page.locator("#answer .card >> nth=0 >> .value").all_inner_texts()
    assert sum(float(share.removesuffix(" %")) for share in shares) == pytest.approx(100, abs=0.11)
    assert "With 90 % coverage between" in page.inner_text("#answer .card >> nth=1")


ROUNDS: list[dict[str, Any]] = [
    {"amount": 1.25, "kind": "green", "member": "False", "day": "2026-04-11", "tags": ["new", "odd"],
     "place": [1, 2.5, -3], "note": 'paid "twice",\nlate', "curve": [0, 1, 0.5, 2]},
    {"amount": -3, "kind": "violet", "member": "True", "tags": [], "note": "评论"},
    dict.fromkeys(("amount", "kind", "member", "day", "tags", "place", "note", "curve")),
]  # fmt: skip


def change(box: Any, kind: str, value: Any) -> None:
    """By the control that a person would use."""
    if kind in ("category", "binary"):
        select = box.locator("select")
        known = select.locator("option").evaluate_all("(all) => all.map((one) => one.value)")
        select.select_option("" if value is None else f"={value}" if f"={value}" in known else "?")
        if value is not None and f"={value}" not in known:
            box.locator("input").fill(value)
    elif kind == "set":
        box.locator(".quiet input").set_checked(value is None)
        for tick in box.locator(".check:not(.quiet) input").all() if value is not None else ():
            tick.set_checked(tick.get_attribute("value") in value)
    else:
        text = "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        box.locator("input, textarea").fill(text)


def test_every_control_says_what_was_meant(page: Any, server: Server) -> None:
    for cells in ROUNDS:
        for name, value in cells.items():
            box = field(page, name)
            change(box, str(box.get_attribute("data-type")), value)
        sent, found = answered(page)
        assert {name: sent[name] for name in cells} == cells
        assert found == server.ask("/v1/models/every/predict", [sent])["predictions"][0]


def test_what_is_no_number_is_said_so(page: Any) -> None:
    box = field(page, "amount")
    box.locator("input").fill("a lot")
    assert "Not a number" in box.inner_text()
    assert box.locator("input").get_attribute("aria-invalid") == "true"
    box.locator("input").fill("12")
    assert "Not a number" not in box.inner_text()


def test_pictures_and_sounds_are_dropped_chosen_recorded_and_removed(page: Any, tmp_path: Path) -> None:
    picture, sound = bytes_of(png((9, 99, 199))), bytes_of(wav(500.0))
    drop(page, ".field[data-type=image] .drop", picture, "own.png", "image/png")
    (tmp_path / "own.wav").write_bytes(sound)
    page.set_input_files(".field[data-type=audio] input", str(tmp_path / "own.wav"))
    page.wait_for_selector("text=own.png")
    page.wait_for_selector("text=own.wav")
    sent, _ = answered(page)
    assert bytes_of(sent["photo"]) == picture
    assert bytes_of(sent["voice"]) == sound
    field(page, "photo").get_by_role("button", name="Remove").click()
    field(page, "voice").get_by_role("button", name="Record").click()
    page.wait_for_timeout(500)
    field(page, "voice").get_by_role("button", name="Stop recording").click()
    page.wait_for_selector("text=recorded")
    sent, _ = answered(page)
    assert sent["photo"] is None
    assert bytes_of(sent["voice"])[:4] == b"RIFF"
    drop(page, ".field[data-type=image] .drop", b"no picture", "own.heic", "image/heic")
    page.wait_for_selector("text=cannot open this file")
    answered(page)
    assert "photo: " in page.inner_text("#notice")  # and the server says that it could not either
    assert "answered as missing" in page.inner_text("#notice")


def test_reasons(page: Any) -> None:
    choose(page, "plain")
    answered(page, "#why")
    page.wait_for_selector("#because .bars", timeout=60_000)
    assert "amount" in page.inner_text("#because")


def test_a_text_is_written_while_one_looks(page: Any, teller: Bundle) -> None:
    choose(page, "teller")
    field(page, "kind").locator("select").select_option("=red")
    with page.expect_response("**/write") as caught:
        page.click("#go")
    assert caught.value.headers["content-type"] == "text/event-stream"
    page.wait_for_selector("#stop", state="hidden")
    expected = teller.predict([{"kind": "red"}])[0]["words"]
    assert page.text_content("#answer .text") == expected
    page.click("#how summary")
    page.fill("#how-max", "2")
    page.click("#go")
    page.wait_for_selector("#stop", state="hidden")
    assert expected.startswith(str(page.text_content("#answer .text")))
    page.fill("#how-temperature", "-1")
    page.click("#go")
    page.wait_for_selector("#notice:not([hidden])")
    assert "temperature" in page.inner_text("#notice")


def test_a_wrong_key(page: Any) -> None:
    page.fill("#key", "tw_no_key")
    page.press("#key", "Enter")
    page.wait_for_selector("#notice:not([hidden])")
    assert "trueweight keys add" in page.inner_text("#notice")


def test_without_a_key_nothing_is_offered_that_cannot_be_done(page: Any, server: Server) -> None:
    page.evaluate("sessionStorage.clear()")
    page.goto("about:blank")
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_selector("#notice:not([hidden])")
    assert "trueweight keys add" in page.inner_text("#notice")
    assert page.evaluate("document.activeElement.id") == "key"
    assert not page.is_visible("#tabs")
    assert not page.is_visible("main")
    page.fill("#key", server.key)
    page.press("#key", "Enter")
    page.wait_for_selector("#tabs")
    assert page.is_visible("#go")
    assert not page.is_visible("#notice")


def test_what_is_nearly_certain_is_not_told_as_certain(page: Any) -> None:
    told = page.evaluate("[0, 1e-9, 0.0004, 0.0005, 0.5, 0.9994, 0.9995, 1 - 1e-9, 1].map(percent)")
    assert told == ["0 %", "< 0.1 %", "< 0.1 %", "0.1 %", "50 %", "99.9 %", "> 99.9 %", "> 99.9 %", "100 %"]


def downloaded(page: Any) -> list[str]:
    with page.expect_download() as caught:
        page.click("#many-download a", timeout=30_000)
    return Path(caught.value.path()).read_text().splitlines()


def test_many_rows(page: Any, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    rows = [{name: row.get(name) for name in ("amount", "kind", "note")} for row in asked] * 200
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.click("#tab-many")
    page.click("#many-go")
    assert "Choose a file" in page.inner_text("#notice")
    page.fill("#many-text", 'amount,kind,note\n1,red,"two\nlines"\n2,blue,paid\n')
    page.click("#many-go")
    lines = downloaded(page)
    assert lines[0].startswith("won,")
    assert len(lines) == 3
    assert "2 of 2 rows" in page.inner_text("#many-said")
    assert page.locator("#many-first tbody tr").count() == 2
    assert not re.search(r"\d\.\d{5}", page.inner_text("#many-first"))  # as short as a single answer
    page.set_input_files("#many-file", str(file))
    page.click("#many-go")
    page.wait_for_selector("#many-download a:has-text('jsonl')")
    assert len(downloaded(page)) == len(rows)
    assert "1,200 of 1,200" in page.inner_text("#many-said")


def test_many_pictures(page: Any, tmp_path: Path, server: Server) -> None:
    for place in range(3):
        (tmp_path / f"{place}.png").write_bytes(bytes_of(png((place * 90, 20, 200))))
    page.click("#tab-many")
    page.set_input_files("#many-file", [str(path) for path in sorted(tmp_path.glob("*.png"))])
    page.click("#many-go")
    lines = downloaded(page)
    assert [line.partition(",")[0] for line in lines] == ["file", "0.png", "1.png", "2.png"]
    (expected,) = server.ask("/v1/models/every/predict", [{"photo": png((90, 20, 200))}])["predictions"]
    cost = float(lines[2].split(",")[lines[0].split(",").index("cost") + 1])  # one comma is within the set
    assert cost == pytest.approx(expected["cost"], rel=1e-4)  # batches of other sizes round differently


def test_calls_run_as_they_stand(page: Any, server: Server, tmp_path: Path) -> None:
    note = """it's "paid" \\ $HOME `twice`, null: true\n评论"""
    field(page, "note").locator("textarea").fill(note)
    picture = bytes_of(png((9, 99, 199)))
    (tmp_path / "it's own.png").write_bytes(picture)
    drop(page, ".field[data-type=image] .drop", picture, "it's own.png", "image/png")
    page.wait_for_selector("text=it's own.png")
    with page.expect_download() as caught:  # the made-up sound is too long to be written down: it is a file to save
        page.click("#tab-call")
        page.click("#call-files a")
    caught.value.save_as(tmp_path / caught.value.suggested_filename)
    sent = page.evaluate("currentRow()")
    assert sent["note"] == note
    (expected,) = server.ask("/v1/models/every/predict", [sent])["predictions"]
    curl, python = str(page.text_content("#call-curl")), str(page.text_content("#call-python"))
    assert "tw_" not in curl + python
    words = os.environ | {"TRUEWEIGHT_KEY": server.key}
    told = json.loads(_run(["bash", "-c", curl], words, tmp_path))
    assert told["predictions"] == [expected]
    assert _run([sys.executable, "-c", python], words, tmp_path).strip() == str(expected)
    choose(page, "teller")
    stream = str(page.text_content("#call-stream"))
    assert "event: end" in _run(["bash", "-c", stream], words, tmp_path)


def _run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_report_and_all_there_is_to_call(page: Any) -> None:
    page.click("#tab-report")
    page.wait_for_selector("#report-frame[src]", timeout=30_000)
    page.frame_locator("#report-frame").locator("main").first.wait_for(timeout=30_000)
    assert page.get_attribute("#report-download a", "download") == "every-report.html"
    page.click("#tab-call")
    page.click("#docs-show")
    page.frame_locator("#docs-frame").locator("h1").wait_for()


def test_by_keyboard_alone(page: Any) -> None:
    choose(page, "plain")
    page.focus("body")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.field').dataset.name") == "amount"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    page.keyboard.press("Control+A")
    page.keyboard.type("2.5")
    page.keyboard.press("Tab")
    page.keyboard.type("gr")  # of a list the option that begins so
    page.keyboard.press("Tab")
    with page.expect_response("**/predict?notes=true") as caught:
        page.keyboard.press("Enter")
    assert json.loads(caught.value.request.post_data)["rows"] == [{"amount": 2.5, "kind": "green"}]
    page.wait_for_selector("#said.unseen")
    assert re.fullmatch(r"won: (yes|no) \(>? ?[\d.]+ %\)", page.inner_text("#said"))
    page.focus("#tab-ask")
    for press, tab in (
        ("ArrowRight", "many"),
        ("End", "call"),
        ("ArrowRight", "ask"),
        ("ArrowLeft", "call"),
        ("Home", "ask"),
    ):
        page.keyboard.press(press)
        assert page.evaluate("document.activeElement.id") == f"tab-{tab}"
        assert page.get_attribute(f"#tab-{tab}", "aria-selected") == "true"
        assert page.is_visible(f"#panel-{tab}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_for_eyes_and_ears(page: Any, scheme: str, server: Server) -> None:
    page.emulate_media(color_scheme=scheme)
    field(page, "amount").locator("input").fill("a lot")
    answered(page)
    page.click("#how summary", force=True) if page.is_visible("#how") else None
    for tab in ("ask", "many", "call"):
        page.click(f"#tab-{tab}")
        assert page.evaluate(f"({LOOK})()") == []
    page.fill("#key", "tw_no_key")
    page.press("#key", "Enter")
    page.wait_for_selector("#notice:not([hidden])")
    assert page.evaluate(f"({LOOK})()") == []


def test_phone_dark_and_chinese(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    tops = {page.locator(f"#{one}").bounding_box()["y"] for one in ("model", "key", "language")}
    assert len(tops) == 1  # side by side, each below its word
    page.emulate_media(color_scheme="dark")
    field(page, "amount").locator("input").fill("7.5")
    page.select_option("#language", "zh")
    assert field(page, "amount").locator("input").input_value() == "7.5"  # what was typed stays
    answered(page)
    assert page.inner_text("#go") == "回答"
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert "覆盖率" in page.inner_text("#answer")
    for tab in ("ask", "many", "call", "report"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.frame_locator("#report-frame").locator("html[lang^=zh]").wait_for(timeout=30_000)


def test_every_word_has_its_chinese(page: Any) -> None:
    english, chinese = (page.evaluate(f"Object.keys(WORDS.{language})") for language in ("en", "zh"))
    assert sorted(english) == sorted(chinese)
    for inner in ("types", "methods", "extras"):
        assert page.evaluate(f"Object.keys(WORDS.en.{inner}).sort()") == page.evaluate(
            f"Object.keys(WORDS.zh.{inner}).sort()"
        )
    scripts = "".join(
        page.evaluate("Promise.all([...document.scripts].map((one) => fetch(one.src).then((r) => r.text())))")
    )
    markup = page.content()
    used = set(re.findall(r'word\("(\w+)"', scripts)) | set(re.findall(r'data-(?:word|label|title)="(\w+)"', markup))
    assert used <= set(english)
