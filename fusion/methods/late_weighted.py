"""Late fusion whose weights are learnt from out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.late_weights import Calibrated, ConfidenceWeights, LinearStack, PerformanceWeights
from ..parts.targets import KINDS
from .base import Method, ModelSpec, Prediction
from .late import Late

if TYPE_CHECKING:
    from .fitting import Fitting


class LateWeighted(Method):
    """One independent model per modality, combined by what predictions of held-out samples teach.

    The training part is cut into folds. Models trained on all folds but one are asked about the held-out one, and the
    combination is fitted to their answers. The models that predict are then trained on the whole training part: they
    are those of ``late``, so that the two differ in the combination alone.
    """

    name = "late-weighted"
    family = "late fusion"
    source = "stacked generalisation, Wolpert 1992, Neural Networks 5: 241; weighted mean and confidence weights"
    cost = 6.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "stacking": ("options.combine=stacking",),
        "weighted": ("options.combine=weighted",),
        "confidence": ("options.combine=confidence",),
    }
    kinds = KINDS
    by_gradient = False
    needs = "models"
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.combine": ("stacking", "weighted", "confidence"),
    }

    @dataclass(frozen=True)
    class Options:
        """How the modalities are combined, and how many folds teach that."""

        combine: Literal["stacking", "weighted", "confidence"] = "stacking"
        """Logistic regression on the logits and on what is there; mean probability weighed by how well each modality
        predicts held-out samples; or mean probability weighed for each sample by how sure each modality is."""
        folds: int = 5
        """Folds of the training part."""
        temperature: float = 1.0
        """Of the confidence: a modality whose entropy is larger by this many nats weighs 1/e of another."""

        def __post_init__(self) -> None:
            if self.folds < 2:
                raise InputError(f"options.folds = {self.folds}; held-out predictions need at least 2.")
            if not self.temperature > 0:
                raise InputError(f"temperature must be positive; got {self.temperature}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.models = Late(spec)
        self.combination = _new_combination(self.options, spec)

    def fit(self, fitting: Fitting) -> None:
        """Learn the combination from held-out samples, and train the models that predict on all of them."""
        folds = fitting.folds(self.options.folds, self.target.kind)
        logits = []
        for fold in fitting.progress(range(len(folds))):
            samples, held_out = folds[fold]
            models = Late(self.spec).to(self.prior.device)
            fitting.train(models, samples, fitting.config.epochs, fitting.seed * 100 + fold)
            logits.append(self._answers(fitting, models, held_out))
        asked = torch.cat([held_out for _, held_out in folds])
        shown, y = fitting.inputs.presence[asked].cpu(), fitting.inputs.y[asked].cpu()
        self.combination.cpu().fit(torch.cat(logits), shown, y)
        self.combination.to(self.prior.device)
        fitting.train(self.models, fitting.samples, fitting.config.epochs, fitting.seed)

    def _answers(self, fitting: Fitting, models: Late, samples: Tensor) -> Tensor:
        """Return what each model says of samples, [n, M, K]; the prior where a sample lacks the modality."""
        alone = torch.eye(len(self.spec.inputs), dtype=torch.bool)
        said = [fitting.predict(models, samples, shown).probability for shown in alone]
        return self.target.logits_of(torch.stack(said, dim=1))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        logits = self._combined(self.models.logits(batch), batch.presence)
        return {"total": self.target.loss(logits, batch.y)}

    def _combined(self, logits: Tensor, present: Tensor) -> Tensor:
        """Combine ``logits`` [B, M, K] of all modalities to [B, K]; the prior for samples without any."""
        return torch.where(present.any(1, keepdim=True), self.combination(logits, present), self.prior)

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and of a binary task those of each modality, and its share where it has one."""
        logits, present = self.models.logits(batch), batch.presence  # [B, M, K]
        probability = self.target.probabilities(self._combined(logits, present))
        if self.target.kind != "binary":
            return Prediction(probability)
        return Prediction(probability, logits[:, :, 0].sigmoid(), self._shares(logits, present))

    def _shares(self, logits: Tensor, present: Tensor) -> Tensor | None:
        """Return what share each modality has in a mean, [B, M]; None if it is none."""
        if not isinstance(self.combination, Calibrated):
            return None
        shares = self.combination.shares(self.combination.calibrated(logits), present)[:, :, 0]
        return torch.where(present, shares, 0.0)

    def details(self) -> dict[str, Any]:
        """Return what was learnt of each modality."""
        return self.combination.details(self.spec.modalities)


def _new_combination(options: LateWeighted.Options, spec: ModelSpec) -> Calibrated | LinearStack:
    if options.combine == "stacking":
        return LinearStack(spec.target, len(spec.inputs))
    if options.combine == "weighted":
        return PerformanceWeights(spec.target, len(spec.inputs))
    if spec.target.kind == "regression":
        raise InputError("options.combine=confidence weighs by probabilities, and quantities have none: take another.")
    return ConfidenceWeights(spec.target, len(spec.inputs), options.temperature)
