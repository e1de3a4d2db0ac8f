"""A T5 by transformers' Seq2SeqTrainer, from random weights, for so many seconds. Run in the rivals' environment.

    python benchmarks/translation_t5.py TRAIN.csv ASKED.csv ANSWERS.csv SETTINGS_AS_JSON

The files have a column ``source``, the first also ``target``. What a good engineer would make of it in five minutes:
a byte-level BPE of as many tokens as ours has, sampling by length, AdamW at 1e-3 with a short warm-up and a linear end
(the steps that fit into the time are measured first), label smoothing, greedy answers with the cache.
"""

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

START = time.perf_counter()
WARM, TIMED = 5, 20
"""Steps before the clock counts, and steps that say how long one takes."""


def read(path: str) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    csv.field_size_limit(10**9)
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tokens_of(texts: list[str], size: int) -> Any:
    """A byte-level BPE that ends each text with ``</s>``."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=size, special_tokens=["<pad>", "</s>"], show_progress=False)
    core = bpe._tokenizer  # the only way to what transformers wraps
    core.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>")


def model_of(settings: dict[str, Any], size: int) -> Any:
    """A T5 of the first kind, with as many layers as ours and the given width."""
    from transformers import T5Config, T5ForConditionalGeneration

    width, heads = settings["width"], settings["heads"]
    config = T5Config(
        vocab_size=size, d_model=width, d_kv=width // heads, num_heads=heads, d_ff=4 * width,
        num_layers=settings["layers"], num_decoder_layers=settings["decoder_layers"], dropout_rate=0.1,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


def trained(settings: dict[str, Any], rows: list[dict[str, str]]) -> tuple[Any, Any, dict[str, Any]]:
    """The tokenizer, the model and what it took."""
    import torch
    from torch.utils.data import Dataset
    from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

    torch.manual_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])
    tokenizer = tokens_of([text for row in rows for text in (row["source"], row["target"])], settings["tokens"])
    longest = settings["longest"]

    def coded(name: str) -> list[list[int]]:
        return [[*ids[: longest - 1], 1] for ids in tokenizer([row[name] for row in rows])["input_ids"]]

    source, target = coded("source"), coded("target")

    class Pairs(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(source)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {"input_ids": source[row], "labels": target[row]}

    model = model_of(settings, len(tokenizer))
    begun = time.perf_counter()

    class Clock(TrainerCallback):
        """Stops in time; the first steps say how many there will be, so that the rate ends at nothing."""

        first = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **also: Any) -> None:  # noqa: ARG002
            now = time.perf_counter()
            if state.global_step == WARM:
                self.first = now
            if state.global_step == WARM + TIMED:
                left = settings["seconds"] - (now - begun)
                steps = WARM + TIMED + max(1, int(left / ((now - self.first) / TIMED)))
                scheduler, warmup = also["lr_scheduler"], min(200, steps // 10)
                scheduler.lr_lambdas = [lambda s: min(s / warmup, max(0.02, (steps - s) / max(1, steps - warmup)))]
            control.should_training_stop = now - begun > settings["seconds"]

    from transformers import get_constant_schedule_with_warmup

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    arguments = Seq2SeqTrainingArguments(
        output_dir="trainer", report_to=[], save_strategy="no", disable_tqdm=True, seed=settings["seed"], use_cpu=True,
        per_device_train_batch_size=settings["rows"], num_train_epochs=1000, label_smoothing_factor=0.1,
        train_sampling_strategy="group_by_length", dataloader_num_workers=0, logging_strategy="no",
    )  # fmt: skip
    trainer = Seq2SeqTrainer(
        model=model, args=arguments, train_dataset=Pairs(), callbacks=[Clock()],
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        optimizers=(optimizer, get_constant_schedule_with_warmup(optimizer, 200)),
    )  # fmt: skip
    trainer.train()
    facts = {
        "steps": trainer.state.global_step, "fitting": round(time.perf_counter() - begun, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip
    return tokenizer, model, facts


def answered(tokenizer: Any, model: Any, texts: list[str], longest: int) -> list[str]:
    """Greedy answers, like lengths together."""
    import torch

    model.eval()
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    said = [""] * len(texts)
    for start in range(0, len(order), 32):
        some = order[start : start + 32]
        asked = tokenizer([texts[n] for n in some], padding=True, truncation=True, max_length=longest,
                          return_tensors="pt")  # fmt: skip
        with torch.inference_mode():
            ids = model.generate(asked["input_ids"], attention_mask=asked["attention_mask"], max_new_tokens=longest)
        for n, text in zip(some, tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True):
            said[n] = text
    return said


def main() -> None:
    """Train, answer, and say what it took."""
    train, asked, answers, text = sys.argv[1:]
    settings = json.loads(text)
    tokenizer, model, facts = trained(settings, read(train))
    said = answered(tokenizer, model, [row["source"] for row in read(asked)], settings["longest"])
    with Path(answers).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["target"], *([line] for line in said)])
    print(json.dumps({**facts, "seconds": round(time.perf_counter() - START, 1)}))


if __name__ == "__main__":
    main()
