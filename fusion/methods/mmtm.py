"""Multimodal transfer module: what all modalities say together gates the channels of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..parts.encoders import mlp
from .base import ModelSpec
from .joint import JointFusion


class MMTM(JointFusion):
    """Joint squeeze of all embeddings, a gate on every channel of every modality, then a head on all of them.

    The module was made for feature maps inside networks, which it averages over space before the squeeze. Here an
    encoder has pooled each modality into one vector, so that the squeeze reads the embeddings [B, M, D] themselves and
    each gate acts on one number.
    """

    name = "mmtm"
    family = "joint head"
    source = "Joze et al. 2020, arXiv 1911.08670: 2 sigmoid(W_m z) * v_m with z = ReLU(W [v_1; ...; v_M])"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.reduction": ("2", "4", "8"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, and the size of the squeeze."""

        reduction: int = 4
        """The squeeze has ``2 * M * D / reduction`` units."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.reduction < 1:
                raise InputError(f"reduction must be 1 or more; got {self.reduction}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        width = encoder.dimension * len(spec.inputs)
        units = max(1, 2 * width // self.options.reduction)
        self.squeeze = nn.Sequential(nn.Linear(width, units), nn.ReLU())
        self.excitations = nn.ModuleList(nn.Linear(units, encoder.dimension) for _ in spec.inputs)
        self.head = mlp(width, encoder.hidden, spec.target.output_size, encoder.dropout)

    def gates(self, embeddings: Tensor) -> Tensor:
        """Return a factor between 0 and 2 for every channel, [B, M, D], of embeddings [B, M, D]."""
        squeezed = self.squeeze(embeddings.flatten(1))  # [B, 2MD / reduction]
        return 2 * torch.stack([excite(squeezed) for excite in self.excitations], dim=1).sigmoid()

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the gated embeddings; the missing embeddings of absent modalities pass ungated."""
        gated = torch.where(shown[:, :, None], self.gates(embeddings) * embeddings, embeddings)  # [B, M, D]
        logits: Tensor = self.head(gated.flatten(1))
        return logits
