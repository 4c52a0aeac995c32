"""Late fusion: one model per modality, and the mean of what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..inputs.batches import Batch
from ..parts.completion.filling import Filling, new_completion
from ..parts.encoders import Encoded
from ..parts.late_weights import equal_shares, mixture
from .base import Context, ModelSpec, Prediction
from .independent import IndependentModels


class Late(IndependentModels):
    """One independent model per modality; the mean of what those say that a sample has."""

    name = "late"
    family = "late fusion"
    source = "mean rule and product rule, Kittler et al. 1998, IEEE TPAMI 20: 226"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "logit-mean": ("options.combine=logit_mean",),
        "ridge": ("options.imputation=ridge",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.combine": ("mean", "logit_mean"),
    }

    term_words: ClassVar[Mapping[str, tuple[str, str]]] = {"ce": ("Cross-entropy", "Misfit of the fused prediction.")}

    @dataclass(frozen=True)
    class Options:
        """What is averaged, and over what."""

        combine: Literal["mean", "logit_mean"] = "mean"
        """Mean of the probabilities; or of the logits, which is the normalised geometric mean of the probabilities."""
        imputation: Filling = "none"
        """What predictions put into the slots of absent modalities, whose models then speak like the others: nothing
        (they keep silent), zeros, the mean, or an estimate from the others; fitted when training has ended."""

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.filler = new_completion(self.options.imputation, len(spec.inputs), spec.encoder.dimension)

    def on_fit_start(self, context: Context) -> None:  # noqa: ARG002  (of every method)
        """Nothing can be filled in yet."""
        self.filler.begin()

    def on_fit_end(self, context: Context) -> None:
        """Fit the imputation."""
        self.filler.end(map(self.encode, context.training()))

    def complete(self, encoded: Encoded) -> Encoded:
        """Return embeddings as if every sample had what is filled in; one without anything is left without."""
        embeddings, shown = self.filler.complete(encoded.embeddings, encoded.presence)
        return replace(encoded, embeddings=embeddings, presence=shown & encoded.presence.any(1, keepdim=True))

    def mean(self, logits: Tensor, shown: Tensor) -> Tensor:
        """Return the logits [B, K] of the mean of ``logits`` [B, M, K] over those ``shown``, bool [B, M].

        Of a sample that is shown nothing all are the prior, and so is their mean.
        """
        shares = equal_shares(shown)[:, :, None]
        if self.options.combine == "logit_mean":
            return (shares * logits).sum(1)
        return mixture(self.target, logits, shares)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of each modality, and as ``ce`` that of their mean without imputation; see the base."""
        logits = self.logits(batch)
        return {**self.terms(logits, batch), "ce": self.target.loss(self.mean(logits, batch.presence), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and of a binary task those of each modality and its share."""
        encoded = self.complete(self.encode(batch))
        logits = self.heads(encoded, self.prior)  # [B, M, K]
        probability = self.target.probabilities(self.mean(logits, encoded.presence))
        imputed = self.filler.imputed(batch.presence)
        if self.target.kind != "binary":
            return Prediction(probability, imputed=imputed)
        shares = torch.where(encoded.presence, equal_shares(encoded.presence), 0.0)
        return Prediction(probability, logits[:, :, 0].sigmoid(), shares, imputed)
