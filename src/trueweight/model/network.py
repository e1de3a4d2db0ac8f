"""The network: encoders, fusion, heads. The only thing that is optimised, wrapped or compiled.

Shape suffixes:
    R  rows    B  rows * members
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.field import Field, Layout
from trueweight.errors import SpecError
from trueweight.model.protocols import Encoder, Fusion, Head
from trueweight.model.target import HeadType
from trueweight.model.tying import tie_tables
from trueweight.nn.answers import LINEAR
from trueweight.nn.attention import SelfAttention
from trueweight.nn.decoder import CachedAttention
from trueweight.nn.decoding import Decoding
from trueweight.nn.encoding import Ahead, Encoding, Foreseeing, Form, Tensors
from trueweight.nn.entries import Entries
from trueweight.nn.mix import Mix, taken_apart
from trueweight.nn.resizing import Resized, reads_any_size
from trueweight.nn.slots import Row
from trueweight.nn.spelling import Spelling
from trueweight.nn.texts import Begun, Texts
from trueweight.nn.turns import asks_turns, with_turns, without_turns
from trueweight.spec.base import PartSpec

__all__ = ["Network", "build_network"]

ATTENTION = SelfAttention, CachedAttention


class Network(nn.Module):
    """Fields in, answers for every target out.

    Inside, fields and targets are numbered (``encoders.f0``, ``heads.t0``): their names are the user's and may
    hold anything, dots included.

    Args:
        encoders: Modules that keep the ``Encoder`` protocol, by field.
        fusion: A module that keeps the ``Fusion`` protocol.
        heads: Modules that keep the ``Head`` protocol, by target.
        loss_weights: Share of each target in the loss; 1 where absent.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        heads: Mapping[str, nn.Module],
        loss_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.fields, self.targets = tuple(encoders), tuple(heads)
        self.encoders = nn.ModuleDict({f"f{i}": module for i, module in enumerate(encoders.values())})
        self.fusion = fusion
        self.heads = nn.ModuleDict({f"t{i}": module for i, module in enumerate(heads.values())})
        self.loss_weights = {name: (loss_weights or {}).get(name, 1.0) for name in heads}
        self.augments = nn.ModuleDict()
        self.augmented = False
        self.attends = any(isinstance(module, ATTENTION) for module in self.modules())
        """Whether any layer lets the places of a row look at each other."""
        self._turning: frozenset[str] = frozenset()
        self._resting: tuple[nn.Module, ...] = ()
        self._first: tuple[Mapping[str, Tensor | None], str] | None = None
        """Where the first of its weights is, by what holds it: looking for it takes as long as a small layer."""

    @property
    def form(self) -> Form:
        """Of the fused encoding, which all heads read."""
        return cast(Fusion, self.fusion).form

    @property
    def device(self) -> torch.device:
        """Where its weights are; the CPU if it has none."""
        if self._first is None or self._first[0].get(self._first[1]) is None:
            held = [store for module in self.modules() for store in (module._parameters, module._buffers)]
            self._first = next(((s, n) for s in held[::2] + held[1::2] for n, t in s.items() if t is not None), None)
        if self._first is None:
            return torch.device("cpu")
        return cast(Tensor, self._first[0][self._first[1]]).device

    @property
    def sparse(self) -> bool:
        """Whether answers can be had from what is not zero of the fused encoding."""
        return self.form.sparse and self.form.members == 1 and all(isinstance(h, LINEAR) for h in self.heads.values())

    def head(self, target: str) -> Head:
        """The head of a target."""
        return cast(Head, self.heads[f"t{self.targets.index(target)}"])

    def augment_with(self, chosen: Mapping[str, Sequence[PartSpec]], fields: Mapping[str, Field]) -> None:
        """Change training examples before they are encoded; answers are not touched.

        Args:
            chosen: Parts of kind augmentation by field, in order.
            fields: Columns with their codecs, by field.

        Raises:
            SpecError: Rows are to be mixed, and a target's loss needs them as they are.
        """
        for i, name in enumerate(self.fields):
            if parts := chosen.get(name):
                self._refuse_mixing(parts)
                layout = fields[name].layout()
                self.augments[f"f{i}"] = nn.Sequential(*(cast(Any, part).build(layout) for part in parts))
                self.augmented = True
        self._turning = frozenset(place for place, changes in self.augments.items() if asks_turns(changes))

    def resize_with(self, chosen: Mapping[str, tuple[float, float]], fields: Mapping[str, Field]) -> None:
        """Begin with smaller pictures, behind all other changes; see ``nn.resizing``.

        Args:
            chosen: By field: share of a side, and of the run until when.
            fields: Columns with their codecs, by field.

        Raises:
            SpecError: The encoder reads pictures of one size alone.
        """
        for i, name in enumerate(self.fields):
            if name not in chosen:
                continue
            (initial, until), layout = chosen[name], fields[name].layout()
            grid, place = layout.senses["pixel"].grid, f"f{i}"
            if not reads_any_size(self.encoders[place], grid, layout.width("pixel"), layout.width("flag"), initial):
                column = next(iter(fields[name].codecs))
                raise SpecError(
                    "the encoder reads pictures of one size alone", where=f"features.{column}.progressive_resizing",
                    hint="leave it out, or use a cnn or resnet that is pooled by mean, max or attention",
                )  # fmt: skip
            before = [self.augments[place]] if place in self.augments else []
            self.augments[place] = nn.Sequential(*before, Resized(grid, initial, until))
            self.augmented = True

    def rest(self, modules: Iterable[nn.Module]) -> None:
        """Keep parts of the network as they answer, also while the others are trained."""
        self._resting = tuple(modules)

    def train(self, mode: bool = True) -> "Network":
        """As ever, but for what rests."""
        super().train(mode)
        for module in self._resting:
            module.eval()
        return self

    def ahead(self) -> Mapping[str, Mapping[str, Ahead]]:
        """What encoders do to arrays before any weight comes in, by field and array. Nothing for fields whose training
        examples are changed first."""
        encoders = ((name, self.encoders[f"f{i}"], f"f{i}" in self.augments) for i, name in enumerate(self.fields))
        return {
            name: encoder.ahead()
            for name, encoder, changed in encoders
            if isinstance(encoder, Foreseeing) and not changed
        }

    def encode(self, batch: Batch) -> Encoding:
        """The fused encoding of a batch."""
        parts: dict[str, Encoding] = {}
        for name, encoder in zip(self.fields, self.encoders.values(), strict=True):
            parts[name] = encoder(batch.inputs[name])
        return cast(Fusion, self.fusion)(parts, batch.rows.shape[0])

    def entries(self, batch: Batch) -> Entries:
        """What is not zero of the fused encoding, where ``form.sparse`` says that this is little."""
        parts: dict[str, Encoding | Entries] = {}
        for i, name in enumerate(self.fields):
            encoder = cast(Encoder, self.encoders[f"f{i}"])
            read = cast(Any, encoder).entries if encoder.form.sparse else encoder
            parts[name] = read(batch.inputs[name])
        return cast(Entries, cast(Any, self.fusion).entries(parts))

    def _changed(self, batch: Batch) -> tuple[Batch, Mix | None]:
        """What is trained on instead of a batch, and how its rows were mixed."""
        inputs, mix = dict(batch.inputs), None
        for i, name in enumerate(self.fields):
            if (place := f"f{i}") in self.augments:
                x = with_turns(inputs[name], batch.turn_B) if place in self._turning else inputs[name]
                inputs[name], found = taken_apart(without_turns(self.augments[place](x)))
                mix = found or mix  # the recipe sees to it that no second field mixes
        return replace(batch, inputs=inputs), mix

    def _refuse_mixing(self, parts: Sequence[PartSpec]) -> None:
        mixing = [part.type for part in parts if cast(Any, part).mixes]
        bound = [name for name in self.targets if not self.head(name).row_wise]
        if mixing and bound:
            problem = f"{mixing[0]} makes one example of two rows, and the loss of target {bound[0]!r} compares rows"
            raise SpecError(problem, where="features", hint=f"leave {mixing[0]} out of augment")

    def forward(self, batch: Batch, rng: Generator, share: Tensors | None = None) -> Tensor:
        """The loss of a batch, one scalar: the targets' losses by their weights.

        Args:
            batch: Rows with targets.
            rng: For heads that draw.
            share: Of each target, where the batch is a piece of a larger one; see ``train.accumulate``.
        """
        batch, mix = self._changed(batch) if self.training and self.augmented else (batch, None)
        return self._loss(self.encode(batch), batch, mix, rng, share)

    def _loss(self, z: Encoding, batch: Batch, mix: Mix | None, rng: Generator, share: Tensors | None) -> Tensor:
        kind, weight_R = z.tokens_BLD.device.type, batch.weight_B
        halved = torch.is_autocast_enabled(kind)
        exact_z = z.with_tokens(z.tokens_BLD.float()) if halved else z
        total: Tensor | None = None
        for name, module in zip(self.targets, self.heads.values(), strict=True):
            head, y = cast(Head, module), batch.targets[name]
            # Networks may compute in half precision, losses never: a head that has a network sees to that itself.
            exact = halved and not getattr(head, "halves", False)
            loss_of = partial(head.loss, exact_z if exact else z, rng=rng)
            with torch.autocast(kind, enabled=False) if exact else nullcontext():
                mean = loss_of(y, weight_R) if mix is None else mix.loss(loss_of, y, weight_R)
            if (factor := self.loss_weights[name]) != 1:
                mean = mean * factor
            if share is not None:
                mean = mean * share[name]
            total = mean if total is None else total + mean
        assert total is not None  # a network has targets
        return total if batch.share is None else total * batch.share

    def answer(
        self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors], *, sparsely: bool = False
    ) -> Mapping[str, Tensors]:
        """Every head's outputs, by target.

        Args:
            batch: Rows.
            how: See ``model.protocols.Predictor``.
            noise: From :meth:`noise`.
            sparsely: Whether mostly empty encodings need not be filled with zeros, where all heads can do without. Such
                answers have no slope.
        """
        z = cast(Encoding, self.entries(batch)) if sparsely and self.sparse else self.encode(batch)
        return {name: self.head(name).outputs(z, how, self._given(name, batch, noise)) for name in self.targets}

    def stream(
        self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors], target: str
    ) -> tuple[Iterator[Tensors], Spelling]:
        """The output of one head that answers step by step, as it comes, and what puts one row's tokens together.

        Raises:
            SpecError: The target's head does not.
        """
        head = self.texts(target)
        return head.stream(self.encode(batch), how, self._given(target, batch, noise)), head.spelling(how)

    def begin(self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors], target: str) -> Begun:
        """Rows that one head has read and not written yet; see :meth:`Texts.begin`."""
        return self.texts(target).begin(self.encode(batch), how, self._given(target, batch, noise))

    def begin_each(
        self, batch: Batch, hows: Sequence[Decoding], noise: Mapping[str, Tensors], target: str
    ) -> tuple[Tensors, list[Row]]:
        """The same of rows that are written each in a way of its own; see :meth:`Texts.begin_each`."""
        return self.texts(target).begin_each(self.encode(batch), hows, self._given(target, batch, noise))

    def texts(self, target: str) -> Texts:
        """The head that writes a target.

        Raises:
            SpecError: It is not written token by token.
        """
        head = self.head(target)
        if not isinstance(head, Texts):
            raise SpecError(f"{target!r} is not written token by token", where="stream", hint="ask without stream")
        return head

    def _given(self, name: str, batch: Batch, noise: Mapping[str, Tensors]) -> Tensors:
        """Noise, and for heads that go on from a target, or say how probable it is, the target."""
        drawn = noise.get(name, {})
        return {**batch.targets.get(name, {}), **drawn} if self.asks_targets(name) else drawn

    def asks_targets(self, name: str) -> bool:
        """Whether the head of a target looks at it when it answers."""
        return bool(getattr(self.head(name), "asks_targets", False))

    def continues(self, name: str) -> bool:
        """Whether the head of a target goes on from what the target holds when it answers."""
        return bool(getattr(self.head(name), "continues", False))

    def noise(self, rows_R: Tensor, seed: int) -> Mapping[str, Tensors]:
        """What heads that draw samples need for these rows, by target."""
        heads = zip(self.targets, self.heads.values(), strict=True)
        return {name: cast(Head, head).noise(rows_R, seed) for name, head in heads}


def _body(encoder: PartSpec, layout: Layout, field: Field) -> nn.Module:
    """An encoder's module. What it cannot read is told with the column, where it is one of the senses."""
    try:
        return cast(nn.Module, cast(Any, encoder).build(layout))
    except SpecError as error:
        if not layout.senses:
            raise
        column = next(iter(field.codecs))  # of the senses, each has a field of its own
        raise SpecError(error.problem, where=f"features.{column}.{error.where or 'encoder'}", hint=error.hint) from None


def build_network(
    encoders: Mapping[str, PartSpec],
    fusion: PartSpec,
    fields: Mapping[str, Field],
    targets: Mapping[str, tuple[HeadType, Mapping[str, Any]]],
    *,
    solving: bool,
    boosting: bool = False,
    seed: int,
) -> Network:
    """A network with its first weights, the same for the same seed whatever was drawn before.

    Fields without a single array (no columns, or only such that give nothing) get no encoder.

    Args:
        encoders: By field.
        fusion: Joins what the encoders give.
        fields: Columns with their codecs, by field.
        targets: Head part and what it learnt, by target.
        solving: Whether the heads find their weights themselves; the body then must have none to train.
        boosting: Whether these are boosted trees.
        seed: Of the first weights.

    Raises:
        SpecError: Parts that do not fit together.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layouts = {name: layout for name, field in fields.items() if sum((layout := field.layout()).shapes.values())}
        bodies = {name: _body(encoders[name], layout, fields[name]) for name, layout in layouts.items()}
        forms = {name: cast(Encoder, body).form for name, body in bodies.items()}
        try:
            joined: nn.Module = cast(Any, fusion).build(forms)
        except ValueError as error:
            raise SpecError(str(error), where="model.fusion") from None
        form = cast(Fusion, joined).form
        if solving:
            _refuse_unsolvable(bodies, joined, form)
        if form.raw and not boosting:
            _refuse_raw(encoders)
        heads = {
            name: cast(nn.Module, _builder(part, solving=solving, boosting=boosting)(form, learnt))
            for name, (part, learnt) in targets.items()
        }
        tie_tables(bodies, fields, heads, targets)
        return Network(bodies, joined, heads, {name: part.loss_weight for name, (part, _) in targets.items()})


def _builder(part: HeadType, *, solving: bool, boosting: bool) -> Callable[[Form, Mapping[str, Any]], object]:
    if boosting:
        return part.build_boosted
    return part.build_solving if solving else part.build


def _refuse_raw(encoders: Mapping[str, PartSpec]) -> None:
    names = " and ".join(sorted({part.type for part in encoders.values()}))
    raise SpecError(
        f"encoder {names!r} hands columns on as they are, which only trees can read",
        where="model.members.fitter",
        hint="use fitter: boosting, or encoder: linear",
    )


def _refuse_unsolvable(bodies: Mapping[str, nn.Module], fusion: nn.Module, form: Form) -> None:
    trainable = [name for name, body in bodies.items() if any(True for _ in body.parameters())]
    if trainable or any(True for _ in fusion.parameters()) or form.members > 1:
        raise SpecError(
            f"this fitter needs encoders without weights; that of {', '.join(trainable) or 'the fusion'} has some",
            where="model.members.fitter",
            hint="use encoder: linear, or fitter: gradient",
        )
