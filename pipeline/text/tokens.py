"""From texts to token ids, in windows that an encoder can read; and words without a vocabulary, for ``random``."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from zlib import crc32

import numpy as np
import numpy.typing as npt

MAX_TOKENS = 150
"""Longest text in tokens, [CLS] and [SEP] included, unless another number is asked for; the rest is cut off."""

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


Rows = npt.NDArray[np.float16]
EncodeWindows = Callable[[list[list[int]]], Sequence[Rows]]
"""Gives the vectors ``[T, D]`` of each window of token ids."""


@dataclass(frozen=True)
class Extent:
    """How much of a text is encoded: the first ``tokens``, or the first characters of a ``windowed`` one.

    A number of tokens beyond :data:`MAX_TOKENS` that is more than a model has positions for is cut into equal windows;
    up to that number a text has one window, which is shorter where the model has fewer positions.
    """

    tokens: int = MAX_TOKENS
    windowed: bool = False

    def encode(
        self, texts: Iterable[str], tokenizer: Tokenizer, positions: int | None, encode_windows: EncodeWindows
    ) -> list[Rows]:
        """Return for each text the vectors of its tokens ``[tokens, D]``: those of all its windows in order.

        ``positions`` are those of the model, None without a limit.
        """
        windows = self._windows(list(texts), tokenizer, positions)
        encoded = iter(encode_windows([ids for of_text in windows for ids in of_text]))
        return [np.concatenate(list(islice(encoded, len(of_text)))) for of_text in windows]

    def _windows(self, texts: list[str], tokenizer: Tokenizer, positions: int | None) -> list[list[list[int]]]:
        if self.windowed:
            length = min(WINDOW_TOKENS, positions or WINDOW_TOKENS)
            return tokenizer.windows([text[:MAX_CHARACTERS] for text in texts], length)
        most = positions or self.tokens
        number = 1 if self.tokens <= MAX_TOKENS else ceil(self.tokens / most)
        return [of_text[:number] for of_text in tokenizer.windows(texts, min(self.tokens // number, most))]


def hash_words(texts: Sequence[str]) -> list[list[int]]:
    """Return one token id per word, or per Chinese character, of every text in lower case."""
    return [[2 + crc32(word.encode()) % (BUCKETS - 2) for word in WORD.findall(text.lower())] for text in texts]


HASHED_WORDS = Tokenizer(hash_words, [CLS], [SEP])
"""The tokeniser of the ``random`` encoder."""
