"""The leaf that holds a network: table in, encoded, answered in chunks, read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from trueweight.data.borrowed import slices
from trueweight.data.field import Field
from trueweight.data.reading import cells_of, column_part, encoded_of, field_from
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.model.predictors import portions
from trueweight.model.predictors.outputs import joined, on_device
from trueweight.model.protocols import GREEDY, Context, Decoding, Predictor, State, Way
from trueweight.progress import Ticker, may_stop
from trueweight.spec.base import PartSpec, part_from

if TYPE_CHECKING:
    import torch

    from trueweight.data.batch import Batch
    from trueweight.data.column import FieldArrays
    from trueweight.data.feed import Feed
    from trueweight.metrics.prediction import Prediction
    from trueweight.model.network import Network
    from trueweight.model.protocols import Runtime
    from trueweight.model.target import HeadType
    from trueweight.nn.encoding import Tensors
    from trueweight.nn.slots import Row
    from trueweight.nn.texts import Begun

__all__ = ["NetworkPredictor", "learnt_targets"]

_QUIET = 2.0
"""Seconds of answering before anybody is told how far it has come."""


def learnt_targets(signature: Signature) -> dict[str, tuple[HeadType, Mapping[str, Any]]]:
    """Head part and learnt facts of every target, as ``build_network`` takes them."""
    return {facts.name: (cast("HeadType", column_part(facts)), facts.learnt) for facts in signature.targets()}


@dataclass(frozen=True)
class NetworkPredictor:
    """A leaf. The network is put into evaluation mode while it answers."""

    signature: Signature
    fields: Mapping[str, Field]
    network: Network
    encoders: Mapping[str, PartSpec]
    fusion: PartSpec
    solving: bool
    boosted: bool = False
    """Whether its heads are boosted trees: its answers then have no slope."""
    runtime: str = "eager"
    """Name in ``model.runtimes.RUNTIMES``."""
    run: Runtime | None = None
    """What was made ahead and runs the network; None: made of it for each question."""

    def with_runtime(self, way: Way) -> NetworkPredictor:
        """The same leaf, run in another way.

        Raises:
            ValueError: No such runtime.
        """
        from trueweight.model.runtimes import KEPT, RUNTIMES

        if not isinstance(way, str):
            return replace(self, run=way(self.network.eval()))
        if way not in RUNTIMES:
            raise ValueError(f"unknown runtime {way!r}, choose from {', '.join(RUNTIMES)}")
        return replace(self, runtime=way, run=RUNTIMES[way](self.network.eval()) if way in KEPT else None)

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """Read, encode, answer; some rows at a time where the table is large."""
        found = self._answers(table, how, seed)
        if not how.times:
            return found
        from trueweight.model.word_times import in_seconds

        return in_seconds(self, found)

    def _answers(self, table: Table, how: Decoding, seed: int) -> Mapping[str, Prediction]:
        rows = portions.slice_rows(len(self.signature.columns), sensed=bool(self._sensed))
        if len(table) <= rows:
            return self.predict_feed(self.feed(table, forced=how.forced), how=how, seed=seed)
        parts, start, told = [], 0, self._telling(how)
        for some in slices(table, rows):
            feed = self.reading(self.feed(some, forced=how.forced))
            parts.append(self._outputs(feed, how, seed, start, lambda done: told.show(done, len(table))))
            start += len(some)
        return self.read(joined(parts), np.arange(len(table)))

    @cached_property
    def _sensed(self) -> tuple[str, ...]:
        """Fields that hold pictures, sounds, texts or series."""
        return tuple(name for name, field in self.fields.items() if field.sensed)

    @cached_property
    def _asking(self) -> Mapping[str, ColumnFacts]:
        """Targets whose heads look at them to say how probable they are."""
        return {facts.name: facts for facts in self.signature.targets() if self.network.asks_targets(facts.name)}

    @cached_property
    def _continuing(self) -> Mapping[str, ColumnFacts]:
        """Targets whose heads go on from what they hold."""
        return {facts.name: facts for facts in self.signature.targets() if self.network.continues(facts.name)}

    @cached_property
    def _learnt(self) -> Mapping[str, Mapping[str, Any]]:
        return {facts.name: facts.learnt for facts in self.signature.targets()}

    def feed(self, table: Table, *, forced: bool = False) -> Feed:
        """The table's rows as this leaf's network takes them, without targets but those that heads ask for.

        Args:
            table: Rows.
            forced: Whether the truth is to be scored; else heads that go on from a text are given its beginning.
        """
        import torch

        from trueweight.data.feed import Feed, Stored, stored

        inputs: dict[str, Stored] = {}
        for name in self.network.fields:
            inputs[name] = stored(encoded_of(table, self.fields[name], self.signature))
        asked = self._asking if forced else self._continuing
        given = {
            name: stored(self._target(table, facts, forced)) for name, facts in asked.items() if name in table.names
        }
        return Feed(torch.arange(len(table)), inputs, given, entire=not self._sensed)

    def _target(self, table: Table, facts: ColumnFacts, forced: bool) -> FieldArrays:
        head: Any = column_part(facts)
        cells = cells_of(table, facts, self.signature.options)
        arrays: FieldArrays = (head.encode if forced else head.prompts)(cells, facts.learnt)
        return arrays

    def stream(self, table: Table, target: str, *, how: Decoding, seed: int, before: int) -> Iterator[str]:
        """The text of a table's only row, piece by piece: whole characters, together what ``predict`` answers.

        Args:
            table: One row.
            target: The column that is written.
            how: See ``predict``.
            seed: See ``predict``.
            before: Rows that stand before it in a larger table.

        Raises:
            SpecError: The target is not written token by token.
        """
        import torch

        from trueweight.data.batch import to_device

        device = self._awake()
        with torch.inference_mode():
            _, batch = next(iter(self.reading(self.feed(table)).chunks(1, portions.CHUNK_ITEMS)))
            noise = {
                name: on_device(device, some) for name, some in self.network.noise(batch.rows + before, seed).items()
            }
            steps, text = self.network.stream(to_device(batch, device), how, noise, target)
        while True:
            with torch.inference_mode():  # not while somebody else's code runs between two pieces
                step = next(steps, None)
            piece = text.end() if step is None else text.add(int(step["token"]))
            if piece:
                yield piece
            if step is None:
                return

    def begin(
        self, table: Table, target: str, *, how: Decoding, seed: int, before: int
    ) -> Iterator[tuple[Sequence[int], Begun]]:
        """A few rows as they can be written, in one batch or more; for ``running.Running``.

        Args:
            table: The rows: all of them are decoded at once.
            target: The column that is written.
            how: See ``predict``; without beams.
            seed: See ``predict``.
            before: Rows that stand before them in a larger table.

        Yields:
            Their places in that table, and what was read for them.
        """
        import torch

        from trueweight.data.batch import to_device

        device = self._awake()
        chunks = self.reading(self.feed(table)).chunks(max(1, len(table)), portions.CHUNK_ITEMS)
        while (found := next(chunks, None)) is not None:
            place, batch = found
            with torch.inference_mode():  # not while somebody else's code runs in between
                drawn = self.network.noise(batch.rows + before, seed)
                noise = {name: on_device(device, some) for name, some in drawn.items()}
                begun = self.network.begin(to_device(batch, device), how, noise, target)
            yield (place + before).tolist(), begun

    def begin_each(
        self, table: Table, target: str, wishes: Sequence[tuple[int, int, Decoding]]
    ) -> Iterator[tuple[list[int], Tensors, list[Row]]]:
        """:meth:`begin` for rows of several people's tables.

        Args:
            table: All their rows.
            target: The column that is written.
            wishes: Of each row its number in its own table, its seed, and how it is written; one candidate of each.

        Yields:
            Some rows' places in ``table``, what was read for them, and the rows, named by their places in that.
        """
        import torch

        from trueweight.data.batch import to_device

        device = self._awake()
        for place, batch in self.reading(self.feed(table)).chunks(max(1, len(table)), portions.CHUNK_ITEMS):
            some = [wishes[row] for row in place.tolist()]
            with torch.inference_mode():
                noise = {target: on_device(device, self._noise_of(target, some))}
                begun = self.network.begin_each(to_device(batch, device), [how for _, _, how in some], noise, target)
            yield place.tolist(), *begun

    def _awake(self) -> torch.device:
        """Where the network is, which answers from now on: walking through all its modules takes as long as a step."""
        if self.network.training:
            self.network.eval()
        return self.network.device

    def _noise_of(self, target: str, wishes: Sequence[tuple[int, int, Decoding]]) -> Tensors:
        """As every row would have it in its own table."""
        import torch

        seeds: dict[int, list[int]] = {}
        for place, (_, seed, _) in enumerate(wishes):
            seeds.setdefault(seed, []).append(place)
        drawn = [
            self.network.noise(torch.tensor([wishes[place][0] for place in some]), seed)[target]
            for seed, some in seeds.items()
        ]
        back = torch.argsort(torch.tensor([place for some in seeds.values() for place in some]))
        return {name: torch.cat([one[name] for one in drawn])[back] for name in drawn[0]}

    def reading(self, feed: Feed, augmentations: Mapping[str, Sequence[PartSpec]] | None = None) -> Feed:
        """The feed with only those arrays that this leaf's network reads.

        Args:
            feed: Encoded rows.
            augmentations: What changes training examples, by field.
        """
        if not self._sensed:
            return feed
        from trueweight.model.senses import unread_by

        before = augmentations or {}
        sensed = {name: part for name, part in self.encoders.items() if name in self._sensed}
        return feed.without(
            {name: unread_by(part, self.fields[name].layout(), before.get(name, ())) for name, part in sensed.items()}
        )

    def predict_feed(self, feed: Feed, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """Answers for rows that are encoded already: the one path that all predictions of this leaf take."""
        told = self._telling(how)
        outputs = self._outputs(self.reading(feed), how, seed, 0, lambda done: told.show(done, len(feed)))
        return self.read(outputs, np.asarray(feed.rows.numpy()))

    def _telling(self, how: Decoding) -> Ticker:
        """Who is told how far answering has come, where it takes a while."""
        texts = [] if how.forced else [facts.name for facts in self.signature.targets() if facts.type == "text"]
        return Ticker(f"writing {' and '.join(texts)}" if texts else "answering", quiet=_QUIET)

    def _outputs(
        self, feed: Feed, how: Decoding, seed: int, before: int, told: Callable[[int], None]
    ) -> dict[str, Tensors]:
        """What the heads give for the rows of a feed, in its order, on the CPU.

        Args:
            feed: Encoded rows.
            how: See ``predict``.
            seed: See ``predict``.
            before: Rows that were answered before these: what is drawn for a row depends on its place in the table.
            told: Hears how many rows are answered, those before included.
        """
        import torch

        from trueweight.data.batch import to_device
        from trueweight.model.runtimes import RUNTIMES

        device = self.network.device
        training = self.network.training
        if training:  # walking through all modules takes as long as a small network answers
            self.network.eval()
        try:
            run: Runtime = self.run or RUNTIMES[self.runtime](self.network)
            parts: list[Mapping[str, Tensors]] = []
            cpu = torch.device("cpu")
            places: list[torch.Tensor] = []
            answered = before
            steps = portions.CHUNK_STEPS if self.network.attends else None
            chunks = feed.chunks(portions.chunk_rows(self.network), portions.CHUNK_ITEMS, steps)
            for place, batch in chunks if len(feed) else _nothing(feed):
                may_stop()
                places.append(place)
                drawn = self.network.noise(batch.rows + before if before else batch.rows, seed)
                noise = {name: on_device(device, tensors) for name, tensors in drawn.items()}
                found = run(batch if device == cpu else to_device(batch, device), how, noise)
                parts.append(found if device == cpu else {name: on_device(cpu, out) for name, out in found.items()})
                answered += len(place)
                told(answered)
        finally:
            if training:
                self.network.train()
        if len(parts) == 1 and feed.lengths() is None:
            return dict(parts[0])  # all at once and in their order
        back = torch.argsort(torch.cat(places))  # to the order asked
        return {name: {key: t[back] for key, t in out.items()} for name, out in joined(parts).items()}

    def read(self, outputs: Mapping[str, Tensors], rows: np.ndarray) -> Mapping[str, Prediction]:
        """What the heads gave, in the targets' own units; ``rows`` are the cases' numbers."""
        context = Context(rows)
        return {name: self.network.head(name).read(out, self._learnt[name], context) for name, out in outputs.items()}

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """Weights, codecs, and the parts by name."""
        facts = {
            "encoders": {name: part.model_dump(mode="json") for name, part in self.encoders.items()},
            "fusion": self.fusion.model_dump(mode="json"),
            "targets": list(self.network.targets),
            "solving": self.solving,
        }
        facts |= {"boosted": True} if self.boosted else {}  # bundles of before know no such word
        tensors = {name: t.detach().clone().contiguous() for name, t in self.network.state_dict().items()}
        return State("network", facts, tensors, [field.to_json() for field in self.fields.values()])

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> NetworkPredictor:
        """The inverse of :meth:`state`.

        Raises:
            SpecError: A part that is not installed.
            VerifyError: Facts, codecs or tensors that do not fit together.
        """
        leaf = cls.blank(state, signature)
        try:
            leaf.network.load_state_dict(dict(state.tensors), strict=True)
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise VerifyError(f"the network's facts, codecs and weights do not fit together: {error}") from None
        return leaf

    @classmethod
    def blank(cls, state: State, signature: Signature) -> NetworkPredictor:
        """The leaf without its weights: all but them is known, and something else may run it.

        Raises:
            SpecError: A part that is not installed.
            VerifyError: Facts and codecs that do not fit together.
        """
        from trueweight.model.network import build_network

        try:
            encoders = {name: part_from("encoder", raw) for name, raw in state.facts["encoders"].items()}
            fusion = part_from("fusion", state.facts["fusion"])
            solving, boosted = bool(state.facts["solving"]), bool(state.facts.get("boosted", False))
            fields = {raw["name"]: field_from(raw) for raw in state.codecs}
            known = learnt_targets(signature)
            targets = {name: known[name] for name in state.facts["targets"]}
            network = build_network(encoders, fusion, fields, targets, solving=solving, boosting=boosted, seed=0)
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise VerifyError(f"the network's facts and codecs do not fit together: {error}") from None
        return cls(signature, fields, network.eval(), encoders, fusion, solving, boosted)


def _nothing(feed: Feed) -> Iterator[tuple[torch.Tensor, Batch]]:
    """The batch of no rows, of which heads tell what they would answer."""
    nobody = feed.rows[:0]
    yield nobody, feed.batch(nobody)
