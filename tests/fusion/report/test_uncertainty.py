"""The chapter on sets and on staying silent: that it says where coverage does not hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.report.blocks import Block, Figures, Measure, Section, Table, Text, tables
from omnifuse.fusion.report.uncertainty import coverage_words, uncertainty_section
from omnifuse.fusion.runs.metrics import Covered
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.scores.thresholds import threshold

from tests.fusion.report.conftest import alter_metrics

GOOD = Covered("", "all", 1000, 0.903, (0.883, 0.92), 0.0, 0.7, 0.3)
BAD = Covered("what is available", "cxr+ehr", 200, 0.8, (0.74, 0.85), 0.0, 0.9, 0.1)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def section(run: Path) -> Section:
    found = uncertainty_section(load_run(run))
    assert found is not None
    return found


def texts(blocks: tuple[Block, ...]) -> list[str]:
    return [plain(block.text) for block in blocks if isinstance(block, Text)]


def table(run: Path, caption: str) -> Table:
    return next(found for found in tables(section(run).blocks) if found.caption == caption)


def test_coverage_that_holds_is_said_with_its_interval() -> None:
    said = coverage_words(0.9, [GOOD])
    assert (said.tone, plain(said.text)) == (
        "plain",
        "Coverage holds: the truth is in 90.3 % of the sets (95 % interval 88.3 % to 92.0 %); asked for were 90 %.",
    )


def test_a_part_whose_coverage_does_not_hold_is_a_warning_with_its_name() -> None:
    said = coverage_words(0.9, [GOOD, BAD])
    assert said.tone == "warning"
    assert "It does not hold for samples with cxr + ehr (80.0 %)" in plain(said.text)


def test_coverage_that_does_not_hold_at_all_is_a_warning() -> None:
    said = coverage_words(0.9, [replace(BAD, by="", name="all")])
    assert said.tone == "warning" and plain(said.text).startswith(
        "Coverage does not hold: the truth is in only 80.0 % of the sets (95 % interval 74.0 % to 85.0 %)"
    )


def test_more_than_was_asked_for_is_no_warning() -> None:
    said = coverage_words(0.9, [replace(GOOD, covered=0.95, covered_ci=(0.93, 0.97))])
    assert said.tone == "plain" and said.text.startswith("Coverage is more than was asked for")


def test_a_run_says_how_sure_it_is(run: Path) -> None:
    found = section(run)
    what, held, silent = texts(found.blocks)
    assert "the true answer for 90 % of the samples of each class" in what
    sets = load_run(run).metrics.conformal
    assert sets is not None and held == plain(coverage_words(sets.level, sets.coverage).text)
    assert "If it stays silent on the 20 % of samples that it is least certain of" in silent
    (drawn,) = (block for block in found.blocks if isinstance(block, Figures))
    assert [figure.title for figure in drawn.figures] == ["Coverage", "Error of who may stay silent"]


def test_the_table_has_every_part_with_its_verdict_and_sizes(run: Path) -> None:
    metrics = load_run(run).metrics
    assert metrics.conformal is not None
    found = table(run, "How often sets hold the truth")
    names = [row[0] for row in found.rows]
    assert names[:3] == ["all samples", "class negative", "class positive"]
    assert set(names[3:]) == {f"samples with {name.replace('+', ' + ')}" for name in metrics.presence}
    everybody = metrics.conformal.coverage[0]
    assert isinstance(found.rows[0][2], Measure) and found.rows[0][2].value == everybody.covered
    assert found.columns[-3:] == ("empty", "one answer", "several")


def test_coverage_is_that_of_the_predictions_by_thresholds_of_other_folds(run: Path) -> None:
    found, table = load_run(run), pl.read_parquet(run / "predictions.parquet")
    y, p, fold = (table[name].cast(pl.Float64).to_numpy() for name in ("y", "p", "fold"))
    hits = 0
    for number in range(5):
        here = fold == number
        for label in (0, 1):
            score = np.where(label, 1 - p, p)
            limit = threshold(score[~here & (y == label)], 0.9)
            hits += (score[here & (y == label)] <= limit).sum()
    assert found.metrics.conformal is not None
    assert found.metrics.conformal.coverage[0].covered == pytest.approx(hits / len(y))


def test_the_table_of_who_stays_silent_has_a_few_shares(run: Path) -> None:
    found = table(run, "If it answers only where it is most certain")
    assert [plain(str(row[0])) for row in found.rows] == ["100 %", "90 %", "80 %", "70 %", "50 %"]
    metrics = load_run(run).metrics
    first = found.rows[0][-1]
    assert isinstance(first, Measure) and first.value == pytest.approx(metrics.auroc.mean)


def test_a_run_of_an_earlier_version_has_no_such_chapter(run: Path) -> None:
    alter_metrics(run, conformal=None, abstention=None)
    assert uncertainty_section(load_run(run)) is None


def test_several_labels_have_sets_and_no_curve_of_silence(multilabel: Path) -> None:
    found = section(multilabel)
    assert "answers to each label" in texts(found.blocks)[0]
    assert not any(isinstance(block, Figures) for block in found.blocks)  # 25 labels on two sides are too many
    thresholds = table(multilabel, "What decides the sets of new samples")
    assert [row[0] for row in thresholds.rows[:2]] == ["phenotype 00: negative", "phenotype 00: positive"]
