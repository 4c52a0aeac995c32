"""Charlson index by codes: as an input of earlier admissions, and of the same admission as a description."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.concepts.codes import read_codes
from omnifuse.pipeline.sources.mimic.concepts.derived import Given, charlson
from omnifuse.pipeline.sources.mimic.concepts.derived.given import CODES
from omnifuse.pipeline.sources.mimic.folder import MimicFolder

from .conftest import hours, second

Make = Callable[..., Given]


def coded(*rows: tuple[int, float, str, int]) -> pl.DataFrame:
    """Admission, hour of its discharge, code and version of the one patient."""
    made = [(1, admission, second(hour), code, version) for admission, hour, code, version in rows]
    return pl.DataFrame(made, schema=CODES, orient="row")


def found(*codes: str, version: int = 9) -> set[str]:
    frame = pl.DataFrame({"code": codes, "icd_version": [version] * len(codes)})
    return set(charlson.conditions_of(frame)["condition"])


@pytest.mark.parametrize(
    ("age", "points"), [(49.9, 0), (50, 1), (59.9, 1), (60, 2), (70, 3), (79.9, 3), (80, 4), (91, 4)]
)
def test_age_counts_from_50_on(age: float, points: int, given: Make) -> None:
    assert hours(charlson.charlson(given(age=age))) == [(0, points)]


def test_earlier_admissions_alone_count(given: Make) -> None:
    """Heart failure (1) and cancer (2) before; metastases (6) of this admission are coded after it."""
    codes = coded(
        (1, -500, "4280", 9), (2, -100, "C50", 10), (2, -100, "I50", 10), (3, 40, "1970", 9), (4, 900, "042", 9)
    )
    assert hours(charlson.charlson(given(age=40, codes=codes))) == [(0, 3)]
    assert hours(charlson.charlson_admissions(given(codes=codes))) == [(0, 2)]


def test_of_a_group_the_gravest_counts_and_each_group_once() -> None:
    """Liver 1 and 3, diabetes 1 and 2, cancer 2 and 6: 11; two codes of heart failure: 1; nothing: 0."""
    codes = coded(
        *((1, 0, code, 9) for code in ("5715", "5722", "25000", "25040", "1748", "1970")),
        *((2, 0, code, 9) for code in ("4280", "39891")), (3, 0, "V3000", 9),
    )  # fmt: skip
    assert charlson.points_of_admissions(codes).rows() == [(1, 11), (2, 1), (3, 0)]


def test_codes_are_those_that_begin_so() -> None:
    """Ranges have the length of their ends; both versions, dots and small letters."""
    assert found("4254") == found("4259") == found("428") == found("42830") == {"congestive heart failure"}
    assert found("4253", "4260", "425", "42", "I50") == set()
    assert found("I50.9", "i2510", version=10) == {"congestive heart failure"}
    assert found("E10.2", "E146", version=10) == {"diabetes with damage of organs", "diabetes"}
    assert found("C4A9", "C77", version=10) == {"metastatic cancer"} | found("C4A9", version=10)
    assert found("B23", "C44", version=10) == set()


OF_THE_DEMO = {
    "myocardial infarct": 16, "congestive heart failure": 42, "peripheral vascular disease": 16,
    "cerebrovascular disease": 21, "dementia": 4, "chronic pulmonary disease": 29, "rheumatic disease": 3,
    "peptic ulcer disease": 6, "mild liver disease": 13, "severe liver disease": 8, "diabetes": 35,
    "diabetes with damage of organs": 14, "paraplegia": 6, "renal disease": 23, "cancer": 28, "metastatic cancer": 20,
}  # fmt: skip


def test_the_admissions_of_the_demo_by_their_own_codes(shared_data: Callable[[str], Path]) -> None:
    folder = MimicFolder.find(shared_data("mimic-iii-demo"))
    patients = pl.read_csv(folder.table("patients").path)["subject_id"]
    codes = read_codes(folder, patients)
    sums = charlson.points_of_admissions(codes)["value"].value_counts().sort("value")
    assert sums.rows() == list(enumerate((14, 13, 28, 25, 14, 10, 11, 5, 2, 5, 1, 1)))
    conditions = codes.join(charlson.conditions_of(codes), on=["code", "icd_version"])
    counts = conditions.group_by("condition").agg(pl.col("hadm_id").n_unique())
    assert dict(counts.iter_rows()) == OF_THE_DEMO
