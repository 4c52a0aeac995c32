"""A device whose memory runs out gets half at a time, and says so once."""

import logging
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.batch_limit import BatchLimit

GPU = torch.device("cuda:1")


def squares(held: int, tried: list[int]) -> Callable[[Sequence[int]], list[int]]:
    """Return what squares batches of at most ``held`` numbers, and notes what it was asked for."""

    def forward(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > held:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return [number**2 for number in batch]

    return forward


@given(st.integers(1, 40), st.integers(1, 40))
def test_results_come_in_order_whatever_the_memory_holds(number: int, held: int) -> None:
    limit, tried = BatchLimit(40, "numbers", GPU), list[int]()
    results = [result for part in limit.results(squares(held, tried), range(number), number) for result in part]
    assert results == [one**2 for one in range(number)]
    assert limit.size == (40 if number <= held else min(size // 2 for size in tried if size > held))


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    limit = BatchLimit(8, "numbers", GPU)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert len(list(limit.results(squares(2, []), range(8), 8))) == 4
    assert caplog.messages == [
        "the memory of the device cuda:1 ran out: batches are of at most 4 numbers from here on, or fewer"
    ]


def test_a_limit_in_other_units_than_items_is_halved_too() -> None:
    limit = BatchLimit(1000, "tokens", GPU)
    assert len(list(limit.results(squares(4, []), range(8), 600))) == 2
    assert limit.size == 300


def test_one_item_that_is_too_large_is_said_with_the_way_out() -> None:
    limit = BatchLimit(8, "images", GPU)
    with pytest.raises(InputError, match=r"device cuda:1 does not hold a batch of 1 images\..*--device, such as cpu"):
        list(limit.results(squares(0, []), range(3), 3))
