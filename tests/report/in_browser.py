"""A page in a real browser, and what may be wrong with it: for tests, and for the benchmark that opens real reports."""

import os
import shutil
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("TRUEWEIGHT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (390, 1280)

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


def opened(browser, file: Path, width: int, **more: Any) -> tuple[Any, list[str]]:
    page, noise = browser.new_page(viewport={"width": width, "height": 844}, **more), []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda request: noise.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(file.as_uri())
    return page, noise


def wrong_with(browser: Any, file: Path, width: int, scheme: str) -> dict[str, Any]:
    """What is wrong with a page with all its folds open; nothing if all is well."""
    page, noise = opened(browser, file, width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = {
        "wider than the screen": max(0, page.evaluate("document.documentElement.scrollWidth") - width),
        "cut off": page.evaluate(TOO_WIDE),
        "without a name": page.evaluate(NAMELESS),
        "hard to read": page.evaluate(CONTRAST),
        "said by the console, or asked of a network": noise,
    }
    page.close()
    return {problem: what for problem, what in found.items() if what}
