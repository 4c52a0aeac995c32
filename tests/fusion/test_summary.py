"""What metrics.json says about predictions that are made up to be right or wrong."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.batches import Cohort
from omnifuse.fusion.config import make_config
from omnifuse.fusion.decisions import at_alert_rate, expected_calibration_error
from omnifuse.fusion.fold_result import FoldResult
from omnifuse.fusion.subgroups import per_subgroup
from omnifuse.fusion.summary import combination_names, summarise


def fold_of(cohort: Cohort, probability: np.ndarray) -> FoldResult:
    """Return a fold that tested every sample of a cohort and gave these probabilities [N]."""
    given = probability.astype(np.float32)[:, None]
    return result(np.arange(len(cohort)), cohort.presence, given)


def result(tested: np.ndarray, presence: np.ndarray, probability: np.ndarray) -> FoldResult:
    draws = np.zeros((0, *probability.shape), dtype=np.float32)
    return FoldResult(
        tested, presence, probability, None, draws, probability, pl.DataFrame(), {}, {}, [], epochs=1, seconds=0.0
    )


def notes_of(cohort: Cohort, probability: np.ndarray) -> list[str]:
    hidden = np.zeros_like(cohort.presence)
    folds = [fold_of(cohort, probability)]
    notes: list[str] = summarise(cohort, make_config("concat"), folds, hidden, [])["notes"]
    return notes


def test_a_pattern_that_is_predicted_too_low_is_named(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort(samples=1000)
    fair = np.full(1000, cohort.y.mean())
    only_static = combination_names(cohort.presence, cohort.modalities) == "static"
    assert not any("as predicted" in note for note in notes_of(cohort, fair))
    too_low = np.where(only_static, fair / 4, fair)
    named = [note for note in notes_of(cohort, too_low) if "as predicted" in note]
    assert len(named) == 1
    ratio = cohort.y[only_static].mean() / (cohort.y.mean() / 4)
    assert named[0].startswith(f"Samples with static only: {ratio:.2f} times as many positives as predicted")


def test_chance_is_not_called_bad_calibration(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort(samples=20)
    folds, hidden = [fold_of(cohort, np.full(20, cohort.y.mean()))], np.zeros_like(cohort.presence)
    found = summarise(cohort, make_config("concat"), folds, hidden, [])
    ratios = [row["calibration"]["observed_expected"] for row in found["per_pattern"]]
    assert max(ratios) > 1.25
    assert not any("as predicted" in note for note in found["notes"])


def test_a_subgroup_that_is_predicted_too_low_is_named(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort(samples=1000)
    women = np.arange(1000) % 2 == 0
    cohort = replace(cohort, groups={"sex": np.where(women, "F", "M")})
    fair = np.full(1000, cohort.y.mean())
    assert not any("as predicted" in note for note in notes_of(cohort, fair))
    named = [note for note in notes_of(cohort, np.where(women, fair / 2, fair)) if "Samples with sex" in note]
    assert len(named) == 1
    ratio = cohort.y[women].mean() / (cohort.y.mean() / 2)
    assert named[0].startswith(f"Samples with sex F: {ratio:.2f} times as many positives as predicted")


def test_a_binary_run_has_alerts_calibration_error_and_subgroups_of_what_was_tested(
    toy_cohort: Callable[..., Cohort],
) -> None:
    cohort = toy_cohort(samples=100)
    cohort = replace(cohort, groups={"sex": np.where(np.arange(100) % 3 == 0, "F", "M")})
    tested = np.random.default_rng(0).permutation(100)[:80]
    p = np.random.default_rng(1).random((80, 1)).astype(np.float32)
    found = summarise(
        cohort, make_config("concat"), [result(tested, cohort.presence[tested], p)], np.zeros_like(cohort.presence), []
    )
    y = cohort.y[tested, 0]
    assert found["alert"] == at_alert_rate(y, p[:, 0])
    assert found["calibration"]["ece"] == expected_calibration_error(y, p[:, 0])
    assert found["per_subgroup"] == per_subgroup({"sex": cohort.groups["sex"][tested]}, y, p[:, 0])


def test_other_kinds_have_none_of_what_is_for_binary_tasks(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = replace(toy_cohort(samples=40, kind="multilabel"), groups={"sex": np.repeat(["F", "M"], 20)})
    folds = [result(np.arange(40), cohort.presence, np.full((40, 2), 0.5, dtype=np.float32))]
    found = summarise(cohort, make_config("concat"), folds, np.zeros_like(cohort.presence), [])
    assert (found["calibration"], found["alert"], found["per_subgroup"]) == (None, None, [])


def test_names_of_combinations_are_sorted() -> None:
    presence = np.array([[True, True, False], [False, False, True], [True, True, False]])
    assert combination_names(presence, ("rep", "cxr", "ehr")).tolist() == ["cxr+rep", "ehr", "cxr+rep"]


def test_pooled_and_mean_differ_where_folds_differ_in_level(toy_cohort: Callable[..., Cohort]) -> None:
    """Two models that rank perfectly, one of which gives higher probabilities throughout."""
    cohort = toy_cohort(samples=100)
    y, half = cohort.y[:, 0], np.arange(100) < 50
    probability = 0.4 * y + np.where(half, 0.5, 0.0) + 0.05
    given = probability.astype(np.float32)[:, None]
    folds = [result(np.flatnonzero(part), cohort.presence[part], given[part]) for part in (half, ~half)]
    found = summarise(cohort, make_config("concat"), folds, np.zeros_like(cohort.presence), [])
    assert found["auroc"]["mean"] == 1
    wrong = (1 - y[half]).sum() * y[~half].sum()  # pairs of a negative of the first and a positive of the second
    assert found["auroc"]["pooled"] == pytest.approx(1 - wrong / (y.sum() * (1 - y).sum()))
