"""Small vectors of three modalities in memory, and what a model of them is asked to be."""

from dataclasses import replace

import torch
from torch import Tensor

from ..fusion.inputs.batches import Inputs, ModalityInputs
from ..fusion.inputs.spec import EncoderConfig, InputSpec
from ..fusion.methods.base import ModelSpec
from ..fusion.parts.targets import Target

COLUMNS = {"ehr": 5, "cxr": 4, "rep": 3}
TARGETS = [Target("binary"), Target("multilabel", 3), Target("multiclass", 4)]
OTHERS = [Target("survival", 3, (-2.0, -1.0, 0.5)), Target("regression", 2)]
"""What is no class; not every method serves it."""


def labels_for(target: Target, samples: int, generator: torch.Generator) -> Tensor:
    """Return random labels [N, K]; a fifth of them unknown, of intervals those after an event or a loss."""
    if target.kind == "survival":
        return _intervals(target.classes, samples, generator)
    if target.kind == "regression":
        y = torch.randn(samples, target.classes, generator=generator)
        return torch.where(torch.rand(samples, target.classes, generator=generator) < 0.2, torch.nan, y)
    columns, top = (1, target.classes) if target.kind == "multiclass" else (target.classes, 2)
    y = torch.randint(top, (samples, columns), generator=generator).float()
    return torch.where(torch.rand(samples, columns, generator=generator) < 0.2, torch.nan, y)


def _intervals(intervals: int, samples: int, generator: torch.Generator) -> Tensor:
    lived = torch.randint(intervals + 1, (samples, 1), generator=generator)
    last = torch.where(torch.rand(samples, 1, generator=generator) < 0.7, 1.0, torch.nan)  # the event, or a loss
    place = torch.arange(intervals)
    return torch.where(place < lived, 0.0, torch.where(place == lived, last, torch.nan))


def noise(samples: int = 40, target: Target = TARGETS[0], share: float = 0.7, seed: int = 0) -> Inputs:
    """Return vectors and labels that have nothing to do with each other; every sample has ``ehr``."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(samples, len(COLUMNS), generator=generator) < share
    present[:, 0] = True
    vectors = {name: torch.randn(samples, columns, generator=generator) for name, columns in COLUMNS.items()}
    modalities = {name: ModalityInputs(vector, None) for name, vector in vectors.items()}
    return Inputs(labels_for(target, samples, generator), present, modalities, torch.arange(samples))


def signal(samples: int = 600) -> Inputs:
    """Return inputs of which every modality shows a part of what decides the label, in its first column."""
    inputs = noise(samples, share=0.8)
    vectors = (modality.summary for modality in inputs.modalities.values())
    firsts = [vector[:, 0] for vector in vectors if isinstance(vector, Tensor)]
    return replace(inputs, y=(torch.stack(firsts).sum(0) > 0).float()[:, None])


def changed(inputs: Inputs, slots: Tensor) -> Inputs:
    """Return the same inputs with other bytes in some slots (bool [N, M])."""
    modalities = {}
    for column, (name, modality) in enumerate(inputs.modalities.items()):
        assert isinstance(modality.summary, Tensor)
        modalities[name] = ModalityInputs(torch.where(slots[:, column, None], 7.0, modality.summary), None)
    return replace(inputs, modalities=modalities)


def spec_of(
    target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS), dropout: float = 0.5
) -> ModelSpec:
    """Return what a model of some of the modalities is asked to be, small."""
    specs = tuple(InputSpec(name, "features", COLUMNS[name], 0) for name in modalities)
    return ModelSpec(specs, target, EncoderConfig(dimension=8, hidden=8, dropout=dropout))
