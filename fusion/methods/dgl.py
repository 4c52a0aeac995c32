"""Disentangled gradient learning: encoders learn from their modality alone, the joint head from what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..inputs.batches import Batch
from ..parts.completion.patterns import fill
from ..parts.encoders import Encoded
from ..parts.heads import unimodal_losses
from .concat import Concat


class DGL(Concat):
    """Concatenation whose joint loss ends at the embeddings, while each encoder learns from a loss of its own.

    The encoder's loss is that of the joint head on its embedding beside missing ones; the head does not learn from it.
    It is `marginal` with both stages at once, and without other heads.
    """

    name = "dgl"
    family = "balanced learning"
    source = "disentangled gradient learning, Wei et al. 2025, arXiv 2507.10213"
    cost = 1.4
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.modality_dropout": ("0.0", "0.25", "0.5"),
    }

    def independent_parts(self) -> list[nn.Module]:
        """Each encoder and the joint head: no loss reaches two of them."""
        return [*self.encoders.each, self.head]

    def unimodal_logits(self, encoded: Encoded) -> Tensor:
        """Return what the joint head, as it is, says of each modality alone, [B, M, K]."""
        embeddings, missing = encoded.embeddings, encoded.missing.detach()
        frozen = {name: parameter.detach() for name, parameter in self.head.named_parameters()}
        alone = torch.eye(embeddings.shape[1], dtype=torch.bool, device=embeddings.device)
        shown = [fill(embeddings, missing, only.expand(len(embeddings), -1)) for only in alone]
        return torch.stack([functional_call(self.head, frozen, (one.flatten(1),)) for one in shown], dim=1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head (``ce``), and of each modality alone over the samples that have it.

        They need no weights: nothing learns from two of them, and AdamW cancels a factor.
        """
        encoded = self.encode(batch)
        said = Encoded(encoded.embeddings.detach(), encoded.missing.detach(), encoded.presence)
        ce = self.target.loss(self.joint_logits(said), batch.y)
        alone = unimodal_losses(self.target, self.unimodal_logits(encoded), batch)
        return {"total": torch.stack([ce, *alone.values()]).sum(), "ce": ce, **alone}
