"""How much each of several independent models counts; what that takes is learnt from held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .calibration import RIDGE, fit_scale, minimise
from .targets import Target


def equal_shares(shown: Tensor) -> Tensor:
    """Return the same share [B, M] for each modality that is ``shown`` (bool [B, M]); for all where none is."""
    counted = shown | ~shown.any(1, keepdim=True)
    return counted / counted.sum(1, keepdim=True)


def mixture(target: Target, logits: Tensor, shares: Tensor) -> Tensor:
    """Return the logits of a weighted mean of probabilities, or the weighted mean of quantities.

    Parameters
    ----------
    target : what is predicted, in K decisions
    logits : float [B, M, output_size]
    shares : float [B, M, K] or [B, M, 1], not negative, with a sum of one over M

    Returns
    -------
    float [B, output_size]
    """
    if target.kind == "regression":
        return (shares * logits).sum(1)
    lp, _ = target.log_probabilities(logits)  # [B, M, K, C]
    return target.logits((lp + shares.log().unsqueeze(-1)).logsumexp(1))


class Calibrated(nn.Module):
    """Weighted mean of the probabilities of models that are calibrated first, by Platt scaling.

    Otherwise the one that exaggerates most would be heard most. A subclass says in ``shares`` what the weights are.
    """

    slopes: Tensor
    intercepts: Tensor

    def __init__(self, target: Target, modalities: int) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("slopes", torch.ones(modalities))
        self.register_buffer("intercepts", torch.zeros(modalities, target.output_size))

    def fit(self, logits: Tensor, shown: Tensor, y: Tensor) -> None:
        """Learn from logits [n, M, K] of models that did not see the samples, of what is ``shown`` [n, M]."""
        for m in range(len(self.slopes)):
            has = shown[:, m]
            slope, intercept = fit_scale(self.target, logits[has, m, None], y[has])
            self.slopes[m] = slope[0]
            self.intercepts[m] = intercept

    def calibrated(self, logits: Tensor) -> Tensor:
        """Return calibrated logits [..., M, K]."""
        return self.slopes[:, None] * logits + self.intercepts

    def shares(self, logits: Tensor, shown: Tensor) -> Tensor:
        """Return what share each modality has, [B, M, decisions or 1], by its calibrated ``logits`` [B, M, K]."""
        raise NotImplementedError

    def forward(self, logits: Tensor, shown: Tensor) -> Tensor:
        """Return logits [B, K] of what the modalities say [B, M, K]."""
        calibrated = self.calibrated(logits)
        return mixture(self.target, calibrated, self.shares(calibrated, shown))

    def details(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what was learnt of each modality, JSON-ready."""
        return {"slopes": dict(zip(names, self.slopes.tolist(), strict=True))}


class PerformanceWeights(Calibrated):
    """Each modality weighs as much as it predicts held-out samples better than a constant.

    The weight is the share of the cross-entropy of the best constant that the calibrated model saves (McFadden's R
    squared). Unlike AUROC minus one half it exists for every kind of target. Where only modalities without weight are
    shown, they count alike: their calibrated answers are next to constant.
    """

    weights: Tensor

    def __init__(self, target: Target, modalities: int) -> None:
        super().__init__(target, modalities)
        self.register_buffer("weights", torch.zeros(modalities))

    def fit(self, logits: Tensor, shown: Tensor, y: Tensor) -> None:
        """Calibrate, then weigh."""
        super().fit(logits, shown, y)
        for m, said in enumerate(self.calibrated(logits).unbind(1)):
            has = shown[:, m]
            self.weights[m] = saved(self.target, said[has], y[has])

    def shares(self, _: Tensor, shown: Tensor) -> Tensor:
        """Return the weights of what is shown, with a sum of one, [B, M, 1]."""
        weights = self.weights * shown
        total = weights.sum(1, keepdim=True)
        return torch.where(total > 0, weights / total, equal_shares(shown)).unsqueeze(-1)

    def details(self, names: Sequence[str]) -> dict[str, Any]:
        """Return slopes and weights."""
        return {**super().details(names), "weights": dict(zip(names, self.weights.tolist(), strict=True))}


def saved(target: Target, logits: Tensor, y: Tensor) -> Tensor:
    """Return what share of the cross-entropy of the best constant ``logits`` [n, K] save, a scalar in [0, 1]."""
    _, constant = fit_scale(target, torch.zeros_like(logits[:, None]), y)
    share = 1 - target.loss(logits, y) / target.loss(constant.expand_as(logits), y)
    return share.nan_to_num(0.0).clamp(min=0.0)


class ConfidenceWeights(Calibrated):
    """Each modality weighs as much as it is sure of this sample: ``exp(-H / temperature)``, H its entropy in nats."""

    def __init__(self, target: Target, modalities: int, temperature: float) -> None:
        super().__init__(target, modalities)
        self.temperature = temperature

    def shares(self, logits: Tensor, shown: Tensor) -> Tensor:
        """Return the weights of what is shown, with a sum of one for each decision, [B, M, decisions]."""
        lp, _ = self.target.log_probabilities(logits)
        entropy = -(lp.exp() * lp).sum(-1)  # [B, M, decisions]
        counted = equal_shares(shown)[:, :, None] > 0
        return (-entropy / self.temperature).masked_fill(~counted, -torch.inf).softmax(1)


class LinearStack(nn.Module):
    """Logistic regression on the logits of all models, and on which modalities are there.

    The logit of label or class k is ``sum_m (weight_mk * logit_mk + shift_mk * shown_m) + bias_k``, with the logit of
    the prior where a modality is absent. A ridge of 0.001 pulls the weights towards the mean of all modalities, and
    the shifts, of which a modality that nobody lacks teaches nothing, towards 0.
    """

    weights: Tensor
    shifts: Tensor
    bias: Tensor

    def __init__(self, target: Target, modalities: int) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("weights", torch.full((modalities, target.output_size), 1 / modalities))
        self.register_buffer("shifts", torch.zeros(modalities, target.output_size))
        self.register_buffer("bias", torch.zeros(target.output_size))

    def fit(self, logits: Tensor, shown: Tensor, y: Tensor) -> None:
        """Learn from logits [n, M, K] of models that did not see the samples; the prior's where not ``shown``."""
        said, there, truth = logits.double(), shown.double(), y.double()
        modalities, outputs = self.weights.shape
        start = said.new_zeros(2 * modalities + 1, outputs)
        start[:modalities] = 1 / modalities

        def objective(parameters: Tensor) -> Tensor:
            table = parameters.view_as(start)
            weights, shifts, bias = table[:modalities], table[modalities:-1], table[-1]
            loss = self.target.loss((weights * said).sum(1) + there @ shifts + bias, truth)
            ridge: Tensor = ((weights - 1 / modalities) ** 2).sum() + (shifts**2).sum()
            return loss + RIDGE * ridge

        found = minimise(objective, start.flatten()).view_as(start)
        self.weights.copy_(found[:modalities])
        self.shifts.copy_(found[modalities:-1])
        self.bias.copy_(found[-1])

    def forward(self, logits: Tensor, shown: Tensor) -> Tensor:
        """Return logits [B, K] of what the modalities say [B, M, K], the prior's logits where not ``shown`` [B, M]."""
        score: Tensor = (self.weights * logits).sum(1) + shown.float() @ self.shifts + self.bias
        return score

    def details(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the weight of each modality for every label or class, and its shift."""
        parts = {"weights": self.weights, "shifts": self.shifts}
        return {part: dict(zip(names, values.tolist(), strict=True)) for part, values in parts.items()}
