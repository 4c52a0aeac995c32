"""Logistic regression of a target on a few logits: weights of a stack, Platt scaling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor

from .targets import Target

FloatArray = npt.NDArray[np.float64]

RIDGE = 1e-3

Bounds = Sequence[tuple[float | None, float | None]]


def fit_scale(target: Target, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Fit ``sum_p weight_p * logits_p + bias`` to labels by their cross-entropy, with no weight below zero.

    Parameters
    ----------
    logits : float [n, P, K], of P models
    y : float [n, C], NaN where unknown

    Returns
    -------
    weights [P] and bias [K]. A ridge of 0.001 pulls the weights towards equal parts of one, which they are where no
    label is known.
    """
    said, truth = logits.double(), y.double()
    models, outputs = said.shape[1:]
    start = torch.cat([said.new_full((models,), 1 / models), said.new_zeros(outputs)])

    def objective(parameters: Tensor) -> Tensor:
        weights, bias = parameters[:models], parameters[models:]
        loss = target.loss((weights[:, None] * said).sum(1) + bias, truth)
        return loss + RIDGE * ((weights - 1 / models) ** 2).sum()

    bounds = [(0.0, None)] * models + [(None, None)] * outputs
    found = minimise(objective, start, bounds)
    return found[:models].to(logits.dtype), found[models:].to(logits.dtype)


def platt(y: FloatArray, probability: FloatArray, fold: FloatArray) -> FloatArray:
    """Return probabilities [N] of a binary label y [N] after Platt scaling, fitted for each fold on all others.

    Nobody is in the fit of a scale that is applied to them; they are in that of the other folds.
    """
    target = Target("binary", 1)
    logits = target.logits_of(torch.from_numpy(probability)[:, None]).double()
    truth, scaled = torch.from_numpy(y)[:, None], np.empty(len(y))
    for number in np.unique(fold):
        here = torch.from_numpy(fold == number)
        weight, bias = fit_scale(target, logits[~here, None], truth[~here])
        scaled[here.numpy()] = torch.sigmoid(weight * logits[here] + bias)[:, 0].numpy()
    return scaled


def minimise(objective: Callable[[Tensor], Tensor], start: Tensor, bounds: Bounds | None = None) -> Tensor:
    """Return the parameters, float64 [p], at which a differentiable objective is smallest, by L-BFGS from ``start``."""

    def with_gradient(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        parameters = torch.tensor(values, requires_grad=True)
        value = objective(parameters)
        (gradient,) = torch.autograd.grad(value, parameters)
        return value.item(), gradient.numpy()

    return torch.from_numpy(minimize(with_gradient, start.numpy(), jac=True, method="L-BFGS-B", bounds=bounds).x)
