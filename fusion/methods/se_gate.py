"""Squeeze-and-excitation: a gate on the concatenated embeddings, read from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from ...cache_schema import InputError
from .base import ModelSpec
from .concat import Concat


class SEGate(Concat):
    """Concatenation ``u = [v_1; ...; v_M]`` times a gate, ``y = g(s * u)`` with ``s = sigmoid(W_2 relu(W_1 u))``.

    Absent modalities hold the missing embedding, as in concatenation.
    """

    name = "se-gate"
    family = "joint head"
    source = "gate of Hu et al. 2018, arXiv 1709.01507, Eqs. 3-4; the SE gate of Wang et al. 2020, arXiv 1905.12681"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-gate": ("options.granularity=modality", "options.mask_gate=true"),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.reduction": ("4", "8", "16"),
    }

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of concatenation, and those of the gate."""

        reduction: int = 16
        """How many times narrower the layer between the concatenation and its gate is."""
        granularity: Literal["channel", "modality"] = "channel"
        """What has a gate of its own: each ``channel`` of each embedding, or each ``modality``."""
        mask_gate: bool = False
        """Close the gates of absent modalities, so that the head reads zeros instead of missing embeddings."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.reduction < 1:
                raise InputError(f"reduction must be at least 1; got {self.reduction}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        modalities, dimension = len(spec.inputs), spec.encoder.dimension
        width = modalities * dimension
        narrow = max(1, width // self.options.reduction)
        gates = width if self.options.granularity == "channel" else modalities
        self.gate = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, gates), nn.Sigmoid())

    def gates(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return how far each gate is open, [B, M, D] or [B, M, 1], between 0 and 1."""
        openness: Tensor = self.gate(embeddings.flatten(1)).unflatten(1, (embeddings.shape[1], -1))
        return openness * shown[:, :, None] if self.options.mask_gate else openness

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head on the gated embeddings."""
        return super().fuse(self.gates(embeddings, shown) * embeddings, shown)
