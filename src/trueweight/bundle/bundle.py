"""A bundle in memory, as people use it from Python."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trueweight.bundle.asked import require_writing, row_table, written_target
from trueweight.bundle.bake_off import SECONDS, BakeOff, run_as
from trueweight.bundle.format import Manifest
from trueweight.bundle.load import Loaded, load_bundle
from trueweight.bundle.long_cells import empty_words, long_words
from trueweight.bundle.summary import results, value_words, verdicts
from trueweight.data.cells import MediaCells
from trueweight.data.media import OUTSIDE
from trueweight.data.reading import cells_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.data.together import unusualness, why_unknown
from trueweight.errors import DataError, SpecError
from trueweight.evidence.record import Entry, Evidence
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.words import counted
from trueweight.model.predictors.running import Running, running_of
from trueweight.model.predictors.stream import Piece, stream_rows
from trueweight.model.protocols import GREEDY, Decoding, Predictor
from trueweight.spec.run import RunSpec

__all__ = ["Bundle", "dirt_words", "key_of", "open_bundle", "require_columns"]

_LOG = logging.getLogger("trueweight.bundle")


def open_bundle(path: Path | str, *, allow: Sequence[str] = (), check: Literal["full", "digests"] = "full") -> "Bundle":
    """Load a bundle, or refuse it; see :func:`trueweight.bundle.load.load_bundle`."""
    return Bundle(load_bundle(path, allow=allow, check=check))


class Bundle:
    """A trained model with its evidence. Read-only: a bundle is never edited.

    Args:
        loaded: From :func:`trueweight.bundle.load.load_bundle`; or use :func:`open_bundle`.
        running: How its networks are run, where that was asked for or measured.
    """

    def __init__(self, loaded: Loaded, running: BakeOff | None = None) -> None:
        self._loaded, self._running = loaded, running

    @property
    def path(self) -> Path:
        """The folder."""
        return self._loaded.path

    @property
    def name(self) -> str:
        """As the spec names the model."""
        return self._loaded.manifest.name

    @property
    def manifest(self) -> Manifest:
        """Files, parts, digest."""
        return self._loaded.manifest

    @property
    def spec(self) -> RunSpec:
        """What was asked for."""
        return self._loaded.spec

    @property
    def resolved(self) -> RunSpec:
        """What was asked for, with every default."""
        return self._loaded.resolved

    @property
    def plan(self) -> Mapping[str, Any]:
        """What a clock decided: steps, batch size, threads."""
        return self._loaded.plan

    @property
    def signature(self) -> Signature:
        """What the data taught about each column."""
        return self._loaded.signature

    @property
    def predictor(self) -> Predictor:
        """The model; the only way from rows to answers."""
        return self._loaded.predictor

    @property
    def evidence(self) -> Evidence:
        """What was measured when the bundle was made."""
        return self._loaded.evidence

    @property
    def card(self) -> str:
        """The model card, as Markdown."""
        return self._loaded.card

    @property
    def running(self) -> BakeOff | None:
        """How its networks are run here, and what that was chosen from; None: as they were tested."""
        return self._running

    def run_as(self, way: str, *, seconds: float = SECONDS) -> "Bundle":
        """The same bundle, its networks run in another way: the same answers within its tolerance, sooner.

        Args:
            way: "auto": the fastest of those that answer the golden rows as they should; or one of "eager" (as they
                were tested), "onnx", "channels_last", "channels_first", "compiled".
            seconds: That "auto" may take, about.

        Raises:
            SpecError: There is no such way, or it cannot run this model here.
            VerifyError: It answers the golden rows differently.
        """
        predictor, running = run_as(self.predictor, self._loaded.golden, way, seconds=seconds)
        return Bundle(replace(self._loaded, predictor=predictor), running)

    def run_as_known(self, known: BakeOff) -> "Bundle":
        """The same bundle, run as a bake-off of this very bundle on this machine came out."""
        return Bundle(self.run_as(known.chosen).loaded, known)

    @property
    def loaded(self) -> Loaded:
        """Everything, for those who verify or derive bundles."""
        return self._loaded

    def predict(
        self, frame: Any, *, media_dir: str | Path | None = None, ood: bool = False, how: Decoding = GREEDY,
        seed: int = 0,
    ) -> Any:  # fmt: skip
        """Answer rows.

        Args:
            frame: Anything with columns: pandas, Polars, Arrow, a dict of lists, a Hugging Face data set, or our
                Table. Columns the model reads may be missing; they then count as missing values.
            media_dir: Folder that paths of pictures and sounds start from, and stay in; by default the one that the
                model was trained with, from where we are. A Table has its own.
            ood: Say of each row how unlike the training rows it is, in a column "ood".
            how: Of models that write: ``trueweight.decoding(beams=4)`` and the like.
            seed: Of whatever is drawn.

        Returns:
            The same kind of frame with the primary key (if the spec named one and it is there) and, for each
            target, its answer and what goes with it: ``survived``, ``survived.p[1]``, ``cost.low``. Rows keep
            their order.

        Raises:
            DataError: Not a frame, or it has none of the columns that the model reads.
            SpecError: ``ood`` of a model that does not know what is usual; ``how`` of one that writes nothing.
        """
        from trueweight.data.frames import from_frame, like_frame

        if isinstance(frame, Table):
            return Table.of(self.predict_columns(frame, how=how, seed=seed, ood=ood))
        table = self._framed(from_frame(frame), media_dir)
        return like_frame(self.predict_columns(table, how=how, seed=seed, ood=ood), frame)

    def stream(
        self, row: str | Mapping[str, Any] = "", *, target: str | None = None, how: Decoding = GREEDY, seed: int = 0
    ) -> Iterator[str]:
        """Write one answer, giving it piece by piece as it is written.

        Args:
            row: For a language model how its text begins; for one that reads a single column what that holds; else
                cells by column.
            target: Which text, where the model writes several.
            how: ``trueweight.decoding(temperature=0.8)`` and the like, without beams and with one sample.
            seed: Of whatever is drawn.

        Yields:
            Pieces of whole characters. Together they are what :meth:`predict` answers.

        Raises:
            SpecError: The model writes no text, or a text was given to one that reads several columns.
        """
        for piece in self.stream_table(row_table(self.signature, row), target=target, how=how, seed=seed):
            if not piece.ends:
                yield piece.text

    def stream_table(
        self, table: Table, *, target: str | None = None, how: Decoding = GREEDY, seed: int = 0
    ) -> Iterator[Piece]:
        """The same for every row of a table, one after the other."""
        name = written_target(self.signature, target)
        require_columns(self.signature, table)
        self._warn(table)
        return stream_rows(self.predictor, table, name, how, seed)

    def _framed(self, table: Table, media_dir: str | Path | None) -> Table:
        folder = media_dir if media_dir is not None else self.resolved.data.media_dir
        return table if folder is None else replace(table, media_dir=Path(folder))

    def predict_columns(
        self, table: Table, *, how: Decoding = GREEDY, seed: int = 0, ood: bool = False
    ) -> dict[str, np.ndarray]:
        """Answers as named arrays, each with one value per row of the table, the key column first.

        Args:
            table: Rows to answer.
            how: How answers are drawn from distributions.
            seed: Of whatever is drawn.
            ood: Add how unlike the training rows each row is: see :func:`trueweight.data.together.unusualness`. The
                column is called "ood"; where a target or the key is called so, "ood_".

        Raises:
            DataError: The table has none of the columns that the model reads.
            SpecError: ``ood`` of a model that does not know what is usual.
        """
        self.require(table, how)
        unusual_N = self._unusual(table) if ood else None
        columns = self.told(table, self.predictor.predict(table, how=how, seed=seed))
        self._warn(table)
        if unusual_N is not None:
            columns["ood_" if "ood" in columns else "ood"] = unusual_N
        return columns

    def require(self, table: Table, how: Decoding) -> None:
        """Refuse what cannot be answered.

        Raises:
            DataError: The table has none of the columns that the model reads.
            SpecError: Options of writing, of a model that writes nothing.
        """
        require_columns(self.signature, table)
        require_writing(self.signature, how)

    def told(self, table: Table, answers: Mapping[str, Prediction]) -> dict[str, np.ndarray]:
        """Answers to a table's rows as named arrays, the key column first."""
        columns = key_of(self.signature, table)
        for target, prediction in answers.items():
            columns |= prediction.columns(target)
        return columns

    def _warn(self, table: Table) -> None:
        """Say what of the table cannot be read. A server, to which nobody listens, asks for every few rows."""
        if _LOG.isEnabledFor(logging.WARNING):
            for words in dirt_words(self.signature, table):
                _LOG.warning("%s", words)

    def writing_together(self, slots: int) -> Running | None:
        """A batch that everybody's texts join, where texts are all that the model answers; else None."""
        return running_of(self.predictor, slots)

    def _unusual(self, table: Table) -> np.ndarray:
        found = unusualness(self.signature, table)
        if found is None:
            why = why_unknown(self.signature, self.resolved.bundle.min_group)
            hint = "leave --ood (ood=True) out"
            raise SpecError(f"{self.name!r} cannot say how unusual rows are: {why}", where="ood", hint=hint)
        return found

    def evaluate(self, frame: Any, *, media_dir: str | Path | None = None) -> Evidence:
        """Measure the model on other rows, whose targets are known.

        Args:
            frame: As for :meth:`predict`, with the target columns.
            media_dir: As for :meth:`predict`.

        Raises:
            DataError: A target column is missing.
        """
        from trueweight.data.frames import from_frame
        from trueweight.evaluate.measure import evaluate_table

        table = frame if isinstance(frame, Table) else self._framed(from_frame(frame), media_dir)
        require_columns(self.signature, table)
        return evaluate_table(self.predictor, table, self.resolved)

    def __repr__(self) -> str:
        role, entries = results(self.evidence)
        lines = [f"Bundle {self.name!r} at {self.path}{_seen_on(role)}"]
        for entry in _overall(entries):
            value, interval = value_words(entry)
            lines.append(
                f"  {entry.target} {entry.metric} {value}{f' ({interval})' if interval else ''}, n = {entry.n}"
            )
        return "\n".join([*lines, *(f"  {verdict}" for verdict in verdicts(self.evidence))])

    def _repr_html_(self) -> str:
        role, entries = results(self.evidence)
        rows = "".join(
            f"<tr><td>{escape(entry.target or '')}</td><td>{escape(entry.metric)}</td>"
            f"{''.join(f'<td>{escape(words)}</td>' for words in value_words(entry))}<td>{entry.n or ''}</td></tr>"
            for entry in _overall(entries)
        )
        head = f"<tr><th>target</th><th>metric</th><th>{role}</th><th>interval</th><th>rows</th></tr>"
        table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else "<p>Nothing was measured.</p>"
        words = "".join(f"<p>{escape(verdict)}</p>" for verdict in verdicts(self.evidence))
        return f"<div><p><b>{escape(self.name)}</b></p>{table}{words}</div>"


def require_columns(signature: Signature, table: Table) -> None:
    """Say which of the columns that the model reads are not there; one or more must be.

    Raises:
        DataError: There is none of them.
    """
    names, there = [facts.name for facts in signature.features()], set(table.names)
    own = [facts.name for facts in signature.targets()]
    if not names and not table.names:  # a language model's own column says how texts begin, and may be left out
        hint = f"give {', '.join(map(repr, own))}: how each text begins"
        raise DataError("there is no column, and so no row", where=table.label, hint=hint)
    if not names and not there.intersection(own):  # allowed, but a misspelt header looks the same
        _LOG.warning("%s lacks %s: every text begins from nothing", table.label, ", ".join(map(repr, own)))
    lost = [name for name in names if name not in there]
    shown = ", ".join(map(repr, lost[:8])) + (", …" if len(lost) > 8 else "")
    if lost and len(lost) == len(names):
        found = f"there is {', '.join(map(repr, table.names[:8]))}: is the header right?"
        raise DataError(
            f"none of the columns that the model reads is there: {shown}",
            where=table.label,
            hint=found if table.names else "there is no column at all",
        )
    if lost:
        _LOG.warning("%s lacks %s: missing in every row", table.label, shown)


def _overall(entries: Sequence[Entry]) -> list[Entry]:
    """Without the metrics of single classes, ``recall[spam]``: there may be hundreds."""
    return [entry for entry in entries if "[" not in entry.metric]


def _seen_on(role: str) -> str:
    return {"test": ", on test rows", "validation": ", on validation rows (test rows stay sealed)"}.get(role, "")


_UNREADABLE = (
    "not a number", "infinite", "not a date", "not a vector", "wrong length", "not a set", "not a series",
)  # fmt: skip
"""Dirt that makes a value missing; other dirt is read as it was meant. Of files, all dirt does."""


def key_of(signature: Signature, table: Table) -> dict[str, np.ndarray]:
    """The column that names rows, if the model knows one and the table has it."""
    facts = signature.named("key")
    if facts is None or facts.name not in table.names:
        return {}
    raw = table.column(facts.name)
    if raw.null_count:
        # As objects: a null among whole numbers would otherwise turn them all into floats.
        return {facts.name: np.array(raw.to_pylist(), dtype=object)}
    return {facts.name: np.asarray(raw.to_numpy())}


def dirt_words(signature: Signature, table: Table) -> list[str]:
    """Columns whose cells said something that could not be read: they are answered as missing. And cells of which only
    the beginning is read, or nothing."""
    said: list[str] = []
    writes = any(facts.type == "text" for facts in signature.targets())
    empty_N = np.full(len(table), writes and bool(signature.features()))
    for facts in signature.features():
        if facts.name in table.names:
            cells = cells_of(table, facts, signature.options)
            empty_N &= cells.missing_N
            said += long_words(facts, cells, writes=writes)
            for kind in cells.notes if isinstance(cells, MediaCells) else _UNREADABLE:
                if count := cells.notes.get(kind):
                    more = "; to follow it, name a folder that holds the files (media_dir)" if kind == OUTSIDE else ""
                    said.append(f"{facts.name}: {kind} in {counted(count, 'row')}, answered as missing{more}")
    return [*said, *empty_words(int(empty_N.sum()))]
