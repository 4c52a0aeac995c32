"""Which groups a cohort has."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.groups import groups_of
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.inputs.stored import StoredCohort
from omnifuse.fusion.scores.subgroups import TOGETHER, without_rare

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


def test_races_are_broad_and_languages_are_english_or_not() -> None:
    races = ["WHITE - RUSSIAN", "BLACK/CAPE VERDEAN", "HISPANIC OR LATINO", "ASIAN - CHINESE", "PORTUGUESE"]
    races += ["AMERICAN INDIAN/ALASKA NATIVE", "UNABLE TO OBTAIN", "PATIENT DECLINED TO ANSWER", None, "white "]
    said = ["ENGL", "English", "?", None, "SPAN", "ENGLISH", "", "Haitian", "PORT", "engl"]
    found = groups_of(pl.DataFrame({"race": races, "language": said, "insurance": ["Medicare", "Medicaid"] * 5}))
    assert found["race"].tolist() == [
        "white", "Black", "Hispanic", "Asian", "other", "native", "unknown", "unknown", "unknown", "white"
    ]  # fmt: skip
    no, yes, unknown = "other", "English", "unknown"
    assert found["language"].tolist() == [yes, yes, unknown, unknown, no, yes, unknown, no, no, yes]
    assert found["insurance"].tolist() == ["Medicare", "Medicaid"] * 5


def test_rare_groups_are_put_together_or_left_out() -> None:
    """Counted are patients: forty samples of ten patients are few."""
    groups = np.repeat(["a", "b", "c"], [30, 40, 15])
    subjects = np.repeat(np.arange(55), np.repeat([1, 4, 1], [30, 10, 15]))
    assert dict(zip(groups, without_rare(groups, subjects), strict=True)) == {"a": "a", "b": TOGETHER, "c": TOGETHER}
    assert set(without_rare(groups[:70], subjects[:70])) == {"a", ""}


def test_a_cohort_keeps_its_groups(toy_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = replace(toy_cohort(samples=6), groups={"sex": SEX})
    assert cohort.take(np.array([5, 0])).groups["sex"].tolist() == ["unknown", "F"]
    rows = {name: [source.rows.values] for name, source in cohort.sources.items()}
    assert StoredCohort.write(cohort, tmp_path / "rows", rows).open().groups["sex"].tolist() == SEX.tolist()


def test_groups_are_read_from_the_cache_for_the_samples_that_are_kept(
    toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    sex = pl.Series("sex", ["F", "M"] * 10)
    cache = FeatureCache.open(toy_cache(tmp_path / "cache", samples=20, described=pl.DataFrame([sex])))
    cohort = load(cache, "outcome", ["rep"])
    assert 0 < len(cohort) < 20
    assert cohort.groups["sex"].tolist() == ["FM"[sample % 2] for sample in cohort.sample_id]
