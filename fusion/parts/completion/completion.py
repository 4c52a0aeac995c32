"""What every way to fill in missing modalities has in common: when it learns, and when it speaks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..encoders import Encoded


class Completion(nn.Module):
    """What predictions put into the slots of modalities that a sample lacks; nothing, unless a subclass says it.

    It is fitted when a training has ended: until then, and in training mode, nothing is filled in. One that was stored
    has been fitted.
    """

    fitted = True

    def fit(self, embeddings: Tensor, present: Tensor) -> None:
        """Learn from embeddings [n, M, D]; slots that are not ``present`` [n, M] are not read."""

    def forward(self, embeddings: Tensor, used: Tensor) -> Tensor:  # noqa: ARG002  (of any subclass)
        """Return embeddings [B, M, D] with something else in the slots that are not ``used`` [B, M]."""
        return embeddings

    @property
    def fills(self) -> bool:
        """Whether slots are filled in now."""
        return self.fitted and not self.training

    def begin(self) -> None:
        """Fill nothing in while a training lasts."""
        self.fitted = False

    def end(self, encoded: Iterable[Encoded]) -> None:
        """Learn from batches of training samples, and fill in from now on."""
        batches = list(encoded)
        self.fit(torch.cat([batch.embeddings for batch in batches]), torch.cat([batch.presence for batch in batches]))
        self.fitted = True

    def complete(self, embeddings: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings [B, M, D] and which of them take part, bool [B, M]: what is filled in does."""
        return (self(embeddings, present), torch.ones_like(present)) if self.fills else (embeddings, present)

    def imputed(self, present: Tensor) -> Tensor | None:
        """Return the slots that are filled in, bool [B, M]; None where none ever is."""
        return ~present if self.fills else None
