"""Weights of a stack and Platt scaling against scikit-learn and against what made the labels."""

import numpy as np
import pytest
import torch
from omnifuse.fusion.parts.calibration import fit_scale, platt
from omnifuse.fusion.parts.targets import Target
from sklearn.linear_model import LogisticRegression

BINARY = Target("binary")


def made(samples: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [n, 3, 1] of which the first two decide the labels [n, 1] with weights .5 and 1.5, shifted by -1."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(samples, 3, 1, generator=generator)
    chance = (0.5 * logits[:, 0] + 1.5 * logits[:, 1] - 1).sigmoid()
    return logits, (torch.rand(samples, 1, generator=generator) < chance).float()


def test_weights_are_those_of_logistic_regression() -> None:
    logits, y = made()
    weights, bias = fit_scale(BINARY, logits[:, :2], y)
    reference = LogisticRegression(C=np.inf).fit(logits[:, :2, 0].numpy(), y[:, 0].numpy())
    assert weights.numpy() == pytest.approx(reference.coef_[0], abs=0.03)  # the ridge
    assert float(bias) == pytest.approx(reference.intercept_[0], abs=0.02)


def test_a_model_that_misleads_gets_no_weight() -> None:
    logits, y = made()
    weights, _ = fit_scale(BINARY, torch.cat([logits[:, 1:2], -logits[:, :1]], dim=1), y)
    assert weights[1] == 0
    assert weights[0] > 1


def test_unknown_labels_do_not_count() -> None:
    logits, y = made(2000)
    some = torch.where(torch.arange(2000)[:, None] < 1000, y, torch.nan)
    torch.testing.assert_close(
        fit_scale(BINARY, logits, some), fit_scale(BINARY, logits[:1000], y[:1000]), atol=1e-4, rtol=1e-4
    )


def test_without_a_known_label_all_count_alike() -> None:
    weights, bias = fit_scale(BINARY, torch.randn(5, 4, 1), torch.full((5, 1), torch.nan))
    assert weights.tolist() == [0.25] * 4
    assert bias.tolist() == [0.0]


@pytest.mark.parametrize("target", [Target("multilabel", 3), Target("multiclass", 3)])
def test_logits_that_are_twice_too_large_are_halved(target: Target) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 3, generator=generator)
    p = target.probabilities(logits)
    y = (torch.rand(p.shape, generator=generator) < p).float()
    if target.kind == "multiclass":
        y = torch.multinomial(p, 1, generator=generator).float()
    weights, bias = fit_scale(target, 2 * logits[:, None], y)
    assert float(weights) == pytest.approx(0.5, abs=0.02)
    assert (bias - bias.mean()).abs().max() < 0.05


def test_platt_scaling_mends_probabilities_that_are_too_extreme_and_reads_no_label_of_its_own_fold() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(-1, 1, 4000)
    y = (rng.random(4000) < 1 / (1 + np.exp(-logits))).astype(float)
    extreme, fold = 1 / (1 + np.exp(-3 * logits)), np.arange(4000.0) % 4
    scaled = platt(y, extreme, fold)
    assert np.abs(scaled - 1 / (1 + np.exp(-logits))).mean() < 0.02
    turned = np.where(fold == 0, 1 - y, y)
    np.testing.assert_array_equal(platt(turned, extreme, fold)[fold == 0], scaled[fold == 0])
