"""Rows of variables on the demo of MIMIC-III, as a count of its tables by item gave them."""

import pytest
from omnifuse.pipeline.sources.mimic.concepts.describe import describe

ROWS = {
    "lactate": 578, "creatinine": 2175, "sodium": 2185, "potassium": 2279, "ph": 1230, "specimen_type": 1222,
    "platelets": 2088, "wbc": 2022, "crp": 3,
}  # fmt: skip


def test_the_rows_of_laboratory_values_are_those_of_the_tables(shared_data) -> None:
    raw = shared_data("mimic-iii-demo")
    (found,) = describe(["labs"], raw).values()
    assert {variable["name"]: variable["rows"] for variable in found if variable["name"] in ROWS} == ROWS


def test_without_the_table_a_variable_has_no_rows(shared_data) -> None:
    raw = shared_data("mimic-iii-demo")
    (found,) = describe(["vasopressors"], raw).values()
    assert {variable["rows"] for variable in found} == {0}


pytestmark = pytest.mark.filterwarnings("error")
