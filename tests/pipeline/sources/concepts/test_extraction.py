"""Sets of variables in a cache: beside ``ehr`` and never in its way."""

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
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.concepts.definitions import starter_set, starter_sets
from omnifuse.pipeline.sources.mimic.concepts.describe import describe
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet

MINI = "mini: {lactate: {items: {labevents: [50813]}, unit: mmol/L, high: 50, aggregate: [last, max]}}"


@pytest.fixture
def raw(iv: Any, lab: Callable[..., None]) -> Path:
    lab(50813, "2", "01:00:00", "mmol/L")
    lab(50813, "5", "01:30:00", "mmol/L")
    lab(50813, "3", "05:00:00", "mmol/L")
    iv.headers["icu/d_items"], iv.headers["hosp/d_labitems"] = "itemid,linksto", "itemid,label"
    iv.add("icu/d_items", itemid=220045, linksto="chartevents")
    iv.add("hosp/d_labitems", itemid=50813)
    iv.add("hosp/d_labitems", itemid=50912)
    return iv.write()


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    file = tmp_path / "mini.yaml"
    file.write_text(MINI)
    return file


def made(raw: Path, cache: Path, **how: Any) -> FeatureCache:
    extract("mimic", raw, cache, progress=False, **how)
    return FeatureCache.open(cache)


def test_a_file_becomes_a_modality_with_values_and_masks(raw: Path, mini: Path, tmp_path: Path) -> None:
    cache = made(raw, tmp_path / "cache", variables=(str(mini),))
    assert tuple(cache.modalities) == ("ehr", "mini")
    spec = cache.modality_spec("mini")
    assert [column.name for column in spec.columns] == [
        "lactate:last", "lactate:max", "mask->lactate:last", "mask->lactate:max",
    ]  # fmt: skip
    rows = cache.modality("mini")[0]
    assert len(rows) == 25
    np.testing.assert_array_equal(rows[:4], [[5, 5, 1, 1], [5, np.nan, 0, 0], [3, 3, 1, 1], [3, np.nan, 0, 0]])
    assert (spec.recipe["history"], spec.recipe["available"]) == ("icu", "storetime")


def test_ehr_stays_as_it_was_and_is_not_made_again(raw: Path, mini: Path, tmp_path: Path) -> None:
    before = made(raw, tmp_path / "cache")
    recipe, values = before.modality_spec("ehr").recipe, before.modality("ehr").values
    again = extract("mimic", raw, tmp_path / "cache", progress=False, variables=(str(mini),))
    assert again.pending == {"ehr": 0, "mini": 1}
    after = FeatureCache.open(tmp_path / "cache")
    assert after.modality_spec("ehr").recipe == recipe
    np.testing.assert_array_equal(after.modality("ehr").values, values)
    assert not extract("mimic", raw, tmp_path / "cache", progress=False, variables=(str(mini),)).done


def test_what_is_no_definition_makes_nothing_anew(raw: Path, mini: Path, tmp_path: Path) -> None:
    made(raw, tmp_path / "cache", variables=(str(mini),))
    mini.write_text(f"# mine\n{MINI}".replace("high: 50,", "high: 50, note: bedside,"))
    assert not extract("mimic", raw, tmp_path / "cache", progress=False, variables=(str(mini),)).done
    mini.write_text(MINI.replace("high: 50", "high: 4"))
    again = extract("mimic", raw, tmp_path / "cache", progress=False, variables=(str(mini),))
    assert again.reasons[0].startswith("cohort.settings.definitions.mini")
    assert FeatureCache.open(tmp_path / "cache").modality("mini")[0][0].tolist() == [2, 2, 1, 1]


def test_modalities_win_over_variables(raw: Path, mini: Path, tmp_path: Path) -> None:
    assert MimicDataSet(raw, Options(modalities=("mini",), variables=(str(mini),))).modalities == ("mini",)
    assert MimicDataSet(raw, Options(modalities=("ehr",), variables=(str(mini),))).modalities == ("ehr",)
    with pytest.raises(InputError, match="add --variables labs"):
        MimicDataSet(raw, Options(modalities=("ehr", "labs")))


def test_history_reaches_before_the_stay(iv: Any, lab: Callable[..., None], mini: Path, tmp_path: Path) -> None:
    for day, value in (("2179-12-20", 9), ("2179-12-31", 7)):
        iv.add(
            "hosp/labevents", subject_id=10000032, itemid=50813, charttime=f"{day} 21:00:00", value=value,
            valueuom="mmol/L",
        )  # fmt: skip
    raw = iv.write()
    for history, times in (("icu", []), ("48h", [-2]), ("hospital", []), ("all", [-266, -2])):
        cache = made(raw, tmp_path / history, variables=(str(mini),), history=history, modalities=("mini",))
        item = cache.modality("mini")
        assert [time for time in item.time if time <= 0] == times


def test_items_and_tables_that_are_not_there_are_said(raw: Path, tmp_path: Path) -> None:
    (raw / "icu/inputevents.csv").unlink()
    notes = extract(
        "mimic", raw, tmp_path / "c", progress=False, variables=("labs", "vasopressors"), dry_run=True
    ).notes
    said = "\n".join(notes)
    assert "Not found: table inputevents, which has items of vasopressors.norepinephrine" in said
    assert "Unknown items of labs" in said and "50820 (ph)" in said
    counts = made(raw, tmp_path / "c", variables=("vasopressors",)).quarantine_counts
    assert counts.filter(pl.col("source") == "vasopressors")["count"].to_list() == [9]


def test_an_item_of_another_table_is_refused(raw: Path, mini: Path, tmp_path: Path) -> None:
    mini.write_text("mini: {rate: {items: {labevents: [220045]}, unit: ''}}")
    with pytest.raises(InputError, match="mini: rate: items: labevents: 220045 is an item of chartevents"):
        made(raw, tmp_path / "cache", variables=(str(mini),))


def test_variables_are_listed(raw: Path, mini: Path) -> None:
    (lactate,) = describe([str(mini)], raw)["variables"]
    assert (lactate["rows"], lactate["items"]) == (3, {"mimic4": {"labevents": [50813]}})
    for names in ([], ["labs"], ["lactate", "norepinephrine"]):
        listed = CliRunner().invoke(main, ["variables", *names])
        assert listed.exit_code == 0
        assert max(map(len, listed.output.splitlines())) <= 80
    refused = CliRunner().invoke(main, ["variables", "lactat"])
    assert refused.exit_code == 2
    assert "Did you mean 'lactate'?" in refused.output


ROWS_OF_THE_DEMO = {
    "labs": 52_928, "labs_more": 11_941, "vitals_extra": 95_465, "vasopressors": 0, "outputs": 10_864 + 97,
    "ventilation": 26_015, "neuro": 35_036, "renal_support": 4_430,
}  # fmt: skip
SOME_OF_THE_DEMO = {
    "ph": 1230, "lactate": 578, "creatinine": 2175, "troponin_t": 288, "ck_mb": 319, "crp": 3, "vancomycin_level": 176,
    "abp_sys": 7859, "cvp": 4665, "heart_rhythm": 14_509, "urine": 9176 + 97, "stool": 461, "fio2": 2442, "peep": 1954,
    "o2_device": 2769, "gcs_verbal": 3996, "sas": 4673, "icp": 19, "crrt_charted": 2890, "dialysis_carevue": 861,
}  # fmt: skip


def test_rows_of_the_demo(shared_data: Callable[[str], Path]) -> None:
    found = describe(list(ROWS_OF_THE_DEMO), shared_data("mimic-iii-demo"))["variables"]
    rows = {variable["name"]: variable["rows"] for variable in found}
    assert {name: rows[name] for name in SOME_OF_THE_DEMO} == SOME_OF_THE_DEMO
    of_sets = {name: sum(v["rows"] for v in found if v["set"] == name) for name in ROWS_OF_THE_DEMO}
    assert of_sets == ROWS_OF_THE_DEMO


def test_every_value_of_the_demo_is_within_its_limits(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    cache = made(shared_data("mimic-iii-demo"), tmp_path / "cache", variables=("labs", "outputs"))
    limits = {concept.name: concept for name in starter_sets() for concept in starter_set(name, 3)}
    values, columns = cache.modality("labs").values, cache.modality_spec("labs").columns
    for number, column in enumerate(columns):
        seen = values[:, number][~np.isnan(values[:, number])]
        concept = limits[column.variable]
        if column.role == "value" and len(seen) and concept.low is not None and concept.high is not None:
            assert concept.low <= seen.min() and seen.max() <= concept.high, column.name
    left_out = dict(
        cache.quarantine_counts.filter(pl.col("source") == "labs.troponin_t").select("reason", "count").rows()
    )
    assert sum(left_out.values()) > 0
