"""Concordance against lifelines, all pairs, and the law that data were drawn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from omnifuse.fusion.scores import concordance, metrics
from omnifuse.fusion.scores.concordance import harrell, uno
from omnifuse.fusion.scores.survival import SurvivalCurves, kaplan_meier_of_censoring


def curves(risk: np.ndarray, last: float = 1e9) -> SurvivalCurves:
    return SurvivalCurves(np.array([last]), 1 - np.asarray(risk, dtype=float)[:, None])


def outcomes(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    return np.stack([time, event], axis=1).astype(float)


def direct(time: np.ndarray, event: np.ndarray, risk: np.ndarray, weights: np.ndarray, factor: np.ndarray) -> float:
    """Sum over all pairs, one by one."""
    right = pairs = 0.0
    for i in np.flatnonzero(event):
        for j in range(len(time)):
            if time[i] < time[j] or (time[i] == time[j] and not event[j]):
                weight = weights[i] * weights[j] * factor[i]
                pairs += weight
                right += weight * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
    return right / pairs if pairs else np.nan


tied = st.tuples(st.integers(1, 30), st.integers(1, 9), st.integers(0, 999))


@settings(deadline=None, max_examples=40)
@given(tied)
def test_harrell_equals_lifelines_and_all_pairs_with_ties_and_weights(drawn: tuple[int, int, int]) -> None:
    count, distinct, seed = drawn
    rng = np.random.default_rng(seed)
    time, risk = (rng.integers(1, distinct + 1, count + 2).astype(float) for _ in range(2))
    event, risk = np.append(rng.random(count) < 0.5, [True, False]), risk / 10
    time[-2:] = 1, distinct + 1  # a pair that can be compared
    weights = np.stack([np.ones(count + 2), rng.integers(1, 4, count + 2)])
    found = harrell(outcomes(time, event), curves(risk), weights)
    assert found[0] == pytest.approx(concordance_index(time, -risk, event))
    assert found[1] == pytest.approx(direct(time, event, risk, weights[1], np.ones(count + 2)))


@settings(deadline=None, max_examples=40)
@given(tied)
def test_uno_equals_all_pairs_weighted_by_the_chance_of_being_observed(drawn: tuple[int, int, int]) -> None:
    count, distinct, seed = drawn
    rng = np.random.default_rng(seed)
    time, risk = (rng.integers(1, distinct + 1, count).astype(float) for _ in range(2))
    event, weights = rng.random(count) < 0.6, rng.integers(0, 4, (2, count)).astype(float)
    found = uno(outcomes(time, event), curves(risk / 10, last=distinct - 0.5), weights)
    for draw, weight in enumerate(weights):
        observed = kaplan_meier_of_censoring(time, event, weight[None]).before(time)[0]
        factor = np.where(time < distinct - 0.5, 1 / np.where(observed > 0, observed, np.inf) ** 2, 0)
        expected = direct(time, event, risk, weight, factor)
        assert found[draw] == pytest.approx(expected, nan_ok=True)


def test_without_censoring_both_are_the_same_and_at_one_time_the_auroc() -> None:
    rng = np.random.default_rng(0)
    risk, one = rng.random(50), np.ones((1, 50))
    y = outcomes(rng.exponential(1, 50), np.ones(50))
    assert uno(y, curves(risk), one) == pytest.approx(harrell(y, curves(risk), one))
    event = rng.random(50) < 0.4
    by_a_day = outcomes(np.ones(50), event)  # events before who is censored at the same time
    assert harrell(by_a_day, curves(risk), one)[0] == pytest.approx(metrics.auroc(event.astype(float), risk))


def test_pairs_in_pieces_are_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    y, risk = outcomes(rng.exponential(1, 40), rng.random(40) < 0.5), rng.random(40)
    weights = rng.integers(0, 3, (4, 40))
    whole = harrell(y, curves(risk), weights)
    monkeypatch.setattr(concordance, "PAIRS_AT_ONCE", 100)
    assert harrell(y, curves(risk), weights) == pytest.approx(whole)


def test_uno_is_what_harrell_would_be_if_nobody_were_censored() -> None:
    """With rates of 1 and 3, three of four pairs of both are in order, and half of the others are given as many."""
    rng = np.random.default_rng(0)
    rate = np.tile([1.0, 3.0], 2000)
    time = rng.exponential(1 / rate)
    y, one = outcomes(time, np.ones(len(time))), np.ones((1, len(time)))
    truth = harrell(y, curves(rate / 10), one)[0]
    assert truth == pytest.approx(0.5 * 0.5 + 0.5 * 0.75, abs=0.01)
    limit = rng.exponential(0.35, len(time))
    censored = outcomes(np.minimum(time, limit), time <= limit)
    early = np.minimum(time, 0.8)  # what either can say of the first 0.8
    early_truth = harrell(outcomes(early, time < 0.8), curves(rate / 10), one)[0]
    assert uno(censored, curves(rate / 10, last=0.8), one)[0] == pytest.approx(early_truth, abs=0.02)


def test_unknown_outcomes_do_not_count_and_nothing_to_compare_gives_nothing() -> None:
    y, risk, one = outcomes([1.0, 2.0, np.nan], [1.0, 0.0, 1.0]), np.array([0.9, 0.1, 0.5]), np.ones((1, 3))
    assert harrell(y, curves(risk), one)[0] == uno(y, curves(risk), one)[0] == 1
    for nothing in (outcomes([1.0, 2.0, 3.0], np.zeros(3)), outcomes(np.ones(3), np.ones(3)), y * np.nan):
        assert np.isnan(harrell(nothing, curves(risk), one)) and np.isnan(uno(nothing, curves(risk), one))
