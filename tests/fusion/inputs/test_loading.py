"""What is read of a cache can be trained on: unknown values may stand in it, infinite ones are refused by column."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from omnifuse.cache_schema import FeatureCache, InputError
from omnifuse.fusion.inputs.loading import infinite_cells, load, select

from tests.fusion.conftest import Signal, make_rows, write_cache

FLOATS = st.one_of(st.floats(-10, 10, width=16), st.sampled_from([np.nan, np.inf, -np.inf, 65504.0, -0.0]))


def spoilt_cache(path: Path, cells: dict[tuple[str, int, int], float]) -> FeatureCache:
    """Return a cache in which cells, by modality, row and column, hold other values."""
    rows, y = make_rows(Signal())
    for (name, row, column), value in cells.items():
        rows[name].values[row, column] = value
    return FeatureCache.open(write_cache(path, Signal(), None, 1, (rows, y)))


def test_every_infinite_column_of_a_modality_is_named(tmp_path: Path) -> None:
    cells = {("static", 3, 0): np.inf, ("static", 9, 0): -np.inf, ("static", 9, 1): np.inf}
    cache = spoilt_cache(tmp_path / "cache", cells)
    with pytest.raises(InputError, match=r"'static' holds infinite values, in rows by column: 'age': 2, 'height': 1\."):
        load(cache, "outcome")
    assert load(cache, "outcome", ["ehr", "rep"]).modalities == ("ehr", "rep")


def test_a_column_without_a_name_is_numbered(tmp_path: Path) -> None:
    """A number beyond 65,504 becomes infinite in the float16 of embeddings."""
    cache = spoilt_cache(tmp_path / "cache", {("rep", 5, 3): np.inf})
    with pytest.raises(InputError, match=r"'rep' holds infinite values, in rows by column: column 3: 1\."):
        load(cache, "outcome")


def test_rows_that_go_to_disk_are_looked_at_too(tmp_path: Path) -> None:
    cache = spoilt_cache(tmp_path / "cache", {("ehr", 5, 2): np.inf})
    with pytest.raises(InputError, match="by column: 'lactate': 1"):
        select(cache, "outcome").read(memory_limit=0)


def test_unknown_values_are_read(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cohort = load(FeatureCache.open(toy_cache(tmp_path / "cache")), "outcome")
    assert np.isnan(cohort.sources["static"].rows.values).any()


@given(
    arrays(np.float16, st.tuples(st.integers(0, 4), st.integers(1, 4)), elements=FLOATS), st.sampled_from(["f2", "f4"])
)
def test_infinite_cells_are_those_of_numpy(rows: np.ndarray, dtype: str) -> None:
    np.testing.assert_array_equal(infinite_cells(rows.astype(dtype)), np.isinf(rows).sum(axis=0))
