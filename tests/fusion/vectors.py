"""Small models of the vectors of `omnifuse.testing.vectors`, and what shows their insides."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from omnifuse.fusion.inputs.batches import Batch, Inputs
from omnifuse.fusion.methods.base import Context, Method, Prediction
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.omnifuse.dwfuse import DWFuse
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import NestedFits
from omnifuse.testing.vectors import COLUMNS, TARGETS, changed, labels_for, noise, signal, spec_of
from torch import Tensor

__all__ = ["COLUMNS", "TARGETS", "changed", "labels_for", "noise", "signal", "spec_of"]


def whole(inputs: Inputs) -> Batch:
    return inputs.batch(torch.arange(len(inputs.y)))


class Showing(OmniFuse):
    """OmniFuse that shows in training what a test wants it to show."""

    used: Tensor | None = None

    def shown(self, present: Tensor) -> Tensor:
        return super().shown(present) if self.used is None or not self.training else self.used & present


def model(
    target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS), dropout: float = 0.5, **options: Any
) -> Showing:
    """OmniFuse with two residual autoencoders a cascade, always with the same initial weights."""
    torch.manual_seed(0)
    return Showing(spec_of(target, modalities, dropout), OmniFuse.Options(**{"blocks": 2, **options})).eval()


def showing(used: Tensor, **options: Any) -> Showing:
    """Return such a model that shows ``used`` [B, M] in training."""
    method = model(**options)
    method.used = used
    return method


def dwfuse(target: Target = TARGETS[0], dropout: float = 0.5, **options: Any) -> DWFuse:
    torch.manual_seed(0)
    return DWFuse(spec_of(target, dropout=dropout), DWFuse.Options(**options)).eval()


def context_of(inputs: Inputs, size: int = 1000, epoch: int = 0) -> Context:
    everyone = torch.arange(len(inputs.y))
    part = partial(inputs.batches, everyone, size)
    return Context(0, epoch, 1, part, part, torch.Generator().manual_seed(0))


def step(method: Method, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Terms of one training step and the gradient of every parameter, with the same dropout every time."""
    method.train()
    method.zero_grad()
    torch.manual_seed(1)
    terms = method.loss(batch)
    terms["total"].backward()
    gradients = {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
    method.eval()
    return terms, gradients


@dataclass
class NotedFits(NestedFits):
    """The loop that trains and asks other models, which notes on which samples."""

    trained: list[tuple[Method, set[int], FitConfig]] = field(default_factory=list)
    asked: list[tuple[Method, set[int]]] = field(default_factory=list)

    def fit(self, method: Method, inputs: Inputs, samples: Tensor, config: FitConfig, seed: int) -> None:
        self.trained.append((method, set(samples.tolist()), config))
        super().fit(method, inputs, samples, config, seed)

    def predict(self, method: Method, inputs: Inputs, samples: Tensor) -> Prediction:
        self.asked.append((method, set(samples.tolist())))
        return super().predict(method, inputs, samples)

    @property
    def seen(self) -> list[tuple[set[int], set[int]]]:
        """Of every question: what the model was trained on, and what it was asked."""
        trained = {id(method): samples for method, samples, _ in self.trained}
        return [(trained[id(method)], samples) for method, samples in self.asked]
