"""The page in a real browser: it fits phones and desks, makes no noise, names what it shows, and can be read.

Skipped where there is no Chromium. Another one than that on the path is named by TRUEWEIGHT_CHROMIUM.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trueweight.report.page import html_report

CHROMIUM = os.environ.get("TRUEWEIGHT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (390, 1280)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt install chromium")

CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const channel = v => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const found = rgba(getComputedStyle(e).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (!own || !box.width || style.visibility === 'hidden' || element.closest('.away, .skip')) continue;
    const text = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(text), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push(element.textContent.slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  return poor;
}"""
"""Texts whose contrast is below 4.5 : 1, by the definition of WCAG 2.1."""

NAMELESS = """() => [...document.querySelectorAll('button, a, summary, svg[role=img], [role=dialog]')]
  .filter(e => !(e.getAttribute('aria-label') || e.textContent).trim()).map(e => e.outerHTML.slice(0, 80))"""

TOO_WIDE = """() => [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, .away, .track, .scale'))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""


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


def opened(browser, file: Path, width: int, **more: Any) -> tuple[Any, list[str]]:
    page, noise = browser.new_page(viewport={"width": width, "height": 844}, **more), []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda request: noise.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(file.as_uri())
    return page, noise


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_is_silent_named_and_readable(browser, file, width, scheme):
    page, noise = opened(browser, file, width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(CONTRAST) == []
    assert noise == []
    page.close()


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
