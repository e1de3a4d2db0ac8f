"""The page: nothing from elsewhere, nothing a user wrote becomes markup, every number opens, gaps are seen."""

import re
from html.parser import HTMLParser

import pytest

from trueweight.evidence.record import Evidence
from trueweight.report.html import Html, el
from trueweight.report.page import html_report

VOID = {"meta", "br", "hr", "col"}


class Page(HTMLParser):
    """Elements in order, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open[-1:] != ["style"] else ""

    def values(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]


@pytest.fixture(params=["en", "zh"])
def page(request, subject) -> Page:
    return Page(html_report(subject, request.param))


def test_it_runs_nothing_and_loads_nothing(page):
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "img", "base", "form"}
    assert not page.values("src")
    assert all(href.startswith("#") for href in page.values("href"))
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert "default-src 'none'" in page.values("content")[1]


def test_what_users_wrote_is_text(page):
    assert '<script>alert("1")</script>&amp;' in page.text


def test_every_number_opens_to_its_fact(page):
    places, ids = page.values("popovertarget"), page.values("id")
    assert len(ids) == len(set(ids))
    assert set(places) <= set(ids)
    assert len(set(places)) > 20
    assert "bootstrap" in page.text or "自助法" in page.text
    for word in ("442", "trueweight verify shop.bundle --recompute", "k=<b>"):
        assert word in page.text


def test_links_lead_somewhere(page):
    assert {href[1:] for href in page.values("href")} <= set(page.values("id"))


def first_screen(subject) -> str:
    text = html_report(subject)
    return Page(re.sub("<nav.*", "</main></body></html>", text, flags=re.DOTALL)).text


def test_six_questions_are_answered_first(subject):
    told = first_screen(subject)
    for question in (
        "Is it better than a simple model?", "How sure is that?", "On whom does it fail?",
        "Is this the model that was tested?", "May I open it?", "What would help most?",
    ):  # fmt: skip
        assert question in told
    for answer in (
        "Right in 81 % of test rows", "between 79 % and 83 %", "Not shown against the linear model",
        "A group of rows fails more than chance explains", "Yes, byte for byte", "16 golden rows",
        "Yes, it holds no code", "See to what was found first", "who answers for the model", "1 failed",
    ):  # fmt: skip
        assert answer in told, answer


def test_a_flag_is_on_the_first_screen_and_a_clean_one_is_not(subject, make_subject):
    assert '<script>alert("1")</script>&amp; fails' in first_screen(subject)
    clean = [e for e in subject.evidence if e.value != 1 and e.status != "failed"]
    assert "Nothing was flagged by the checks that ran." not in first_screen(subject)
    rows = make_subject(clean).signature
    enough = make_subject(clean, signature=type(rows)(rows.columns, rows.options, 5000))
    assert "Nothing was flagged by the checks that ran." in first_screen(enough)


def test_what_two_checks_found_is_said_once(make_subject):
    from trueweight.evidence.record import Entry

    def told(*metrics: str) -> str:
        facts = {"axis": "honesty", "target": "won"}
        flags = [Entry(id=f"honesty/{m}", metric=m, value=1, unit="flag", reason=m, **facts) for m in metrics]
        leak = Entry(id="honesty/leak/0", metric="paid alone tells won", value=0.99, reason="known before?", **facts)
        twins = Entry(id="honesty/twins", metric="twins", value=3, unit="rows", **facts)
        return first_screen(make_subject([*flags, leak, twins]))

    assert "paid alone tells won" in told()
    assert "3 of the test rows" in told("leak_flag")
    assert "paid alone tells won" not in told("leak_flag")
    assert "3 of the test rows" not in told("near_duplicates_flag")
    assert "paid alone tells won" in told("label_noise_flag")  # another flag says nothing of it


def test_declared_parts_are_one_plot_worst_first(subject, make_subject):
    from dataclasses import replace

    accuracy = subject.evidence[0]
    many = [
        replace(
            accuracy, id=f"slices/declared/t/{metric}/test/{i}", axis="slices", metric=metric, slice=f"shop = {i:02}",
            value=0.6 + i / 100, interval=replace(accuracy.interval, low=0.5 + i / 100, high=0.7 + i / 100),
        )
        for i in range(30)
        for metric in ("roc_auc", "accuracy", "log_loss")
    ]  # fmt: skip
    text = html_report(make_subject([*subject.evidence, *many[::-1]]))
    part = text[text.index('<section id="slices"') :].partition("</section>")[0]
    assert part.index("shop = 00") < part.index("shop = 01") < part.index("<details") < part.index("shop = 12")
    assert part.count("shop = 03") == 1  # the other metrics stand among all facts
    assert "The same parts by" in part


def test_what_was_not_looked_at_is_seen(subject):
    page = Page(html_report(subject))
    assert "Not looked at" in page.text
    assert {"calibration", "explanation", "robustness"} <= set(page.values("id"))
    told = first_screen(subject)
    assert "Of 10 kinds of checks" in told
    assert "it fell over" in told


def test_better_or_worse_follows_the_metric(subject, make_subject):
    from dataclasses import replace

    def told(metric: str) -> str:
        changed = [
            replace(e, depends_on=(f"comparison/t/{metric}/linear",)) if e.axis == "verdict" else e
            for e in subject.evidence
        ]
        return first_screen(make_subject(changed))

    assert "Yes, better than the linear model" in told("log_loss")  # 0.06 less loss
    assert "Not shown against the linear model" in told("accuracy")


def test_numbers_are_not_asked_about_probabilities(subject, make_subject):
    from dataclasses import replace

    def told(kind: str) -> str:
        known = subject.signature
        columns = {n: replace(f, type=kind) if f.role == "target" else f for n, f in known.columns.items()}
        return first_screen(make_subject(signature=replace(known, columns=columns)))

    assert "Whether its probabilities can be trusted was not looked at." in told("binary")
    assert "No interval comes with its answers" in told("number")


def test_nothing_measured_is_said(make_subject):
    told = first_screen(make_subject([]))
    assert "Nothing was measured" in told
    assert "Not compared" in told
    assert "Not looked at" in told


def test_parts_of_strangers_are_named(make_subject):
    told = first_screen(make_subject(parts={"head": {"theirs": "their-package 1.0"}}))
    assert "Only if you trust their-package" in told


def test_the_same_evidence_gives_the_same_page(subject, make_subject):
    assert html_report(subject) == html_report(make_subject())


def test_a_page_of_many_facts_stays_small(subject, make_subject):
    from dataclasses import replace

    many = [
        replace(subject.evidence[0], id=f"slices/t/accuracy/test/{i}", axis="slices", slice=f"s {i}")
        for i in range(800)
    ]
    assert len(html_report(make_subject([*subject.evidence, *many]))) < 2_000_000


def test_texts_are_escaped_in_elements_and_attributes():
    assert el("p", "<b>", Html("<i></i>"), title='"><x>', hidden=True, lang=None) == (
        '<p title="&quot;&gt;&lt;x&gt;" hidden>&lt;b&gt;<i></i></p>'
    )


def test_an_empty_evidence_is_reported(make_subject):
    assert "No score is in this evidence" in html_report(make_subject([], evidence=Evidence()))
