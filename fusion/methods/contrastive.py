"""Contrastive pre-training: modalities of one sample are drawn together before a joint head is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.contrast import alignment_losses
from .base import Context, ModelSpec
from .pretrained import Pretrained
from .retrieval import retrieval

MOST_SCALE = 100.0
"""Similarities are never multiplied by more than this where the temperature is learnt."""


class Projections(nn.Module):
    """A linear projection of each modality into the space of comparison, and the temperature there."""

    def __init__(self, modalities: int, dimension: int, options: Contrastive.Options) -> None:
        super().__init__()
        self.each = nn.ModuleList(nn.Linear(dimension, options.width, bias=False) for _ in range(modalities))
        self.first_scale = 1 / options.temperature
        # relative to where it starts, so that weight decay draws it there
        self.log_factor = nn.Parameter(torch.zeros(())) if options.learn_temperature else None

    def forward(self, embeddings: Tensor) -> Tensor:
        """Project embeddings [B, M, D] to [B, M, width]."""
        return torch.stack([project(embeddings[:, m]) for m, project in enumerate(self.each)], dim=1)

    def scale(self) -> Tensor | float:
        """Return 1 / temperature."""
        if self.log_factor is None:
            return self.first_scale
        return (self.first_scale * self.log_factor.exp()).clamp(max=MOST_SCALE)


class Contrastive(Pretrained):
    """Contrastive alignment as pre-training of the encoders, then concatenation, for as many epochs again.

    First the modalities of a sample are to recognise each other among those of other subjects' samples, without
    labels; then the joint head is trained. With a validation part, ``retrieval.parquet`` tells how well one modality
    finds another there, after either phase.
    """

    name = "contrastive"
    source = "ConVIRT, Zhang et al. 2020, arXiv 2010.00747 (Eqs. 2 to 4); CLIP, Radford et al. 2021, arXiv 2103.00020"
    cost = 1.7
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Pretrained.presets,
        "convirt": ("options.weight=0.75", "options.width=512"),
        "clip": ("options.temperature=0.07", "options.learn_temperature=true"),
    }
    task = "contrast"
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.temperature": ("0.05", "0.1", "0.3"),
        "options.pretraining": ("0.5", "1.0"),
    }

    @dataclass(frozen=True)
    class Options(Pretrained.Options):
        """Options of pre-training and of the contrast."""

        temperature: float = 0.1
        """Temperature of the contrastive loss; where it is learnt, the one it starts from."""
        learn_temperature: bool = False
        """Whether the temperature is learnt."""
        weight: float = 0.5
        """Weight of finding the later of two modalities (in model order) by the earlier; the way back has the rest."""
        width: int = 128
        """Width of the space in which modalities are compared."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.temperature > 0:
                raise InputError(f"temperature must be positive; got {self.temperature}")
            if not 0 <= self.weight <= 1:
                raise InputError(f"weight must lie between 0 and 1; got {self.weight}")
            if self.width < 1:
                raise InputError(f"width must be at least 1; got {self.width}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.projections = Projections(len(spec.inputs), spec.encoder.dimension, self.options)
        self.found: list[dict[str, Any]] = []

    def pretext_module(self) -> nn.Module:
        """Return the projections and the temperature."""
        return self.projections

    def pretext(self, batch: Batch) -> dict[str, Tensor]:
        """Contrastive loss of each pair of modalities, over the samples that have both; ``total`` is their sum."""
        common, scale = self.projections(self.encode(batch).embeddings), self.projections.scale()
        losses = alignment_losses(common, batch.presence, batch.subject, scale, self.options.weight)
        names = self.spec.modalities
        terms = {f"{names[one]}+{names[other]}": loss for (one, other), loss in losses.items()}
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def on_epoch_end(self, context: Context) -> None:
        """Measure retrieval at the end of each phase."""
        if context.epoch == context.epochs - 1:
            after = self.phases()[context.phase].name or "joint head"
            self.found += [{"after": after, **row} for row in self.retrieval(context.validation())]

    def retrieval(self, batches: Iterable[Batch]) -> list[dict[str, Any]]:
        """Return how well modalities find each other in some batches; nothing if there is no sample."""
        each = [(self.projections(self.encode(batch).embeddings), batch.presence, batch.subject) for batch in batches]
        if not each:
            return []
        common, present, subject = (torch.cat(parts) for parts in zip(*each, strict=True))
        return retrieval(common, present, subject, self.spec.modalities)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the measures of retrieval: a row per phase and ordered pair of modalities."""
        return {"retrieval": self.found} if self.found else {}
