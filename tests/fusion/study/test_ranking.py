"""The first sentences and the first table of a study's report."""

from pathlib import Path

import polars as pl
import pytest
from omnifuse.fusion.study.cell import Scope
from omnifuse.fusion.study.finished import Comparison, FinishedStudy
from omnifuse.fusion.study.ranking import Ranked, Ranking
from omnifuse.fusion.study.results import Estimate

STUDY = FinishedStudy(Path("nowhere"), Scope("mortality", ("cxr", "ehr")), pl.DataFrame())


def row(method: str, area: float, verdict: str = "", difference: float = 0.0, trainings: int = 5) -> Ranked:
    """A method; one with a verdict was compared with concat."""
    score = Estimate(area, area - 0.02, area + 0.02)
    if not verdict:
        return Ranked(method, score, 0.001)
    found = Comparison(Estimate(difference, difference - 0.01, difference + 0.01), 0.01, 0.5, trainings, None, None)
    return Ranked(method, score, 0.001, found, 0.02, verdict)


def answer_of(*rows: Ranked) -> str:
    return Ranking(STUDY, ("cxr", "ehr"), "concat", rows).answer.replace("\N{NO-BREAK SPACE}", " ")


def test_what_is_better_is_named_first_with_the_distance_of_the_highest() -> None:
    assert answer_of(row("late", 0.72, "better", 0.02), row("sum", 0.715, "better", 0.015), row("concat", 0.7)) == (
        "late and sum are better than concat (AUROC 0.700). The highest score is that of late, 0.720: +0.020, "
        "95 % interval [0.010, 0.030]; better."
    )


def test_the_highest_score_is_not_called_better_than_what_it_was_not_shown_to_beat() -> None:
    assert answer_of(row("late", 0.71, "not shown", 0.01), row("concat", 0.7)) == (
        "No method is shown to be better than concat (AUROC 0.700). The highest score is that of late, 0.710: +0.010, "
        "95 % interval [0.000, 0.020]; a difference is not shown (p 0.020, corrected for the number of rows)."
    )


def test_what_is_worse_and_what_is_equivalent_is_told_apart_from_what_is_not_shown() -> None:
    said = answer_of(
        row("concat", 0.7), row("sum", 0.699, "equivalent (within 0.005)", -0.001), row("late", 0.69, "not shown"),
        row("prior", 0.5, "worse", -0.2),
    )  # fmt: skip
    assert said == (
        "No method is shown to be better than concat (AUROC 0.700). concat has the highest score. Worse: prior. "
        "Equivalent within 0.005: sum."
    )


def test_of_one_training_each_models_are_compared_and_not_methods() -> None:
    end = "One training each: another could turn this around."
    said = answer_of(row("concat", 0.7), row("sum", 0.699, "not shown", trainings=1))
    assert said.startswith("No model is shown to be better than that of concat (AUROC 0.700).") and said.endswith(end)
    said = answer_of(row("sum", 0.72, "better, these models", 0.02, trainings=1), row("concat", 0.7))
    assert said.startswith("The model of sum is better than that of concat (AUROC 0.700).") and said.endswith(end)


def test_a_single_method_is_compared_with_nothing() -> None:
    assert answer_of(row("concat", 0.7)) == "concat has an AUROC of 0.700; nothing was compared with it."


def test_the_reference_has_no_difference_and_no_verdict_of_its_own() -> None:
    better, reference = row("late", 0.72, "better", 0.02), row("concat", 0.7)
    table = Ranking(STUDY, ("cxr",), "concat", (better, reference)).table
    assert better.found is not None
    assert table.rows == (
        ("late", better.mean, 0.001, better.found.difference, 0.02, "better"),
        ("concat", reference.mean, 0.001, Estimate(None), None, "reference"),
    )


def test_the_folded_table_of_all_tests_has_the_same_rows_but_the_reference() -> None:
    rows = row("late", 0.72, "better", 0.02), row("concat", 0.7), row("sum", 0.69, "not shown", -0.01)
    tests = Ranking(STUDY, ("cxr",), "concat", rows).tests
    assert tests.folded
    assert [line[0] for line in tests.rows] == ["late", "sum"]
    assert tests.rows[0][3] == pytest.approx(0.01)
