"""The page of recipes: what each preset is for each family of data, and where each constant comes from.

Tables are what resolving a spec gives. Reasons are the comments that stand beside the constants in the recipe's file.
"""

import ast
import inspect
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from docs_words import cell, paragraphs, table

from trueweight.recipes import images, resolve, scaling, series, sounds, speech, tables, texts, writing
from trueweight.recipes.facts import Facts
from trueweight.recipes.senses import with_defaults
from trueweight.recipes.tables import PRESETS
from trueweight.registry import registry
from trueweight.spec.run import RunSpec

__all__ = ["recipes_page"]

ROWS = 20_000

_FAMILIES: tuple[tuple[str, str, str, ModuleType], ...] = (
    ("Tables", "number", "category", tables), ("Texts", "text", "category", texts),
    ("Pictures", "image", "category", images), ("Sounds", "audio", "category", sounds),
    ("Series", "timeseries", "category", series), ("Texts to be written", "text", "text", writing),
    ("Speech", "audio", "text", speech),
)  # fmt: skip
"""Title, types of the feature and of the target, and where the constants are."""

_HEAD = f"""# Recipes

What is done where a spec says nothing. A recipe is data: one file for each family in `src/trueweight/recipes/`, chosen
by the columns' types, the number of rows and the budget, and written out in full to `resolved.yaml` before the first
step. Constants were chosen on the calibration list of `benchmarks/lists.py` alone; the benchmark list only judges them.

`model.preset` says how much quality may cost. The tables show what it comes to for {ROWS:,} rows with one such column
and classes to predict, or a text where texts are written; a table of several kinds of columns blends every member that
any of them wants, takes the longest time, and gives each column its own encoder.
"""


def recipes_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_family(*family) for family in _FAMILIES), _shares(), _batches()])


def _family(title: str, kind: str, target: str, module: ModuleType) -> str:
    rows = [(f"`{preset}`", *_row(kind, preset, target)) for preset in PRESETS]
    head = ["preset", "members", "time", "at most passes", "network", "changed while training", "optimiser"]
    return f"## {title}\n\n{paragraphs(module.__doc__)}\n\n{table(head, rows)}\n\n{_listed(module)}\n"


def _listed(module: ModuleType) -> str:
    return "\n".join(f"* `{name}`: {cell(text)}" for name, text in _reasons(module))


def _shares() -> str:
    said = "What is decided for all families: shares of rows, and when a solved model takes part."
    return f"## Rows that select, and solved members\n\n{said}\n\n{_listed(resolve)}\n"


def _row(kind: str, preset: str, target: str) -> Iterator[str]:
    raw = {"name": "r", "data": {"source": "a.csv"}, "targets": {"y": target}, "model": {"preset": preset}}
    spec = resolve.resolve(RunSpec.model_validate(raw), Facts(ROWS, {"a": kind}, {"y": target}))
    part: Any = registry("column")[kind]
    said = speech.is_speech({"a": kind}, target)
    recipe = speech.SPEECH if said else writing.for_writing(kind, {"y": target})
    column: Any = with_defaults(part.model_validate({"type": kind}), preset, recipe=recipe)
    options = column.model_dump()
    members, budget = spec.model.members or [], spec.train.budget
    yield " + ".join("network" if member.name == "mlp" else member.name for member in members)
    yield f"{budget.time:g} s"
    network = next((member.encoder.model_dump() for member in members if member.name == "mlp"), None)
    if network is None:
        yield from [""] * 4
        return
    yield str(budget.epochs)
    yield _named(options.get("encoder") or network)
    yield ", ".join(_named(raw) for raw in options.get("augment") or [])
    assert spec.train.optimizer is not None
    yield _named(spec.train.optimizer.model_dump())


def _named(raw: dict[str, Any]) -> str:
    """A part with what differs from its defaults."""
    if raw["type"] == "chain":
        return ", then ".join(_named(part) for part in raw["parts"])
    part: Any = next(registry(kind)[raw["type"]] for kind in ("encoder", "augmentation", "optimizer")
                     if raw["type"] in registry(kind))  # fmt: skip
    usual = {} if any(field.is_required() for field in part.model_fields.values()) else part().model_dump()
    shown = [f"{key} {value}" for key, value in raw.items() if key != "type" and usual.get(key) != value]
    return f"`{raw['type']}`" + (f" ({', '.join(shown)})" if shown else "")


def _reasons(module: ModuleType) -> Iterator[tuple[str, str]]:
    """(constant, comment beside it), in the file's order."""
    text = Path(inspect.getfile(module)).read_text(encoding="utf-8")
    found = [*_comments(text), *_docstrings(text)]
    yield from ((name, words) for _, name, words in sorted(found))


def _comments(text: str) -> Iterator[tuple[int, str, str]]:
    """Comments above or beside values of the file's constants: what functions do is no choice of a recipe."""
    lines, constants = text.splitlines(), list(_constants(text))
    recipes = sum(name.isupper() and "SenseRecipe(" in lines[first - 1] for first, _, name in constants)
    block: list[str] = []
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type != tokenize.COMMENT or token.string.startswith(("# fmt", "# noqa", "# type")):
            continue
        number, alone = token.start[0], lines[token.start[0] - 1].lstrip().startswith("#")
        words = token.string.lstrip("# ")
        block = [*block, words] if alone else [words]
        following = lines[number] if alone and number < len(lines) else lines[number - 1]
        if alone and following.lstrip().startswith("#"):
            continue
        whole = " ".join(block)
        block = []
        place = number + 1 if alone else number
        owner = next((name for first, last, name in constants if first <= place <= last), None)
        if owner is not None:
            name = _name(following)
            yield number, f"{owner}.{name}" if recipes > 1 and name != owner else name, whole


def _constants(text: str) -> Iterator[tuple[int, int, str]]:
    """(first line, last line, name) of what the file itself gives a value to."""
    for part in ast.parse(text).body:
        if isinstance(part, ast.Assign | ast.AnnAssign):
            yield part.lineno, part.end_lineno or part.lineno, _target(part)


def _target(part: ast.Assign | ast.AnnAssign) -> str:
    target = part.targets[0] if isinstance(part, ast.Assign) else part.target
    return ast.unparse(target).strip("()").lstrip("_")


def _name(line: str) -> str:
    """What a line of code gives a value to."""
    found = re.match(r"\s*[\"']?(\w+)[\"']?\s*[:=]", line)
    return found[1].lstrip("_") if found else line.strip().rstrip(",")


def _docstrings(text: str) -> Iterator[tuple[int, str, str]]:
    """Strings below constants of the file."""
    for first, second in pairwise(ast.parse(text).body):
        if not isinstance(second, ast.Expr) or not isinstance(second.value, ast.Constant):
            continue
        if isinstance(first, ast.Assign | ast.AnnAssign):
            yield second.lineno, _target(first), str(second.value.value)


def _batches() -> str:
    ends = [0, *(rows for rows, _ in scaling.BATCHES)]
    rows = [(f"{start:,}", str(scaling.batch_size_for(start))) for start in ends]
    said = (
        "Rates are named at the batch size that a table of so many training rows gets. Where `train.batch_size` is set "
        "and the rate is not, rate, beta2 and decay follow it; a rate that is set stays, and then all else stays too."
    )
    law = (
        inspect.cleandoc(scaling.__doc__ or "").partition("\n\n")[2].partition("\n\nRecipes name")[0].replace("``", "`")
    )
    text = paragraphs(scaling.batch_size_for.__doc__).partition("\n\n")[2]
    return f"## Rows per step\n\n{said}\n\n{table(['training rows from', 'rows per step'], rows)}\n\n{text}\n\n{law}\n"
