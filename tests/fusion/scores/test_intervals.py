"""Intervals hold their estimates, count patients, and are those of textbooks where a patient has one sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion.scores import intervals, measures, metrics
from omnifuse.fusion.scores.areas import AUPRC, AUROC
from omnifuse.fusion.scores.intervals import Measured, mean_area, observed_expected, share, wilson
from scipy.stats import norm


def within(found: Measured, lowest: float, highest: float) -> bool:
    return bool(lowest <= found.low <= found.value <= found.high <= highest)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["binary", "multiclass", "multilabel"]), st.integers(1, 60), st.integers(1, 12), st.integers(1, 4),
    st.sampled_from([0.02, 0.3, 0.9]), st.integers(1, 6), st.integers(0, 9999),
)  # fmt: skip
def test_the_interval_of_an_area_holds_the_mean_over_folds(
    kind: str, count: int, patients: int, folds: int, prevalence: float, distinct: int, seed: int
) -> None:
    """Of few patients, few positives, ties, unknown labels, and folds with one class."""
    rng = np.random.default_rng(seed)
    columns = 1 if kind == "binary" else 3
    y = (rng.random((count, columns)) < prevalence).astype(float)
    y[rng.random(y.shape) < 0.1] = np.nan
    if kind == "multiclass":
        y = rng.choice(3, size=(count, 1), p=[prevalence, (1 - prevalence) / 2, (1 - prevalence) / 2]).astype(float)
    p = rng.integers(0, distinct + 1, (count, columns)) / distinct
    subjects = rng.integers(0, patients, count)
    fold = subjects % folds
    truth, chance = metrics.one_vs_rest(y, p)
    for measure in (measures.AUROC, measures.AUPRC):
        per_fold = [measure.value(y[fold == k], p[fold == k]) for k in np.unique(fold)]
        mean, found = metrics.mean_defined(per_fold), mean_area(measure.area, truth, chance, subjects, fold)
        assert (mean is None) == (found is None)
        if found is not None:
            assert found.value == pytest.approx(mean)
            assert within(found, 0, 1) and found.low < found.high


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 60), st.integers(1, 12), st.sampled_from([0.0, 0.02, 0.5, 1.0]), st.integers(0, 9999))
def test_intervals_of_shares_and_ratios_hold_them(count: int, patients: int, prevalence: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, subjects = (rng.random(count) < prevalence).astype(float), rng.integers(0, patients, count)
    rate, ratio = share(y, subjects), observed_expected(y, rng.uniform(0.01, 1, count), subjects)
    assert rate is not None and rate.value == y.mean() and within(rate, 0, 1) and rate.low < rate.high
    assert ratio is not None and within(ratio, 0, np.inf) and ratio.low < ratio.high


def test_twenty_copies_of_each_patient_add_nothing_to_an_area() -> None:
    rng = np.random.default_rng(0)
    y, p, subjects = (rng.random((60, 1)) < 0.5).astype(float), rng.random((60, 1)), np.arange(60)
    for measure in (AUROC, AUPRC):
        once = mean_area(measure, y, p, subjects, subjects % 3)
        copied = mean_area(measure, *(np.repeat(part, 20, 0) for part in (y, p, subjects, subjects % 3)))
        assert copied.ci == pytest.approx(once.ci)


def test_the_variance_of_an_area_of_one_fold_is_that_of_delong() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.3).astype(float)
    p = rng.normal(y, 1 + y)  # positives differ more than those of Hanley and McNeil
    right = p[y == 1][:, None] > p[y == 0]  # [positives, negatives]
    variance = right.mean(1).var(ddof=1) / len(right) + right.mean(0).var(ddof=1) / right.shape[1]
    area = right.mean()
    found = mean_area(AUROC, y[:, None], p[:, None], np.arange(400), np.zeros(400))
    assert found.ci == pytest.approx(wilson(area, area * (1 - area) / variance).ci)


def test_perfect_ranking_is_no_proof() -> None:
    """Of n positives and n negatives, all in order, there are about 4 n² / 2 n trials."""
    y = np.repeat([0.0, 1.0], 10)[:, None]
    found = mean_area(AUROC, y, y, np.arange(20), np.zeros(20))
    assert found.value == found.high == 1
    assert found.low == pytest.approx(wilson(1.0, 100 / (1 + 9 / 2)).low)


def test_a_share_of_patients_with_one_sample_has_nearly_the_wilson_interval() -> None:
    y = (np.arange(200) < 40).astype(float)
    assert share(y, np.arange(200)).ci == pytest.approx(wilson(0.2, 199).ci)
    for everybody in (np.zeros(30), np.ones(30)):
        assert share(everybody, np.arange(30)).ci == wilson(everybody[0], 30).ci


def test_ten_equal_samples_a_patient_count_as_one() -> None:
    y, subjects = (np.arange(50) < 10).astype(float), np.arange(50)
    for found in (share, lambda *columns: observed_expected(columns[0], np.full(len(columns[0]), 0.4), columns[1])):
        assert found(np.repeat(y, 10), np.repeat(subjects, 10)).ci == pytest.approx(found(y, subjects).ci)
    assert share(np.zeros(300), np.repeat(np.arange(30), 10)).ci == wilson(0.0, 30).ci


def test_a_ratio_with_one_probability_for_all_is_the_share_over_it() -> None:
    y, subjects = (np.arange(200) < 40).astype(float), np.arange(200) // 2
    rate, ratio = share(y, subjects), observed_expected(y, np.full(200, 0.25), subjects)
    assert [ratio.value, *ratio.ci] == pytest.approx([bound / 0.25 for bound in (rate.value, *rate.ci)])


def test_the_wilson_interval_solves_its_equation() -> None:
    for rate, trials in ((0.0, 10), (0.3, 50), (0.3, 7.5), (1.0, 7)):
        found = wilson(rate, trials)
        bounds = {0.0: [found.high], 1.0: [found.low]}.get(rate, found.ci)
        for bound in bounds:
            assert (rate - bound) ** 2 == pytest.approx(intervals.Z**2 * bound * (1 - bound) / trials, abs=1e-9)


def test_there_is_one_half_width_of_95_percent() -> None:
    assert norm.ppf(intervals.TAILS) == pytest.approx([-intervals.Z, intervals.Z], abs=5e-7)
    assert intervals.TAILS == (intervals.LEVEL / 2, 1 - intervals.LEVEL / 2)


def test_wilson_interval_of_five_in_ten() -> None:
    # statsmodels.stats.proportion.proportion_confint(5, 10, method="wilson")
    assert wilson(0.5, 10).ci == pytest.approx([0.2365931, 0.7634069], abs=1e-6)


def test_the_interval_of_a_difference_of_shares_is_that_of_newcombe() -> None:
    # Newcombe 1998, table II, method 10, example (a): 56/70 - 48/80 is 0.2 [0.0524, 0.3339]
    found = wilson(56 / 70, 70).minus(wilson(48 / 80, 80))
    assert [found.value, *found.ci] == pytest.approx([0.2, 0.0524, 0.3339], abs=1e-4)


def test_what_is_correlated_differs_less() -> None:
    one = Measured(0.5, 0.4, 0.6)
    assert one.minus(one, 0.5).ci == pytest.approx([-0.1, 0.1])
    assert one.minus(one, 1.0).ci == [0, 0]
    assert one.minus(one).ci == pytest.approx([-0.1 * np.sqrt(2), 0.1 * np.sqrt(2)])


def test_nothing_has_no_interval() -> None:
    none = np.zeros((0, 1))
    assert mean_area(AUROC, none, none, none[:, 0], none[:, 0]) is None and share(none[:, 0], none[:, 0]) is None
    assert mean_area(AUROC, np.zeros((5, 1)), np.ones((5, 1)), np.arange(5), np.zeros(5)) is None
