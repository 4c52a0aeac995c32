"""The best single modality: what fusion has to beat."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..inputs.batches import Batch
from .base import Context, ModelSpec, Prediction
from .independent import IndependentModels


class Unimodal(IndependentModels):
    """One independent model per modality, each trained on the samples that have it.

    The model with the lowest cross-entropy on the inner validation part (training part if there is none), over all of
    its samples, is the one that predicts; a sample without that modality gets the label frequencies of the training
    part.
    """

    name = "unimodal"
    family = "single modality"
    source = "logits g_m(v_m) of one modality alone; Eq. 9 of the OmniFuse paper without weights"
    chooses = True

    chosen: Tensor
    validation_loss: Tensor

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        self.register_buffer("chosen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("validation_loss", torch.zeros(len(spec.inputs)))

    def on_fit_end(self, context: Context) -> None:
        """Choose the modality that predicts."""
        batches = list(context.validation()) or list(context.training())
        y = torch.cat([batch.y for batch in batches])
        logits = torch.cat([self.logits(batch) for batch in batches])  # [n, M, K]
        losses = [self.target.loss(logits[:, m], y) for m in range(len(self.heads))]
        self.validation_loss.copy_(torch.stack(losses))
        self.chosen.copy_(self.validation_loss.argmin())

    def predict(self, batch: Batch) -> Prediction:
        """Return the chosen modality's probabilities, and everyone's."""
        probabilities = self.target.probabilities(self.logits(batch))  # [B, M, K]
        weight = torch.zeros(len(batch), len(self.heads), device=probabilities.device)
        weight[:, self.chosen] = 1.0
        return Prediction(probabilities[:, self.chosen], probabilities[:, :, 0], weight)

    def details(self) -> dict[str, Any]:
        """Return the chosen modality and the losses that decided."""
        losses = dict(zip(self.spec.modalities, self.validation_loss.tolist(), strict=True))
        return {"chosen": self.spec.modalities[int(self.chosen)], "validation_loss": losses}
