"""Explained rows on the page: words, places, columns; failed explanations are not drawn; user text stays text."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from trueweight.explain.record import Attribution, Change, Explanation, Explanations, Part, Proof
from trueweight.report.examples import Examples, Picture, example_parts
from trueweight.report.facts import Facts
from trueweight.report.html import join
from trueweight.report.page import html_report
from trueweight.report.words import Words


def explanation(parts: list[Part], values: list[float], column: str = "", **changes: Any) -> Explanation:
    item = Attribution(3, "yes", 0.8, 0.5, tuple(parts), tuple(values), gap=0.0)
    fixed: dict[str, Any] = {"method": "occlusion", "target": "t", "items": (item,), "column": column}
    return Explanation(**{**fixed, "proofs": (Proof("deletion", "passed", 0.2, n=5, reason="faster"),), **changes})


def drawn(one: Explanation, pictures: Any = None) -> str:
    words = Words("en")
    facts = Facts(words, lambda entry: entry.reproduce or "")
    parts = join([*example_parts(Examples(Explanations((one,)), pictures or {}, "new.csv"), words, facts)])
    return join(parts, facts.boxes())


def text_of(markup: str) -> str:
    return re.sub("<[^>]+>", "", markup)


WORDS = explanation(
    [Part("note", (0,), "<b>bad"), Part("note", (1,), "and"), Part("note", (2,), "good")], [-0.2, 0.001, 0.4]
)


def test_words_are_tinted_by_what_they_do():
    told = drawn(WORDS)
    assert '<mark class="down" style="--v:25%" title="-0.2">&lt;b&gt;bad</mark>' in told
    assert '<mark class="up" style="--v:50%" title="+0.4">good</mark>' in told
    assert "<mark" not in told.partition("and ")[0].rpartition("</mark>")[2]
    assert "Row 3: yes 0.8 (usual: 0.5)" in text_of(told)
    assert "deletion 0.2: faster" in text_of(told)


@pytest.mark.parametrize("errors", [None, (0.05, 0.1, 0.1)])
def test_every_number_opens_to_how_it_was_found(errors):
    one = replace(WORDS, items=(replace(WORDS.items[0], errors=errors),))
    told = drawn(replace(one, parameters={"pairs": 8}))
    buttons, boxes = re.findall('popovertarget="(f[0-9]+)"', told), re.findall('id="(f[0-9]+)"', told)
    # The answer, the usual one, three words, one check; only tints of words, which stand beside, have no button.
    assert len(buttons) == len(set(buttons)) == len(boxes) == 6
    shown = re.sub("<(button|mark|div id|span class=.scale).*?</(button|mark|dl></div|i></span)>", "", told)
    assert not re.search(r"[+-]?\d\.\d", text_of(shown))
    for word in ("pairs=8", "trueweight explain BUNDLE SOURCE --rows 4 --method occlusion --target t", "row 3"):
        assert word in text_of(told)
    assert ("95 %, standard error" in text_of(told)) is (errors is not None)


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 2)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("known", [True, False])
def test_places_lie_over_their_picture(known):
    one = explanation([Part("photo", (0, 0, 2, 2)), Part("photo", (0, 2, 2, 4))], [0.1, -0.2], "photo")
    told = drawn(one, {(3, "photo"): Picture(png(), 4, 2)} if known else None)
    assert 'viewBox="0 0 4 2"' in told
    assert ("data:image/png;base64," in told) is known
    assert '<rect x="2" y="0" width="2" height="2" class="down"' in told
    assert 'aria-label="photo of row 3: which places move the answer"' in told


def test_spans_of_a_sound_lie_over_its_length():
    one = explanation([Part("clip", (0, 500)), Part("clip", (500, 900))], [0.1, -0.2], "clip")
    assert 'viewBox="0 0 900 150"' in drawn(one)


@pytest.mark.parametrize("known", [True, False])
def test_channels_and_bands_lie_beneath_each_other(known):
    """Of a spectrogram the first, the lowest, is at the bottom."""
    parts = [Part("clip", (0, 500), "50 Hz"), Part("clip", (0, 500), "900 Hz"), Part("clip", (500, 900), "50 Hz")]
    one = explanation(parts, [0.1, -0.2, 0.3], "clip")
    told = drawn(one, {(3, "clip"): Picture(png(), 900, 150)} if known else None)
    low, high = ("75.0", "0.0") if known else ("0.0", "75.0")
    assert f'<rect x="500" y="{low}" width="400" height="75.0" class="up"' in told
    assert f'<rect x="0" y="{high}" width="500" height="75.0" class="down"' in told
    assert "<title>900 Hz -0.2</title>" in told


def test_what_failed_its_check_is_not_drawn():
    told = drawn(replace(WORDS, status="failed", reason="no better than random"))
    assert "failed its check, and is not drawn:" in told
    assert "no better than random" in told
    assert "<mark" not in told


def test_what_does_not_apply_has_not_failed():
    told = drawn(replace(WORDS, status="not_applicable", reason="there is one column"))
    assert "not applicable: there is one column" in told
    assert "failed" not in told


def test_changes_are_told():
    change = Change(3, "no", "yes", (("age", "20", "<40>"),))
    assert "Row 3: no would be yes, if age: 20 → &lt;40&gt;" in drawn(replace(WORDS, items=(change,)))


def test_the_page_holds_them_or_says_how_to_get_them(subject, make_subject):
    assert "trueweight report --examples" in html_report(make_subject(examples=None))
    assert "failed its check, and is not drawn:" in html_report(subject)
    with_words = make_subject(examples=Examples(Explanations((WORDS,)), {}, "new.csv"))
    assert "Rows of new.csv that were given for this page" in html_report(with_words)
    assert "第 3 行" in html_report(with_words, "zh")
