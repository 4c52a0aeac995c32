"""Draws of patients, and measures under them."""

from functools import partial

import numpy as np
import pytest
from omnifuse.fusion.scores import resampling
from omnifuse.fusion.scores.intervals import of_measure
from omnifuse.fusion.scores.measures import AUROC, MAE, Measure
from omnifuse.fusion.scores.resampling import mean_over_folds, patient_weights


def test_the_area_of_several_versions_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    y, folds = np.tile([0.0, 1.0], 20)[:, None], np.arange(40) // 20
    versions, weights = rng.random((3, 40, 1)), patient_weights(40, draws=5)
    areas = partial(mean_over_folds, AUROC.area.over_labels, y)
    each = [areas([version], folds, np.arange(40), weights) for version in versions]
    assert areas(versions, folds, np.arange(40), weights) == pytest.approx(np.mean(each, axis=0))


def test_patients_are_drawn_with_replacement_after_all_of_them_once() -> None:
    weights = patient_weights(50, draws=400)
    assert (weights[0] == 1).all() and (weights.sum(axis=1) == 50).all()
    assert weights[1:].var() == pytest.approx(1 - 1 / 50, rel=0.05)
    assert np.array_equal(weights, patient_weights(50, draws=400))


def test_how_many_draws_are_held_together_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y, said, folds = rng.normal(size=(40, 1)), rng.normal(size=(40, 1)), np.arange(40) % 3
    drawn = partial(mean_over_folds, MAE.under_weights, y, [said], folds, np.arange(40) // 2, patient_weights(20, 9))
    whole = drawn()
    monkeypatch.setattr(resampling, "CELLS_AT_ONCE", 30)
    assert drawn() == pytest.approx(whole, rel=1e-14)


def test_the_interval_of_a_mean_error_is_that_of_a_mean_over_patients() -> None:
    """With one fold the mean absolute error is a mean, whose error is the sd over the root of their number."""
    error = np.random.default_rng(0).exponential(1, 400)
    found = of_measure(MAE, np.zeros((400, 1)), error[:, None], np.arange(400), np.zeros(400))
    assert found.value == pytest.approx(error.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error.std() / 20, rel=0.1)


def test_samples_of_a_patient_count_together() -> None:
    """Every patient four times, always with the same error, is as much as every patient once."""
    error = np.random.default_rng(1).exponential(1, 60)
    once = of_measure(MAE, np.zeros((60, 1)), error[:, None], np.arange(60), np.zeros(60))
    often = of_measure(
        MAE, np.zeros((240, 1)), np.repeat(error, 4)[:, None], np.repeat(np.arange(60), 4), np.zeros(240)
    )
    assert (often.value, *often.ci) == pytest.approx((once.value, *once.ci))


def test_a_measure_without_weights_or_value_has_no_interval() -> None:
    y, said = np.zeros((5, 1)), np.ones((5, 1))
    bare = Measure("bare", lambda y, predicted: 0.5, higher_is_better=True)
    assert of_measure(bare, y, said, np.arange(5), np.zeros(5)) is None
    assert of_measure(MAE, y * np.nan, said, np.arange(5), np.zeros(5)) is None
    assert of_measure(MAE, y[:0], said[:0], np.arange(0), np.zeros(0)) is None
