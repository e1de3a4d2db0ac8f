"""The words of a text, a few at most, whose change makes the model most wrong: a greedy search that only asks it.

Source: Gao et al. 2018, "Black-box generation of adversarial text sequences to evade deep learning classifiers",
arXiv:1801.04354 (DeepWordBug), sections 3.1 and 3.2. As there, words are ranked by what their removal does, and two
neighbouring letters of a word change places. We may also leave words out, ask anew after each change, and undo nothing;
a change that does not make the answer worse is not made.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.data.reading import cells_of
from trueweight.data.table import Table
from trueweight.evaluate.attack_scores import Attack, attacked_scores, no_attack
from trueweight.evaluate.changed_rows import some_rows
from trueweight.evaluate.corrupt_texts import TEXTS
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.mosaic import with_column
from trueweight.evaluate.row_losses import row_losses
from trueweight.evidence.record import Entry, Method
from trueweight.metrics.truth import Truth
from trueweight.seeds import stream
from trueweight.spec.robustness import TextAttackSpec

__all__ = ["ROWS", "rewritten", "swapped_letters", "text_attacks", "worst_texts"]

ROWS = 100
"""Judged rows that are attacked, at most."""

PLACES = 64
"""Words of a row that are ranked; of longer texts, chosen by chance."""

KEPT = 8
"""Words of a row, those whose removal hurts most, that are tried at each step; never fewer than may be changed."""

ASKED = 2000
"""Rows that are asked at a time."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Signs of scripts without spaces count as words."""

_Texts = Mapping[str, list[str | None]]
"""By column."""
_Place = tuple[str, int]
"""A column, and the number of a word in its text."""
_Edits = Mapping[_Place, str]
"""What takes the place of words."""


def text_attacks(judging: Judging) -> list[Entry]:
    """Scores of rows some of whose words were changed against the model, if the spec asks for it."""
    how = judging.ask.evaluate.robustness.text_attack
    if how is None:
        why = "not asked for: evaluate.robustness.text_attack says how many words may be changed"
        return [no_attack(judging, "text_attack", "not_applicable", why)]
    rows, entries = some_rows(judging, ROWS), list[Entry]()
    table = judging.table.take(rows)
    for target, truth in judging.truths.items():
        told = truth.take(rows)
        changed = worst_texts(judging, table, told, target, how)
        if changed is None:
            continue
        before, after = (judging.predictor.predict(t)[target] for t in (table, changed))
        method = Method(
            "greedy change of words", "1", how.model_dump(mode="json") | {"rows": len(rows)}, judging.ask.seed
        )
        attack = Attack("text_attacked", f"up to {how.words} words of a row changed ({', '.join(how.changes)})", method)
        entries += attacked_scores(judging, target, before, after, told, attack)
    why = "the model reads no text with words"
    return entries or [no_attack(judging, "text_attack", "not_applicable", why)]


def swapped_letters(word: str) -> str | None:
    """A word with two neighbours that differ in each other's place, those nearest to its middle; None without any."""
    different = [i for i in range(len(word) - 1) if word[i] != word[i + 1]]
    if not different:
        return None
    at = min(different, key=lambda i: (abs(2 * i + 2 - len(word)), i))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def rewritten(text: str, edits: Mapping[int, str]) -> str:
    """A text with other words in some places; one that is left out ("") takes the space before it along."""
    parts, end = list[str](), 0
    for number, word in enumerate(_WORD.finditer(text)):
        new = edits.get(number, word[0])
        parts += [text[end : word.start()], new] if new else []
        end = word.end()
    return ("".join(parts) + text[end:]).strip() if "" in edits.values() else "".join(parts) + text[end:]


@dataclass(frozen=True)
class _Asking:
    """A predictor to be asked about changed rows."""

    judging: Judging
    table: Table
    truth: Truth
    target: str
    texts: _Texts

    def table_of(self, rows: np.ndarray, edits: Sequence[_Edits]) -> Table:
        """These rows, each with its changes."""
        changed = self.table.take(rows)
        for name, texts in self.texts.items():
            mine = [{number: new for (column, number), new in some.items() if column == name} for some in edits]
            cells = [_changed(texts[row], some) for row, some in zip(rows.tolist(), mine, strict=True)]
            changed = with_column(changed, name, TEXTS.write(cells))
        return changed

    def losses(self, asked: Sequence[tuple[int, _Edits]]) -> np.ndarray:
        """How wrong each answer is; 0 where nobody knows the truth."""
        found = np.zeros(len(asked))
        for start in range(0, len(asked), ASKED):
            some = asked[start : start + ASKED]
            rows = np.array([row for row, _ in some], np.int64)
            answer = self.judging.predictor.predict(self.table_of(rows, [edits for _, edits in some]))[self.target]
            told = row_losses(answer, self.truth.take(rows), ())
            if told is not None:
                found[start + told.rows] = told.tested_N
        return found


def _changed(text: str | None, edits: Mapping[int, str]) -> str | None:
    return text if text is None or not edits else rewritten(text, edits)


def worst_texts(judging: Judging, table: Table, truth: Truth, target: str, how: TextAttackSpec) -> Table | None:
    """The rows with words changed against the model; None where it reads no words.

    Args:
        judging: The model.
        table: Rows to change.
        truth: Of the target, of these rows.
        target: What the model is to be wrong about.
        how: How many words, and how they may be changed.
    """
    signature = judging.predictor.signature
    facts = [f for f in signature.features() if f.type == "text" and f.name in table.names]
    asking = _Asking(
        judging, table, truth, target, {f.name: TEXTS.load(cells_of(table, f, signature.options), f) for f in facts}
    )
    places = [_places(asking.texts, row, judging.ask.seed) for row in range(len(table))]
    if not any(places):
        return None
    edits: list[dict[_Place, str]] = [{} for _ in places]
    loss = asking.losses([(row, {}) for row in range(len(table))])
    kept = _kept(asking, places, max(KEPT, how.words))
    for _ in range(how.words):
        tried = [(row, {**edits[row], at: new}) for row, at, new in _changes(asking.texts, kept, edits, how)]
        met = asking.losses(tried)
        for place in np.argsort(-met, kind="stable").tolist():
            row, some = tried[place]
            if met[place] > loss[row] and len(some) == len(edits[row]) + 1:  # the worst of this step comes first
                loss[row], edits[row] = met[place], some
    return asking.table_of(np.arange(len(table)), edits)


def _words(text: str | None) -> list[str]:
    return _WORD.findall(text or "")


def _places(texts: _Texts, row: int, seed: int) -> list[_Place]:
    found = [(name, number) for name, cells in texts.items() for number in range(len(_words(cells[row])))]
    if len(found) <= PLACES:
        return found
    return [found[i] for i in np.sort(stream(seed, "text attack", row).permutation(len(found))[:PLACES])]


def _kept(asking: _Asking, places: Sequence[Sequence[_Place]], most: int) -> list[list[_Place]]:
    """Of each row, the words whose removal hurts most."""
    tried = [(row, at) for row, some in enumerate(places) for at in some]
    met = asking.losses([(row, {at: ""}) for row, at in tried])
    kept: list[list[_Place]] = [[] for _ in places]
    for place in np.argsort(-met, kind="stable").tolist():
        row, at = tried[place]
        if len(kept[row]) < most:
            kept[row].append(at)
    return kept


def _changes(
    texts: _Texts,
    kept: Sequence[Sequence[_Place]],
    edits: Sequence[_Edits],
    how: TextAttackSpec,
) -> Iterator[tuple[int, _Place, str]]:
    """Every single change that is still open."""
    for row, some in enumerate(kept):
        words = {name: _words(cells[row]) for name, cells in texts.items()}
        for at in some:
            if at in edits[row]:
                continue
            news = {"delete": "", "swap": swapped_letters(words[at[0]][at[1]])}
            yield from ((row, at, new) for change in how.changes if (new := news[change]) is not None)
