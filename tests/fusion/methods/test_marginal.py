"""Marginal fusion: unimodal models first, then one head on their frozen encoders."""

from dataclasses import replace

import pytest
import torch
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.marginal import Marginal
from omnifuse.fusion.methods.unimodal import Unimodal
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import History, Parts, fit

from tests.fusion.vectors import TARGETS, context_of, noise, spec_of, whole

EVERYONE = Parts(torch.arange(40), torch.arange(0))
SHORT = FitConfig(epochs=3, batch_size=16)


def marginal(target: Target = TARGETS[0]) -> Marginal:
    torch.manual_seed(0)
    return Marginal(spec_of(target)).eval()


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return noise()


@pytest.fixture(scope="module")
def trained(inputs: Inputs) -> tuple[Marginal, History]:
    method = marginal()
    return method, fit(method, inputs, EVERYONE, SHORT, seed=0)


def test_encoders_and_their_heads_are_those_of_unimodal_models(
    trained: tuple[Marginal, History], inputs: Inputs
) -> None:
    """To the last digit: the joint head, trained afterwards, changes nothing of them."""
    alone, start = Unimodal(spec_of()), marginal()
    alone.encoders.load_state_dict(start.encoders.state_dict())
    alone.heads.load_state_dict(start.heads.state_dict())
    fit(alone, inputs, EVERYONE, SHORT, seed=0)
    for name in ("encoders", "heads"):
        learnt, expected = getattr(trained[0], name).state_dict(), getattr(alone, name).state_dict()
        assert all(torch.equal(learnt[key], expected[key]) for key in expected)


def test_the_joint_head_learns_afterwards_for_as_long(trained: tuple[Marginal, History]) -> None:
    method, history = trained
    epochs = {term: [row["epoch"] for row in history if row["term"] == term] for term in ("unimodal: total", "total")}
    assert epochs == {"unimodal: total": [0, 1, 2], "total": [3, 4, 5]}
    assert not torch.equal(method.head[0].weight, marginal().head[0].weight)


def test_frozen_encoders_drop_nothing(inputs: Inputs) -> None:
    method = marginal().train()
    for phase, drops in ((0, True), (1, False)):
        method.on_epoch_start(replace(context_of(inputs), phase=phase))
        assert method.head.training
        assert all(part.training == drops for part in method.encoders.modules())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_the_joint_head_predicts_and_each_modality_says_what_it_would(target: Target) -> None:
    method, batch = marginal(target), whole(noise(target=target))
    encoded, predicted = method.encode(batch), method.predict(batch)
    expected = target.probabilities(method.head(encoded.embeddings.flatten(1)))
    torch.testing.assert_close(predicted.probability, expected)
    if target.kind != "binary":
        assert predicted.modality_probability is None
        return
    alone = method.heads(encoded, method.prior)[:, :, 0].sigmoid()
    torch.testing.assert_close(predicted.modality_probability, alone)
