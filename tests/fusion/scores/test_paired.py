"""Comparisons of two methods against scipy, direct sums, closed forms and simulation."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion.scores import metrics, paired
from omnifuse.fusion.scores.areas import Area
from omnifuse.fusion.scores.measures import AUPRC, AUROC
from omnifuse.fusion.scores.paired import Difference
from omnifuse.fusion.scores.resampling import mean_over_folds, patient_weights
from scipy import stats

FIVE = np.array([0.02, -0.01, 0.03, 0.015, 0.005])


def test_paired_t_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(5), rng.random(5)
    found, known = paired.paired_t(first - second), stats.ttest_rel(first, second)
    interval = known.confidence_interval(0.95)
    expected = np.mean(first - second), interval.low, interval.high, known.pvalue
    assert astuple(found)[:4] == pytest.approx(expected)


def test_the_corrected_variance_has_a_closed_form() -> None:
    """Of ten-fold cross-validation test / train is 1 / 9."""
    differences = np.tile(FIVE, 2)
    error = np.sqrt((1 / 10 + 1 / 9) * differences.var(ddof=1))
    found = paired.corrected_resampled_t(differences, test_share=0.1)
    assert found.p == pytest.approx(2 * stats.t.sf(0.012 / error, 9))
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 9) * error)
    assert found.p > paired.paired_t(differences).p


def test_undefined_folds_do_not_count_and_one_is_too_few() -> None:
    assert paired.paired_t(np.append(FIVE, np.nan)) == paired.paired_t(FIVE)
    assert paired.paired_t(np.array([0.1, np.nan])) is None


def test_equal_everywhere_is_no_difference_and_always_better_by_the_same_is_one() -> None:
    assert paired.paired_t(np.zeros(4)) == Difference(0, 0, 0, 1, 0)
    assert paired.paired_t(np.full(4, 0.25)) == Difference(0.25, 0.25, 0.25, 0, 1)


@given(st.floats(-0.02, 0.02), st.floats(0.001, 0.01))
def test_equivalence_is_shown_where_the_90_percent_interval_lies_within_the_margin(mean: float, spread: float) -> None:
    """`scipy.stats.ttest_1samp` against each margin, in the direction of the other."""
    differences = mean + spread * np.array([-1.0, -0.5, 0.2, 0.5, 0.8])
    found = paired.paired_t(differences, margin=0.005)
    above = stats.ttest_1samp(differences, -0.005, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, 0.005, alternative="less").pvalue
    assert found.p_equivalence == pytest.approx(max(above, below))
    narrow = stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    if abs(found.p_equivalence - 0.05) > 1e-9:
        assert (found.p_equivalence < 0.05) == (narrow.low > -0.005 and narrow.high < 0.005)


def compared(
    y: np.ndarray, first: np.ndarray, second: np.ndarray, subjects: np.ndarray, folds: np.ndarray,
    draws: int = 100, area: Area = AUROC.area,
) -> Difference | None:  # fmt: skip
    """Compare two methods [n, K] after one training each."""
    names, patient = np.unique(subjects, return_inverse=True)
    weights = patient_weights(len(names), draws)
    areas = [mean_over_folds(area.over_labels, y, [scores], folds, patient, weights) for scores in (first, second)]
    return paired.over_trainings((areas[0] - areas[1])[None])


def cohort(rng: np.random.Generator, subjects: int) -> dict[str, np.ndarray]:
    """Two samples a subject that agree in all but noise, two folds; the first score is the better one."""
    y, shared = rng.random(subjects) < 0.4, rng.normal(size=(2, subjects))
    subject = np.repeat(np.arange(subjects), 2)
    noise = 0.1 * rng.normal(size=(2, 2 * subjects))
    first, second = (shared + np.array([[1.5], [1.0]]) * y)[:, subject] + noise
    columns = {"y": y[subject].astype(float), "first": first, "second": second}
    return {name: values[:, None] for name, values in columns.items()} | {
        "subjects": subject, "folds": subject % 2,
    }  # fmt: skip


def test_the_difference_is_the_mean_over_folds_of_macro_areas() -> None:
    rng = np.random.default_rng(0)
    y, folds = rng.integers(0, 2, (80, 3)).astype(float), np.arange(80) % 4
    y[:5, 1], y[folds == 2, 2] = np.nan, 0  # some unknown; a label with one class in a fold
    first, second = rng.random((2, 80, 3))
    for measure in (AUROC, AUPRC):
        found = compared(y, first, second, np.arange(80), folds, draws=20, area=measure.area)
        each = [
            measure.value(y[rows], first[rows]) - measure.value(y[rows], second[rows])
            for rows in (folds == fold for fold in range(4))
        ]
        assert found.mean == pytest.approx(np.mean(each))


def test_the_interval_of_patients_covers_as_often_as_it_says() -> None:
    """Subjects have two samples that say the same; drawing samples instead would cover far less."""
    rng, draws, sets = np.random.default_rng(1), 100, 100
    scale = np.sqrt(2 * 1.01)  # of the difference of a positive and a negative sample
    truth = stats.norm.cdf(1.5 / scale) - stats.norm.cdf(1.0 / scale)
    covered, alone = 0, 0
    for _ in range(sets):
        data = cohort(rng, subjects=120)
        found = compared(**data, draws=draws)
        covered += found.low <= truth <= found.high
        wrong = compared(**data | {"subjects": np.arange(240)}, draws=draws)
        alone += wrong.low <= truth <= wrong.high
    fewest, most = stats.binom.interval(0.99, sets, 0.95)
    assert fewest <= covered <= most
    assert alone < fewest


def test_one_training_has_the_spread_of_patients_alone() -> None:
    values = np.array([[0.02, 0.01, 0.03, 0.015, 0.025]])
    error = values[0, 1:].std(ddof=1)
    found = paired.over_trainings(values)
    assert (found.mean, found.p) == pytest.approx((0.02, 2 * stats.norm.sf(0.02 / error)))
    assert found.high - found.mean == pytest.approx(stats.norm.ppf(0.975) * error)


def test_the_variance_over_trainings_has_a_closed_form() -> None:
    """Obuchowski and Rockette: the variance over seeds by their number, and the covariance over patients of two seeds.

    Seeds .01 and .03 have the variance .0002. Draws that both seeds share have the covariance .0001, and what each has
    of its own is not counted again. Hillis: 1 * (.0001 + .0001)^2 / .0001^2 = 4 degrees of freedom.
    """
    shared = 0.01 * np.array([1, 1, -1, -1]) * np.sqrt(3 / 4)
    own = 0.001 * np.array([1, -1, 1, -1])  # is orthogonal to what is shared
    values = np.array([[0.01, *(0.01 + shared + own)], [0.03, *(0.03 + shared - own)]])
    found = paired.over_trainings(values)
    covariance = (4 * 0.75e-4 - 4e-6) / 3
    variance = 1e-4 + covariance
    law = stats.t((variance / 1e-4) ** 2)
    assert found.mean == pytest.approx(0.02)
    assert found.p == pytest.approx(2 * law.sf(0.02 / np.sqrt(variance)))
    assert found.high - found.mean == pytest.approx(law.ppf(0.975) * np.sqrt(variance))


def test_seeds_that_agree_by_chance_leave_the_spread_of_patients() -> None:
    drawn = np.random.default_rng(0).normal(0.02, 0.01, (3, 200))
    values = np.concatenate([np.full((3, 1), 0.02), drawn], axis=1)
    found = paired.over_trainings(values)
    assert found.high - found.mean == pytest.approx(stats.norm.ppf(0.975) * drawn.mean(axis=0).std(ddof=1))


def test_folds_and_draws_without_both_classes_are_left_out() -> None:
    y = np.array([0.0, 1.0, 0.0, 0.0])[:, None]
    folds, first, second = np.array([0, 0, 1, 1]), y, 1 - y
    assert compared(y, first, second, np.arange(4), folds, draws=50).mean == 1
    assert compared(y * 0, first, second, np.arange(4), folds, draws=50) is None
    none = folds[:0]
    nobody = mean_over_folds(AUROC.area.over_labels, y[:0], [first[:0]], none, none, patient_weights(4, 5))
    assert paired.over_trainings(nobody[None]) is None


def direct_delong(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROCs [2] and their covariance [2, 2] from all pairs of a positive and a negative sample."""
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    right = np.sign(positive[:, :, None] - negative[:, None, :]) / 2 + 0.5  # [2, m, n]
    of_positive, of_negative = right.mean(axis=2), right.mean(axis=1)
    covariance = np.cov(of_positive) / of_positive.shape[1] + np.cov(of_negative) / of_negative.shape[1]
    return right.mean(axis=(1, 2)), covariance


@pytest.mark.parametrize("distinct", [4, 10_000])
def test_delong_equals_the_sums_over_all_pairs(distinct: int) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0.0, 1.0], [40, 25])
    scores = np.floor(distinct * (rng.random((2, 65)) + 0.3 * y)) / distinct
    areas, covariance = direct_delong(y, scores)
    error = np.sqrt(np.array([1, -1]) @ covariance @ np.array([1, -1]))
    found = paired.delong(np.append(y, np.nan), *np.append(scores, [[0.5], [0.5]], axis=1))
    assert found.mean == pytest.approx(areas[0] - areas[1]) == metrics.auroc(y, scores[0]) - metrics.auroc(y, scores[1])
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(areas[0] - areas[1]) / error))
    assert (found.high - found.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error)


def test_delong_against_guessing_by_hand() -> None:
    """Positives 2 and 4, negatives 1 and 3: right in 1/2 and 2/2 pairs of each positive, 2/2 and 1/2 of each negative.

    The variance of two values that differ by 1/2 is 1/8; the AUROC is 3/4 and has the variance 1/8 / 2 + 1/8 / 2.
    """
    found = paired.delong(np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4))
    error = np.sqrt(1 / 8)
    assert found.mean == 0.25
    assert found.p == pytest.approx(2 * stats.norm.sf(0.25 / error))
    assert found.high == pytest.approx(0.25 + stats.norm.ppf(0.975) * error)


def test_delong_and_bootstrap_agree_on_one_model() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(600) < 0.4).astype(float)
    first, second = rng.normal(size=(2, 600)) + np.array([[1.2], [1.0]]) * y
    exact = paired.delong(y, first, second)
    columns = (values[:, None] for values in (y, first, second))
    drawn = compared(*columns, np.arange(600), np.zeros(600), draws=2000)
    assert astuple(drawn) == pytest.approx(astuple(exact), abs=0.1 * (exact.high - exact.low))


def test_delong_needs_two_of_each_class() -> None:
    assert paired.delong(np.array([1.0, 0.0, 0.0]), np.arange(3.0), np.arange(3.0)) is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9999), st.integers(2, 6))
def test_swapping_the_methods_changes_the_sign_alone(seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.tile([0.0, 1.0], 10)
    first, second = rng.integers(0, distinct, (2, 20)).astype(float)
    columns = [values[:, None] for values in (y, first, second)]
    ids, folds = np.arange(20) // 2, np.arange(20) // 10
    for there, back in (
        (paired.delong(y, first, second), paired.delong(y, second, first)),
        (paired.paired_t(first - second), paired.paired_t(second - first)),
        (
            compared(*columns, ids, folds, draws=50),
            compared(columns[0], columns[2], columns[1], ids, folds, draws=50),
        ),
    ):
        expected = (-there.mean, -there.high, -there.low, there.p, there.p_equivalence)
        assert astuple(back) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 9999))
def test_a_method_does_not_differ_from_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, score = np.tile([0.0, 1.0], 10), rng.random(20)
    none = Difference(0, 0, 0, 1, 0)
    assert paired.delong(y, score, score) == none
    column = score[:, None]
    assert compared(y[:, None], column, column, np.arange(20), np.zeros(20), draws=20) == none


def test_holm_by_hand() -> None:
    """Sorted .01, .02, .03, .04 times 4, 3, 2, 1, none below the one before."""
    adjusted = paired.holm([0.04, 0.01, None, 0.03, 0.02])
    assert adjusted == pytest.approx([0.06, 0.04, None, 0.06, 0.06])
    assert paired.holm([0.6, 0.7]) == [1, 1]
    assert paired.holm([None]) == [None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(p: list[float]) -> None:
    adjusted = np.array(paired.holm(p))
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, len(p) * np.array(p))).all()


def test_the_spread_over_seeds_is_that_of_their_means_over_folds() -> None:
    """Seeds differ by .02, folds by .2."""
    values = np.array([[0.7, 0.9], [0.72, 0.92]])
    assert paired.sd_of_means(values) == pytest.approx(0.02 / np.sqrt(2))
    assert paired.sd_of_means(values[:, :1]) == pytest.approx(0.02 / np.sqrt(2))
    assert paired.sd_of_means(values[:1]) is None


def test_the_spread_over_seeds_leaves_undefined_folds_out() -> None:
    values = np.array([[0.7, 0.9, np.nan], [0.72, 0.92, np.nan]])
    assert paired.sd_of_means(values) == paired.sd_of_means(values[:, :2])
