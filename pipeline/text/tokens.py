"""Words without a vocabulary: the tokeniser of the ``random`` encoder."""

import re
from zlib import crc32

CLS, SEP = 0, 1
BUCKETS = 16384
"""Number of token ids, the two special ones included; two of 2,000 words share one with probability 0.1."""

CJK = "㐀-䶿一-鿿豈-﫿"
WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
"""One Chinese character, or a run of other letters and digits; punctuation is left out."""


def hash_words(text: str, max_tokens: int) -> list[int]:
    """Return token ids: CLS, one per word or Chinese character in lower case, SEP; at most ``max_tokens``."""
    words = WORD.findall(text.lower())[: max_tokens - 2]
    return [CLS, *(2 + crc32(word.encode()) % (BUCKETS - 2) for word in words), SEP]
