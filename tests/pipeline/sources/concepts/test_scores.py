"""Scores wherever concepts are: in starter sets and files, in predicates of tasks, in lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from omnifuse import FeatureCache, extract
from omnifuse.cache_schema import InputError
from omnifuse.cli import main
from omnifuse.pipeline.sources.mimic.concepts.definitions import starter_set
from omnifuse.pipeline.sources.mimic.concepts.derived import DERIVED, derived_of
from omnifuse.pipeline.sources.mimic.concepts.derived.ingredients import named
from omnifuse.pipeline.sources.mimic.concepts.describe import describe
from omnifuse.pipeline.sources.mimic.concepts.named import NamedSets

ORGANS = """
organs:
  failure: {concept: sofa, aggregate: [last, min]}
  platelets_low: {concept: platelets, aggregate: min, note: ours}
  pressor: {concept: norepinephrine_equivalent}
  before: {concept: charlson}
"""


@pytest.fixture
def raw(iv: Any, lab: Callable[..., None], given: Callable[..., None]) -> Path:
    """Platelets 60 at hour 1, stored at hour 3; bilirubin 2.5 at hour 5; 0.2 of norepinephrine in hours 8 to 10.

    The patient was in hospital before with heart failure, and a second stay follows; another has no values at all.
    """
    lab(51265, "60", "01:00:00", "K/uL", stored="03:00:00")
    lab(50885, "2.5", "05:00:00", "mg/dL")
    given(221906, "08:00:00", "10:00:00", rate="0.2", rateuom="mcg/kg/min")
    patients = {10000032: (19, 20, 21), 10000033: (30,)}
    iv.add("hosp/patients", subject_id=10000033, gender="F", anchor_age=85, anchor_year=2180)
    days = {19: ("2179-11-01", "2179-11-09"), 21: ("2180-01-10", "2180-01-13"), 30: ("2180-01-01", "2180-01-04")}
    for subject, admissions in patients.items():
        for hadm in (one for one in admissions if one in days):
            ids, (first, last) = {"subject_id": subject, "hadm_id": hadm}, days[hadm]
            iv.add("hosp/admissions", **ids, admittime=f"{first} 00:00:00", dischtime=f"{last} 00:00:00")
            iv.add("hosp/diagnoses_icd", **ids, seq_num=1, icd_code={19: "I509"}.get(hadm, "C787"), icd_version=10)
            times = {"intime": f"{first} 00:00:00", "outtime": f"{last} 00:00:00"}
            units = {"first_careunit": "MICU", "last_careunit": "MICU"}
            if hadm != 19:
                iv.add("icu/icustays", **ids, stay_id=hadm * 10, **units, **times, los="3" if hadm == 30 else "3.0")
    return iv.write()


@pytest.fixture
def organs(tmp_path: Path) -> str:
    (tmp_path / "organs.yaml").write_text(ORGANS)
    return str(tmp_path / "organs.yaml")


def made(raw: Path, cache: Path, **how: Any) -> FeatureCache:
    extract("mimic", raw, cache, progress=False, **how)
    return FeatureCache.open(cache)


def column(cache: FeatureCache, name: str, sample: int = 0, modality: str = "organs") -> list[float]:
    place = [column.name for column in cache.modality_spec(modality).columns].index(name)
    return np.asarray(cache.modality(modality)[sample])[:, place].tolist()


def test_scores_stand_in_a_file_beside_other_concepts(raw: Path, organs: str, tmp_path: Path) -> None:
    """Rows of two hours. Platelets are 2 from when they were stored, bilirubin 2 more, norepinephrine 4 more."""
    cache = made(raw, tmp_path / "cache", variables=(organs,))
    assert cache.samples["sample_id"].to_list() == [200, 210, 300]
    failure = column(cache, "failure:last")
    np.testing.assert_array_equal(failure[:5], [np.nan, 2, 4, 8, 8])
    assert column(cache, "failure:min")[1:5] == [2, 4, 4, 8]
    assert failure[11:18] == [8, 8, 6, 4, 4, 0, 0]  # until hour 26, 28 and 33: 24 rows from hours 3, 5 and 10 on
    np.testing.assert_array_equal(column(cache, "platelets_low")[:3], [np.nan, 60, np.nan])
    assert column(cache, "pressor:mean")[3:6] == [0, pytest.approx(0.2), 0]
    assert [column(cache, "before", sample)[0] for sample in range(3)] == [3, 3, 4]  # 60 and 85 years, heart failure


def test_each_stay_has_its_own_scores(raw: Path, organs: str, tmp_path: Path) -> None:
    """The second stay of the patient begins anew, whatever its history reaches back to."""
    cache = made(raw, tmp_path / "cache", variables=(organs,), history="all", modalities=("organs",))
    assert np.isnan(column(cache, "failure:last", 1)).all()
    assert np.nanmin(column(cache, "platelets_low", 1)) == 60


def test_with_charttime_a_score_counts_from_when_its_values_were_charted(
    raw: Path, organs: str, tmp_path: Path
) -> None:
    cache = made(raw, tmp_path / "cache", variables=(organs,), available="charttime")
    assert column(cache, "failure:last")[:3] == [2, 2, 4]


def test_ingredients_that_are_in_a_set_are_read_once(raw: Path, organs: str, tmp_path: Path) -> None:
    alone = made(raw, tmp_path / "alone", variables=("scores",), modalities=("scores",))
    beside = made(raw, tmp_path / "beside", variables=("vasopressors", "labs", "scores", organs))
    np.testing.assert_array_equal(alone.modality("scores").values, beside.modality("scores").values)
    rows = dict(beside.quarantine_counts.group_by("source").agg(pl.col("count").sum()).iter_rows())
    assert {name for name in rows if name.startswith("vasopressors.")} == set()
    assert column(beside, "sofa:max", modality="scores")[3] == 8


def test_scores_are_predicates(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "worse.yaml").write_text("""
name: worse
cohort: {age: [18, null]}
predicates: {worse: {concept: sofa, value_min: 8}, pressor: {concept: any_vasopressor, event: running}}
trigger: {at: icu_in + 6h}
windows:
  before: {start: icu_in, end: trigger, has: {pressor: [0, 0]}}
  target: {start: trigger, end: trigger + 12h, label: worse}
""")
    (tmp_path / "ill.yaml").write_text("""
name: ill
predicates: {ill: {concept: charlson, value_min: 4}}
trigger: {at: icu_in - 1h}
windows: {target: {start: trigger, end: icu_in + 12h, label: ill}}
""")
    files = tuple(str(tmp_path / name) for name in ("worse.yaml", "ill.yaml"))
    cache = made(raw, tmp_path / "cache", task=files)
    assert cache.task("worse").y[:, 0].tolist() == [1, 0, 0]
    assert cache.task("ill").y[:, 0].tolist() == [0, 0, 1]


def test_a_concept_of_ours_has_its_own_definition(tmp_path: Path) -> None:
    for said, problem in (
        ("{concept: sofas}", "mine: x: concept: unknown 'sofas'. Did you mean 'sofa'"),
        ("{concept: sofa, unit: mg}", "mine: x: unit: a concept of ours has its own"),
        ("{concept: sofa, aggregate: median}", "mine: x: aggregate: unknown 'median'"),
    ):
        (tmp_path / "mine.yaml").write_text(f"mine: {{x: {said}}}")
        with pytest.raises(InputError) as refused:
            NamedSets.read((str(tmp_path / "mine.yaml"),))
        assert problem in str(refused.value)


def test_every_score_is_listed_with_what_it_is_made_of(raw: Path) -> None:
    listed = {variable["name"]: variable for variable in describe(["scores"])["variables"]}
    assert set(listed) == set(DERIVED)
    assert listed["shock_index"]["made_of"] == ["heart_rate", "abp_sys", "nbp_sys"]
    assert listed["anion_gap_no_k"]["items"]["mimic4"] == {"labevents": [50983, 52623, 50902, 52535, 50882]}
    assert listed["charlson"]["made_of"] == ["diagnoses_icd"]
    rows = {variable["name"]: variable["rows"] for variable in describe(["scores"], raw)["variables"]}
    assert [rows[name] for name in ("sofa_coagulation", "norepinephrine_equivalent", "charlson")] == [3, 1, 5]
    said = CliRunner().invoke(main, ["variables", "pf_ratio"]).output
    assert "made of      po2, specimen_type, fio2_lab, fio2" in said and "arterial" in said


@pytest.mark.parametrize("version", [3, 4])
def test_every_ingredient_has_items_of_its_release(version: Any) -> None:
    for score in derived_of(starter_set("scores", version)):
        ingredients = score.ingredients(version)
        assert score.coded or ingredients
        for one in ingredients:
            items = [item for ids in one.items.values() for item in ids]
            assert items and (version == 3 or all(isinstance(item, str) or item >= 50_800 for item in items))
    assert {one.name for one in named("spo2", "dialysis_carevue")(4)} == {"spo2"}
