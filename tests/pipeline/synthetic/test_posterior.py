"""The exact posterior against closed forms, brute force, and what must hold of any posterior."""

from dataclasses import replace

import numpy as np
import pytest
from omnifuse.pipeline.synthetic.law import MODALITIES, UNIFORMS, Draw, Law, available_probability, sample
from omnifuse.pipeline.synthetic.posterior import modality_combinations, posterior, risk
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

COMBINATIONS = modality_combinations(Law())


def draw(law: Law, n: int, seed: int = 0) -> Draw:
    return sample(law, np.random.default_rng(seed).random((n, UNIFORMS)))


def test_all_seven_combinations_come_small_ones_first():
    assert ["+".join(names) for names in COMBINATIONS] == [
        "cxr",
        "ehr",
        "rep",
        "cxr+ehr",
        "cxr+rep",
        "ehr+rep",
        "cxr+ehr+rep",
    ]
    assert modality_combinations(Law().with_kept(cxr=0, rep=0)) == [("ehr",)]


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_gaussian_law_has_a_closed_form(names):
    """Without product, void and missing, (z, t) is jointly Gaussian and the log-odds given t are, too."""
    law = Law(missing=False, void=False, product_weight=0)
    cohort, signals = draw(law, 20), law.signals()
    members = [MODALITIES.index(name) for name in names]
    shows = np.zeros((2 * len(members), 4))  # t = shows @ z + noise
    for row, m in enumerate(members):
        shows[2 * row, 0], shows[2 * row + 1, m + 1] = signals[m].gain, 1
    noise = np.diag(np.repeat([signals[m].noise ** 2 for m in members], 2))
    gain = shows.T @ np.linalg.inv(shows @ shows.T + noise)
    w = np.array([law.shared_weight, *(signal.weight for signal in signals)])
    seen = (cohort.sign[..., None] * cohort.statistic)[:, members].reshape(20, -1)
    centre = law.intercept + seen @ gain.T @ w
    spread = np.sqrt(w @ (np.eye(4) - gain @ shows) @ w)
    expected = [quad(lambda x, c=c: expit(c + spread * x) * norm.pdf(x), -9, 9)[0] for c in centre]
    np.testing.assert_allclose(risk(law, cohort, names), expected, atol=1e-3)


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_full_law_agrees_with_importance_sampling(names):
    law = Law().with_kept(cxr=0.6)
    cohort = draw(law, 6, seed=1)
    z = np.random.default_rng(2).standard_normal((300_000, 4))
    deaths = expit(law.log_odds(z))
    for row, expected in enumerate(risk(law, cohort, names)):
        weight = np.ones(len(z))
        for m, signal in enumerate(law.signals()):
            if MODALITIES[m] not in names:
                continue
            there = available_probability(signal, z[:, 0])
            if not cohort.available[row, m]:
                weight *= 1 - there
                continue
            t, shown = cohort.sign[row, m] * cohort.statistic[row, m], z[:, [0, m + 1]] * [signal.gain, 1]
            told, void = (norm.pdf(t, centre, signal.noise).prod(axis=-1) for centre in (shown, np.zeros(2)))
            weight *= there * ((1 - signal.void_rate) * told + signal.void_rate * void)
        error = np.sqrt((weight**2).sum()) / weight.sum() * 0.5
        assert np.average(deaths, weights=weight) == pytest.approx(expected, abs=4 * error + 1e-3)


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_risks_average_to_the_prevalence(names):
    law, cohort = Law(), draw(Law(), 8_000)
    assert risk(law, cohort, names).mean() == pytest.approx(expit(law.log_odds(cohort.latent)).mean(), abs=0.008)


def test_modalities_outside_the_combination_are_not_looked_at():
    law, cohort = Law(), draw(Law(), 200)
    moved = cohort.statistic + np.array([0, 0, 1])[:, None]
    other = replace(cohort, available=cohort.available ^ [False, False, True], statistic=moved)
    np.testing.assert_array_equal(risk(law, cohort, ("cxr", "ehr")), risk(law, other, ("cxr", "ehr")))


def test_a_missing_modality_tells_nothing_when_missing_at_random():
    law = replace(Law(), cxr=replace(Law().cxr, mnar_slope=0))
    cohort = draw(law, 200)
    hidden = replace(cohort, available=cohort.available & [True, False, True])
    np.testing.assert_allclose(risk(law, hidden, ("cxr", "ehr")), risk(law, hidden, ("ehr",)), atol=1e-3)


def test_sign_and_statistic_flip_together():
    law, cohort = Law(), draw(Law(), 200)
    flipped = replace(cohort, sign=-cohort.sign, statistic=-cohort.statistic)
    np.testing.assert_array_equal(risk(law, cohort, COMBINATIONS[-1]), risk(law, flipped, COMBINATIONS[-1]))


def test_posterior_means_of_the_causes_are_unbiased():
    law, cohort = Law(), draw(Law(), 30_000)
    causes = posterior(law, cohort, COMBINATIONS[-1]).causes()
    truth = np.column_stack([cohort.latent, cohort.latent[:, 1] * cohort.latent[:, 2]])
    slopes = [np.polyfit(causes[:, k], truth[:, k], 1)[0] for k in range(5)]
    np.testing.assert_allclose(slopes, 1, atol=0.05)
