"""Brier scores and discrimination of survival at given times: against binary outcomes, all samples, and a known law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion.scores.horizons import auroc_at, auroc_at_horizons, brier_at, integrated_brier
from omnifuse.fusion.scores.survival import SurvivalCurves, kaplan_meier, kaplan_meier_of_censoring
from sklearn.metrics import brier_score_loss, roc_auc_score

TIMES = np.array([0.5, 1.0, 2.0])
ONE = np.ones((1, 200))


def drawn(seed: int, count: int = 200, limit: float = np.inf) -> tuple[np.ndarray, SurvivalCurves, np.ndarray]:
    """Return y of exponential times, censored at those of mean ``limit``, with true curves and the times themselves."""
    rng = np.random.default_rng(seed)
    rate = rng.exponential(1, count)[:, None]
    time = rng.exponential(1 / rate)[:, 0]
    censored = rng.exponential(limit, count) if np.isfinite(limit) else np.full(count, np.inf)
    y = np.stack([np.minimum(time, censored), time <= censored], axis=1)
    return y, SurvivalCurves(TIMES, np.exp(-rate * TIMES)), time


def test_without_censoring_they_are_those_of_binary_outcomes() -> None:
    y, curves, time = drawn(0)
    scores = brier_at(y, curves, ONE)[0]
    for place, when in enumerate(TIMES):
        event, risk = time <= when, 1 - curves.survival[:, place]
        assert auroc_at(when, y, curves, ONE)[0] == pytest.approx(roc_auc_score(event, risk))
        assert scores[place] == pytest.approx(brier_score_loss(event, risk))
    assert auroc_at_horizons(y, curves, ONE)[0] == pytest.approx(
        np.mean([roc_auc_score(time <= when, 1 - curves.at(np.array([when]))[:, 0]) for when in TIMES])
    )


def test_the_integral_goes_from_0_to_the_last_time() -> None:
    y, curves, _ = drawn(1, limit=2.0)
    a, b, c = brier_at(y, curves, ONE)[0]
    assert integrated_brier(y, curves, ONE)[0] == pytest.approx((0.25 * a + 0.25 * (a + b) + 0.5 * (b + c)) / 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999))
def test_they_equal_sums_over_samples_with_ties_and_weights(seed: int) -> None:
    y, curves, _ = drawn(seed, count=40, limit=1.0)
    y[:, 0] = np.ceil(y[:, 0] * 4) / 4
    time, event = y[:, 0], y[:, 1] == 1
    weights = np.random.default_rng(seed).integers(1, 4, (1, 40)).astype(float)
    observed = kaplan_meier_of_censoring(time, event, weights)
    inverse = np.where(event, 1 / observed.before(time)[0], 0) * weights[0]
    for place, when in enumerate(TIMES):
        s = curves.survival[:, place]
        past = (inverse * (time <= when) * s**2).sum()
        still = max(1e-9, observed.at(np.array([when]))[0, 0])  # 0 if nobody is
        future = (weights[0] * (time > when) * (1 - s) ** 2).sum() / still
        assert brier_at(y, curves, weights)[0, place] == pytest.approx((past + future) / weights.sum())
        known = (time > when) | (event & (time <= when))
        if len({*(time[known] > when)}) == 2:
            sample_weight = np.where(time > when, weights[0], inverse)[known]
            expected = roc_auc_score(time[known] <= when, -s[known], sample_weight=sample_weight)
            assert auroc_at(when, y, curves, weights)[0] == pytest.approx(expected)


def test_censoring_changes_the_estimates_by_chance_alone() -> None:
    one = np.ones((1, 20_000))
    whole, censored = drawn(2, 20_000), drawn(2, 20_000, limit=1.5)
    for measure in (integrated_brier, auroc_at_horizons):
        assert measure(*censored[:2], one)[0] == pytest.approx(measure(*whole[:2], one)[0], abs=0.01)


def test_the_true_curve_has_the_lowest_brier_score() -> None:
    y, curves, _ = drawn(3, 5000, limit=2.0)
    one = np.ones((1, 5000))
    everybody = kaplan_meier(y[:, 0], y[:, 1] == 1).at(TIMES)
    wrong = [curves.survival**2, np.sqrt(curves.survival), np.broadcast_to(everybody, curves.survival.shape)]
    scores = [integrated_brier(y, SurvivalCurves(TIMES, one_of), one)[0] for one_of in (curves.survival, *wrong)]
    assert scores[0] == min(scores)


def test_unknown_outcomes_do_not_count() -> None:
    y, curves, _ = drawn(4, 200, limit=1.0)
    some = y.copy()
    some[::3] = np.nan
    kept = ~np.isnan(some[:, 0])
    for measure in (integrated_brier, auroc_at_horizons):
        assert measure(some, curves, ONE) == pytest.approx(measure(y[kept], curves[kept], ONE[:, kept]))


def test_with_everything_censored_nothing_is_defined() -> None:
    y, curves, _ = drawn(5)
    y[:, 1] = 0
    assert np.isnan(integrated_brier(y, curves, ONE)).all() and np.isnan(auroc_at_horizons(y, curves, ONE)).all()
    late = np.stack([y[:, 0] + 10, np.ones(200)], axis=1)  # events, but none by any of the times
    assert np.isnan(auroc_at_horizons(late, curves, ONE)).all()
