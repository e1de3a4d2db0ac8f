"""Folders of other makers: the same numbers as transformers gives, and clear words where they are broken.

What transformers gives was written down by ``scripts/foreign_fixtures.py``.
"""

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.data.foreign_tokens import FIRST, ForeignTokens, foreign_tokens
from trueweight.errors import SpecError, TrueweightError, VerifyError
from trueweight.model.foreign.folder import read_folder
from trueweight.nn.bodies import body_of, differences, put
from trueweight.nn.decoder import TransformerDecoder
from trueweight.train.folders import bodies_in_folder, body_in, written
from trueweight.train.starting import Body

FOLDERS = Path(__file__).parents[1] / "fixtures" / "foreign"
KINDS = ["bert", "gpt2", "llama"]


def expected(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDERS / kind / "expected.json").read_text())
    return found


def body(kind: str) -> Body:
    return body_in(read_folder(FOLDERS / kind))


def encoder(lent: Body) -> nn.Module:
    part: Any = lent.encoder.model_copy(update={"pooling": "none", "dropout": 0.0})
    sense = Sense(ragged=True, vocabulary=int(lent.options["tokens"]), length=24)
    return filled(part.build(Layout({"token": 1}, senses={"token": sense})), lent)


def decoder(lent: Body) -> TransformerDecoder:
    part: Any = lent.decoder
    made: TransformerDecoder = part.model_copy(update={"dropout": 0.0}).build(int(lent.options["tokens"]), None, 24)
    return filled(made, lent)


def filled(module: Any, lent: Body) -> Any:
    mine = body_of(module)
    assert mine is not None
    assert not list(differences(mine.options, _told(mine.options, lent), {}))
    put(mine, lent.tensors, lent.scale)
    return module.eval()


def _told(mine: Any, lent: Body) -> Any:
    return {name: value for name, value in lent.options.items() if name in mine}


def ours(row: list[int]) -> torch.Tensor:
    return torch.tensor([[number + FIRST for number in row[:24]]])


def told_rows(kind: str) -> list[list[int]]:
    rows = expected(kind)["tokens"]
    return rows[:4] if kind == "bert" else [rows[0], rows[3]]


def test_bert_reads_as_transformers_does():
    module = encoder(body("bert"))
    for row, states in zip(told_rows("bert"), expected("bert")["outputs"], strict=True):
        with torch.no_grad():
            z = module({"token": ours(row).unsqueeze(2)}).tokens_BLD[0].numpy()
        np.testing.assert_allclose(z, states, atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_logits_are_those_of_transformers(kind: str):
    module = decoder(body(kind))
    for row, logits in zip(told_rows(kind), expected(kind)["outputs"], strict=True):
        with torch.no_grad():
            mine = module(ours(row), {})[0, :, FIRST:].numpy()
        np.testing.assert_allclose(mine, logits, atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_decoder_reads_as_an_encoder(kind: str):
    lent = body(kind)
    tokens = ours(told_rows(kind)[0])
    with torch.no_grad():
        states = decoder(lent).states(tokens, {})
        torch.testing.assert_close(encoder(lent)({"token": tokens.unsqueeze(2)}).tokens_BLD, states, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_those_of_transformers(kind: str):
    told = expected(kind)
    lent = foreign_tokens(FOLDERS / kind, 400)
    rows = lent.tokens(told["texts"], framed=True, most=20 if kind == "bert" else None)
    mine = np.split(rows.value_MC[:, 0] - FIRST, rows.start_N1[1:-1])
    assert [row.tolist() for row in mine] == told["tokens"]
    assert ForeignTokens.from_json(json.loads(json.dumps(lent.to_json()))) == lent


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_written_again_is_the_same(kind: str):
    folder = read_folder(FOLDERS / kind)
    lent = body_in(folder)
    mine = body_of(encoder(lent) if kind == "bert" else decoder(lent))
    assert mine is not None
    part: Any = lent.decoder
    tied = {} if kind == "bert" else {"tied": part.tied}
    config, tensors = written({**mine.options, "causal": kind != "bert", **tied}, mine.tensors(), mine.scale)
    beside = ("pooler.",)
    wanted = {name: t for name, t in folder.tensors.items() if not name.startswith(beside)}
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    same = {name for name in config if config[name] == folder.config.get(name)}
    assert {"hidden_size", "n_embd"} & same and "vocab_size" in same


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(FOLDERS / "bert", tmp_path / "bert")
    return tmp_path / "bert"


def refused(folder: Path, kind: type[TrueweightError] = VerifyError) -> str:
    with pytest.raises(kind) as caught:
        bodies_in_folder(folder)
    return str(caught.value)


def test_all_wrong_tensors_are_told_with_their_shapes(copy: Path):
    tensors = load_file(copy / "model.safetensors")
    del tensors["embeddings.LayerNorm.bias"]
    tensors["encoder.layer.7.x"] = torch.zeros(3, 2)
    tensors["encoder.layer.0.output.dense.bias"] = torch.zeros(5)
    save_file(tensors, copy / "model.safetensors")
    said = refused(copy)
    assert "missing: embeddings.LayerNorm.bias (16,)" in said
    assert "not known: encoder.layer.7.x (3, 2)" in said
    assert "encoder.layer.0.output.dense.bias is (5,) and should be (16,)" in said


def test_a_kind_that_we_have_no_parts_for(copy: Path):
    change(copy, model_type="t5")
    assert "models of type 't5' cannot be started from" in refused(copy, SpecError)


def test_options_that_no_part_has(copy: Path):
    change(copy, hidden_act="mish", position_embedding_type="relative_key")
    said = refused(copy, SpecError)
    assert "hidden_act: 'mish'" in said and "position_embedding_type: 'relative_key'" in said


def test_numbers_of_a_config_that_are_none(copy: Path):
    change(copy, hidden_size="16", vocab_size=None)
    said = refused(copy)
    assert "hidden_size ('16')" in said and "vocab_size (None)" in said


def test_stretched_positions_are_refused(tmp_path: Path):
    shutil.copytree(FOLDERS / "llama", tmp_path / "llama")
    change(tmp_path / "llama", rope_parameters=None, rope_scaling={"rope_type": "llama3", "factor": 8.0})
    assert "'llama3'" in refused(tmp_path / "llama", SpecError)


def test_a_broken_file_of_weights(copy: Path):
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-100])
    assert "no whole safetensors file" in refused(copy)


def test_a_pickle_is_refused_with_the_reason(copy: Path):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "opening a pickle runs the code of whoever made it" in refused(copy)


def test_a_folder_without_a_tokenizer(copy: Path):
    (copy / "vocab.txt").unlink()
    assert "the folder has no tokenizer" in refused(copy)
    (copy / "tokenizer.model").write_bytes(b"x")
    assert "SentencePiece" in refused(copy)


def test_a_tokenizer_of_a_larger_model(copy: Path):
    (copy / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(99))]))
    assert "token numbers up to 103" in refused(copy)


def test_a_broken_tokenizer(copy: Path):
    (copy / "tokenizer.json").write_text("{")
    assert "the tokenizer cannot be read" in refused(copy)


@pytest.mark.parametrize("name", ["../../elsewhere.safetensors", "gone.safetensors"])
def test_an_index_of_files_that_are_not_there(tmp_path: Path, name: str):
    shutil.copytree(FOLDERS / "llama", tmp_path / "llama")
    index = tmp_path / "llama" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"norm.weight": name}}))
    assert ("outside the folder" if "/" in name else "1 of 1 files of weights are missing") in refused(
        tmp_path / "llama"
    )


def change(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_more_layers_than_there_are_tensors(copy: Path):
    change(copy, num_hidden_layers=10**9)  # naming each of their tensors would fill the memory
    assert "the config has 1,000,000,000 layers, and the files of weights" in refused(copy)


def test_numbers_that_are_no_weights(copy: Path):
    tensors = load_file(copy / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"] = torch.ones(16, dtype=torch.int8)
    tensors["embeddings.LayerNorm.weight"][3] = torch.nan
    save_file(tensors, copy / "model.safetensors")
    said = refused(copy)
    assert "embeddings.LayerNorm.bias holds whole numbers (int8)" in said
    assert "embeddings.LayerNorm.weight holds numbers that are not finite" in said


def test_long_lists_of_wrong_tensors_are_cut(copy: Path):
    change(copy, num_hidden_layers=12)
    said = refused(copy)
    assert "160 tensors do not fit" in said and said.count("missing: ") == 20 and "and 140 more" in said


def test_numbers_that_no_tensor_contradicts(copy: Path):
    change(copy, num_attention_heads=5)
    assert "width 16 cannot be shared evenly by 5 heads" in refused(copy)


STRANGE = ("abc", float("nan"), True, [[1]])


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "resnet-basic"])
def test_whatever_a_folder_says_is_read_or_refused(kind: str, tmp_path: Path):
    folder = tmp_path / kind
    shutil.copytree(FOLDERS / kind, folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "add_prefix_space": False}))
    refusals = 0
    for file in sorted(folder.glob("*config.json")):
        told = json.loads(file.read_text())
        for name, value in product(told, STRANGE):
            file.write_text(json.dumps({**told, name: value}))
            try:
                bodies_in_folder(folder)
            except TrueweightError:  # anything else would be a bare traceback
                refusals += 1
        file.write_text(json.dumps(told))
    assert refusals > 20
