"""Convolutions: over pictures in two directions, over sounds in one or two, over series and texts in one."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.senses import Pooling, pooled_by, sequence_stem
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["CnnEncoder"]

WIDE = 64
"""Side from which on the first layer of a picture network takes every second place: four times less work."""

LEAST_BANDS = 4
"""Of a spectrum, as ``n_mels`` of a sound has at least: series of fewer channels are none."""

_CHANNELS = (24, 48, 96, 128, 192, 256)
_CHANNELS_1D = (64, 128)
_CHANNELS_SPECTRUM = (32, 64, 96, 128)


class CnnEncoder(PartSpec):
    """Layers of filters that slide over a picture, or along a sound, a series or a text.

    Pictures are standardised and whitened; then come stages, each halving the size: convolution, pooling, norm,
    activation, and further convolutions. Without options as deep as the picture is large. Source: the network of Jordan
    2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, narrower, for two laptop cores. LeCun et
    al. 1998, "Gradient-based learning applied to document recognition", on pictures of 32 by 32 is
    ``{type: cnn, channels: [6, 16, 120], kernel_sizes: [5], convolutions: 1, padding: valid, pool: mean, activation:
    tanh, normalization: none, whitening: false, pooling: flatten, hidden_sizes: [84]}``.

    Example:
        ``encoder: {type: cnn, channels: [32, 64, 128], residual: true}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "channels": [[32, 64], [24, 48, 96], [64, 128, 256]],
        "convolutions": [1, 2, 3],
        "dropout": [0.0, 0.1, 0.3],
        "residual": [False, True],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["cnn"] = "cnn"
    """Name of this part."""

    channels: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    """Filters of each stage. Null: as many stages as leave about four places a side, of 24, 48, 96, … filters; 64
    and 128 along sequences."""

    over: Literal["steps", "spectrum"] = "steps"
    """How sounds are seen: step by step, all bands of a step together, or as a picture of time by frequency, where
    neighbouring bands are filtered alike. Of the latter the first layer takes every second step and band."""

    kernel_sizes: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = Field(default_factory=lambda: [3])
    """Side of the filters. For pictures one for all stages, or one for each; along sequences each layer has filters of
    all these sizes."""

    convolutions: Annotated[int, Field(ge=1)] = 2
    """Layers of each stage, for pictures."""

    padding: Literal["same", "valid"] = "same"
    """Whether filters reach beyond the edge, so that the size stays, for pictures."""

    stride: Annotated[int, Field(ge=1)] | None = None
    """Places from one filter to the next in the first layer, for pictures. Null: 1, and 2 from 64 pixels a side on."""

    pool: Literal["max", "mean", "none"] = "max"
    """What becomes of 2 by 2 places in each stage (of 2, along sequences)."""

    normalization: Literal["batch", "layer", "none"] = "batch"
    """Before each activation. batch mixes rows while training, which private training refuses."""

    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share that each batch has in the mean and spread that batch norm answers with, for pictures. More where there are
    few steps."""

    norm_eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Added to the variances that the norm divides by, for pictures."""

    norm_scale: bool = True
    """Whether the norm has a learnt factor for each channel beside its bias, for pictures."""

    activation: Literal["relu", "gelu", "silu", "selu", "tanh"] = "relu"
    """Between the layers."""

    initializer: Literal["kaiming_normal", "dirac"] = "kaiming_normal"
    """First weights of the filters, for pictures. With dirac as many filters as channels come in hand these on
    unchanged; others are drawn evenly, as torch does."""

    residual: bool = False
    """Add what the first layer of a stage gives to what the last one gives."""

    separable: bool = False
    """Filter each channel alone, then mix channels: fewer weights, less work."""

    whitening: bool | None = None
    """Begin pictures with fixed filters that make neighbouring pixels uncorrelated, known from the training rows. Null:
    unless one place alone would be left of the picture for that, as of 8 by 8 pixels after two stages."""

    whitened_bias: bool = False
    """Whether each whitened channel has a learnt bias, 0 at first."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of values that are zeroed behind the last stage in each training step."""

    pooling: Pooling = "none"
    """How the places of the last stage become one vector; none leaves them to what follows, which takes their mean."""

    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Dense layers behind the pooling."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.cnn2d.Cnn2d`` for pictures, a ``nn.spectrum.SpectrumCnn`` for sounds if asked, else a
        ``nn.cnn1d.Cnn1d``.

        Raises:
            SpecError: The columns are neither pictures nor sequences, or the filters do not fit the pictures.
        """
        if "pixel" in layout.senses:
            try:
                return self._topped(self._picture_network(layout))
            except ValueError as error:
                raise SpecError(str(error), where="encoder", hint="use fewer stages, or padding: same") from None
        if self.over == "spectrum":
            return self._topped(self._spectrum_network(layout))
        from trueweight.nn.chain import Chain

        stem: Any = sequence_stem(layout, None, self.type)
        network = self._sequence_network(stem.form)
        return self._topped(Chain(stem, [network]))

    def build_on(self, form: "Form") -> "nn.Module":
        """Along the tokens of another encoder.

        Raises:
            SpecError: It is to look at frequencies, which tokens have none of.
        """
        if self.over == "spectrum":
            raise _no_spectrum()
        return self._topped(self._sequence_network(form))

    def _topped(self, network: Any) -> "nn.Module":
        from trueweight.nn.cnn2d import Topped

        pooled: Any = pooled_by(self.pooling, network, network.form)
        if not self.hidden_sizes:
            return pooled  # type: ignore[no-any-return]  # a module
        return Topped(pooled, pooled.form, self.hidden_sizes, activation=self.activation, dropout=self.dropout)

    def _kernels(self, stages: int) -> list[int]:
        sizes = self.kernel_sizes * stages if len(self.kernel_sizes) == 1 else self.kernel_sizes
        if len(sizes) != stages:
            raise ValueError(f"{len(sizes)} kernel sizes for {stages} stages: give one for all or one for each")
        return sizes

    def _picture_network(self, layout: Layout) -> Any:
        if self.whitening is not None:
            return self._stages(layout, whitening=self.whitening)
        # Whitening takes away a row and a column, and halving an odd side takes away more: of 8 pixels, 7, then 3, then
        # 1. On examples/mixed.yaml (two stages on 8 by 8 pixels), seeds 0 to 2, R2 was 0.82, 0.75, 0.79 with it and
        # 0.86, 0.80, 0.79 without; after one stage 0.85, 0.80 with it and 0.82, 0.80 without.
        whitened = self._stages(layout, whitening=True)
        if max(whitened.form.size) > 1:
            return whitened
        plain = self._stages(layout, whitening=False)
        return plain if max(plain.form.size) > 1 else whitened

    def _stages(self, layout: Layout, *, whitening: bool) -> Any:
        from trueweight.nn.cnn2d import Cnn2d, PictureStem, Stage, StageNorm, stages_for

        sense = layout.senses["pixel"]
        stride = self.stride or (2 if min(sense.grid) >= WIDE else 1)
        covariance = sense.covariance if whitening and min(sense.grid) > stride + 1 else ()
        stem = PictureStem(sense.grid, sense.mean, sense.std, covariance, stride, bias=self.whitened_bias)
        steps = 1 if covariance else stride
        left = (stem.grid[0] // steps, stem.grid[1] // steps)
        channels = self.channels or list(_CHANNELS[: stages_for(left)])
        norm = StageNorm(self.normalization, self.norm_momentum, self.norm_eps, self.norm_scale)
        width, grid, stages = stem.width, stem.grid, []
        for place, (filters, kernel) in enumerate(zip(channels, self._kernels(len(channels)), strict=True)):
            stage = Stage(
                width, filters, grid, kernel_size=kernel, stride=steps if place == 0 else 1,
                convolutions=self.convolutions, padding=self.padding, norm=norm, activation=self.activation,
                residual=self.residual, pool=self.pool, separable=self.separable, initializer=self.initializer,
            )  # fmt: skip
            width, grid = filters, stage.grid
            stages.append(stage)
        flags = layout.width("flag")
        return Cnn2d(stem, stages, width, activation=self.activation, dropout=self.dropout, flags=flags)

    def _spectrum_network(self, layout: Layout) -> Any:
        from trueweight.nn.spectrum import SpectrumCnn

        frame = layout.senses.get("frame")
        if frame is None or len(frame.mean) < LEAST_BANDS:
            raise _no_spectrum()
        channels = self.channels or list(_CHANNELS_SPECTRUM)
        try:
            return SpectrumCnn(
                frame.mean, frame.std, channels, self._kernels(len(channels)), normalization=self.normalization,
                activation=self.activation, dropout=self.dropout, pool=self.pool, separable=self.separable,
            )  # fmt: skip
        except ValueError as error:
            raise SpecError(str(error), where="encoder.kernel_sizes") from None

    def _sequence_network(self, form: "Form") -> Any:
        from trueweight.nn.cnn1d import Cnn1d

        return Cnn1d(
            form, channels=self.channels or list(_CHANNELS_1D), kernel_sizes=self.kernel_sizes,
            normalization=self.normalization, activation=self.activation, dropout=self.dropout,
            residual=self.residual, pool=self.pool, separable=self.separable,
        )  # fmt: skip


def _no_spectrum() -> SpecError:
    hint = "leave it out; series, texts and what another encoder gives have no frequencies"
    return SpecError("over: spectrum is for columns of sounds", where="encoder.over", hint=hint)
