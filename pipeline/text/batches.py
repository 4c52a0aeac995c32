"""Which texts are encoded together: on a CPU those of one length, on an accelerator as many tokens as it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..batch_limit import BatchLimit

BATCH_TEXTS = 32
BATCH_TOKENS = 32_768
"""Tokens of a batch on an accelerator, padding included: of a model as large as BERT less than 1 GB in bfloat16."""


def batches_of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of at most 32 equal lengths at a time: shortest first, each length in the given order."""
    groups: dict[int, list[int]] = defaultdict(list)
    for position, length in enumerate(lengths):
        groups[length].append(position)
    for _, positions in sorted(groups.items()):
        for start in range(0, len(positions), BATCH_TEXTS):
            yield positions[start : start + BATCH_TEXTS]


def batches_by_tokens(limit: BatchLimit, lengths: Sequence[int], *, padded: bool) -> Iterator[list[int]]:
    """Yield the positions of lengths, shortest first, as many at a time as the limit holds tokens, padding included.

    Lengths differ in a batch only if it may be ``padded``.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = (len(batch) + 1) * lengths[position] > limit.size
        if batch and (full or not (padded or lengths[position] == lengths[batch[0]])):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
