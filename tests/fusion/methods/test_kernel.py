"""The kernel machine: which columns it reads, that its answers mean log-odds, and what it does not know."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.kernel import Kernel, _known_alike, _parts
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score

from tests.fusion.vectors import noise, signal, spec_of


def trained(inputs: Inputs, target: Target = Target("binary"), **options: Any) -> Kernel:  # noqa: B008
    method = Kernel(spec_of(target), Kernel.Options(**({"directions": 100} | options)))
    fit(method, inputs, Parts(torch.arange(len(inputs.y)), torch.arange(0)), FitConfig(), seed=0)
    return method


@pytest.fixture(scope="module")
def rings() -> Inputs:
    """A quantity that no line can tell: the label depends on how far the first column is from the middle."""
    inputs = noise(1500, share=1.0)
    chance = torch.where(inputs.modalities["ehr"].summary[:, 0].abs() > 1, 0.8, 0.1)
    return replace(inputs, y=(torch.rand(1500, generator=torch.Generator().manual_seed(3)) < chance).float()[:, None])


@pytest.fixture(scope="module")
def fitted(rings: Inputs) -> Kernel:
    return trained(rings)


def test_what_no_line_can_tell_is_found_and_its_probabilities_hold(rings: Inputs, fitted: Kernel) -> None:
    said = predict(fitted, rings, torch.arange(1500)).probability[:, 0]
    outer = rings.modalities["ehr"].summary[:, 0].abs() > 1
    assert roc_auc_score(rings.y[:, 0], said) > 0.8
    assert float(said[outer].mean()) == pytest.approx(float(rings.y[outer].mean()), abs=0.15)
    assert float(said[~outer].mean()) == pytest.approx(float(rings.y[~outer].mean()), abs=0.1)


def test_columns_come_in_the_order_of_their_gain_and_are_scaled_by_its_root(fitted: Kernel) -> None:
    everything = len(fitted.combinations) - 1
    scale = fitted.scale[everything]
    assert int(fitted.chosen[everything, 0]) == 0  # the column that decides
    assert (scale.diff() <= 0).all()
    assert float(scale.square().sum()) == pytest.approx(1, abs=1e-5)


def test_it_reads_no_more_columns_than_it_is_told(rings: Inputs) -> None:
    method = trained(rings, columns=2)
    assert method.chosen.shape[1] == 2
    torch.testing.assert_close(method.scale.square().sum(1), torch.ones(7))


def test_values_are_regressed_in_their_own_scale() -> None:
    inputs = noise(600, share=1.0)
    first = inputs.modalities["ehr"].summary[:, 0]
    inputs = replace(inputs, y=torch.stack([first.sin(), first.cos() + 5], dim=1))
    said = predict(trained(inputs, Target("regression", 2)), inputs, torch.arange(600)).probability
    assert (said - inputs.y).square().mean(0).max() < 0.25 * inputs.y.var(0).min()


def test_one_outcome_alone_gives_the_prior() -> None:
    inputs = replace(noise(100), y=torch.zeros(100, 1))
    method = trained(inputs)
    assert torch.equal(method.logits(inputs.batch(torch.arange(100))), method.prior.expand(100, 1))


def test_a_class_that_never_occurred_keeps_its_frequency() -> None:
    inputs = signal(200)
    method = trained(replace(inputs, y=2 * inputs.y), Target("multiclass", 4))
    said = method.logits(inputs.batch(torch.arange(200)))
    torch.testing.assert_close(said[:, [1, 3]], method.prior[[1, 3]].expand(200, 2))
    torch.testing.assert_close(said[:, [0, 2]].exp().sum(1), torch.ones(200))


def test_samples_of_one_subject_are_held_out_together() -> None:
    subject = np.repeat(np.arange(20), 3)
    part = _parts(subject, seed=0).view(20, 3)
    assert (part == part[:, :1]).all()
    assert part[:, 0].bincount().tolist() == [4] * 5


def test_outcomes_known_of_the_same_samples_are_fitted_together() -> None:
    y = torch.tensor([[0, 1, torch.nan, 1], [1, 0, 1, 0]])
    assert sorted(outcomes.tolist() for outcomes in _known_alike(y)) == [[0, 1, 3], [2]]


@pytest.mark.parametrize("options", [{"columns": 0}, {"directions": 0}, {"width": 0.0}, {"ridge": 0.0}])
def test_settings_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="|".join(options)):
        Kernel.Options(**options)
