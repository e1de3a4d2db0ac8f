"""Makes tests/fixtures/foreign: small models of transformers with random weights, and what transformers answers.

Run it with a Python that has transformers and torch; the test set needs neither this script nor transformers.

    python scripts/foreign_fixtures.py tests/fixtures/foreign
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
    LlamaConfig,
    LlamaForCausalLM,
    ResNetConfig,
    ResNetForImageClassification,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

TEXTS = [
    "The cat sat on the mat.", "", "   ", "Crème brûlée — à la carte!", "日本語のテキスト と English",
    "naïve café\tÅngström",
    "don't stop, it's 3.14% of $1,000", "UPPER lower MiXeD", "😀 family 👨‍👩‍👧", "a\u0000b\ufffdc\u200bd",
    "line\nbreak\r\n  two  spaces",
    "x" * 120, "unaffable [SEP] <|endoftext|> [MASK]", "İstanbul ﬁne ½ ①", "مرحبا بالعالم", "हिन्दी पाठ",
]  # fmt: skip

WORDS = ["the", "cat", "sat", "on", "mat", "un", "##aff", "##able", "a", "b", "c", "creme", "brulee", "naive", "cafe",
         "x", "##s", "##t", "don", "stop", "it", "s", "3", "14", "日", "本", "語", "english", "e", "##n", ".", ",", "!",
         "'", "%", "$", "—", "istanbul", "line", "break", "two", "spaces", "upper", "lower", "i", "##i"]  # fmt: skip


def bert(folder: Path) -> None:
    """WordPiece, token types, norms behind sums."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS)]
    (folder / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab={n: i for i, n in enumerate(names)}, do_lower_case=True)
    config = BertConfig(
        vocab_size=len(names) + 3,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=20,
    )
    model = shaken(BertModel(config))
    model.save_pretrained(folder)
    rows = [tokenizer(text, truncation=True, max_length=20)["input_ids"] for text in TEXTS]
    states = [model(torch.tensor([row])).last_hidden_state[0] for row in rows[:4]]
    save(folder, rows, states)


def gpt2(folder: Path) -> None:
    """Byte pairs in two files, matrices on their side."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"],
                                  show_progress=False)  # fmt: skip
    trained.train_from_iterator(TEXTS * 3, trainer)
    trained.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    tokenizer = GPT2TokenizerFast(
        vocab=vocabulary, merges=[tuple(m) for m in json.loads(trained.to_str())["model"]["merges"]]
    )
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=24,
        n_embd=16,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = shaken(GPT2LMHeadModel(config))
    model.save_pretrained(folder)
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    save(folder, rows, [model(torch.tensor([row[:24]])).logits[0] for row in (rows[0], rows[3])])


def llama(folder: Path, source: Path) -> None:
    """Grouped queries, several files of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = GPT2TokenizerFast.from_pretrained(source)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=20,
        rope_theta=500.0,
        rms_norm_eps=1e-5,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = shaken(LlamaForCausalLM(config))
    model.save_pretrained(folder, max_shard_size="8kB")  # several files with an index
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    save(folder, rows, [model(torch.tensor([row[:24]])).logits[0] for row in (rows[0], rows[3])])


def resnet(folder: Path, kind: str, width: int, processor: object) -> None:
    """Pictures: running means of batch norms, a head that is left behind, and how pictures are prepared."""
    widths = [(4 if kind == "bottleneck" else 1) * width * 2**stage for stage in range(4)]
    config = ResNetConfig(
        embedding_size=width,
        hidden_sizes=widths,
        depths=[2, 2, 2, 2] if kind == "bottleneck" else [1, 1, 1, 1],
        layer_type=kind,
        num_labels=3,
    )
    model = shaken(ResNetForImageClassification(config)).train()
    for _ in range(3):
        model(torch.randn(8, 3, 64, 64))
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    files = [picture(number, size) for number, size in enumerate([(60, 44), (40, 90), (40, 40), (23, 31)])]
    shown = processor([Image.open(io.BytesIO(file)).convert("RGB") for file in files], return_tensors="pt")
    found = model.resnet(shown["pixel_values"])
    told = {"pictures": [base64.b64encode(file).decode() for file in files]}
    told |= {"states": rounded(found.last_hidden_state), "pooled": rounded(found.pooler_output[:, :, 0, 0])}
    (folder / "expected.json").write_text(json.dumps(told) + "\n")
    (folder / "README.md").unlink(missing_ok=True)


def picture(number: int, size: tuple[int, int]) -> bytes:
    """A PNG of soft colours with an edge in it."""
    rng = np.random.default_rng(number)
    soft = Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    value = np.array(soft)
    value[size[0] // 3 :, : size[1] // 2] //= 2
    stream = io.BytesIO()
    Image.fromarray(value).save(stream, "PNG")
    return stream.getvalue()


def rounded(tensor: torch.Tensor) -> list:
    """Lists of six digits."""
    return json.loads(json.dumps(tensor.tolist()), parse_float=lambda text: round(float(text), 6))


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """So that no bias is zero and no norm one, which would hide what was left out."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def save(folder: Path, rows: list, states: list) -> None:
    """Write what tests expect beside the model."""
    told = {"texts": TEXTS, "tokens": rows, "outputs": [[[round(v, 6) for v in r] for r in s.tolist()] for s in states]}
    (folder / "expected.json").write_text(json.dumps(told, ensure_ascii=True) + "\n")
    for name in ("generation_config.json", "README.md"):
        (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    to = Path(sys.argv[1])
    with torch.no_grad():
        bert(to / "bert")
        gpt2(to / "gpt2")
        llama(to / "llama", to / "gpt2")
        torch.manual_seed(1)
        resnet(to / "resnet-basic", "basic", 4, ConvNextImageProcessorPil(size={"shortest_edge": 40}))
        cut = BitImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 36, "width": 36}, resample=3)
        resnet(to / "resnet-bottleneck", "bottleneck", 2, cut)
        resnet(to / "resnet-stretched", "basic", 2, ViTImageProcessorPil(size={"height": 40, "width": 48}))
