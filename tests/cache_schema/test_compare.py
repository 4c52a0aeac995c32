"""Two caches are the same where every byte is, and otherwise it is said what is not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from omnifuse.cache_schema import Comparison, FeatureCache, StagedCache, compare_caches, comparison_text

from .conftest import report_values

KEYS = {"cohort": {"limit": None}}


def compared(here: Path, there: Path) -> Comparison:
    return compare_caches(FeatureCache.open(here), FeatureCache.open(there))


def test_a_cache_made_again_is_the_same(cache_path: Path, staged: Callable[..., StagedCache], tmp_path: Path) -> None:
    staged(tmp_path / "again").commit(KEYS)
    result = compared(cache_path, tmp_path / "again")
    assert result.same and result.to_json()["same"]
    assert comparison_text(result) == "Both are the same: 30 arrays of 3 samples."


def test_other_values_and_settings_are_named(
    cache_path: Path, staged: Callable[..., StagedCache], tmp_path: Path
) -> None:
    staged(tmp_path / "other", report_values() + 1).commit({"cohort": {"limit": 3}})
    result = compared(cache_path, tmp_path / "other")
    assert not result.same
    assert result.settings == ("cohort.limit: null -> 3",)
    assert result.arrays_changed == ("modalities/rep/values",) and result.arrays_equal == 29
    assert comparison_text(result).splitlines() == [
        "settings and inputs, here -> there:",
        "  cohort.limit: null -> 3",
        "samples: 3 in both, 0 only here, 0 only there",
        "arrays: 29 equal",
        "1 differ:",
        "  modalities/rep/values",
    ]


def test_samples_and_modalities_that_one_lacks_are_told_apart(cache_path: Path, tmp_path: Path) -> None:
    samples = pl.DataFrame({"sample_id": [20, 40], "subject_id": ["y", "z"]})
    StagedCache(tmp_path / "small", "toy", {"omnifuse": "0"}).add_samples(samples).commit(KEYS)
    result = compared(cache_path, tmp_path / "small")
    assert (result.samples_shared, result.samples_only_here, result.samples_only_there) == (1, 2, 1)
    assert "modalities/ehr/values" in result.arrays_only_here and result.arrays_only_there == ()
    assert 'recipes.ehr: {"bin_hours": 2.0} -> (absent)' in result.settings
    assert "and " in comparison_text(result) and comparison_text(result).count("modalities/") <= 20
    swapped = compared(tmp_path / "small", cache_path)
    assert swapped.arrays_only_there == result.arrays_only_here
    assert np.array_equal(swapped.arrays_changed, result.arrays_changed)
