"""What a method is given to be fitted on, and what the training loop does for it meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ..inputs.batches import Inputs
from ..inputs.splits import k_folds, strata

if TYPE_CHECKING:
    from .base import Method, Prediction

EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class FitConfig:
    """How every method is optimised; a training always runs to its last epoch, there is no early stopping."""

    epochs: int = 12
    """Passes over the training part."""
    batch_size: int = 128
    learning_rate: float = 1e-3
    """Highest learning rate of AdamW; falls along a cosine."""
    final_rate: float = 0.05
    """Last learning rate as a share of the highest."""
    weight_decay: float = 0.05
    clip: float = 1.0
    """Largest norm of the gradient of one model."""
    members: int = 1
    """Models of a fold, each with initial weights of its own, whose answers are averaged."""
    mining_rows: int = 4096
    """Training samples that methods may look at again after each epoch."""
    times: int = 1
    """Of tasks with several predictions a sample: as many of them an epoch as samples, times this; 0: all of them."""


class Progress(Protocol):
    """Shows how far the epochs or steps it iterates over have come; ``part`` names the part of the work they are."""

    def __call__(self, items: Iterable[int], /, part: str = "") -> Iterable[int]:
        """Return what to iterate over."""


def silent(items: Iterable[int], /, part: str = "") -> Iterable[int]:  # noqa: ARG001  (of any progress)
    """Show nothing."""
    return items


class Loop(Protocol):
    """The training loop, as far as a method may ask it for other models."""

    def fit(self, method: Method, inputs: Inputs, samples: Tensor, config: FitConfig, seed: int) -> None:
        """Train another model in place."""

    def predict(self, method: Method, inputs: Inputs, samples: Tensor) -> Prediction:
        """Ask a trained model."""


@dataclass(frozen=True)
class Fitting:
    """What a method that is not ``by_gradient`` is fitted on: the training part ``samples`` [n] of a fold.

    It can train other models on a part of it and ask them; it never names a test sample.
    """

    inputs: Inputs
    samples: Tensor
    config: FitConfig
    seed: int
    progress: Progress
    loop: Loop

    def folds(self, count: int, kind: str) -> list[tuple[Tensor, Tensor]]:
        """Cut the training part by subject into ``count`` pairs of positions: to train on, and held out."""
        subjects, y = self.inputs.subject[self.samples].cpu().numpy(), self.inputs.y[self.samples].cpu().numpy()
        # to a method a time to an event is a label for each interval
        labels = strata(y, "multilabel" if kind == "survival" else kind)
        splits = k_folds(subjects, labels, count, 0.0, self.seed)
        pairs = [(torch.from_numpy(split.train), torch.from_numpy(split.test)) for split in splits]
        device = self.samples.device
        return [(self.samples[rest.to(device)], self.samples[held_out.to(device)]) for rest, held_out in pairs]

    def folds_within(self, count: int, kind: str) -> list[tuple[Tensor, Tensor]]:
        """Cut the training part as :meth:`folds` does, but into positions within it rather than within the cohort."""
        place = torch.zeros(len(self.inputs.y), dtype=torch.int64, device=self.samples.device)
        place[self.samples] = torch.arange(len(self.samples), device=place.device)
        return [(place[rest], place[held_out]) for rest, held_out in self.folds(count, kind)]

    def train(self, method: Method, samples: Tensor, epochs: int, seed: int) -> None:
        """Train another model in place."""
        self.loop.fit(method, self.inputs, samples, replace(self.config, epochs=epochs), seed)

    def predict(self, method: Method, samples: Tensor, shown: Tensor | None = None) -> Prediction:
        """Predict samples that show only the modalities ``shown`` [M], by default all that they have."""
        return self.loop.predict(method, self.inputs if shown is None else self.inputs.hiding(~shown), samples)


def cosine_share(done: float, final: float) -> float:
    """Return the learning rate as a share of the highest after a share ``done`` of the training; ``final`` at 1."""
    return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2


def prior_logits(method: Method, y: Tensor) -> Tensor:
    """Return the logits [K] of the label frequencies in y [n, C], one count added to each outcome.

    Of standardised quantities that is 0, their mean.
    """
    if method.target.kind == "regression":
        return torch.zeros(method.target.output_size, device=y.device)
    if method.target.kind == "multiclass":
        counts = torch.bincount(y[~y.isnan()].long(), minlength=method.target.output_size)
        return torch.log((counts + 1) / (counts.sum() + len(counts)))
    known = (~y.isnan()).sum(0)
    return torch.logit((torch.nansum(y, 0) + 1) / (known + 2)) - method.target.offset(y)
