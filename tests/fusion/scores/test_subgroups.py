"""Which groups a cohort has, and how good predictions are in each."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.groups import groups_of
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.inputs.stored import StoredCohort
from omnifuse.fusion.scores import intervals
from omnifuse.fusion.scores.subgroups import TOGETHER, Outcomes, per_subgroup, without_rare

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


def everybody(y: np.ndarray, p: np.ndarray) -> Outcomes:
    """Return predictions of one fold with one sample a patient."""
    return Outcomes(y, p, np.arange(len(y)), np.zeros(len(y)))


def test_measures_of_a_group_are_those_of_its_samples() -> None:
    y, p = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), np.array([0.8, 0.2, 0.2, 0.6, 0.1, 0.3])
    women, men, unknown = per_subgroup({"sex": SEX}, everybody(y, p), threshold=0.6)
    assert (women["group"], women["value"], women["samples"], women["positives"]) == ("sex", "F", 2, 1)
    assert (women["auroc"], men["auroc"], unknown["auroc"]) == (1, 0.5, None)
    assert (women["sensitivity"], men["sensitivity"], unknown["sensitivity"]) == (1, 0, None)
    assert women["observed_expected"] == pytest.approx(1)
    assert men["observed_expected"] == pytest.approx(1 / 0.9)
    found = intervals.observed_expected(y[2:5], p[2:5], np.arange(3))
    assert men["observed_expected_ci"] == pytest.approx(found.ci)


def test_gaps_are_to_the_largest_group_and_hold_their_difference() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(["F", "M", "unknown"], [200, 300, 400])
    y = (rng.random(900) < 0.3).astype(float)
    p = np.where(group == "F", rng.random(900), 0.3 * rng.random(900) + 0.5 * y)
    women, men, unknown = per_subgroup({"sex": group}, everybody(y, p), threshold=0.5)
    assert (men["auroc_gap"], men["sensitivity_gap_ci"]) == (None, None)
    for name in ("auroc", "sensitivity"):
        assert women[f"{name}_gap"] == pytest.approx(women[name] - men[name])
        assert women[f"{name}_gap_ci"][0] < women[f"{name}_gap"] < women[f"{name}_gap_ci"][1] < 0
        assert unknown[f"{name}_gap_ci"][0] < 0 < unknown[f"{name}_gap_ci"][1]


def test_a_group_called_nothing_is_left_out() -> None:
    y, p = np.array([1.0, 0.0, 1.0]), np.array([0.8, 0.2, 0.2])
    (only,) = per_subgroup({"sex": np.array(["F", "F", ""])}, everybody(y, p), threshold=None)
    assert (only["value"], only["sensitivity"]) == ("F", 0)
    assert per_subgroup({"sex": np.array(["", "", ""])}, everybody(y, p), threshold=None) == []


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
