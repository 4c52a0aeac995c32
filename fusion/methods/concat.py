"""Concatenation: all embeddings side by side into one head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from ..parts.encoders import mlp
from .base import ModelSpec
from .joint import JointFusion


class Concat(JointFusion):
    """Joint head on [v_1; ...; v_M], with the missing embedding in the slots of absent modalities."""

    name = "concat"
    family = "joint head"
    source = "the paper's Concat baseline; joint fusion of Stahlschmidt et al. 2022"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
        "ridge": ("options.imputation=ridge",),
        "modality-dropout-ridge": ("options.modality_dropout=0.5", "options.imputation=ridge"),
    }

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        width = encoder.dimension * len(spec.inputs)
        self.head = mlp(width, encoder.hidden, spec.target.output_size, encoder.dropout)

    def fuse(self, embeddings: Tensor, _: Tensor) -> Tensor:
        """Return the logits of the head."""
        logits: Tensor = self.head(embeddings.flatten(1))
        return logits
