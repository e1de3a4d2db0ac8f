"""From tokens to text while it is being written: whole characters only, and nothing behind a stop.

Imports without torch.
"""

from codecs import getincrementaldecoder
from collections.abc import Iterable, Sequence

__all__ = ["Spelling", "spelt"]

Alphabet = Sequence[bytes]
"""The bytes that each token stands for; of those that end and begin a text, none."""


class Spelling:
    """The text of one row as it grows.

    What could still become a stop, or the rest of a character, is held back until the next token or the end.

    Args:
        alphabet: Bytes of each token.
        stop: Texts before which the answer ends.
    """

    def __init__(self, alphabet: Alphabet, stop: Sequence[str] = ()) -> None:
        self._alphabet = alphabet
        self._stop = [word.encode() for word in stop]
        self._longest = max((len(word) for word in self._stop), default=0)
        self._held = b""
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self.kept = 0
        """Bytes of the text so far, those that are held back not among them."""
        self.stopped = False
        """Whether a stop was written."""

    def add(self, token: int) -> str:
        """What can be said for certain after one token more."""
        if self.stopped:
            return ""
        self._held += self._alphabet[token]
        found = min((place for word in self._stop if (place := self._held.find(word)) >= 0), default=-1)
        if found >= 0:
            self.stopped, sure = True, self._held[:found]
            self._held = b""
            return self._said(sure, final=True)
        certain = len(self._held) - self._open()
        sure, self._held = self._held[:certain], self._held[certain:]
        return self._said(sure, final=False)

    def end(self) -> str:
        """What was held back, once nothing more will come."""
        sure, self._held = self._held, b""
        return self._said(sure, final=True)

    def _open(self) -> int:
        """Bytes at the end that may be the beginning of a stop."""
        for length in range(min(self._longest - 1, len(self._held)), 0, -1):
            end = self._held[-length:]
            if any(word.startswith(end) for word in self._stop):
                return length
        return 0

    def _said(self, sure: bytes, *, final: bool) -> str:
        self.kept += len(sure)
        return self._decoder.decode(sure, final)


def spelt(alphabet: Alphabet, tokens: Iterable[int], most: int | None = None) -> str:
    """A whole text; bytes that are no UTF-8 become replacement marks.

    Args:
        alphabet: Bytes of each token.
        tokens: Their numbers.
        most: Bytes that are kept; None: all.
    """
    return b"".join(alphabet[token] for token in tokens)[:most].decode("utf-8", "replace")
