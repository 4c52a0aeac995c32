"""Small vectors in memory, and small models of them."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from omnifuse.fusion.inputs.batches import Batch, Inputs, ModalityInputs
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods.base import Context, Method, ModelSpec
from omnifuse.fusion.methods.omnifuse.dwfuse import DWFuse
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.parts.targets import Target
from torch import Tensor

COLUMNS = {"ehr": 5, "cxr": 4, "rep": 3}
TARGETS = [Target("binary"), Target("multilabel", 3), Target("multiclass", 4)]


def labels_for(target: Target, samples: int, generator: torch.Generator) -> Tensor:
    """Random labels [N, K]; a fifth of them unknown."""
    columns, top = (1, target.classes) if target.kind == "multiclass" else (target.classes, 2)
    y = torch.randint(top, (samples, columns), generator=generator).float()
    return torch.where(torch.rand(samples, columns, generator=generator) < 0.2, torch.nan, y)


def noise(samples: int = 40, target: Target = TARGETS[0], share: float = 0.7, seed: int = 0) -> Inputs:
    """Vectors and labels that have nothing to do with each other; every sample has ``ehr``."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(samples, len(COLUMNS), generator=generator) < share
    present[:, 0] = True
    vectors = {name: torch.randn(samples, columns, generator=generator) for name, columns in COLUMNS.items()}
    modalities = {name: ModalityInputs(vector, None) for name, vector in vectors.items()}
    return Inputs(labels_for(target, samples, generator), present, modalities, torch.arange(samples))


def signal(samples: int = 600) -> Inputs:
    """Every modality shows a part of what decides the label, in its first column."""
    inputs = noise(samples, share=0.8)
    z = sum(inputs.modalities[name].summary[:, 0] for name in COLUMNS)
    return replace(inputs, y=(z > 0).float()[:, None])


def changed(inputs: Inputs, slots: Tensor) -> Inputs:
    """The same inputs with other bytes in some slots (bool [N, M])."""
    modalities = {}
    for column, (name, modality) in enumerate(inputs.modalities.items()):
        assert modality.summary is not None
        modalities[name] = ModalityInputs(torch.where(slots[:, column, None], 7.0, modality.summary), None)
    return replace(inputs, modalities=modalities)


def whole(inputs: Inputs) -> Batch:
    return inputs.batch(torch.arange(len(inputs.y)))


def spec_of(
    target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS), dropout: float = 0.5
) -> ModelSpec:
    specs = tuple(InputSpec(name, "features", COLUMNS[name], 0) for name in modalities)
    return ModelSpec(specs, target, EncoderConfig(dimension=8, hidden=8, dropout=dropout))


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
