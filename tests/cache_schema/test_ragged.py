"""Ragged arrays: rows belong to the sample whose offsets enclose them, whatever is taken or dropped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, RaggedArray, offsets_of

lengths_of_samples = st.lists(st.integers(0, 4), min_size=1, max_size=8)


def numbered(lengths: list[int]) -> RaggedArray:
    rows = np.arange(sum(lengths), dtype=np.float32)
    return RaggedArray(values=rows[:, None], offsets=offsets_of(np.array(lengths)), time=rows)


@given(lengths_of_samples)
def test_samples_partition_the_rows(lengths: list[int]) -> None:
    array = numbered(lengths)
    assert [len(array[i]) for i in range(len(array))] == lengths == array.lengths.tolist()
    np.testing.assert_array_equal(np.concatenate([array[i] for i in range(len(array))]), array.values)
    assert array.present.tolist() == [length > 0 for length in lengths]


@given(lengths_of_samples, st.data())
def test_take_gives_the_same_rows_as_indexing(lengths: list[int], data: st.DataObject) -> None:
    array = numbered(lengths)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6)))
    taken = array.take(chosen)
    for position, sample in enumerate(chosen):
        np.testing.assert_array_equal(taken[position], array[sample])


@given(lengths_of_samples, st.data())
def test_keep_rows_drops_rows_and_no_samples(lengths: list[int], data: st.DataObject) -> None:
    array = numbered(lengths)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=sum(lengths), max_size=sum(lengths))), dtype=bool)
    kept = array.keep_rows(keep)
    assert len(kept) == len(array)
    for sample in range(len(array)):
        rows = array[sample]
        np.testing.assert_array_equal(kept[sample], rows[keep[rows[:, 0].astype(int)]])


@pytest.mark.parametrize("offsets", [[1, 2], [0, 3, 2], [0, 1], []])
def test_impossible_offsets_are_refused(offsets: list[int]) -> None:
    with pytest.raises(InputError, match="Offsets must rise from 0 to the number of rows, 2"):
        RaggedArray(np.zeros((2, 1)), np.array(offsets, dtype=np.int64), np.zeros(2, dtype=np.float32))


def test_index_out_of_range_is_an_index_error() -> None:
    array = numbered([1, 2])
    assert array[-1].tolist() == [[1.0], [2.0]]
    with pytest.raises(IndexError, match="Sample 2 of 2"):
        array[2]
