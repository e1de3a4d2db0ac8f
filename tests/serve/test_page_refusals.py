"""What the page says where the server refuses: in Chinese by its kind, with the server's own words behind it."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_page import LOOK, browser, field, page, pytestmark
from tests.serve.test_server import Server

from trueweight.bundle.bundle import Bundle
from trueweight.serve.keys import KeyStore
from trueweight.serve.refusals import TITLES, Refused

__all__ = ["browser", "page", "pytestmark"]  # fixtures, and where they cannot be had

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("state")
    state.chmod(0o700)
    return state


@pytest.fixture(scope="module")
def server(plain: Bundle, state: Path) -> Iterator[Server]:
    server = Server(plain.path, state)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def chinese(page: Any) -> Any:
    page.select_option("#language", "zh")
    return page


def use(page: Any, state: Path, server: Server, *scopes: str, **limits: int) -> None:
    """Another key."""
    text, _ = KeyStore(state / "keys.sqlite").add("limited", scopes, **limits)
    whole, server.key = server.key, text
    try:
        end = time.monotonic() + 20
        while True:  # a server learns of new keys within a second
            try:
                server.ask("/v1/models")
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
    finally:
        server.key = whole
    page.fill("#key", text)
    with page.expect_response("**/v1/models"):
        page.press("#key", "Enter")
    page.wait_for_selector("#notice", state="hidden")


def said(page: Any) -> tuple[str, str]:
    """What the page says, and what it quotes."""
    page.wait_for_selector("#notice:not([hidden]) [lang=en]")
    whole, own = page.inner_text("#notice"), page.inner_text("#notice [lang=en]")
    before, _, after = whole.partition(own)
    assert after == ""  # it stands behind
    assert before.rstrip().endswith("英文原文：")
    return before, own


def test_refusals_of_the_server_itself(chinese: Any, server: Server, state: Path) -> None:
    page = chinese
    page.fill("#key", "tw_no_key")
    page.press("#key", "Enter")
    words, own = said(page)
    assert words.startswith("没有有效的密钥")
    assert "请在上方输入密钥" in words
    assert own.startswith("this key is not known")
    assert page.evaluate(f"({LOOK})()") == []
    use(page, state, server, "predict", per_minute=1)
    page.click("#tab-report")
    words, own = said(page)
    assert (words.startswith("不允许"), own) == (True, "this key is not for 'evidence': it is for predict")
    page.click("#tab-many")
    for rows, start, told in (
        ("amount,kind\n1,red\n2,red\n", "太大", "2 rows at once are more than this key's 1 a minute"),
        ("height\n1\n", "请求太多", "this key may ask for 1 rows a minute"),
    ):
        page.fill("#many-text", rows)
        if start == "请求太多":
            page.click("#tab-ask")
            page.click("#go")  # the one of this minute
            page.wait_for_selector("#answer .card .big")
            page.click("#tab-many")
        page.click("#many-go")
        page.wait_for_selector(f"#notice:has-text('{start}')")
        assert said(page)[1] == told
    assert re.search(r"请在 \d+ 秒后重试", page.inner_text("#notice"))
    page.fill("#key", server.key)
    page.press("#key", "Enter")
    page.wait_for_selector("#notice", state="hidden")
    page.click("#many-go")
    page.wait_for_selector("#notice:has-text('数据与模型不符')")
    assert "none of the columns" in said(page)[1]


@pytest.mark.parametrize(
    ("asked", "start", "told"),
    [
        ("choose('nobody')", "不存在", "no model 'nobody'"),
        (
            "call('/v1/models', { method: 'DELETE', headers: headers() })",
            "这个地址",
            "DELETE is not done here: use GET",
        ),
        ("call(modelPath('/predict'), post('x', undefined, 'image/gif'))", "不支持", "bodies of kind 'image/gif'"),
        ("call(modelPath('/predict'), post('x'))", "请求有误", "the body is not JSON"),
    ],
)
def test_refusals_that_the_page_has_no_button_for(chinese: Any, asked: str, start: str, told: str) -> None:
    chinese.evaluate(f"{asked}.catch(complain)")
    words, own = said(chinese)
    assert (words.startswith(start), own.startswith(told)) == (True, True)


def test_a_stream_that_breaks_off(chinese: Any, server: Server, state: Path, tmp_path: Path) -> None:
    """Behind the first rows, when the answer has begun and its status is sent."""
    use(chinese, state, server, "predict", budget=600)
    (tmp_path / "many.jsonl").write_text(json.dumps({"amount": 1.0, "kind": "red"}) + "\n" + '{"amount": 2}\n' * 1200)
    chinese.click("#tab-many")
    chinese.set_input_files("#many-file", str(tmp_path / "many.jsonl"))
    chinese.click("#many-go")
    chinese.wait_for_selector("#many-download a")
    words, own = said(chinese)
    assert words.startswith("回答中断。 不允许")
    assert own.endswith("left to this key")


def test_every_kind_of_refusal_has_its_chinese(page: Any) -> None:
    script = "(told) => complain(refusalOf(told, told.status))"
    page.evaluate(script, Refused(409, "said here", hint="do that").problem())
    assert page.inner_text("#notice") == "said here: do that"
    page.select_option("#language", "zh")
    kinds = set()
    for status in [*TITLES, 418, 502]:
        page.evaluate(script, Refused(status, f"said {status}", hint="do that").problem())
        words, own = said(page)
        assert own == f"said {status}: do that"
        assert CHINESE.search(words.split("·")[0])
        kinds.add(words)
    assert len(kinds) == len(TITLES) + 2  # no two are told in the same words
    assert set(page.evaluate("Object.keys(WORDS.zh.statuses)")) == {*map(str, TITLES), "4xx", "5xx"}


def test_what_could_not_be_read_is_quoted_too(chinese: Any) -> None:
    field(chinese, "amount").locator("input").fill("a lot")
    chinese.click("#go")
    words, own = said(chinese)
    assert words.startswith("有些内容无法读取")
    assert own == "amount: not a number in 1 row, answered as missing"
