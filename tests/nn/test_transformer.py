"""Attention and transformer blocks, against slow references and torch's own layer."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.encoders.chain import ChainEncoder
from trueweight.model.encoders.transformer import TransformerEncoder
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.patches import PatchStem
from trueweight.nn.positions import rotated, rotation, waves
from trueweight.nn.transformer import Block, Blocks, Transformer, Wishes

WIDTH, HEADS, HIDDEN, LENGTH = 12, 3, 20, 7


def wishes(**changes: object) -> Wishes:
    return Wishes(**{"layers": 2, "heads": HEADS, "hidden": HIDDEN, **changes})


def tokens(rows: int = 4, seed: int = 1, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """float64 tokens and a mask: lengths 7, 3, 1 and none."""
    real = torch.arange(LENGTH) < torch.tensor([7, 3, 1, 0])[:rows, None]
    return torch.randn(rows, LENGTH, width, generator=torch.Generator().manual_seed(seed)).double(), real


# --- A slow reference: one row, one head, one token at a time, in numpy ----------------------------------------------


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(x)


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2}


def normed(norm: nn.Module, x: np.ndarray) -> np.ndarray:
    if isinstance(norm, nn.RMSNorm):
        return x / np.sqrt((x * x).mean() + 1e-6) * norm.weight.detach().numpy()
    scaled = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return scaled * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def linear(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()


def turned(x: np.ndarray, place: int) -> np.ndarray:
    """Pairs as complex numbers, multiplied by a phase."""
    half = len(x) // 2
    phase = np.exp(1j * place * 10_000.0 ** (-np.arange(half) / half))
    z = (x[:half] + 1j * x[half:]) * phase
    return np.concatenate([z.real, z.imag])


def attention(layer: nn.Module, x: list[np.ndarray], rotary: bool, causal: bool) -> list[np.ndarray]:
    qkv, size, out = [linear(layer.qkv, token) for token in x], WIDTH // HEADS, []
    for i in range(len(x)):
        heads = []
        for h in range(HEADS):
            part = lambda kind, j: qkv[j].reshape(3, HEADS, size)[kind, h]  # noqa: B023, E731
            seen = range(i + 1) if causal else range(len(x))
            turn = turned if rotary else lambda v, _: v
            q, k = normed(layer.norm_q, part(0, i)) if layer_is_normed(layer) else part(0, i), []
            k = [normed(layer.norm_k, part(1, j)) if layer_is_normed(layer) else part(1, j) for j in seen]
            score = np.array([turn(q, i) @ turn(k[n], j) / math.sqrt(size) for n, j in enumerate(seen)])
            share = np.exp(score - score.max()) / np.exp(score - score.max()).sum()
            heads.append(sum(s * part(2, j) for s, j in zip(share, seen, strict=True)))
        out.append(linear(layer.out, np.concatenate(heads)))
    return out


def layer_is_normed(layer: nn.Module) -> bool:
    return isinstance(layer.norm_q, nn.RMSNorm)


def perceptron(layer: nn.Module, x: np.ndarray, activation: str) -> np.ndarray:
    h = linear(layer.up, x)
    if activation == "swiglu":
        gate, value = h[:HIDDEN], h[HIDDEN:]
        return linear(layer.down, gate / (1 + np.exp(-gate)) * value)
    return linear(layer.down, ACTIVATIONS[activation](h))


def slowly(blocks: Blocks, x: np.ndarray, asked: Wishes) -> np.ndarray:
    """All layers for one row of real tokens alone."""
    row = list(x)
    for block in blocks.blocks:
        pre = asked.norm == "pre"
        read = [normed(block.norm_1, token) for token in row] if pre else row
        row = [a + b for a, b in zip(row, attention(block.attention, read, asked.rotary, asked.causal), strict=True)]
        row = row if pre else [normed(block.norm_1, token) for token in row]
        read = [normed(block.norm_2, token) for token in row] if pre else row
        row = [a + perceptron(block.perceptron, b, asked.activation) for a, b in zip(row, read, strict=True)]
        row = row if pre else [normed(block.norm_2, token) for token in row]
    return np.stack([normed(blocks.last, token) for token in row] if asked.norm == "pre" else row)


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "pre", "normalization": "rms", "rotary": True},
        {"norm": "post", "normalization": "layer", "activation": "relu"},
        {"normalization": "layer", "activation": "swiglu", "causal": True},
        {"qk_norm": True, "rotary": True, "causal": True, "norm": "post"},
    ],
)
def test_the_same_as_one_token_at_a_time(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    asked = wishes(**changes)
    blocks = Blocks(WIDTH, asked).double().eval()
    for p in blocks.parameters():  # norms and biases too
        nn.init.normal_(p, mean=float(p.ndim == 1 and p.mean() == 1), std=0.3)
    x, real = tokens()
    found = blocks(x, real)
    for row in range(3):
        n = int(real[row].sum())
        expected = slowly(blocks, x[row, :n].numpy(), asked)
        np.testing.assert_allclose(found[row, :n].detach().numpy(), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("pre", [False, True])
def test_the_same_as_torchs_own_layer(activation: str, pre: bool) -> None:
    torch.manual_seed(0)
    kind = "pre" if pre else "post"
    block = Block(WIDTH, wishes(norm=kind, normalization="layer", activation=activation)).double().eval()
    theirs = nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, activation=activation, batch_first=True, norm_first=pre, dtype=torch.float64
    ).eval()
    pairs = {
        "self_attn.in_proj_": block.attention.qkv, "self_attn.out_proj.": block.attention.out,
        "linear1.": block.perceptron.up, "linear2.": block.perceptron.down, "norm1.": block.norm_1,
        "norm2.": block.norm_2,
    }  # fmt: skip
    theirs.load_state_dict({f"{name}{key}": t for name, m in pairs.items() for key, t in m.state_dict().items()})
    x, real = tokens(3)
    found, expected = block(x, real[:, None, None, :], None), theirs(x, src_key_padding_mask=~real)
    torch.testing.assert_close(found[real], expected[real], rtol=1e-10, atol=1e-10)


# --- Laws --------------------------------------------------------------------------------------------------------


def encoder(**changes: object) -> Transformer:
    torch.manual_seed(0)
    fixed = {"positions": "rotary", "length": 20, "class_token": False, "input_norm": True, "pooler": False}
    own = {key: changes.pop(key) for key in list(changes) if key in fixed}
    options = fixed | own
    asked = wishes(rotary=options["positions"] == "rotary", **changes)
    return Transformer(Form(WIDTH, grid_rank=1), WIDTH, asked, **options).double()


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal", "learned", "none"])
@pytest.mark.parametrize("class_token", [False, True])
def test_a_row_alone_is_what_it_is_beside_longer_ones(positions: str, class_token: bool) -> None:
    module = encoder(positions=positions, class_token=class_token).eval()
    x, real = tokens()
    together = module(Encoding(x, real, (LENGTH,))).tokens_BLD
    for row, n in ((1, 3), (2, 1)):
        for mask in (None, torch.ones(1, n, dtype=torch.bool)):
            alone = module(Encoding(x[row : row + 1, :n], mask, (n,))).tokens_BLD[0]
            torch.testing.assert_close(alone, together[row, : len(alone)], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_an_empty_row_gives_finite_numbers_and_gradients(norm: str, qk_norm: bool) -> None:
    module = encoder(norm=norm, qk_norm=qk_norm).train()
    x, real = tokens()
    x = (x * real.unsqueeze(2)).requires_grad_()  # zeros at padding, as stems give them
    z = module(Encoding(x, real, (LENGTH,))).tokens_BLD
    z.square().sum().backward()
    assert torch.isfinite(z).all()
    assert not z[3].any()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
    assert not x.grad[3].any()


def test_a_causal_token_does_not_see_the_next_one() -> None:
    module = encoder(causal=True).eval()
    x, _ = tokens(1)
    other = x.clone()
    other[:, 4:] += 1.0
    for mask in (None, torch.ones(1, LENGTH, dtype=torch.bool)):
        before, after = (module(Encoding(t, mask, (LENGTH,))).tokens_BLD for t in (x, other))
        torch.testing.assert_close(before[:, :4], after[:, :4], rtol=1e-12, atol=1e-12)
        assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_without_positions_order_does_not_matter_and_with_them_it_does() -> None:
    x, _ = tokens(1)
    order = torch.randperm(LENGTH, generator=torch.Generator().manual_seed(3))
    for positions in ("none", "rotary", "sinusoidal", "learned"):
        module = encoder(positions=positions).eval()
        plain, mixed = (module(Encoding(t, None, (LENGTH,))).tokens_BLD for t in (x, x[:, order]))
        assert torch.allclose(plain[:, order], mixed) == (positions == "none"), positions


def test_rotary_products_know_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0)).double()
    cos, sin = rotation(30, 8, q)
    at = lambda v, i: rotated(v, (cos[i : i + 1], sin[i : i + 1]))  # noqa: E731
    products = [(at(q, i) * at(k, i + 4)).sum() for i in range(20)]
    torch.testing.assert_close(torch.stack(products), products[0].expand(20), rtol=1e-10, atol=1e-10)


def test_waves_are_those_of_the_paper() -> None:
    found = waves(9, 6, torch.zeros(1, dtype=torch.float64))
    for place in range(9):
        for pair in range(3):
            angle = place / 10_000 ** (2 * pair / 6)
            assert found[place, pair].item() == pytest.approx(math.sin(angle))
            assert found[place, pair + 3].item() == pytest.approx(math.cos(angle))
    assert waves(4, 5, torch.zeros(1)).shape == (4, 5)


def test_zero_residual_blocks_begin_as_nothing() -> None:
    x, real = tokens()
    found = Blocks(WIDTH, wishes(zero_residual=True)).double()
    torch.testing.assert_close(found(x, real), found.last(x))


@pytest.mark.parametrize("class_token", [False, True])
def test_checkpointing_changes_no_gradient(class_token: bool) -> None:
    def gradients(checkpointing: bool) -> list[Tensor]:
        module = encoder(checkpointing=checkpointing, dropout=0.3, class_token=class_token).train()
        x, real = tokens()
        torch.manual_seed(7)
        module(Encoding(x, real, (LENGTH,))).tokens_BLD.square().sum().backward()
        return [p.grad for p in module.parameters()]

    assert all(map(torch.equal, gradients(True), gradients(False)))


def test_checkpointing_keeps_less() -> None:
    def kept(checkpointing: bool) -> int:
        total: dict[int, int] = {}
        module = Blocks(64, Wishes(layers=6, heads=4, hidden=256, checkpointing=checkpointing)).train()
        note = lambda t: total.setdefault(t.untyped_storage().data_ptr(), t.nbytes) and t  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            y = module(torch.randn(8, 50, 64), None)
        del y
        return sum(total.values())

    assert kept(True) < kept(False) / 5


def test_dropout_drops_while_training_only() -> None:
    module = encoder(dropout=0.5)
    x, real = tokens()
    z = Encoding(x, real, (LENGTH,))
    assert torch.equal(module.eval()(z).tokens_BLD, module(z).tokens_BLD)
    torch.manual_seed(0)
    assert not torch.equal(module.train()(z).tokens_BLD, module(z).tokens_BLD)


def test_tokens_beyond_the_last_learnt_place_share_it() -> None:
    module = encoder(positions="learned", length=3).eval()
    x, _ = tokens(1)
    table = module.positions.table.weight
    torch.testing.assert_close(module.positions(x)[0] - x[0], table[[0, 1, 2, 2, 2, 2, 2]])


# --- Pictures --------------------------------------------------------------------------------------------------------


def test_patches_are_a_linear_layer_of_each_square() -> None:
    torch.manual_seed(0)
    mean, std = (0.4, 0.5), (0.2, 0.3)
    stem = PatchStem((5, 6), mean, std, 3, 8).double()
    pixel = torch.randint(0, 256, (2, 5, 6, 2), dtype=torch.uint8)
    z = stem({"pixel": pixel})
    assert (z.grid, z.tokens_BLD.shape) == ((2, 2), (2, 4, 8))
    value = (pixel.double() / 255 - torch.tensor(mean).double()) / torch.tensor(std).double()
    filled = torch.cat([value, torch.zeros(2, 1, 6, 2).double()], dim=1)  # the mean colour is zero
    square = filled[1, 3:6, 3:6].permute(2, 0, 1).flatten()
    expected = stem.cut.weight.flatten(1) @ square + stem.cut.bias
    torch.testing.assert_close(z.tokens_BLD[1, 3], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("side", "patch"), [(8, 1), (28, 4), (32, 4), (64, 8), (224, 32)])
def test_patches_are_chosen_by_the_size_of_the_pictures(side: int, patch: int) -> None:
    layout = Layout({"pixel": 3}, senses={"pixel": Sense(grid=(side, side), mean=(0.5,) * 3, std=(0.2,) * 3)})
    module = TransformerEncoder(width=8, heads=2, layers=1).build(layout)
    assert module.form.size == (-(-side // patch),) * 2


# --- The part --------------------------------------------------------------------------------------------------------

TOKENS = Layout({"token": 1}, senses={"token": Sense(ragged=True, vocabulary=40, length=30)})


@pytest.mark.parametrize("pooling", ["class", "mean", "attention", "max", "last"])
@pytest.mark.parametrize("positions", ["rotary", "sinusoidal", "learned"])
def test_can_be_exported_for_any_number_of_rows_of_any_length(pooling: str, positions: str) -> None:
    module = TransformerEncoder(width=16, layers=1, pooling=pooling, positions=positions).build(TOKENS).eval()

    def rows(count: int, steps: int) -> dict[str, Tensor]:
        length = torch.arange(count) % (steps + 1)
        token = torch.randint(1, 40, (count, steps, 1), dtype=torch.int32)
        return {"token": token * (torch.arange(steps) < length[:, None])[:, :, None], "token.length": length}

    count, steps = torch.export.Dim("rows"), torch.export.Dim("steps", min=2)
    shapes = {"token": {0: count, 1: steps}, "token.length": {0: count}}
    exported = torch.export.export(module, (rows(6, 9),), dynamic_shapes=(shapes,)).module()
    for other in (rows(11, 12), rows(3, 4)):
        torch.testing.assert_close(exported(other).tokens_BLD, module(other).tokens_BLD)


def test_follows_another_encoder_and_reads_its_grid_as_one_sequence() -> None:
    part = TransformerEncoder(width=8, heads=2, layers=1, pooling="class", positions="learned")
    module = part.build_on(Form(5, grid_rank=2, size=(2, 3)))
    z = module(Encoding(torch.randn(4, 6, 5), None, (2, 3)))
    assert (z.tokens_BLD.shape, z.grid, module.form) == ((4, 1, 8), (), Form(8))
    assert module.positions.table.num_embeddings == 7
    with pytest.raises(SpecError, match="'learned' need to know how many tokens"):
        part.build_on(Form(5, grid_rank=1))


def test_reads_what_a_residual_network_made_of_a_picture() -> None:
    layout = Layout({"pixel": 3}, senses={"pixel": Sense(grid=(33, 20), mean=(0.5,) * 3, std=(0.2,) * 3)})
    small = {"type": "transformer", "width": 8, "heads": 2, "layers": 1, "positions": "learned", "pooling": "mean"}
    module = ChainEncoder.model_validate({"type": "chain", "parts": ["resnet", small, small]}).build(layout)
    z = module.eval()({"pixel": torch.zeros(2, 33, 20, 3, dtype=torch.uint8)})
    assert (z.tokens_BLD.shape, module.form.width) == ((2, 1, 8), 8)
    places = [rest.encoder.positions.table.num_embeddings for rest in module.rest]
    assert places == [5 * 3, 1]  # the second one reads a single token


def test_a_layout_gives_way_to_what_is_said_beside_it() -> None:
    part = TransformerEncoder.model_validate({"type": "transformer", "layout": "bert_base", "layers": 2})
    assert (part.layers, part.width, part.norm, part.positions) == (2, 768, "post", "learned")
    assert TransformerEncoder.model_validate(part.model_dump()) == part


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"width": 10, "heads": 4}, "width 10 cannot be shared evenly by 4 heads"),
        ({"width": 12, "heads": 4}, "turn pairs, and each head has 3 places"),
        ({"layout": "bert_huge"}, "bert_base"),
        ({"layout": "bert_base", "heads": 7}, "width 768 cannot be shared evenly by 7 heads"),
        ({"layout": ["bert_base"]}, "bert_base"),
        ({"width": "wide", "heads": 3}, "integer"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TransformerEncoder.model_validate({"type": "transformer", **options})


def test_flattening_rows_of_different_lengths_is_refused() -> None:
    with pytest.raises(SpecError, match="needs rows of one length"):
        TransformerEncoder(pooling="flatten").build(TOKENS)
    with pytest.raises(SpecError, match="reads texts, pictures, sounds and series"):
        TransformerEncoder().build(Layout({"number": 2}))
