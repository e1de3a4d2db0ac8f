"""How texts become token numbers: what has to be equal for one model's table of tokens to serve another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueweight.data.bpe import Vocabulary

__all__ = ["Spelling"]


@dataclass(frozen=True, slots=True)
class Spelling:
    """A vocabulary, and what is done to letters before it is used."""

    merges: "Vocabulary"
    """See ``data.bpe``."""
    lowercase: bool
    """Whether capital letters are read as small ones."""
    normalize: bool
    """Whether letters that Unicode calls compatible are read as one."""

    @property
    def tokens(self) -> int:
        """How many numbers there are."""
        from trueweight.data.bpe import vocabulary_of

        return len(vocabulary_of(self.merges))
