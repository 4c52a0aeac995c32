"""Small models of the vectors of `omnifuse.testing.vectors`, and what shows their insides."""

from functools import partial
from typing import Any

import pytest
import torch
from omnifuse.fusion.inputs.batches import Batch, Inputs
from omnifuse.fusion.methods.base import Context, Method
from omnifuse.fusion.methods.omnifuse.dwfuse import DWFuse
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.parts.targets import Target
from omnifuse.testing.vectors import COLUMNS, TARGETS, changed, labels_for, noise, signal, spec_of
from torch import Tensor

__all__ = ["COLUMNS", "TARGETS", "changed", "labels_for", "noise", "signal", "spec_of"]


def whole(inputs: Inputs) -> Batch:
    return inputs.batch(torch.arange(len(inputs.y)))


def model(
    target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS), dropout: float = 0.5, **options: Any
) -> OmniFuse:
    """OmniFuse with two residual autoencoders a cascade, always with the same initial weights."""
    torch.manual_seed(0)
    return OmniFuse(spec_of(target, modalities, dropout), OmniFuse.Options(**{"blocks": 2, **options})).eval()


def dwfuse(target: Target = TARGETS[0], dropout: float = 0.5, **options: Any) -> DWFuse:
    torch.manual_seed(0)
    return DWFuse(spec_of(target, dropout=dropout), DWFuse.Options(**options)).eval()


def show(monkeypatch: pytest.MonkeyPatch, used: Tensor) -> None:
    """Let the pattern sampler choose ``used``."""
    monkeypatch.setattr("omnifuse.fusion.methods.omnifuse.dwfuse.sample_patterns", lambda present, *_: used & present)


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
