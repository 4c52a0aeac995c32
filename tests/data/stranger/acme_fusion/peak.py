"""Peak fusion: of every number the largest that any modality has."""

from __future__ import annotations

from dataclasses import dataclass

from omnifuse.fusion.methods.base import ModelSpec
from omnifuse.fusion.methods.joint import JointFusion
from omnifuse.fusion.parts.encoders import mlp
from torch import Tensor


class Peak(JointFusion):
    """A head on the maximum over the modalities that a sample has, times a gain."""

    name = "peak"
    family = "joint head"
    source = "maximum fusion, e.g. Feichtenhofer et al. 2016, arXiv 1604.06573"

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of every joint head, and the gain."""

        gain: float = 1.0
        """What the maximum is multiplied by."""

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        self.head = mlp(encoder.dimension, encoder.hidden, spec.target.output_size, encoder.dropout)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the maximum; [B, M, D] and [B, M] to [B, K]."""
        highest = embeddings.masked_fill(~shown[:, :, None], -1e9).amax(1)
        there = highest.masked_fill(~shown.any(1, keepdim=True), 0.0)
        logits: Tensor = self.head(self.options.gain * there)
        return logits
