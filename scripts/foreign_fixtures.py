"""Makes tests/fixtures/foreign: small models of transformers with random weights, and what transformers answers.

Run it with a Python that has transformers and torch; the test set needs neither this script nor transformers.

    python scripts/foreign_fixtures.py tests/fixtures/foreign
"""

import json
import sys
from pathlib import Path

import torch
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
)

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
