"""Both languages have the same words, with the same gaps to fill; and no report says that a law is kept."""

import re

from trueweight.report.annex import annex_markdown
from trueweight.report.answers import Asked
from trueweight.report.card import card_with_front_matter
from trueweight.report.facts import Facts
from trueweight.report.materials import bill_of_materials
from trueweight.report.page import annex_page, html_report
from trueweight.report.subject import AXES
from trueweight.report.terms_en import TERMS as ENGLISH_TERMS
from trueweight.report.terms_zh import TERMS as CHINESE_TERMS
from trueweight.report.words import Words
from trueweight.report.words_en import WORDS as ENGLISH_WORDS
from trueweight.report.words_zh import WORDS as CHINESE_WORDS

ENGLISH, CHINESE = {**ENGLISH_WORDS, **ENGLISH_TERMS}, {**CHINESE_WORDS, **CHINESE_TERMS}


def gaps(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_both_tables_have_the_same_keys():
    assert ENGLISH.keys() == CHINESE.keys()


def test_both_fill_the_same_gaps():
    assert {key: gaps(text) for key, text in ENGLISH.items()} == {key: gaps(text) for key, text in CHINESE.items()}


def test_nothing_is_left_untranslated():
    same = {key for key in ENGLISH if ENGLISH[key] == CHINESE[key]}
    assert same <= {"metric.roc_auc", "metric.f1", "metric.r2", "sure.interval"}
    for key, text in CHINESE.items():
        assert text
        assert key in same or re.search("[\u3000-\u9fff：（，]", text), key


def test_every_axis_has_a_name_and_a_sentence():
    for axis in AXES:
        assert f"axis.{axis}" in ENGLISH
        assert ENGLISH[f"about.{axis}"].endswith(".")


def test_a_metric_nobody_translated_keeps_its_name():
    assert Words("zh").metric("their_metric[a]") == "their metric [a]"


def test_nothing_claims_that_a_law_is_kept(subject):
    words = Words("en")
    told = [html_report(subject), html_report(subject, "zh"), annex_page(subject), bill_of_materials(subject)]
    told += [card_with_front_matter(subject, "card")]
    told += [annex_markdown(Asked(subject, words, Facts(words, subject.again)))]
    assert not [text for text in told if re.search("complian|合规", text, re.IGNORECASE)]
