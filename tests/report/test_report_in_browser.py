"""The page in a real browser: it fits phones and desks, makes no noise, names what it shows, and can be read.

Skipped where there is no Chromium. Another one than that on the path is named by TRUEWEIGHT_CHROMIUM.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.in_browser import CHROMIUM, CONTRAST, NAMELESS, TOO_WIDE, WIDTHS, opened, wrong_with

from trueweight.report.page import html_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with playwright.sync_playwright() as tool:
        found = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=["en", "zh"])
def file(request, subject, tmp_path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html_report(subject, request.param), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_is_silent_named_and_readable(browser, file, width, scheme):
    assert wrong_with(browser, file, width, scheme) == {}


def test_the_answers_are_on_the_first_screen_of_a_desk_and_of_a_phone(browser, file):
    for width, height in ((1280, 900), (390, 900)):
        page, _ = opened(browser, file, width)
        last = page.locator(".tile .answer").last.bounding_box()
        assert last["y"] + last["height"] <= height
        page.close()


def test_a_number_opens_and_closes(browser, file):
    page, _ = opened(browser, file, 390)
    button = page.locator("button.num").first
    box = page.locator(f"#{button.get_attribute('popovertarget')}")
    assert not box.is_visible()
    button.click()
    assert box.is_visible()
    assert any(word in box.inner_text() for word in ("bootstrap", "自助法"))
    assert box.bounding_box()["width"] <= 390
    page.keyboard.press("Escape")
    assert not box.is_visible()
    page.close()


def test_reasons_are_there_on_a_desk_and_a_tap_away_on_a_phone(browser, file):
    desk, _ = opened(browser, file, 1280)
    assert desk.locator(".tile li").first.is_visible()
    desk.close()
    phone, _ = opened(browser, file, 390)
    assert not phone.locator(".tile li").first.is_visible()
    phone.locator(".tile summary").first.click()
    assert phone.locator(".tile li").first.is_visible()
    phone.close()


def test_it_prints_on_few_pages(browser, file):
    page, noise = opened(browser, file, 1280)
    pages = page.pdf(format="A4").count(b"/Type /Page\n")
    assert 1 <= pages <= 12
    assert noise == []
    page.close()


def test_the_checks_find_what_they_look_for(browser, file):
    """A grey word, a button without a name, an element wider than the page."""
    page, _ = opened(browser, file, 390)
    planted = '<p style="color:#aaa;background:#fff">pale</p><button></button><pre style="width:900px">wide</pre>'
    page.evaluate("html => document.querySelector('h1').insertAdjacentHTML('afterend', html)", planted)
    assert page.evaluate(CONTRAST) == ["pale 2.32"]
    assert page.evaluate(NAMELESS) == ["<button></button>"]
    assert any("900px" in found for found in page.evaluate(TOO_WIDE))
    assert page.evaluate("document.documentElement.scrollWidth") > 390
    page.close()
