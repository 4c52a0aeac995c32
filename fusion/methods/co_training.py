"""Co-training: classifiers of single modalities that label samples for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.late_weights import equal_shares
from ..parts.linear_head import LinearHead
from ..parts.pooled import pooled_vectors
from .base import Method, ModelSpec, Prediction
from .fitting import Fitting, prior_logits


class CoTraining(Method):
    """Logistic regressions, one per modality, that label what is unlabelled, if anything, for each other; mean logit.

    In every round each modality nominates the unlabelled samples that it is most sure of. Those that no other modality
    contradicts join the labelled ones, and all regressions are fitted again. Where every training label is known there
    is nothing to do, and this is a mean of independent regressions: ``labelled_share`` hides labels on purpose.
    """

    name = "co-training"
    family = "semi-supervised"
    kinds = ("binary", "multilabel", "multiclass")  # of an interval after the event there is no label to be guessed
    source = "Blum and Mitchell 1998, COLT, for any number of modalities; contradicted pseudo-labels are left out"
    cost = 0.1
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "few-labels": ("options.labelled_share=0.1",),
        "few-labels-control": ("options.labelled_share=0.1", "options.rounds=0"),
    }
    by_gradient = False
    needs = "pooled"
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.rounds": ("5", "10", "20"),
        "options.penalty": ("0.01", "0.1", "1.0"),
    }

    @dataclass(frozen=True)
    class Options:
        """How many labels are left, and who labels the others."""

        labelled_share: float = 1.0
        """Share of the training samples, drawn at random, whose labels may be seen; the rest counts as unlabelled."""
        rounds: int = 10
        """Most rounds; 0 fits the regressions to the labelled samples alone (a control)."""
        nominated: float = 0.02
        """Share of the unlabelled samples that each modality may nominate in a round, divided among the outcomes by
        their frequency, at least one of each."""
        threshold: float = 0.6
        """How sure a modality must be to nominate or to contradict: probability of an outcome if all were equally
        frequent, so that the frequent one is not contradiction by itself."""
        penalty: float = 0.1
        """Weight of half the squared coefficients of standardised columns beside the mean cross-entropy."""

        def __post_init__(self) -> None:
            for name in ("labelled_share", "nominated"):
                if not 0 < getattr(self, name) <= 1:
                    raise InputError(f"{name} must be above 0 and at most 1; got {getattr(self, name)}")
            if self.rounds < 0:
                raise InputError(f"rounds must not be negative; got {self.rounds}")
            if not 0.5 <= self.threshold < 1:
                raise InputError(f"threshold must be at least 0.5 and below 1; got {self.threshold}")
            if not self.penalty > 0:
                raise InputError(f"penalty must be positive; got {self.penalty}")

    options: Options

    @classmethod
    def notes(cls, options: Options, y: npt.NDArray[np.float32]) -> list[str]:
        """Say if there is nothing to label."""
        if options.labelled_share < 1 or np.isnan(y).any():
            return []
        return [
            "Every label is known: co-training had nothing to label, and this is the mean of independent logistic "
            "regressions. `--preset few-labels` hides nine labels in ten, to see what it gains over "
            "`few-labels-control`."
        ]

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        widths = [inputs.summary or inputs.rows for inputs in spec.inputs]
        self.heads = nn.ModuleList(LinearHead(2 * width, spec.target) for width in widths)
        self.trace: list[dict[str, Any]] = []

    def fit(self, fitting: Fitting) -> None:
        """Fit the regressions to the labelled samples, and let them label others."""
        batch = fitting.inputs.batch(fitting.samples)
        columns, present, y = self._columns(batch), batch.presence, self._visible(batch.y, fitting.seed)
        self._fit_heads(columns, present, y)
        most = self.options.nominated * y.isnan().sum(0)[:, None] * self._frequencies()  # [decisions, C]
        self.trace = []
        for number in fitting.progress(range(self.options.rounds)):
            open_slots = present[:, :, None] & y.isnan()[:, None]  # [n, M, decisions]
            confidence = self._confidence(columns).masked_fill(~open_slots.unsqueeze(-1), 0.0)
            labels = pseudo_labels(confidence, most.round().clamp(min=1), self.options.threshold)
            if labels.isnan().all():
                break
            self.trace.append(_traced(number, labels, batch.y))
            y = torch.where(y.isnan(), labels, y)
            self._fit_heads(columns, present, y)

    def _visible(self, y: Tensor, seed: int) -> Tensor:
        """Return the labels [n, C] of the training samples, NaN where hidden, and forget the others in the prior."""
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed)).to(y.device)
        hidden = order[max(1, round(self.options.labelled_share * len(y))) :]
        visible = y.index_fill(0, hidden, torch.nan)
        self.prior.copy_(prior_logits(self, visible))
        return visible

    def _columns(self, batch: Batch) -> list[Tensor]:
        """Return a table [B, 2 F] for each modality: values, 0 where unknown, and flags of what is unknown."""
        tables = [torch.from_numpy(table).to(batch.y.device) for table in pooled_vectors(self.spec.inputs, batch)]
        return [torch.cat([table.nan_to_num(0.0), table.isnan()], dim=1) for table in tables]

    def _heads(self) -> list[LinearHead]:
        return cast("list[LinearHead]", list(self.heads))

    def _fit_heads(self, columns: Sequence[Tensor], present: Tensor, y: Tensor) -> None:
        for head, table, has in zip(self._heads(), columns, present.T, strict=True):
            head.fit(table[has], y[has], self.prior, self.options.penalty)

    def _said(self, columns: Sequence[Tensor]) -> Tensor:
        """Return what each modality says, [B, M, K]; means nothing where it is missing."""
        return torch.stack([head(table) for head, table in zip(self._heads(), columns, strict=True)], dim=1)

    def _frequencies(self) -> Tensor:
        """Return the frequency of each outcome among the labelled samples, [decisions, C]."""
        return self.target.log_probabilities(self.prior)[0].exp()

    def _confidence(self, columns: Sequence[Tensor]) -> Tensor:
        """Return the probability of each outcome if all were equally frequent, [n, M, decisions, C]."""
        lp, _ = self.target.log_probabilities(self._said(columns))
        return (lp - self._frequencies().log()).softmax(-1)

    def logits(self, said: Tensor, present: Tensor) -> Tensor:
        """Return the mean [B, K] of what the modalities say [B, M, K]; the prior for a sample without any."""
        mean = (equal_shares(present)[:, :, None] * said).sum(1)
        return torch.where(present.any(1, keepdim=True), mean, self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(self._said(self._columns(batch)), batch.presence), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and of a binary task those of each modality."""
        said = self._said(self._columns(batch))
        probability = self.target.probabilities(self.logits(said, batch.presence))
        if self.target.kind != "binary":
            return Prediction(probability)
        alone = torch.where(batch.presence, said[:, :, 0], self.prior)
        return Prediction(probability, alone.sigmoid())

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return for each round how many pseudo-labels were added, and how many of them were right."""
        return {"pseudo_labels": self.trace} if self.trace else {}


def pseudo_labels(confidence: Tensor, most: Tensor, threshold: float) -> Tensor:
    """Return the labels that modalities agree to give.

    Parameters
    ----------
    confidence : float [n, M, decisions, C], how sure a modality is of an outcome; 0 where it has no say
    most : float [decisions, C], how many samples a modality may nominate for an outcome
    threshold : a modality nominates and contradicts only where it is surer than that

    Returns
    -------
    float [n, decisions], the outcome that a modality nominates a sample for while none is sure of another one; else NaN
    """
    sure = confidence > threshold
    rank = confidence.argsort(dim=0, descending=True, stable=True).argsort(dim=0)
    nominated = (sure & (rank < most)).any(1)  # [n, decisions, C]
    agreed = nominated & (sure.any(1).sum(-1, keepdim=True) == 1)
    return torch.where(agreed.any(-1), agreed.float().argmax(-1).float(), torch.nan)


def _traced(number: int, labels: Tensor, truth: Tensor) -> dict[str, Any]:
    known = ~labels.isnan() & ~truth.isnan()
    return {
        "round": number,
        "added": int((~labels.isnan()).sum()),
        "hidden_on_purpose": int(known.sum()),
        "right": int((labels == truth)[known].sum()),
    }
