"""Explained rows that somebody gave for the page: words, places in pictures and spectrograms, columns, and the checks
that each explanation had to pass. What failed its check is said to have failed, and is not drawn."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trueweight.explain.record import Attribution, Change, Curve, Explanation, Explanations, Proof
from trueweight.report.example_facts import ERRORS, ExampleFacts, place_name
from trueweight.report.facts import Facts
from trueweight.report.html import Child, Html, el, join
from trueweight.report.numbers import short
from trueweight.report.plots import Head, Row, rows_plot
from trueweight.report.words import Words
from trueweight.report.written import WrittenRow, written_parts

__all__ = ["Examples", "Picture", "example_parts"]

MOST_PARTS = 10
"""Columns of a row that are drawn, those that move the answer most."""

MOST_WORDS = 400


@dataclass(frozen=True, slots=True)
class Picture:
    """What lies below places: a picture, or the spectrogram of a sound."""

    png: bytes
    width: float
    """In the unit of places: pixels, or milliseconds."""
    height: float


@dataclass(frozen=True, slots=True)
class Examples:
    """Explanations of rows of one source."""

    found: Explanations
    pictures: Mapping[tuple[int, str], Picture] = field(default_factory=dict)
    """By row and column."""
    source: str = ""
    """As it was named; "" of rows that the bundle itself holds."""
    written: tuple[WrittenRow, ...] = ()
    """Texts that were written, by models that do."""


def example_parts(examples: Examples, words: Words, facts: Facts) -> Iterator[Html]:
    """One block for each method and target; texts that were written first."""
    yield from written_parts(examples.written, words)
    explained = {item.row for one in examples.found for item in one.items if isinstance(item, Attribution | Change)}
    rows, found = max(explained, default=0) + 1, examples.found
    for one in found:
        numbers = ExampleFacts(facts, words, one, rows, found.digest, found.seed)
        drawn = list(_items(one, examples, numbers)) if one.shown else []
        if one.shown and not drawn:
            continue
        column = f" · {one.column}" if one.column else ""
        title = el("h3", f"{words.method(one.method)} · {one.target}{column}")
        state = None if one.shown else _not_drawn(one, words)
        told = [el("li", _proof(proof, numbers)) for proof in one.proofs]
        proofs = el("ul", *told, class_="proofs") if told else None
        yield el("div", title, state, *drawn, proofs, class_="example")


def _not_drawn(one: Explanation, words: Words) -> Html:
    if one.status == "failed":
        return el("p", el("b", words("examples.failed"), class_="word failed"), f" {words.told(one.reason)}")
    return el("p", words("status.not_applicable"), words("colon"), words.told(one.reason), class_="note")


def _proof(proof: Proof, numbers: ExampleFacts) -> Child:
    sign = {"passed": ("clean", "✓"), "failed": ("bad", "✕")}.get(proof.status, ("unknown", "–"))
    told = f"{numbers.words('colon')}{short(numbers.words.told(proof.reason), 200)}" if proof.reason else ""
    return [el("span", sign[1], class_=f"sign {sign[0]}", aria_hidden="true"), " ", numbers.proof(proof), told]


def _items(one: Explanation, examples: Examples, numbers: ExampleFacts) -> Iterator[Html]:
    words = numbers.words
    for item in one.items:
        if isinstance(item, Attribution):
            yield el("div", _answer(item, numbers), *_attribution(item, one.column, examples, numbers), class_="row")
        elif isinstance(item, Change):
            yield el("p", _change(item, words), _far(item, numbers))
        elif isinstance(item, Curve) and item.grid:
            rows = [
                Row(str(x), item.mean[place], (item.low[place], item.high[place]), numbers.point(item, place))
                for place, x in enumerate(item.grid)
            ]
            yield rows_plot(rows, Head(item.column, f"{item.column} → {item.output or one.target}", words("th.value")))


def _answer(item: Attribution, numbers: ExampleFacts) -> Html:
    told = numbers.words("examples.answer", row=item.row, answer="\0", baseline="\1")
    before, _, rest = told.partition("\0")
    between, _, after = rest.partition("\1")
    return el("p", before, numbers.answer(item), between, numbers.usual(item), after)


def _change(item: Change, words: Words) -> str:
    if item.after is None:
        return words("examples.unchanged", row=item.row, before=item.before)
    cells = "; ".join(f"{column}: {short(before, 60)} → {short(after, 60)}" for column, before, after in item.cells)
    return words("examples.changed", row=item.row, before=item.before, after=item.after, cells=cells)


def _far(item: Change, numbers: ExampleFacts) -> Child:
    button = numbers.change(item)
    return [" ", el("span", numbers.words("examples.distance"), " ", button, class_="note")] if button else None


def _attribution(item: Attribution, column: str, examples: Examples, numbers: ExampleFacts) -> Iterator[Child]:
    words, lengths = numbers.words, {len(part.place) for part in item.parts}
    if lengths == {1}:
        yield _words(item)
    elif lengths in ({4}, {2}):
        yield _heat(item, examples.pictures.get((item.row, column or item.parts[0].column)), words)
    else:
        yield _strongest(item, numbers)
        return
    # Tints tell at a glance; what they stand for opens, as every number does.
    yield el("details", el("summary", words("examples.strongest")), _strongest(item, numbers))


def _strongest(item: Attribution, numbers: ExampleFacts) -> Html:
    words = numbers.words
    order = sorted(range(len(item.parts)), key=lambda place: -abs(item.values[place]))[:MOST_PARTS]
    rows = []
    for place in order:
        part, value = item.parts[place], item.values[place]
        error = item.errors[place] if item.errors is not None else None
        cell = el("span", f" {short(part.shown, 60)}", class_="note") if not part.place else None
        label = join(short(place_name(part, words), 60), cell)
        ends = None if error is None else (value - ERRORS * error, value + ERRORS * error)
        rows.append(Row(label, value, ends, numbers.share(item, place)))
    head = words("th.part" if item.parts[0].place else "th.column")
    return rows_plot(rows, Head(head, "", words("examples.moves")), zero=True)


def _strength(values: Sequence[float]) -> list[int]:
    """How strongly each is tinted, in percent: the strongest half, so that words on it can be read."""
    most = max((abs(value) for value in values), default=0.0) or 1.0
    return [round(50 * abs(value) / most) for value in values]


def _words(item: Attribution) -> Html:
    found = list(zip(item.parts, item.values, _strength(item.values), strict=True))[:MOST_WORDS]
    said = [
        [el("mark", part.shown, class_="up" if value > 0 else "down", style=f"--v:{tint}%", title=f"{value:+.3g}"), " "]
        if tint >= 3 else f"{part.shown} "
        for part, value, tint in found
    ]  # fmt: skip
    return el("p", *said, class_="words")


def _lanes(item: Attribution, height: float, *, upwards: bool) -> dict[str, tuple[float, float]]:
    """Where channels of a series, or bands of a sound, lie beneath each other; of spectrograms low tones below."""
    names = list(dict.fromkeys(part.shown for part in item.parts))
    names = names[::-1] if upwards else names
    return {name: (height * i / len(names), height * (i + 1) / len(names)) for i, name in enumerate(names)}


def _heat(item: Attribution, picture: Picture | None, words: Words) -> Html:
    """Tints over the picture: as (top, left, bottom, right), or as (first, end) of a sound's or a series' time."""
    flat = len(item.parts[0].place) == 2
    width = picture.width if picture else float(max(part.place[-1] for part in item.parts))
    height = picture.height if picture else (width / 6 if flat else float(max(part.place[2] for part in item.parts)))
    lanes = _lanes(item, height, upwards=picture is not None)
    boxes = []
    for part, value, tint in zip(item.parts, item.values, _strength(item.values), strict=True):
        top, left, bottom, right = (
            (lanes[part.shown][0], part.place[0], lanes[part.shown][1], part.place[1]) if flat else part.place
        )
        size = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        title = el("title", f"{part.shown} {value:+.3g}".strip())
        boxes.append(el("rect", title, **size, class_="up" if value > 0 else "down", opacity=tint / 65))
    below = []
    if picture is not None:
        address = f"data:image/png;base64,{b64encode(picture.png).decode()}"
        below = [el("image", href=address, width=width, height=height, preserveAspectRatio="none")]
    told = words("examples.heat", column=item.parts[0].column, row=item.row)
    return el(
        "svg", *below, *boxes, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=told,
        preserveAspectRatio="none", class_="heat wide" if flat else "heat",
    )  # fmt: skip
