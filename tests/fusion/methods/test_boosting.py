"""Gradient boosting of times to an event: one model of all intervals, with the interval as an input."""

from dataclasses import replace

import numpy as np
import torch
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods.boosting import Boosting
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor

from tests.fusion.vectors import noise, signal, spec_of, whole

FAST = {"rounds": 60, "learning_rate": 0.1, "columns": 1.0, "missing": "native"}


def boosting(target: Target, inputs: Inputs, **options: object) -> Boosting:
    method, samples = Boosting(spec_of(target), Boosting.Options(**(FAST | options))), torch.arange(len(inputs.y))
    fit(method, inputs, Parts(samples, samples[:0]), FitConfig(), seed=0)
    return method


def hazards(samples: int, chances: Tensor, seed: int = 0) -> Inputs:
    """Return inputs of which the first column decides by its sign which row of ``chances`` [2, J] holds."""
    inputs = noise(samples, share=1.0, seed=seed)
    vectors = inputs.modalities["ehr"].summary
    assert isinstance(vectors, Tensor)
    generator = torch.Generator().manual_seed(seed + 1)
    came = torch.rand(samples, chances.shape[1], generator=generator) < chances[(vectors[:, 0] > 0).long()]
    before = came.cumsum(1) - came.long()
    return replace(inputs, y=torch.where(before > 0, torch.nan, came.float()))


def test_hazards_that_change_over_time_and_with_what_is_known_are_found() -> None:
    """Risk rises over time for one half, and falls for the other: no two numbers could say it."""
    chances = torch.tensor([[0.05, 0.1, 0.4], [0.4, 0.2, 0.05]])
    inputs = hazards(3000, chances)
    method = boosting(Target("survival", 3), inputs)
    said, vectors = method.predict(whole(inputs)).probability, inputs.modalities["ehr"].summary
    found = torch.stack([said[side].mean(0) for side in (vectors[:, 0] <= 0, vectors[:, 0] > 0)])
    torch.testing.assert_close(found, chances, atol=0.04, rtol=0)


def test_each_combination_has_one_model_of_all_intervals() -> None:
    method = boosting(Target("survival", 3), noise(200, Target("survival", 3)), missing="per_combination", rounds=2)
    assert [len(method.forest(number).models) for number in range(7)] == [1] * 7


def test_one_interval_is_a_binary_label_to_the_last_digit() -> None:
    inputs = signal(200)
    said = [boosting(t, inputs).predict(whole(inputs)).probability for t in (Target("binary"), Target("survival", 1))]
    assert torch.equal(*said)


def test_a_base_changes_what_logits_mean_and_no_hazard() -> None:
    inputs = noise(200, Target("survival", 3))
    targets = [Target("survival", 3), Target("survival", 3, (-3.0, -2.0, 1.0))]
    torch.testing.assert_close(*(boosting(t, inputs, rounds=5).predict(whole(inputs)).probability for t in targets))


def test_what_was_stored_says_the_same() -> None:
    target = Target("survival", 3)
    inputs = noise(100, target)
    method = boosting(target, inputs, rounds=5)
    again = Boosting(spec_of(target), method.options)
    again.load_state_dict(method.state_dict(), strict=True)
    everyone = torch.arange(100)
    np.testing.assert_array_equal(*(predict(one, inputs, everyone).probability for one in (method, again)))


def test_where_no_event_came_the_prior_is_said() -> None:
    inputs = replace(noise(60), y=torch.zeros(60, 3))
    method = boosting(Target("survival", 3), inputs)
    torch.testing.assert_close(method.logits(whole(inputs)), method.prior.expand(60, 3))
