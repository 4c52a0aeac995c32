"""The chapter on groups of patients: what is beyond chance and what is not, in words, figures and tables."""

from pathlib import Path

import numpy as np
import pytest
from omnifuse.fusion.report.blocks import Block, Figures, Folded, Measure, Section, Table, Text, tables
from omnifuse.fusion.report.groups import group_blocks, groups_section
from omnifuse.fusion.runs.metrics import Subgroup
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.typed_json import read
from omnifuse.fusion.scores.fairness import by_group
from omnifuse.fusion.scores.subgroups import Samples

from tests.fusion.report.conftest import alter_metrics

NOTHING = dict.fromkeys(f"{name}{ending}" for name in ("auroc", "sensitivity", "observed_expected", "auroc_gap",
                                                       "sensitivity_gap") for ending in ("", "_ci"))  # fmt: skip
WOMEN = {"auroc": 0.871, "observed_expected": 1.31, "observed_expected_ci": (1.1, 1.5),
         "auroc_gap": 0.02, "auroc_gap_ci": (-0.01, 0.05), "auroc_gap_p": 0.4}  # fmt: skip
SUBGROUPS = (
    Subgroup("sex", "F", samples=1000, patients=900, positives=90, entries={**NOTHING, **WOMEN}, reference="M"),
    Subgroup("icu_type", "1", samples=200, patients=150, positives=0, entries=NOTHING, reference="2",
             too_few="0 patients with and 150 without the outcome"),
)  # fmt: skip


def young(p: float | None) -> Subgroup:
    """A group with a lower AUROC."""
    gap = {"auroc": 0.7, "auroc_gap": -0.1, "auroc_gap_ci": (-0.2, -0.02), "auroc_gap_p": p}
    return Subgroup("age", "0-44", samples=500, patients=400, positives=40, entries={**NOTHING, **gap}, reference="80+")


def blocks(*groups: Subgroup) -> list[Block]:
    return list(group_blocks(groups, "binary", 3))


def texts(*groups: Subgroup) -> list[Text]:
    return [block for block in blocks(*groups) if isinstance(block, Text)]


def table(caption: str, *groups: Subgroup) -> Table:
    return next(found for found in tables(blocks(*groups)) if found.caption == caption)


def test_each_group_is_a_row_that_sorts_by_its_ratio() -> None:
    found = table("By who the patients are", *SUBGROUPS)
    assert found.sortable and found.columns == ("group", "samples", "positive", "AUROC", "sensitivity",
                                                "observed / expected")  # fmt: skip
    ratio = Measure("1.31", 1.31, "[1.10,\N{NO-BREAK SPACE}1.50]")
    assert found.rows == (
        ("sex F", "1,000", "90", Measure("0.871", 0.871), "–", ratio),
        ("icu type 1", "200", "0", "–", "–", "–"),
    )


def test_each_group_that_is_compared_has_its_differences() -> None:
    found = table("Differences to the largest group", *SUBGROUPS)
    assert found.columns == ("group", "AUROC")
    assert found.rows == (("sex F less M", Measure("+0.020", 0.02, "[−0.010,\N{NO-BREAK SPACE}0.050]")),)


def test_tables_are_folded_behind_how_far_groups_lie_apart() -> None:
    first, *_, folded = blocks(*SUBGROUPS, young(0.01))
    assert isinstance(first, Text) and isinstance(folded, Folded)
    assert first.text.startswith(
        "By who the patients are, the AUROC lies between 0.700 (age 0-44) and 0.871 (sex F). Each group is compared "
        "with the largest of the same kind"
    )
    assert folded.title == "By who the patients are: 3 groups"


def test_a_difference_that_the_correction_leaves_is_a_warning() -> None:
    _, said, _ = texts(*SUBGROUPS, young(0.01))
    assert said.tone == "warning"
    assert said.text == (
        "2 differences were looked at. If there were none at all, the 95 % intervals of about 0.1 would leave 0 out by "
        "chance; 1 does. One by one: AUROC of age 0-44. After the correction for all of them (Holm) beyond chance: "
        "AUROC of age 0-44."
    )


def test_a_difference_that_the_correction_takes_away_is_none_and_not_equality() -> None:
    _, said, _ = texts(*SUBGROUPS, young(0.2))
    assert said.tone == "plain"
    assert "none is beyond chance. That does not mean that there is none" in said.text


def test_groups_of_few_outcomes_are_named_and_not_compared() -> None:
    *_, said = texts(*SUBGROUPS)
    assert said.text == (
        "Not compared, for want of 10 patients: icu type 1 (0 patients with and 150 without the outcome)."
    )


def test_differences_are_drawn_with_those_beyond_chance_marked() -> None:
    (drawn,) = (block for block in blocks(*SUBGROUPS, young(0.01)) if isinstance(block, Figures))
    assert [figure.title for figure in drawn.figures] == ["Differences: AUROC"]
    assert "sex F" in drawn.figures[0].svg and "age 0-44" in drawn.figures[0].svg


def test_groups_of_an_earlier_version_have_no_correction_and_no_reference() -> None:
    entries = {name: value for name, value in young(0.01).entries.items() if not name.endswith("_p")}
    old = Subgroup("age", "0-44", samples=500, patients=400, positives=40, entries=entries)
    _, said = texts(SUBGROUPS[0], old)
    assert "Holm" not in texts(old)[0].text and said.tone == "plain"
    assert table("Differences to the largest group", old).rows[0][0] == "age 0-44 less the largest"


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("multilabel", ["AUROC", "observed / expected"]),
        ("multiclass", ["AUROC", "accuracy", "observed / expected"]),
        ("regression", ["MAE", "predicted − measured"]),
    ],
)
def test_other_kinds_have_their_own_columns(kind: str, columns: list[str]) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 200) if kind == "multiclass" else rng.random((200, 1))
    y = rng.integers(0, 3, (200, 1)).astype(float) if kind == "multiclass" else np.round(p)
    rows = by_group(kind, y, p, Samples(np.arange(200), np.zeros(200), {"sex": np.repeat(["F", "M"], 100)}))
    groups = [read(Subgroup, row, "row") for row in rows]
    found = next(tables(group_blocks(groups, kind, 2)))
    assert list(found.columns) == ["group", "samples", *columns]


def test_a_run_without_groups_has_no_such_chapter(run: Path) -> None:
    assert groups_section(load_run(run)) is None
    alter_metrics(run, per_subgroup=SUBGROUPS)
    found = groups_section(load_run(run))
    assert isinstance(found, Section) and found.anchor == "groups"
