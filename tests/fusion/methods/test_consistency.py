"""Multi-view consistency: mean probability, and a divergence that needs no label."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.consistency import Consistency
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit
from torch import Tensor

from tests.fusion.vectors import TARGETS, noise, signal, spec_of, step, whole

MODALITIES = ("ehr", "cxr", "rep")


def consistency(target: Target = TARGETS[0], **options: Any) -> Consistency:
    torch.manual_seed(0)
    return Consistency(spec_of(target, dropout=0.0), Consistency.Options(**options)).eval()


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log() + (1 - p) * (1 - p).log())


def test_the_prediction_is_the_mean_probability_of_the_modalities_that_are_there() -> None:
    inputs = noise()
    prediction = consistency().predict(whole(inputs))
    alone, present = prediction.modality_probability, inputs.presence
    assert alone is not None
    mean = (alone * present).sum(1) / present.sum(1)
    torch.testing.assert_close(prediction.probability[:, 0], mean)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_it_is_so_for_every_kind_of_target(target: Target) -> None:
    batch, method = whole(noise(target=target)), consistency(target)
    alone = method.target.probabilities(method.heads(method.encode(batch), method.prior))  # [B, M, K]
    share = batch.presence / batch.presence.sum(1, keepdim=True)
    torch.testing.assert_close(method.predict(batch).probability, (share[:, :, None] * alone).sum(1))


def test_disagreement_is_the_entropy_of_the_mean_less_the_mean_entropy() -> None:
    """Mean over the samples with two modalities or more; those with one cannot disagree."""
    batch, method = whole(noise()), consistency()
    alone, present = method.predict(batch).modality_probability, batch.presence
    assert alone is not None
    divergences = [
        entropy(p[there].mean()) - entropy(p[there]).mean()
        for p, there in zip(alone, present, strict=True)
        if there.sum() > 1
    ]
    assert len(divergences) < len(batch)
    torch.testing.assert_close(method.loss(batch)["disagreement"], torch.stack(divergences).mean())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_total_is_every_modality_s_cross_entropy_and_the_weighed_disagreement(target: Target) -> None:
    terms, _ = step(consistency(target, weight=3.0), whole(noise(target=target)))
    heads = sum(terms[name] for name in MODALITIES)
    torch.testing.assert_close(terms["total"], heads + 3.0 * terms["disagreement"])


def test_samples_without_labels_teach_agreement() -> None:
    batch = whole(noise())
    batch = replace(batch, y=torch.full_like(batch.y, torch.nan))
    terms, gradients = step(consistency(), batch)
    assert terms["ce"] == 0 and all(terms[name] == 0 for name in MODALITIES)
    torch.testing.assert_close(terms["total"], terms["disagreement"])
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert any(gradient.any() for gradient in gradients.values())


def test_unknown_labels_of_a_labelled_sample_teach_agreement() -> None:
    batch = whole(noise(target=TARGETS[1]))
    y = batch.y.clone()
    y[:, 1:] = torch.nan
    losses = [consistency(TARGETS[1]).loss(replace(batch, y=labels))["disagreement"] for labels in (batch.y, y)]
    assert losses[0] == losses[1]


def test_weight_makes_modalities_agree() -> None:
    inputs = signal(200)
    disagreement = []
    for weight in (0.0, 10.0):
        method = consistency(weight=weight)
        fit(method, inputs, Parts(torch.arange(200), torch.arange(0)), FitConfig(epochs=5, learning_rate=1e-2), seed=0)
        disagreement.append(method.loss(whole(inputs))["disagreement"])
    assert disagreement[1] < disagreement[0] / 2


@pytest.mark.parametrize("weight", [-0.5, math.nan])
def test_the_weight_must_not_be_negative(weight: float) -> None:
    with pytest.raises(InputError, match=f"weight must not be negative; got {weight}"):
        Consistency.Options(weight=weight)
