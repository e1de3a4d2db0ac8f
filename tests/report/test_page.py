"""The page: nothing from elsewhere, nothing a user wrote becomes markup, every number opens, gaps are seen."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from trueweight.evidence.record import Entry, Evidence, Interval
from trueweight.report.html import Html, el
from trueweight.report.page import html_report
from trueweight.report.subject import Later

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
    def told(metric: str) -> str:
        changed = [
            replace(e, depends_on=(f"comparison/t/{metric}/linear",)) if e.axis == "verdict" else e
            for e in subject.evidence
        ]
        return first_screen(make_subject(changed))

    assert "Yes, better than the linear model" in told("log_loss")  # 0.06 less loss
    assert "Not shown against the linear model" in told("accuracy")


def tile(subject, question: str) -> tuple[str, str]:
    """A tile's colour and its text."""
    found = re.findall(r'<article class="tile (\w+)"[^>]*>(.*?)</article>', html_report(subject), flags=re.DOTALL)
    return next((tone, Page(text).text) for tone, text in found if question in text)


def changed(subject, id: str, **changes):
    return [replace(e, **changes) if e.id == id else e for e in subject.evidence]


@pytest.mark.parametrize(("low", "high", "tone"), [(0.79, 0.83, "good"), (0.46, 0.72, "mind")])
def test_a_wide_interval_is_marked(subject, make_subject, low: float, high: float, tone: str):
    ends = Interval(low, high, 0.95, "bootstrap")
    found = tile(make_subject(changed(subject, "quality/t/accuracy/test", interval=ends)), "How sure is that?")
    assert found[0] == tone
    assert ("wide interval" in found[1]) == (tone == "mind")


@pytest.mark.parametrize(
    ("gain", "told", "tone"),
    [(0.0011, "Shown better than the linear model, by a very small amount", "mind"),
     (0.0021, "Yes, better than the linear model", "good")],
)  # fmt: skip
def test_better_by_next_to_nothing_is_said_to_be_so(subject, make_subject, gain: float, told: str, tone: str):
    """The linear model is right in 80 % of rows, which leaves 0.2: a hundredth of it is 0.002."""
    ends = Interval(gain / 2, 2 * gain, 0.95, "paired bootstrap")
    entries = changed(subject, "comparison/t/accuracy/linear", value=gain, interval=ends)
    found = tile(make_subject(entries), "Is it better than a simple model?")
    assert (found[0], told in found[1]) == (tone, True)


def test_few_rows_and_numbers_without_interval_decide_nothing(subject, make_subject):
    plain = [e for e in subject.evidence if e.axis != "slices"]
    assert "Most often on" in tile(make_subject(plain), "On whom does it fail?")[1]
    few = [replace(e, value=2.0) if e.axis == "confusion" else e for e in plain]  # 4 rows of each class
    for entries in (few, [replace(e, interval=None) if "recall" in e.metric else e for e in plain]):
        assert "Most often on" not in tile(make_subject(entries), "On whom does it fail?")[1]
        assert "More rows of" not in tile(make_subject(entries), "What would help most?")[1]
    looked = [replace(e, value=0) if e.metric == "worst_slice_flag" else e for e in subject.evidence]
    assert "Weakest: colour =" in tile(make_subject(looked), "On whom does it fail?")[1]
    for bare in ({"interval": None}, {"n": 9}):
        none = [replace(e, **bare) if e.axis == "slices" and e.slice else e for e in looked]
        assert "Weakest" not in tile(make_subject(none), "On whom does it fail?")[1]


def test_fairness_has_a_heading_of_its_own(subject, make_subject):
    unfair = Entry(id="fairness/t/fairness_flag/test", axis="fairness", metric="fairness_flag", value=1, reason="north")
    groups, alike = "A group of rows fails more than chance explains", "It does not treat groups alike"
    clean = [e for e in subject.evidence if not e.metric.endswith("flag")]
    alone = tile(make_subject([*clean, unfair]), "On whom does it fail?")[1]
    assert alike in alone
    assert groups not in alone
    both = tile(make_subject([*subject.evidence, unfair]), "On whom does it fail?")[1]
    assert f"{groups}, and groups are not treated alike" in both
    assert "north" in both


def test_what_was_raised_later_is_on_the_first_screen(subject, make_subject):
    def flag(reason: str) -> Evidence:
        return Evidence((Entry(id="drift/t/x", axis="drift", metric="drift_flag", target="t", value=1, reason=reason),))

    later = (Later("Ann", "2026-02-03T00:00:00Z", flag("old drift"), matches=True),
             Later("Ann", "2026-03-04T00:00:00Z", flag("new drift"), matches=True),
             Later("Ann", "2026-05-06T00:00:00Z", flag("of another model"), matches=False))  # fmt: skip
    mind = html_report(make_subject(later=later)).partition('class="mind"')[2].partition("</ul>")[0]
    assert mind.index("Measured later (2026-03-04): new drift") < mind.index("fails")  # of training
    assert 'href="#later"' in mind
    assert "old drift" not in mind
    assert "of another model" not in mind
    assert "后来测得（2026-03-04）：new drift" in html_report(make_subject(later=later), "zh")


def test_one_is_told_as_one(make_subject):
    places = ("groups", "twins")
    one, two = (
        first_screen(make_subject([
            Entry(id=f"honesty/{at}", axis="honesty", metric=at, value=count, unit="rows") for at in places
        ]))
        for count in (1, 2)
    )  # fmt: skip
    assert "1 group has rows on both sides" in one
    assert "1 of the test rows has the same features as a row" in one
    assert "2 groups have rows on both sides" in two


def test_numbers_are_not_asked_about_probabilities(subject, make_subject):
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
