"""Tokens as another maker's model has them: read from the files beside its weights, computed by ``tokenizers``.

Their numbers are moved up by two, so that 0 and 1 mean what they mean for our own: nothing (or the end of a text), and
its beginning.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from trueweight.data.ragged import Ragged, starts_of
from trueweight.errors import VerifyError
from trueweight.files import shortened

__all__ = ["FIRST", "ForeignTokens", "byte_letters", "foreign_tokens"]

FIRST = 2
"""Number of their number 0."""


@dataclass(frozen=True, slots=True)
class ForeignTokens:
    """A tokenizer, and how many rows the model's table has."""

    text: str
    """Of ``tokenizer.json``: everything about it."""
    rows: int
    """Numbers that the model knows; a few more than there are tokens, in some."""
    end: int | None = None
    """Theirs, of what ends a text."""
    beginning: int | None = None

    def names(self) -> dict[str, int]:
        """Number of each token, ours; numbers that no token has are named too."""
        known = {number: name for name, number in _tokenizer(self.text).get_vocab(with_added_tokens=True).items()}
        listed = (known.get(number, f" unused {number}") for number in range(self.rows))
        ends = {"  end": 0, "  beginning": 1}  # two spaces: our own tokens, written and read again, have one
        return ends | {name: number for number, name in enumerate(listed, FIRST)}

    def tokens(self, texts: Sequence[str], *, framed: bool, most: int | None = None) -> Ragged:
        """Texts as token numbers, int32.

        Args:
            texts: As they are.
            framed: Put what the model expects around a text: BERT's [CLS] and [SEP].
            most: Tokens after which a text is cut off; what stands around it counts, and stays.
        """
        tokenizer = _tokenizer(self.text, most)
        found = [one.ids for one in tokenizer.encode_batch(list(texts), add_special_tokens=framed)]
        start_N1 = starts_of([len(ids) for ids in found])
        value = np.fromiter((number + FIRST for ids in found for number in ids), np.int32, int(start_N1[-1]))
        return Ragged(value[:, None], start_N1)

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The inverse, as far as there is one; what is no word to read (ends, padding) becomes nothing."""
        spelt = [[number - FIRST for number in row if number >= FIRST] for row in rows]
        found: list[str] = _tokenizer(self.text).decode_batch(spelt, skip_special_tokens=True)
        return found

    def alphabet(self) -> tuple[bytes, ...]:
        """The bytes of each token, by its number; none for those that are no words to read."""
        told = json.loads(self.text)
        special = {one["id"] for one in told["added_tokens"] if one["special"]}
        found = [b""] * (FIRST + self.rows)
        bytewise = "ByteLevel" in json.dumps([told["pre_tokenizer"], told["decoder"]])
        pieces = told["model"]["type"] == "WordPiece"
        for name, number in _tokenizer(self.text).get_vocab(with_added_tokens=True).items():
            if number not in special:
                found[FIRST + number] = _by_bytes(name) if bytewise else _by_letters(name, pieces=pieces)
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """See :meth:`from_json`."""
        return {"tokenizer": self.text, "rows": self.rows, "end": self.end, "beginning": self.beginning}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "ForeignTokens":
        """The inverse of :meth:`to_json`."""
        return cls(raw["tokenizer"], raw["rows"], raw["end"], raw["beginning"])


@lru_cache(maxsize=1)
def byte_letters() -> Mapping[str, int]:
    """The byte that each letter of a byte-level token stands for.

    Bytes that print are written as themselves, the others as the characters from 256 on, in their order: Radford et
    al. 2019, ``bytes_to_unicode`` of their code.
    """
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _by_bytes(name: str) -> bytes:
    byte_of = byte_letters()
    if not all(letter in byte_of for letter in name):  # added later, as it is
        return name.encode()
    return bytes(byte_of[letter] for letter in name)


def _by_letters(name: str, *, pieces: bool) -> bytes:
    """Of pieces of words, and of SentencePiece, whose words begin with a mark for the space before them."""
    if pieces:
        return name[2:].encode() if name.startswith("##") else f" {name}".encode()
    if len(name) == len("<0x00>") and name.startswith("<0x"):
        return bytes([int(name[3:5], 16)])
    return name.replace("\u2581", " ").encode()


@lru_cache(maxsize=8)
def _tokenizer(text: str, most: int | None = None) -> Tokenizer:
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if most is not None:
        tokenizer.enable_truncation(max(most, tokenizer.num_special_tokens_to_add(is_pair=False) + 1))
    return tokenizer


def foreign_tokens(folder: Path, rows: int, end: int | None = None, beginning: int | None = None) -> ForeignTokens:
    """The tokenizer of a folder.

    Args:
        folder: With ``tokenizer.json``; ``vocab.txt`` (WordPiece); or ``vocab.json`` and ``merges.txt`` (byte pairs).
        rows: Of the model's table.
        end: Token that ends a text, if any.
        beginning: Likewise.

    Raises:
        VerifyError: There is none, it is broken, of another kind, or has more tokens than the model.
    """
    tokenizer = _found(folder)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    known = tokenizer.get_vocab(with_added_tokens=True)
    highest = max(known.values(), default=-1)
    if highest >= rows:
        problem = f"the tokenizer has token numbers up to {highest:,}, and the model's table {rows:,} rows"
        raise VerifyError(problem, where=str(folder), hint="is it the tokenizer of this model?")
    return ForeignTokens(tokenizer.to_str(), rows, end, beginning)


def _found(folder: Path) -> Tokenizer:
    try:
        if (folder / "tokenizer.json").exists():
            return Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        if (folder / "vocab.txt").exists():
            return _word_pieces(folder)
        if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
            return _byte_pairs(folder)
    except Exception as error:  # tokenizers raises bare Exceptions
        problem = f"the tokenizer cannot be read: {shortened(str(error), 200)}"
        raise VerifyError(problem, where=str(folder), hint="get the folder again") from None
    if (folder / "tokenizer.model").exists():
        problem = "the tokenizer is SentencePiece's own file (tokenizer.model), which is not read"
        hint = (
            "let transformers write tokenizer.json once: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
        raise VerifyError(problem, where=str(folder), hint=hint)
    hint = "it needs tokenizer.json, or vocab.txt, or vocab.json and merges.txt"
    raise VerifyError("the folder has no tokenizer", where=str(folder), hint=hint)


def _word_pieces(folder: Path) -> Tokenizer:
    """BERT's: Devlin et al. 2018, and its own ``tokenization.py`` for what happens to letters."""
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words[:-1] if words[-1] == "" else words)}
    asked = _settings(folder)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=asked.get("do_lower_case", True), strip_accents=asked.get("strip_accents"),
        handle_chinese_chars=asked.get("tokenize_chinese_chars", True),
    )  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [name for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if name in vocabulary]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    first, last = (("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"]))
    tokenizer.post_processor = processors.BertProcessing(last, first)
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _byte_pairs(folder: Path) -> Tokenizer:
    """GPT-2's: Radford et al. 2019, section 2.2."""
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    tokenizer = Tokenizer(models.BPE(vocabulary, [(left, right) for left, right in pairs]))
    front = bool(_settings(folder).get("add_prefix_space", False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=front)
    tokenizer.decoder = decoders.ByteLevel()
    special = [name for name in ("<|endoftext|>",) if name in vocabulary]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=True) for name in special])
    return tokenizer


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
