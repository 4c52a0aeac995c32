"""What is known at a prediction time: the vector is that of a cache cut at that time, whatever comes after it."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import Column, RaggedArray, offsets_of
from omnifuse.cache_schema.selection import first_after
from omnifuse.fusion.inputs.batches import Source
from omnifuse.fusion.inputs.prefixes import MeanPrefixes, RowPrefixes, SeriesPrefixes
from omnifuse.fusion.inputs.queries import Spans
from omnifuse.fusion.inputs.series import Summary, series_summary

COLUMNS = (
    Column("pulse", "bpm", "pulse"),
    Column("awake", "", "state", "onehot"),
    Column("drowsy", "", "state", "onehot"),
    Column("lactate", "mmol/L", "lactate"),
    Column("pulse mask", "", "pulse", "mask"),
    Column("state mask", "", "state", "mask"),
    Column("lactate mask", "", "lactate", "mask"),
)


def random_series(lengths: list[int], seed: int) -> Source:
    """Return samples whose rows have rising times, with values carried forward, unknown, and far from each other."""
    rng = np.random.default_rng(seed)
    number = np.array(lengths)
    values = rng.normal(size=(number.sum(), len(COLUMNS))) * 10.0 ** rng.integers(-2, 4)
    values[:, 1:3] = rng.random((number.sum(), 1)) < [0.5, 2]
    values[:, 4:] = rng.random((number.sum(), 3)) < 0.6
    values[:, :4][rng.random((number.sum(), 4)) < 0.3] = np.nan
    values[rng.random(number.sum()) < 0.3, 3] = 7.0  # so that some stretches never change
    hours = np.concatenate([np.cumsum(rng.integers(1, 4, n)) for n in lengths] + [[]]).astype(np.float32)
    return Source("timeseries", COLUMNS, RaggedArray(values.astype("f4"), offsets_of(number), hours))


def predictions(source: Source, seed: int) -> tuple[Source, np.ndarray, np.ndarray]:
    """Return a source with five predictions a sample, and sample and hours of each."""
    rng, rows = np.random.default_rng(seed), source.rows
    sample = np.repeat(np.arange(len(rows)), 5)
    hours = rng.integers(0, 20, len(sample)).astype(np.float32)
    starts = rows.offsets[sample]
    lengths = first_after(rows.time, starts, rows.offsets[sample + 1], hours) - starts
    return replace(source, spans=Spans(starts, lengths)), sample, hours


def cut(source: Source, sample: int, hours: float) -> Source:
    """Return one sample as a cache holds it that ends at a time."""
    rows = source.rows.take(np.array([sample]))
    return replace(source, spans=None, rows=rows.keep_rows(rows.time <= hours))


def assert_equal(found: Summary, expected: list[Summary]) -> None:
    for part in ("quantities", "shares"):
        wanted = np.concatenate([getattr(one, part) for one in expected])
        np.testing.assert_allclose(getattr(found, part), wanted, rtol=1e-6, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5), seed=st.integers(0, 2**16))
def test_statistics_are_those_of_a_series_that_ends_there(lengths: list[int], seed: int) -> None:
    source, sample, hours = predictions(random_series(lengths, seed), seed)
    made = SeriesPrefixes(source, hours)
    found = made.of(np.arange(len(sample)))
    expected = [series_summary(cut(source, s, t), float(t)) for s, t in zip(sample, hours, strict=True)]
    assert_equal(found, expected)
    assert made.widths == (found.quantities.shape[1], found.shares.shape[1])


def test_what_comes_later_changes_no_bit() -> None:
    source, sample, hours = predictions(random_series([6, 8, 3], 1), 1)
    known = SeriesPrefixes(source, hours).of(np.arange(len(sample)))
    latest = np.full(3, -1.0)
    np.maximum.at(latest, sample, np.minimum(hours, 9))
    values = source.rows.values.copy()
    values[source.rows.time > np.repeat(latest, source.rows.lengths)] = np.random.default_rng(0).random(values.shape[1])
    changed = replace(source, rows=replace(source.rows, values=values))
    early = np.flatnonzero(hours <= 9)
    found = SeriesPrefixes(changed, hours).of(early)
    np.testing.assert_array_equal(found.quantities, known.quantities[early])
    np.testing.assert_array_equal(found.shares, known.shares[early])


def test_the_mean_of_an_embedding_is_of_the_rows_known_by_then() -> None:
    rows = RaggedArray(np.array([[1], [3], [8]], "f2"), np.array([0, 3]), np.array([0, 2, 2], "f4"))
    spans = Spans(np.zeros(3, dtype=int), np.array([0, 1, 3]))
    found = MeanPrefixes(Source("embedding", (), rows, spans)).of(np.arange(3))
    np.testing.assert_array_equal(found.quantities, [[np.nan], [1], [4]])


def test_features_are_unknown_before_their_time() -> None:
    rows = RaggedArray(np.array([[1], [3]], "f4"), np.array([0, 1, 2]), np.array([5, np.nan], "f4"))
    source = Source("features", (Column("age"),), rows, Spans(np.array([0, 0, 1]), np.array([0, 1, 1])))
    found = RowPrefixes(source, Summary(rows.values, np.zeros((2, 0), "f4"))).of(np.arange(3))
    np.testing.assert_array_equal(found.quantities, [[np.nan], [1], [3]])
