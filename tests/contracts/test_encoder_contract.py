"""What every encoder promises, checked for every encoder we ship or have installed."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.registry import registry

PIXEL = Sense(
    grid=(12, 10), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3),
    covariance=tuple(tuple(0.05 * 0.9 ** abs(i - j) for j in range(12)) for i in range(12)),
)  # fmt: skip
FRAME = Sense(ragged=True, mean=(0.0, 1.0, 2.0, 3.0), std=(1.0, 2.0, 1.0, 0.5), length=30)
TOKEN = Sense(ragged=True, vocabulary=40, length=30)
BAG = Sense(ragged=True, vocabulary=60, length=30)
LAYOUTS = {
    "all": Layout({"number": 3, "flag": 2, "code": 2}, (4, 12), ((-1.0, 0.0, 1.0), (), (0.5,))),
    "numbers": Layout({"number": 2}, (), ((0.0,), (0.0, 1.0))),
    "flags": Layout({"flag": 3}),
    "codes": Layout({"code": 3}, (3, 40, 11)),
    "picture": Layout({"pixel": 3}, senses={"pixel": PIXEL}),
    "grey": Layout({"pixel": 1, "flag": 1}, senses={"pixel": Sense(grid=(9, 9), mean=(0.5,), std=(0.2,))}),
    "series": Layout({"frame": 4}, senses={"frame": FRAME}),
    "tokens": Layout({"token": 1}, senses={"token": TOKEN}),
    "bag and flag": Layout(
        {"bag": 1, "weight": 1, "flag": 1}, senses={"bag": BAG, "weight": Sense(ragged=True, mean=(0.2,), length=30)}
    ),
    "bag": Layout({"bag": 1, "weight": 1}, senses={"bag": BAG, "weight": Sense(ragged=True, length=30)}),
}
PLAIN = ("all", "numbers", "flags", "codes")
SEQUENCES = ("series", "tokens", "picture")
READS: dict[str, tuple[str, ...]] = {
    "rocket": (*PLAIN, "picture", "series", "bag"),
    "lstm": SEQUENCES,
    "gru": SEQUENCES,
    "bag": ("bag", "bag and flag", "flags"),
    "cnn": ("picture", "grey"),
    "chain": SEQUENCES,
    "linear": (*PLAIN, "picture", "series", "bag", "bag and flag"),
    "resnet": ("picture",),
    "transformer": ("picture", "series", "tokens"),
    "conformer": SEQUENCES,
}
"""What each of our encoders can read; others read plain columns."""
RECURRENT: list[dict[str, Any]] = [
    {"hidden_size": 6},
    {"hidden_size": 5, "layers": 2, "bidirectional": True, "dropout": 0.2, "pooling": "last"},
    {"hidden_size": 4, "bidirectional": True, "embedding_size": 7, "pooling": "attention"},
]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "lstm": RECURRENT,
    "gru": RECURRENT,
    "rocket": [{}, {"dilations": 2, "thresholds": 3, "seed": 4}],
    "bag": [{"width": 6, "hidden_sizes": [5]}, {"width": 6, "hidden_sizes": [], "ngram_dropout": 0.0, "dropout": 0.0}],
    "chain": [
        {"parts": [{"type": "cnn", "channels": [4, 6]}, {"type": "lstm", "hidden_size": 5, "pooling": "last"}]},
        {"parts": [{"type": "cnn", "channels": [4, 6]}, {"type": "transformer", "width": 16, "layers": 1}]},
    ],
    "cnn": [
        {"channels": [4, 6]},
        {"channels": [4], "kernel_sizes": [2], "convolutions": 3, "residual": True, "pool": "mean", "pooling": "max"},
        {
            "channels": [4, 6],
            "activation": "gelu",
            "initializer": "dirac",
            "norm_momentum": 0.4,
            "norm_eps": 1e-12,
            "norm_scale": False,
            "whitened_bias": True,
            "pooling": "max",
        },
        {"channels": [5, 6], "normalization": "layer", "activation": "silu", "whitening": False, "pooling": "flatten"},
        {
            "channels": [4, 4],
            "kernel_sizes": [3, 1],
            "convolutions": 1,
            "padding": "valid",
            "stride": 2,
            "pool": "none",
            "normalization": "none",
            "activation": "tanh",
            "pooling": "attention",
            "hidden_sizes": [7],
        },
        {"channels": [4], "pool": "none", "activation": "gelu", "dropout": 0.5, "separable": True, "pooling": "mean"},
    ],
    "columns": [{}, {"max_levels": 5}],
    "conformer": [
        {"width": 16, "layers": 2, "kernel_size": 5, "dropout": 0.0},
        {"width": 8, "heads": 2, "layers": 1, "kernel_size": 3, "hidden": 12, "pooling": "mean"},
    ],
    "linear": [{}, {"max_width": 8}],
    "mlp": [
        {"hidden_sizes": [8, 8], "embedding_size": 3},
        {"hidden_sizes": [8, 8], "members": 3, "residual": True, "normalization": "layer", "activation": "silu"},
        {"hidden_sizes": [8], "numerical_embedding": "periodic", "normalization": "rms", "activation": "gelu"},
        {"hidden_sizes": [8], "numerical_embedding": "none", "category_embedding_size": 5, "activation": "selu"},
        {"hidden_sizes": [], "members": 2, "initializer": "orthogonal"},
        {"hidden_sizes": [8], "normalization": "batch", "activation": "tanh", "initializer": "xavier_normal"},
    ],
    "realmlp": [
        {"hidden_sizes": [8, 8]},
        {"hidden_sizes": [8], "members": 3, "activation": "mish", "frequencies": 5, "sigma": 0.5, "embedding_size": 3},
        {"hidden_sizes": [], "members": 2, "rate": 1.0, "activation": "relu"},
    ],
    "resnet": [
        {"zero_residual": False, "pooling": "mean"},
        {"zero_residual": False, "layers": 50, "small": False, "checkpointing": True},
        {"zero_residual": False, "layers": 10, "width": 8, "variant": "d", "small": False, "blur_pool": True},
    ],
    "transformer": [
        {"width": 16, "layers": 2, "pooling": "attention", "dropout": 0.0},
        {"width": 16, "layers": 2, "pooling": "class", "positions": "learned", "normalization": "layer"},
        {"width": 16, "layers": 1, "norm": "post", "activation": "relu", "positions": "sinusoidal"},
        {"width": 16, "layers": 1, "activation": "swiglu", "qk_norm": True, "causal": True, "pooling": "last"},
        {"width": 16, "layers": 1, "positions": "none", "pooler": True, "checkpointing": True, "input_norm": False},
    ],
}
CASES = [
    pytest.param(name, options, layout, id=f"{name}-{i}-{layout}")
    for name in registry("encoder")
    for i, options in enumerate(VARIANTS.get(name, [{}]))
    for layout in READS.get(name, PLAIN)
]
ALONG: list[dict[str, Any]] = [
    {"channels": [4, 6]},
    {"channels": [6], "kernel_sizes": [2, 3, 4], "pool": "none", "normalization": "layer", "pooling": "max"},
    {"channels": [4, 4], "pool": "mean", "normalization": "none", "residual": True, "separable": True},
]
"""Options of cnn along sequences, where rows differ in length and cannot be laid flat."""
CASES += [
    pytest.param("cnn", options, layout, id=f"cnn-along-{i}-{layout}")
    for i, options in enumerate(ALONG)
    for layout in ("series", "tokens")
]
ROWS = 6


def arrays(layout: Layout, rows: int) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    found = {"number": torch.randn(rows, layout.width("number"), generator=rng)}
    found["flag"] = torch.randint(0, 2, (rows, layout.width("flag")), generator=rng).float()
    codes = [torch.randint(0, n, (rows, 1), generator=rng, dtype=torch.int32) for n in layout.cardinalities]
    found["code"] = torch.cat(codes, dim=1) if codes else torch.zeros(rows, 0, dtype=torch.int32)
    found |= {key: t for name in layout.senses for key, t in sensed(name, layout, rows, rng).items()}
    return {name: t for name, t in found.items() if layout.width(name.removesuffix(".length"))}


def sensed(name: str, layout: Layout, rows: int, rng: torch.Generator) -> dict[str, torch.Tensor]:
    """Arrays of the senses. Ragged ones have rows of different lengths: the first is the longest, the last empty."""
    sense, width = layout.senses[name], layout.width(name)
    if not sense.ragged:
        return {name: torch.randint(0, 256, (rows, *sense.grid, width), generator=rng, dtype=torch.uint8)}
    length = torch.randint(1, 12, (rows,), generator=torch.Generator().manual_seed(5))
    length[:1], length[1:][-1:] = 12, 0
    real = (torch.arange(12) < length.unsqueeze(1)).unsqueeze(2)
    if sense.vocabulary:
        value = torch.randint(0, sense.vocabulary, (rows, 12, width), generator=rng, dtype=torch.int32)
    else:
        value = torch.rand(rows, 12, width, generator=rng)
    return {name: value * real, f"{name}.length": length}


def make(name: str, options: dict[str, Any], layout: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return registry("encoder")[name].model_validate({"type": name, **options}).build(LAYOUTS[layout]).eval()


@pytest.mark.parametrize(("name", "options", "layout"), CASES)
class TestEncoder:
    def test_output_has_the_form_it_promised(self, name, options, layout):
        encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
        z = encoder(x)
        assert z.tokens_BLD.shape[0] == ROWS * encoder.form.members
        assert z.tokens_BLD.shape[2] == encoder.form.width
        assert (len(z.grid), len(z.finer), z.members) == (
            encoder.form.grid_rank, encoder.form.levels, encoder.form.members,
        )  # fmt: skip
        assert z.tokens_BLD.dtype == torch.float32
        assert torch.isfinite(z.tokens_BLD).all() or encoder.form.raw  # there, gaps are no numbers

    def test_rows_do_not_see_each_other(self, name, options, layout):
        encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
        few = {key: t[:2] for key, t in x.items()}
        whole = encoder(x).tokens_BLD[: 2 * encoder.form.members]
        torch.testing.assert_close(encoder(few).tokens_BLD, whole)

    def test_lengths_may_be_left_out_where_all_rows_are_equally_long(self, name, options, layout):
        encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], 5)
        whole = {key: torch.full_like(t, 12) if key.endswith(".length") else t for key, t in x.items()}
        short = {key: t for key, t in x.items() if not key.endswith(".length")}
        torch.testing.assert_close(encoder(short).tokens_BLD, encoder(whole).tokens_BLD, rtol=1e-4, atol=1e-5)

    def test_no_rows_are_no_problem(self, name, options, layout):
        encoder = make(name, options, layout)
        z = encoder(arrays(LAYOUTS[layout], 0))
        assert z.tokens_BLD.shape[::2] == (0, encoder.form.width)

    def test_every_parameter_learns(self, name, options, layout):
        encoder, x = make(name, options, layout).train(), arrays(LAYOUTS[layout], 64)
        parameters = dict(encoder.named_parameters())
        if parameters:
            z = encoder(x).tokens_BLD
            (z * torch.randn(z.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
        idle = [key for key, p in parameters.items() if p.grad is None or not p.grad.any()]
        assert not idle

    def test_state_survives_a_round_trip(self, name, options, layout):
        encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
        twin = make(name, options, layout, seed=9)
        twin.load_state_dict(encoder.state_dict())
        assert torch.equal(twin(x).tokens_BLD, encoder(x).tokens_BLD)

    def test_runs_in_float64(self, name, options, layout):
        encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
        exact = make(name, options, layout).double()
        doubled = {key: t.double() if t.is_floating_point() else t for key, t in x.items()}
        assert exact(doubled).tokens_BLD.dtype == torch.float64
        # A handful of float32 layers.
        torch.testing.assert_close(exact(doubled).tokens_BLD.float(), encoder(x).tokens_BLD, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "options", "layout"), [c for c in CASES if c.values[2] in ("all", "series")])
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own loops, as of 2.13
def test_can_be_exported_for_any_number_of_rows(name, options, layout):
    encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
    rows = {key: {0: torch.export.Dim("rows")} for key in x}
    exported = torch.export.export(encoder, (x,), dynamic_shapes=(rows,)).module()
    more = arrays(LAYOUTS[layout], 11)
    torch.testing.assert_close(exported(more).tokens_BLD, encoder(more).tokens_BLD)


SEQUENTIAL = {case.values[0]: case for case in CASES if case.values[2] == "series"}
"""The last variant of each encoder: exporting takes seconds."""


@pytest.mark.parametrize(("name", "options", "layout"), SEQUENTIAL.values())
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own loops, as of 2.13
def test_can_be_exported_for_any_number_of_steps(name, options, layout):
    encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps", min=8)
    shapes = {key: {0: rows} if key.endswith(".length") else {0: rows, 1: steps} for key in x}
    exported = torch.export.export(encoder, (x,), dynamic_shapes=(shapes,)).module()
    nine = arrays(LAYOUTS[layout], 9)
    for times in (1, 2, 5):
        longer = {key: t * times if key.endswith(".length") else t.repeat(1, times, 1) for key, t in nine.items()}
        torch.testing.assert_close(exported(longer).tokens_BLD, encoder(longer).tokens_BLD)


@pytest.mark.parametrize("name", list(registry("encoder")))
def test_search_space_holds_valid_values(name):
    part = registry("encoder")[name]
    for field, values in part.search_space.items():
        for value in values:
            assert getattr(part.model_validate({"type": name, field: value}), field) == value


def test_every_encoder_has_a_page_of_its_own_in_words():
    for name in registry("encoder"):
        assert "Example:" in (registry("encoder")[name].__doc__ or ""), name


def test_parts_of_models_import_without_torch():
    code = (
        "import sys\n"
        "from trueweight.registry import registry\n"
        "for kind in ('encoder', 'fusion', 'head', 'predictor'):\n"
        "    for name in registry(kind):\n"
        "        registry(kind)[name]\n"
        "        assert 'torch' not in sys.modules, f'{kind} {name} imports torch'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
