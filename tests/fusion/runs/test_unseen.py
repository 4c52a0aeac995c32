"""Who may answer for a sample: a model that has not seen its subject."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.splits import Split, split_frame
from omnifuse.fusion.runs.folder import RunFolder
from omnifuse.fusion.runs.unseen import who_answers

ToyCohort = Callable[..., Cohort]

FOLDS = [
    Split(np.arange(20, 40), np.empty(0, dtype=np.int64), np.arange(20)),
    Split(np.arange(20), np.empty(0, dtype=np.int64), np.arange(20, 40)),
]
"""Two folds of samples 0 to 39, of subjects 0 to 19."""


@pytest.fixture
def run(tmp_path: Path, toy_cohort: ToyCohort) -> Path:
    split_frame(FOLDS, toy_cohort()).write_parquet(tmp_path / "splits.parquet")
    return tmp_path


def answers(run: Path, cohort: Cohort, *folds: int) -> dict[int, tuple[tuple[int, ...], str]]:
    """Return for each sample which folds' models answer, and as what."""
    return {
        sample: (one.folds, one.models)
        for one in who_answers(RunFolder(run), cohort, folds or (0, 1))
        for sample in one.samples.tolist()
    }


def test_each_subject_is_answered_by_the_fold_that_tested_it_and_strangers_by_all(
    run: Path, toy_cohort: ToyCohort
) -> None:
    expected = dict.fromkeys(range(20), ((0,), "out-of-fold"))
    expected |= dict.fromkeys(range(20, 40), ((1,), "out-of-fold"))
    expected |= dict.fromkeys(range(40, 60), ((0, 1), "mean"))
    assert answers(run, toy_cohort()) == expected


def test_a_new_sample_of_a_subject_that_was_trained_on_is_no_stranger(run: Path, toy_cohort: ToyCohort) -> None:
    cohort = toy_cohort()
    subject = cohort.subject_id.copy()
    subject[45] = 12  # whose own samples, 24 and 25, were tested by fold 1
    found = answers(run, replace(cohort, subject_id=subject))
    assert found[45] == ((1,), "out-of-fold") and found[44] == ((0, 1), "mean")


def test_it_does_not_change_who_is_asked_about_together_with_those_that_were_tested(
    run: Path, toy_cohort: ToyCohort
) -> None:
    subject = toy_cohort().subject_id.copy()
    subject[45] = 12
    asked = who_answers(RunFolder(run), replace(toy_cohort(), subject_id=subject), (0, 1))
    assert [one.samples.tolist() for one in asked if one.folds == (1,)] == [list(range(20, 40)), [45]]


def test_ids_are_the_same_as_numbers_and_as_text(run: Path, toy_cohort: ToyCohort) -> None:
    cohort = toy_cohort()
    text = replace(cohort, sample_id=cohort.sample_id.astype(str), subject_id=cohort.subject_id.astype(str))
    assert answers(run, text) == answers(run, cohort)


def test_without_the_model_that_has_not_seen_a_subject_the_others_answer_and_it_is_said(
    run: Path, toy_cohort: ToyCohort
) -> None:
    found = answers(run, toy_cohort(), 1)
    assert found[0] == ((1,), "seen") and found[20] == ((1,), "out-of-fold") and found[50] == ((1,), "mean")


def test_folds_of_an_earlier_version_without_subjects_take_them_from_the_cohort(
    run: Path, toy_cohort: ToyCohort
) -> None:
    before = answers(run, toy_cohort())
    splits = pl.read_parquet(run / "splits.parquet")
    splits.drop("subject_id").write_parquet(run / "splits.parquet")
    assert answers(run, toy_cohort()) == before
