"""What checks write in English has its Chinese: every sentence of their code, whole and put together."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trueweight.report.translate import in_chinese, templates
from trueweight.report.words import Words

PACKAGE = Path(__file__).parent.parent.parent / "src" / "trueweight"

NOT_TOLD = (
    "gates.py", "diff.py", "asked.py",  # of other verbs, which speak English
    "gbdt.py", "baselines.py",  # they only refuse
)  # fmt: skip
"""Files of the checks none of whose sentences stand in evidence."""

FILES = [
    *(file for file in sorted((PACKAGE / "evaluate").glob("*.py")) if file.name not in NOT_TOLD),
    *(PACKAGE / "explain" / f"{name}.py" for name in ("asked", "gradients", "methods", "proofs")),
    *(PACKAGE / "metrics" / f"{name}.py" for name in ("compare", "conformal", "interval", "recalibrate", "threshold")),
    PACKAGE / "evidence" / "energy.py", PACKAGE / "evidence" / "rapl.py", PACKAGE / "api" / "foreign.py",
    PACKAGE / "metrics" / "words.py",
]  # fmt: skip

CODE = ("(a value never seen)", "trueweight.evaluate(MODEL, SOURCE, target={}{})", "deletion against random order")
"""What stands in cells, is typed, or is the name of a metric, which has words of its own."""

SILENT_CALLS = ("Method", "stream", "stream_seed", "debug", "info", "warning", "join", "Progress", "tracking", "Metric")
"""What is given to these is a name or a log's, never told."""


def literals(file: Path) -> Iterator[str]:
    """Texts of three words or more, gaps as {}."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(id(node.value))  # a docstring
        call = isinstance(node, ast.Call) and _name(node.func) in SILENT_CALLS
        if isinstance(node, ast.Raise) or call or (isinstance(node, ast.keyword) and node.arg in ("id", "method")):
            silent |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            silent |= {id(inner) for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
    for node in ast.walk(tree):
        if id(node) not in silent and (text := _text(node)) is not None and len(re.findall(r"[a-z]{2,}", text)) >= 3:
            yield text


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return None


def squeezed(text: str) -> str:
    """The same for a template and for code: gaps side by side are one, the s of a plural is none."""
    plain = re.sub(r"(?<=[a-z])\{\}", "", re.sub(r"\{\w*\}", "{}", text))
    return re.sub(r"(\{\}\s*)+", "{} ", " ".join(plain.split())).strip("; .")


KNOWN = "\n".join(squeezed(template) for template in templates())


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_sentence_of_the_checks_has_its_chinese(file: Path):
    missing = [text for text in literals(file) if " " in text and squeezed(text) not in KNOWN]
    assert [text for text in missing if text not in CODE] == [], "add them to report/sentences_zh.py"


def test_no_check_is_left_out():
    assert len(FILES) > 40
    assert sum(len(list(literals(file))) for file in FILES) > 150


def test_a_sentence_that_is_missing_is_noticed(tmp_path: Path):
    file = tmp_path / "new_check.py"
    file.write_text('def new(n):\n    """Its docstring is not told."""\n    return f"a fault that {n} rows have"\n')
    assert list(literals(file)) == ["a fault that {} rows have"]
    assert squeezed("a fault that {} rows have") not in KNOWN


def test_both_sides_have_the_same_gaps():
    for english, chinese in templates().items():
        assert sorted(re.findall(r"\{(\w+)\}", english)) == sorted(re.findall(r"\{(\w+)\}", chinese)), english
        assert re.search("[\u3000-\u9fff]", chinese) or "{" in chinese, english


WHOLE = {
    "fewer than 40 rows say little about a shift": "少于 40 行说明不了漂移",
    "Better than linear?  No, worse: mae +0.2 (+0.1 … +0.3), same rows in 7 groups.":
        "优于 linear？否，更差：mae +0.2 (+0.1 … +0.3)，同一批数据，7 组。",
    "won: where a < 3 (lowest quarter) & b is missing, the model fails more than chance explains: accuracy 0.6, "
    "elsewhere 0.8 (2 more such parts); look at these rows, bring more of them, or keep the model from them":
        "won：在 a < 3（最低四分之一） 且 b 缺失 处，模型出错多于偶然所能解释：accuracy 为 0.6，其余为 0.8"
        "（另有 2 个这样的部分）；请查看这些行，补充更多这类数据，或不让模型用于它们",
    "'paid' alone tells 'won' almost always (99.1%): find out whether it is known before the target is, and if not, "
    "leave it out (type: ignore)":
        "仅凭 'paid' 几乎总能得知 'won'（99.1%）：请查清它是否在目标之前就已知，如果不是，就去掉它（type: ignore）",
    "chrF of texts written for validation rows: 0.400 by step 21, 0.500 by the last one":
        "为验证行写出的文本的 chrF：第 21 步 0.400，最后一步 0.500",
    "chosen; compared in steps of 64 rows: there is no time to try every way with 128":
        "已选用；以每步 64 行比较：没有时间用 128 行逐一测试",
    "numbers: noise of 0.05 standard deviations": "数值：0.05 个标准差的噪声",
    "8 levels: red, green, … (1 too rare to name)": "8 个取值：red, green, …（1 个过于罕见，不列出）",
}  # fmt: skip


@pytest.mark.parametrize("english", WHOLE)
def test_whole_sentences(english: str):
    assert in_chinese(english) == WHOLE[english]


def test_what_nobody_knows_stays_as_it_is():
    assert in_chinese("colour = red wine") is None
    assert Words("zh").told("colour = red wine") == "colour = red wine"
    assert Words("en").told("fewer than 40 rows say little about a shift").startswith("fewer")


def test_a_name_full_of_templates_ends():
    assert in_chinese("; ".join(["a is missing"] * 40))


def test_every_flag_has_words():
    sources = [file.read_text(encoding="utf-8") for file in FILES]
    flags = {name for text in sources for name in re.findall(r'"([a-z]\w*_flag)"', text)}
    assert len(flags) > 10
    for language in ("en", "zh"):
        words = Words(language)
        assert [flag for flag in flags if words.flag(flag) == flag.removesuffix("flag").replace("_", " ").strip()] == []
