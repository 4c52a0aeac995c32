"""Masked modality pre-training: each modality is reconstructed from the others before a joint head is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..parts.completion.patterns import fill
from ..parts.encoders import mlp
from ..parts.pooled import pooled_vector
from ..parts.targets import mean_known
from .base import ModelSpec
from .pretrained import Pretrained


class Masked(Pretrained):
    """Cross-modal reconstruction as pre-training of the encoders, then concatenation, for as many epochs again.

    First each modality of a sample is hidden in turn, and its pooled input is to be reconstructed from the embeddings
    of the others, without labels; then the joint head is trained. The goal is the input and not the embedding of the
    hidden modality: embeddings that are all the same could be reconstructed without error, and become so.
    """

    name = "masked"
    source = (
        "masked modelling, He et al. 2022, arXiv 2111.06377, of modalities: the mean squared error of what is hidden"
    )
    task = "reconstruction"
    cost = 1.7
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.pretraining": ("0.5", "1.0"),
    }

    def __init__(self, spec: ModelSpec, options: Pretrained.Options | None = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        joint = encoder.dimension * len(spec.inputs)
        self.decoders = nn.ModuleList(
            mlp(joint, encoder.hidden, one.summary or one.rows, encoder.dropout) for one in spec.inputs
        )

    def pretext_module(self) -> nn.Module:
        """Return the decoders."""
        return self.decoders

    def pretext(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of each modality reconstructed from the others; ``total`` is their sum.

        Mean over the known values of a sample's pooled input, and over the samples that have another modality. Hiding
        every modality in turn instead of one at random has the same expectation and no noise.
        """
        encoded = self.encode(batch)
        terms = {}
        for m, (name, inputs) in enumerate(batch.modalities.items()):
            visible = batch.presence.clone()
            visible[:, m] = False
            others = fill(encoded.embeddings, encoded.missing, visible)[inputs.samples].flatten(1)  # [n, M * D]
            truth = pooled_vector(inputs)  # [n, F]
            error = (self.decoders[m](others) - truth.nan_to_num(0.0)).square()
            has_others = visible[inputs.samples].any(1)  # [n]
            terms[name] = mean_known(mean_known(error, ~truth.isnan()), has_others)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}
