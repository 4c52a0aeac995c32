"""How much room and time an extraction will take, before it starts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

TOKENS_OF_A_REPORT = 75
BYTES_OF_A_SAMPLE = 40 * 76 * 4
"""EHR rows of one stay before compression: about 40 two-hour bins of 76 columns."""

SLICES_OF_A_SERIES = 200

SECONDS_PER_ITEM = {"text": 1 / 10, "image": 1 / 25, "series": SLICES_OF_A_SERIES / 25, "table": 1 / 2000}
"""Of two CPU cores with bert-base and ResNet34 in float32."""

SECONDS_OF_A_SMALL_TEXT = 1 / 100
"""The encoder named ``random`` has two layers instead of twelve."""

BYTES_PER_ITEM = {
    "text": TOKENS_OF_A_REPORT * 768 * 2,
    "image": 512 * 2,
    "series": SLICES_OF_A_SERIES * 512 * 2,
    "table": BYTES_OF_A_SAMPLE,
}

COPIES = 2
"""Parts and the arrays laid out from them exist side by side until the parts are dropped."""


@dataclass(frozen=True)
class Estimate:
    """Bytes on disk and hours that the pending items will take."""

    bytes: int
    hours: float


@dataclass(frozen=True)
class Pending:
    """Work on one modality that is not done: a number of samples (of a table) or of distinct items for an encoder."""

    modality: str
    content: Literal["text", "image", "series", "table"]
    number: int
    encoder: str = ""


def estimate(pending: Iterable[Pending]) -> Estimate:
    """Estimate what the pending work takes."""
    seconds = size = 0.0
    for work in pending:
        small = work.content == "text" and work.encoder == "random"
        seconds += work.number * (SECONDS_OF_A_SMALL_TEXT if small else SECONDS_PER_ITEM[work.content])
        size += work.number * BYTES_PER_ITEM[work.content] * COPIES
    return Estimate(int(size), seconds / 3600)
