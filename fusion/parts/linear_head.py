"""Logistic or linear regression as a head on given columns, its penalty chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn
from torch.nn import functional as F

from .calibration import minimise
from .targets import Target

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Weights of half the squared coefficients of standardised columns beside the mean loss, to choose from."""

Folds = Sequence[tuple[Tensor, Tensor]]

Fit = tuple[Tensor, Tensor, Tensor]
"""Weights [o, F] and bias [o] for centred columns, and the o outputs that they are for."""


class LinearHead(nn.Module):
    """Logistic regression with an L2 penalty: one for each label, or one of all classes; linear, of each quantity.

    The hazards of several intervals are one regression (proportional hazards in discrete time, of the odds): each has a
    bias of its own, which is not penalised, and all have the same weights. (Cox 1972, section 6; Tutz and Schmid,
    Modeling Discrete Time-to-Event Data, 2016.)

    Columns are standardised before they are penalised, unless their scales are to count. Labels that are unknown are
    left out; a label of which only one outcome is known gets its prior, whatever the columns say.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, columns: int, target: Target, standardise: bool = True) -> None:
        super().__init__()
        self.target, self.standardise = target, standardise
        self.register_buffer("weight", torch.zeros(target.output_size, columns))
        self.register_buffer("bias", torch.zeros(target.output_size))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits [..., K] of features [..., F]."""
        return nn.functional.linear(features, self.weight, self.bias)

    def fit(self, features: Tensor, y: Tensor, prior: Tensor, penalty: float) -> None:
        """Fit to features [n, F] and labels [n, C]; ``prior`` [K] are the logits of the label frequencies."""
        self.weight.zero_()
        self.bias.copy_(prior)
        columns, labels = features.cpu().double(), y.cpu()
        scale, mean = torch.std_mean(columns, dim=0, correction=0)
        constant = scale <= 1e-6 * (mean.abs() + 1e-6)  # says nothing
        scale = torch.where(constant, torch.inf, scale if self.standardise else 1.0)
        columns = (columns - mean) / scale
        for weight, bias, outputs in self._fits(columns, labels, penalty):
            weight, bias = weight / scale, bias - self.target.offset(bias)[outputs]
            self.weight[outputs] = weight.to(self.weight)
            self.bias[outputs] = (bias - weight @ mean).to(self.bias)

    def _fits(self, columns: Tensor, labels: Tensor, penalty: float) -> Iterator[Fit]:
        told = [k for k, label in enumerate(labels.T) if len(label[~label.isnan()].unique()) > 1]
        if self.target.kind == "survival" and self.target.classes > 1:
            if told:
                weight, bias = _proportional_hazards(columns, labels[:, told].double(), penalty)
                yield weight.expand(len(told), -1), bias, torch.tensor(told)
            return
        for k in told:
            known = ~labels[:, k].isnan()
            yield self._fitted(columns[known], labels[known, k], k, penalty)

    def _fitted(self, columns: Tensor, label: Tensor, k: int, penalty: float) -> Fit:
        if self.target.kind == "regression":
            ridge = Ridge(alpha=penalty * len(label) / 2).fit(columns.numpy(), label.double().numpy())
            return torch.from_numpy(ridge.coef_)[None], torch.tensor([ridge.intercept_]), torch.tensor([k])
        regression = LogisticRegression(C=1 / (penalty * len(label)), max_iter=2000)
        regression.fit(columns.numpy(), label.long().numpy())
        weight, bias = torch.from_numpy(regression.coef_), torch.from_numpy(regression.intercept_)
        if self.target.kind != "multiclass":
            return weight, bias, torch.tensor([k])
        if len(weight) == 1:  # two classes, of which scikit-learn gives the difference
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        # a class that never occurred keeps its prior, which is low beside logits whose mean is 0
        return weight - weight.mean(0), bias - bias.mean(), torch.from_numpy(regression.classes_).long()


def _proportional_hazards(columns: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Return weights [F] and biases [J] of the log-odds of hazards y [n, J], NaN where unknown.

    What is least is the mean over samples of minus the log-likelihood, and the penalty. Nobody's columns [n, F] are
    copied for each interval.
    """
    width, known = columns.shape[1], ~y.isnan()
    events, samples = y.nan_to_num(), known.any(1).sum()
    start = torch.cat([columns.new_zeros(width), torch.logit(events.sum(0) / known.sum(0))])

    def objective(parameters: Tensor) -> Tensor:
        weight, bias = parameters[:width], parameters[width:]
        logits = (columns @ weight)[:, None] + bias  # [n, J]
        losses = torch.where(known, F.softplus(logits) - events * logits, 0.0)
        return losses.sum() / samples + penalty / 2 * weight.square().sum()

    found = minimise(objective, start)
    return found[:width], found[width:]


@dataclass(frozen=True)
class HeldOut:
    """Features and labels of one fold: to fit to, ``features`` [n, F] and ``y`` [n, C], and held out."""

    features: Tensor
    y: Tensor
    held_out_features: Tensor
    held_out_y: Tensor


def best_penalty(
    target: Target,
    prior: Tensor,
    parts: Iterable[HeldOut],
    penalties: Sequence[float] = PENALTIES,
    standardise: bool = True,
) -> float:
    """Return the penalty whose regressions have the lowest loss on what is held out of each fold."""
    losses = dict.fromkeys(penalties, 0.0)
    for part in parts:
        head = LinearHead(part.features.shape[1], target, standardise).to(prior.device)
        for penalty in penalties:
            head.fit(part.features, part.y, prior, penalty)
            losses[penalty] += float(target.loss(head(part.held_out_features), part.held_out_y)) * len(part.held_out_y)
    return min(penalties, key=lambda penalty: losses[penalty])


def fit_by_folds(head: LinearHead, features: Tensor, y: Tensor, prior: Tensor, folds: Folds) -> float:
    """Fit a head to features [n, F] and labels [n, C] with the best penalty, which is returned.

    ``folds`` are pairs of rows of ``features``: to fit to, and held out; see `Fitting.folds_within`.
    """
    parts = (HeldOut(features[rest], y[rest], features[held_out], y[held_out]) for rest, held_out in folds)
    penalty = best_penalty(head.target, prior, parts)
    head.fit(features, y, prior, penalty)
    return penalty
