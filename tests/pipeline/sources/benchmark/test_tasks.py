"""Conditions from diagnosis codes, and cohorts of tasks."""

import numpy as np
import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.benchmark.phenotypes import phenotype_flags, phenotypes
from omnifuse.pipeline.sources.mimic.benchmark.tasks import Stays, mortality, phenotyping

STAYS = pl.DataFrame({"subject_id": [1, 2, 3], "hadm_id": [10, 20, 30]})


def flags(
    *codes: tuple[int, int, str, int], with_version: bool = True, all_icd10: bool = True
) -> tuple[list[set[str]], list[bool]]:
    """Return the names of the conditions of each stay and whether it has any diagnosis."""
    schema = {"subject_id": pl.Int64, "hadm_id": pl.Int64, "code": pl.String, "icd_version": pl.Int64}
    frame = pl.DataFrame(list(codes), schema, orient="row")
    matrix, diagnosed = phenotype_flags(frame, STAYS, with_version=with_version, all_icd10=all_icd10)
    return [{phenotypes()[i] for i in np.flatnonzero(row)} for row in matrix], diagnosed.tolist()


def test_there_are_25_conditions_in_alphabetical_order() -> None:
    assert len(phenotypes()) == 25
    assert list(phenotypes()) == sorted(phenotypes())


def test_codes_become_conditions_of_their_own_admission() -> None:
    named, diagnosed = flags((1, 10, "03842", 9), (1, 10, "4019", 9), (2, 20, "E119", 10), (2, 99, "4019", 9))
    assert named == [
        {"Septicemia (except in labor)", "Essential hypertension"},
        {"Diabetes mellitus without complication"},
        set(),
    ]
    assert diagnosed == [True, True, False]


def test_a_code_without_a_condition_is_still_a_diagnosis() -> None:
    assert flags((3, 30, "V3000", 9)) == ([set(), set(), set()], [False, False, True])


def test_the_version_of_a_code_decides_unless_it_is_ignored() -> None:
    assert flags((1, 10, "E119", 9))[0][0] == set()
    assert flags((1, 10, "E119", 9), with_version=False)[0][0] == {"Diabetes mellitus without complication"}


@pytest.fixture
def stays() -> Stays:
    return Stays(
        los_hours=np.array([50.0, 48 - 5e-7, 47.9, np.nan, 100.0]),
        died=np.array([True, False, True, False, False]),
        death_hours=np.full(5, np.nan),
        diagnosed=np.array([True, True, True, True, False]),
        phenotypes=np.eye(5, 25, dtype=bool),
        first_hours=np.array([49.0, 48.0, 0.0, 0.0, 0.0]),
        counts=(("adults", 5),),
    )


def test_mortality(stays: Stays) -> None:
    task = mortality(stays, ("ehr", "rep"))
    assert task.y[:, 0].tolist() == pytest.approx([np.nan, 0, np.nan, np.nan, np.nan], nan_ok=True)
    assert task.counts == (
        ("adults", 5),
        ("a diagnosis", 4),
        ("at least 48 hours long", 2),
        ("an EHR event in the window", 1),
    )
    assert (task.kind, task.window_hours, set(task.select)) == ("binary", 48, {"rep"})


def test_phenotyping(stays: Stays) -> None:
    task = phenotyping(stays, ("ehr",))
    assert np.isnan(task.y).any(axis=1).tolist() == [False, False, False, True, True]
    assert task.y[0].tolist() == [1] + [0] * 24
    assert task.counts[-1] == ("an EHR event in the window", 3)
    assert (task.kind, task.window_hours, len(task.labels)) == ("multilabel", None, 25)
