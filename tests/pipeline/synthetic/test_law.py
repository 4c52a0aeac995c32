"""The planted law and its switches."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from omnifuse.cache_schema.errors import InputError
from omnifuse.pipeline.synthetic.law import UNIFORMS, Law, Signal, available_probability, sample
from scipy.special import expit

ALL_SWITCHES = [Law(missing=m, imbalance=i, void=v) for m, i, v in product([False, True], repeat=3)]
OFF = Law(missing=False, imbalance=False, void=False)


def draw(law: Law, n: int = 20_000, seed: int = 0):
    return sample(law, np.random.default_rng(seed).random((n, UNIFORMS)))


def test_negative_control_has_none_of_the_three_problems():
    control = draw(OFF)
    assert control.available.all()
    assert control.informative.all()
    assert (control.sign == 1).all()
    assert len(set(OFF.signals())) == 1


@pytest.mark.parametrize("switch", ["missing", "imbalance", "void"])
def test_each_switch_brings_its_own_problem_and_no_other(switch):
    law = draw(replace(OFF, **{switch: True}))
    problems = {
        "missing": not law.available.all(),
        "imbalance": (law.sign < 0).any(),
        "void": not law.informative.all(),
    }
    assert [name for name, found in problems.items() if found] == [switch]


@pytest.mark.parametrize("law", ALL_SWITCHES)
def test_a_sixth_of_the_patients_dies_whatever_the_switches(law):
    assert 0.15 < expit(law.log_odds(draw(law).latent)).mean() < 0.20


def test_void_modalities_show_noise_only():
    cohort = draw(Law())
    for m, signal in enumerate(Law().signals()):
        void = cohort.statistic[~cohort.informative[:, m], m]
        np.testing.assert_allclose(void.std(axis=0), signal.noise, rtol=0.05)
        shown = cohort.latent[~cohort.informative[:, m]][:, [0, m + 1]]
        assert abs(np.corrcoef(void[:, 0], shown[:, 0])[0, 1]) < 0.05


def test_signed_modality_says_nothing_without_its_sign():
    cohort = draw(Law(void=False))
    hard, own_cause = cohort.statistic[:, 1, 1], cohort.latent[:, 2]
    assert abs(np.corrcoef(hard, own_cause)[0, 1]) < 0.03
    assert np.corrcoef(cohort.sign[:, 1] * hard, own_cause)[0, 1] > 0.8


def test_missingness_depends_on_the_shared_cause_as_declared():
    law = Law().with_kept(cxr=0.5)
    cohort = draw(law, 50_000)
    sick, z0 = cohort.latent[:, 0] > 1, cohort.latent[:, 0]
    for m, signal in enumerate(law.signals()):
        for group in (sick, ~sick):
            expected = available_probability(signal, z0[group]).mean()
            assert cohort.available[group, m].mean() == pytest.approx(expected, abs=0.015)


def test_law_survives_json():
    law = Law(void=False).with_kept(cxr=0.25)
    assert Law.from_dict(json.loads(json.dumps(law.to_dict()))) == law


def test_the_ehr_cannot_be_signed():
    with pytest.raises(InputError, match="no second cue"):
        Law(ehr=Signal(weight=1, gain=1, noise=1, signed=True))
