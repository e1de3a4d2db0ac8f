"""Explanations on a terminal: what moves each answer, largest first, and which checks it passed."""

from collections.abc import Sequence

from trueweight.cli.tables import aligned
from trueweight.explain.record import Attribution, Change, Curve, Example, Explanation, Explanations, Item, Part, Weight
from trueweight.files import shortened
from trueweight.metrics.words import counted, shown, signed

__all__ = ["explained_table"]

MOST_PARTS, MOST_COLUMNS, WIDEST = 6, 12, 40

_TITLES = {
    "importance": "Importance: how much worse the score gets when a column is shuffled",
    "shapley": "Shapley values: what each column adds to the answer",
    "occlusion": "Occlusion: what the answer loses without a part",
    "gradients": "Integrated gradients: what each part adds to the answer, from what is usual",
    "dependence": "Partial dependence: the answer while one column changes",
    "counterfactual": "Counterfactuals: the smallest change that turns the answer",
    "prototypes": "Prototypes: kept rows that resemble these",
}


def explained_table(found: Explanations) -> str:
    """What ``trueweight explain`` prints."""
    lines: list[str] = []
    targets = list(dict.fromkeys(entry.target for entry in found))
    for target in targets:
        mine = [entry for entry in found if entry.target == target]
        for entry in mine:
            if entry.status != "not_applicable":
                lines += ["", *_entry(entry, target if len(targets) > 1 else "")]
        without = [f"  {_name(entry)}: {entry.reason}" for entry in mine if entry.status == "not_applicable"]
        lines += ["", "Not applicable", *without] if without else []
    return "\n".join(line.rstrip() for line in lines[1:])


def _name(entry: Explanation) -> str:
    return f"{entry.method} of {entry.column}" if entry.column else entry.method


def _entry(entry: Explanation, target: str) -> list[str]:
    title = _TITLES[entry.method] + (f" ({target})" if target else "")
    if not entry.shown:
        return [title, f"  FAILED, not shown: {entry.reason}"]
    weights = [item for item in entry.items if isinstance(item, Weight)]
    lines = _weights(weights) if weights else [line for item in entry.items for line in _item(item)]
    return [title, *lines, *_checked(entry)]


def _checked(entry: Explanation) -> list[str]:
    passed = [proof.name for proof in entry.proofs if proof.status == "passed"]
    open_ones = [f"{p.name} not ({p.reason})" for p in entry.proofs if p.status == "not_applicable"]
    words = [*passed, *open_ones]
    return [f"  Checked: {', '.join(words)}"] if words else []


def _weights(weights: Sequence[Weight]) -> list[str]:
    rows: list[Sequence[str]] = [("", weights[0].metric, "95 % interval")]
    for weight in weights[:MOST_COLUMNS]:
        ends = (None, None) if weight.interval is None else (weight.interval.low, weight.interval.high)
        rows.append((weight.column, *shown(weight.value, *ends)))
    more = len(weights) - MOST_COLUMNS
    return aligned(rows, first="  ") + ([f"  and {counted(more, 'column')} more"] if more > 0 else [])


def _item(item: Item) -> list[str]:
    match item:
        case Attribution():
            return _attribution(item)
        case Curve():
            return _curve(item)
        case Change():
            return [_change(item)]
        case Example():
            same = "same answer" if item.same_answer else "another answer"
            cells = ", ".join(f"{name} {cell}" for name, cell in item.cells.items())
            return [
                shortened(f"  row {item.row}: kept row {item.kept}, {same}, distance {item.distance:.2f}: {cells}", 160)
            ]
        case _:
            return []


def _attribution(item: Attribution) -> list[str]:
    # Of two classes it is always the positive one's probability, whichever is answered: "answer" would be wrong.
    what = f"probability of {item.output}: {item.answer:.3f}" if item.output else f"answer {item.answer:.4g}"
    usual = f"{item.baseline:.3f}" if item.output else f"{item.baseline:.4g}"
    order = sorted(range(len(item.parts)), key=lambda i: -abs(item.values[i]))
    largest = abs(item.values[order[0]]) if order else 0.0
    decimals = 3 if item.output or largest == 0 else max(0, 3 - len(str(int(largest))))
    rows: list[Sequence[str]] = []
    for i in order[:MOST_PARTS]:
        error = "" if item.errors is None else f"± {item.errors[i]:.{decimals}f}"
        rows.append((_part(item.parts[i]), signed(item.values[i], decimals), error))
    rest = sum(item.values[i] for i in order[MOST_PARTS:])
    if len(order) > MOST_PARTS:
        rows.append((f"{counted(len(order) - MOST_PARTS, 'other part')}", signed(rest, decimals), ""))
    return [f"  row {item.row}: {what}, usually {usual}", *aligned(rows, first="    ")]


def _part(part: Part) -> str:
    match len(part.place):
        case 4:
            top, left, bottom, right = part.place
            return f"{part.column} rows {top} to {bottom}, columns {left} to {right}"
        case 2:
            return f"{part.column} {part.place[0]} to {part.place[1]}" + (f", {part.shown}" if part.shown else "")
        case 1:
            return shortened(f"“{part.shown}”", WIDEST)
        case _:
            return shortened(f"{part.column} {part.shown}".rstrip(), WIDEST)


def _curve(item: Curve) -> list[str]:
    low, high = min(item.mean), max(item.mean)
    at_low, at_high = (item.grid[item.mean.index(end)] for end in (low, high))
    output = f"probability of {item.output} " if item.output else ""
    return [f"  {item.column}: {output}from {low:.3g} at {_value(at_low)} to {high:.3g} at {_value(at_high)}"]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _change(item: Change) -> str:
    if item.after is None:
        return f"  row {item.row}: answer {item.before}; no change of up to four columns was found that turns it"
    cells = " and ".join(f"{column} {before} → {after}" for column, before, after in item.cells)
    return f"  row {item.row}: answer {item.before} would be {item.after} with {cells}"
