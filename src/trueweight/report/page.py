"""The page: one file that loads nothing and runs no script."""

from trueweight.report.annex import annex_markdown, annex_section
from trueweight.report.answers import Asked
from trueweight.report.examples import example_parts
from trueweight.report.facts import Facts
from trueweight.report.first import first_screen
from trueweight.report.html import Child, Html, el
from trueweight.report.numbers import short
from trueweight.report.sections import axis_sections, fact_rows, section
from trueweight.report.spoken import in_language
from trueweight.report.style import style
from trueweight.report.subject import Later, Subject
from trueweight.report.words import Language, Words

__all__ = ["annex_page", "html_report"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser is told to allow: nothing from elsewhere, and no script at all."""

MOST_COLUMNS = 200


def html_report(subject: Subject, language: Language = "en") -> str:
    """The whole report.

    Args:
        subject: The model, its evidence, and what was found when it was opened.
        language: Of our words, and of sentences that our checks have written.
    """
    words = Words(language)
    subject = in_language(subject, words)
    asked = Asked(subject, words, Facts(words, subject.again))
    main = el(
        "main", first_screen(asked), _contents(asked), *axis_sections(asked), _examples(asked), _columns(asked),
        _later(asked), annex_section(asked), _all_facts(asked), _made(asked), id="top",
    )  # fmt: skip
    title = words("title", name=subject.name)
    head = el(
        "head", el("meta", charset="utf-8"), el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", **{"http-equiv": "Content-Security-Policy"}, content=POLICY),
        el("meta", name="generator", content=f"Trueweight {subject.trueweight}"),
        el("meta", name="color-scheme", content="light dark"), el("title", title), el("style", Html(style())),
    )  # fmt: skip
    skip = el("a", words("skip"), href="#answers", class_="skip")
    body = el("body", skip, main, asked.facts.boxes())
    return f"<!doctype html>\n{el('html', head, body, lang='zh-Hans' if language == 'zh' else 'en')}\n"


def _contents(asked: Asked) -> Html:
    words = asked.words
    axes = ("quality", "comparison", "curve", "confusion", "calibration", "slices", "fairness", "drift", "robustness",
            "honesty", "explanation", "cost", "fit")  # fmt: skip
    present = {e.axis for e in asked.subject.evidence}
    shown = [a for a in axes if a in present or a not in ("curve", "confusion", "fit")]
    links = [el("a", words.axis(axis), href=f"#{axis}") for axis in shown]
    rest = ["examples"] if asked.subject.elsewhere is None else []  # only a bundle explains rows
    rest += ["columns", "later", "annex", "facts", "made"]
    links += [el("a", words(key), href=f"#{key}") for key in rest]
    return el("nav", *[el("span", link) for link in links], aria_label=words("contents"), class_="contents")


def _examples(asked: Asked) -> Html | None:
    words, examples = asked.words, asked.subject.examples
    if asked.subject.elsewhere is not None:
        return None
    if examples is None:
        parts: list[Child] = [
            el("p", words("examples.none"), " ", el("code", "trueweight report --examples"), class_="state")
        ]
    else:
        parts = [*example_parts(examples, words, asked.facts)]
    about = words("examples.kept") if examples else ""
    if examples and examples.source:
        about = words("examples.about", source=short(examples.source, 80))
    return section("examples", words("examples"), about, *parts)


def _columns(asked: Asked) -> Html:
    subject, words = asked.subject, asked.words
    head = el(
        "tr",
        *[
            el("th", words(f"th.{key}"), scope="col")
            for key in ("column", "role", "type", "missing", subject.key("held"))
        ],
    )
    lines = []
    for facts in list(subject.signature.columns.values())[:MOST_COLUMNS]:
        missing = f"{100 * facts.missing / facts.rows:.3g} %" if facts.rows and facts.missing else "0"
        held = subject.summaries.get(facts.name, "") or words.told(facts.why)
        cells = [words.told(facts.role), words.type(facts.type), missing, short(held, 160)]
        lines.append(el("tr", el("th", short(facts.name, 60), scope="row"), *[el("td", cell) for cell in cells]))
    table = el("table", el("thead", head), el("tbody", *lines), class_="facts")
    notes = [e for e in subject.of_axis("data") if isinstance(e.value, str)]
    told = el("ul", *[el("li", short(str(e.value), 300)) for e in notes if e.metric == "note"]) if notes else None
    counted = [e for e in subject.of_axis("data") if not isinstance(e.value, str)]
    more = el("details", el("summary", words("rest")), fact_rows(asked, counted)) if counted else None
    about = words.about(subject.key("data"))
    return section("columns", words("columns"), about, told, el("div", table, class_="scroll"), more)


def _later(asked: Asked) -> Html:
    words, later = asked.words, asked.subject.later
    parts = [_one_later(asked, one) for one in later] or [el("p", words("later.none"), class_="state")]
    return section("later", words("later"), words(asked.subject.key("later.about")), *parts)


def _one_later(asked: Asked, one: Later) -> Html:
    words = asked.words
    title: list[Child] = [words("later.by", by=short(one.by, 80), at=one.produced_at)]
    title += [] if one.matches else [" ", el("b", words("later.other"), class_="word failed")]
    told = [e for e in one.evidence if e.axis == "quality" and "[" not in e.metric]
    flags = [e for e in one.evidence if e.metric.endswith("flag") and e.value == 1]
    return el("details", el("summary", *title), fact_rows(asked, [*flags, *told]), open=True)


def _all_facts(asked: Asked) -> Html:
    words, by_axis = asked.words, dict[str, list[Child]]()
    for axis in dict.fromkeys(e.axis for e in asked.subject.evidence):
        mine = [e for e in asked.subject.evidence if e.axis == axis]
        by_axis[axis] = [el("summary", f"{words.axis(axis)} ({len(mine):,})"), fact_rows(asked, mine)]
    folds = [el("details", *inside) for inside in by_axis.values()]
    return section("facts", words("facts"), words("facts.about"), *folds)


def _made(asked: Asked) -> Html:
    subject, words = asked.subject, asked.words
    files = [
        el("tr", el("th", el("code", name), scope="row"), el("td", el("code", digest)))
        for name, digest in subject.files.items()
    ]
    head = el("tr", el("th", words("th.file"), scope="col"), el("th", words("th.digest"), scope="col"))
    before, _, after = words("same.digest", digest="\0").partition("\0")
    verify = f"trueweight verify {subject.name}.bundle --recompute --data SOURCE"
    command = subject.elsewhere.command if subject.elsewhere else verify
    table = el("div", el("table", el("thead", head), el("tbody", *files), class_="facts"), class_="scroll")
    return section(
        "made", words("made"), words(subject.key("made.about")),
        el("p", before, el("code", subject.digest), after) if subject.digest else None,
        el("p", words("made.verify")), el("pre", el("code", command)),
        el("details", el("summary", words("made.files")), table) if files else None,
    )  # fmt: skip


def annex_page(subject: Subject, language: Language = "en") -> str:
    """The map to Annex IV alone, as a list to be worked through."""
    words = Words(language)
    return annex_markdown(Asked(subject, words, Facts(words, subject.again)))
