"""Which groups a cohort has, and how good predictions are in each."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion import metrics
from omnifuse.fusion.batches import Cohort
from omnifuse.fusion.loading import load
from omnifuse.fusion.stored import StoredCohort
from omnifuse.fusion.subgroups import groups_of, per_subgroup

SEX = np.array(["F", "F", "M", "M", "M", "unknown"])


def test_sex_and_age_bands_are_groups() -> None:
    samples = pl.DataFrame({
        "sample_id": range(6),
        "Age": [44.9, 45.0, 79.0, 80.0, None, float("nan")],
        "sex": ["F", "F", "M", "M", "M", None],
        "height": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    })  # fmt: skip
    found = groups_of(samples)
    assert set(found) == {"age", "sex"}
    assert found["age"].tolist() == ["0-44", "45-64", "65-79", "80+", "unknown", "unknown"]
    assert found["sex"].tolist() == SEX.tolist()


def test_coded_units_are_groups_and_ages_can_be_text() -> None:
    found = groups_of(pl.DataFrame({"icu_type": [1, 4], "age": ["30", "about 90"]}))
    assert found["icu_type"].tolist() == ["1", "4"]
    assert found["age"].tolist() == ["0-44", "unknown"]


def test_columns_with_one_value_or_with_very_many_are_no_groups() -> None:
    many = [f"unit {i}" for i in range(13)]
    assert groups_of(pl.DataFrame({"first_careunit": many, "sex": "F", "age": 50.0})) == {}


def test_measures_of_a_group_are_those_of_its_samples() -> None:
    y, p = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), np.array([0.8, 0.2, 0.2, 0.6, 0.1, 0.3])
    women, men, unknown = per_subgroup({"sex": SEX}, y, p)
    assert (women["group"], women["value"], women["samples"], women["positives"]) == ("sex", "F", 2, 1)
    assert (women["auroc"], men["auroc"], unknown["auroc"]) == (1, 0.5, None)
    assert women["observed_expected"] == pytest.approx(1)
    assert men["observed_expected"] == pytest.approx(1 / 0.9)
    assert men["observed_expected_ci"] == pytest.approx([bound / 0.3 for bound in metrics.wilson(1 / 3, 3)])


def test_a_cohort_keeps_its_groups(toy_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = replace(toy_cohort(samples=6), groups={"sex": SEX})
    assert cohort.take(np.array([5, 0])).groups["sex"].tolist() == ["unknown", "F"]
    rows = {name: [source.rows.values] for name, source in cohort.sources.items()}
    assert StoredCohort.write(cohort, tmp_path / "rows", rows).open().groups["sex"].tolist() == SEX.tolist()


def test_groups_are_read_from_the_cache_for_the_samples_that_are_kept(
    toy_cache: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache", samples=20))
    described = cache.samples.with_columns(sex=pl.Series(["F", "M"] * 10))
    monkeypatch.setattr(FeatureCache, "samples", described)
    cohort = load(cache, "outcome", ["rep"])
    assert 0 < len(cohort) < 20
    assert cohort.groups["sex"].tolist() == ["FM"[sample % 2] for sample in cohort.sample_id]
