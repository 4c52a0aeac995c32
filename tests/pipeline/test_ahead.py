"""Items made ready by other threads come in order, and an error comes where its item would."""

import time
from collections.abc import Generator, Iterator
from itertools import count
from threading import Event

import pytest
from omnifuse.pipeline.ahead import AHEAD, ahead


def test_results_come_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(ahead(iter(range(50)), work)) == [item * item for item in range(50)]
    assert list(ahead(iter(()), work)) == []


def test_an_error_comes_where_its_item_would() -> None:
    results = ahead(iter([1, 2, 0, 4]), lambda item: 1 / item)
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_few_items_are_taken_ahead_and_no_more_when_the_reader_stops() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in count():
            taken.append(item)
            yield item

    results = ahead(items(), str)
    assert next(results) == "0"
    results.close()
    assert len(taken) <= AHEAD + 1


def test_it_can_be_closed_by_one_of_its_own_threads() -> None:
    """As the garbage collection closes what was forgotten, wherever it happens to run."""
    forgotten: list[Generator[int]] = []
    may_close, closed = Event(), Event()
    failed: list[BaseException] = []

    def work(item: int) -> int:
        if item == 1:
            assert may_close.wait(10)
            try:
                forgotten[0].close()
            except RuntimeError as error:
                failed.append(error)
            closed.set()
        return item

    forgotten.append(ahead(iter(range(9)), work))
    assert next(forgotten[0]) == 0
    may_close.set()
    assert closed.wait(10)
    assert failed == []
