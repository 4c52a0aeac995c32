"""From texts to token ids, in windows that an encoder can read; and words without a vocabulary, for ``random``."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

MAX_TOKENS = 150
"""Longest text in tokens, [CLS] and [SEP] included; the rest is cut off."""

MAX_CHARACTERS = 1748
"""Longest text in characters where a text is encoded in several windows; the rest is cut off."""

WINDOW_TOKENS = 512
"""Longest of these windows in tokens, [CLS] and [SEP] included."""

CLS, SEP = 0, 1
BUCKETS = 16384
"""Number of token ids, the two special ones included; two of 2,000 words share one with probability 0.1."""

CJK = "㐀-䶿一-鿿豈-﫿"
WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
"""One Chinese character, or a run of other letters and digits; punctuation is left out."""


@dataclass(frozen=True)
class Tokenizer:
    """``split`` gives the token ids of texts; ``before`` and ``after`` are the special ones around every window."""

    split: Callable[[Sequence[str]], list[list[int]]]
    before: list[int]
    after: list[int]

    def windows(self, texts: Sequence[str], length: int) -> list[list[list[int]]]:
        """Return the windows of every text, at least one, each of at most ``length`` token ids."""
        inner = length - len(self.before) - len(self.after)
        return [
            [[*self.before, *ids[start : start + inner], *self.after] for start in range(0, max(len(ids), 1), inner)]
            for ids in self.split(texts)
        ]


def hash_words(texts: Sequence[str]) -> list[list[int]]:
    """Return one token id per word, or per Chinese character, of every text in lower case."""
    return [[2 + crc32(word.encode()) % (BUCKETS - 2) for word in WORD.findall(text.lower())] for text in texts]


HASHED_WORDS = Tokenizer(hash_words, [CLS], [SEP])
"""The tokeniser of the ``random`` encoder."""
