"""The page on MIMIC says of every rule and variable what the code does."""

import re
from pathlib import Path

import pytest
from omnifuse.pipeline.sources.mimic.benchmark.rules import CLEAN_RULES
from omnifuse.pipeline.sources.mimic.benchmark.variables import Variable, variables

PAGE = (Path(__file__).parents[4] / "docs" / "mimic.md").read_text(encoding="utf-8")


def cells(first: str) -> list[str]:
    """Return the row of a table that begins with a cell."""
    row = re.search(rf"^\| {re.escape(first)} \|(.*)\|$", PAGE, re.MULTILINE)
    assert row, f"there is no row {first}"
    return [cell.strip() for cell in row[1].split("|")]


@pytest.mark.parametrize(("name", "meaning"), CLEAN_RULES.items())
def test_every_rule_is_there_as_it_describes_itself(name: str, meaning: str) -> None:
    what, benchmark = cells(f"`{name}`")
    assert what == meaning and benchmark


def test_the_page_names_no_other_rule() -> None:
    table = PAGE.split("## Two profiles")[1].split("##")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(CLEAN_RULES)


@pytest.mark.parametrize("variable", variables(), ids=lambda variable: variable.name)
def test_every_variable_is_there_with_its_limits(variable: Variable) -> None:
    unit, normal, outlier, valid = cells(variable.name)
    if variable.categories:
        assert normal == variable.categories[int(variable.normal)]
        return
    limits = variable.limits
    assert limits is not None
    assert (unit, float(normal)) == (variable.unit, variable.normal)
    assert outlier == f"{limits.outlier_low:g} to {limits.outlier_high:g}"
    assert valid == f"{limits.valid_low:g} to {limits.valid_high:g}"
