"""What statistical multi-view methods share: a short vector per modality, scores of each sample, and a linear head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.linear_head import HeldOut, LinearHead, best_penalty
from ..parts.targets import KINDS
from ..parts.views import Views
from .base import Method, ModelSpec, Prediction

if TYPE_CHECKING:
    from .fitting import Fitting

FOLDS = 5
"""Parts of the training part by which the penalty of the head is chosen."""


@dataclass(frozen=True)
class ViewTable:
    """Views of n training samples: ``views`` M tables [n, width], zero where not ``present`` [n, M]; ``y`` [n, C]."""

    views: Sequence[Tensor]
    present: Tensor
    y: Tensor

    def take(self, rows: Tensor) -> ViewTable:
        """Return some rows."""
        return ViewTable([view[rows] for view in self.views], self.present[rows], self.y[rows])


class MultiView(Method):
    """Base of methods that make scores of pooled vectors; a subclass says how in ``learn`` and ``scores``."""

    family = "statistical"
    kinds = KINDS
    by_gradient = False
    needs = "pooled"
    supervised: ClassVar[bool] = False
    """Whether scores are learnt from labels; then every fold that judges a penalty needs scores of its own."""

    @dataclass(frozen=True)
    class Options:
        """What every statistical method can be given."""

        components: int = 64
        """Most columns of a modality; a wider one is reduced to as many principal components."""

        def __post_init__(self) -> None:
            if self.components < 1:
                raise InputError(f"components must be at least 1; got {self.components}")

    options: Options
    penalty: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.views = Views(spec.inputs, self.options.components)
        self.head = LinearHead(self.score_columns(), self.target)
        self.register_buffer("penalty", torch.zeros(()))

    def score_columns(self) -> int:
        """Return S, how many scores a sample has; asked while the method is being made."""
        raise NotImplementedError

    def learn(self, table: ViewTable, seed: int) -> None:
        """Learn the scores from training samples; labels are for ``supervised`` scores alone."""
        raise NotImplementedError

    def scores(self, views: Sequence[Tensor], present: Tensor) -> Tensor:
        """Return scores [B, S] of views [B, width] that are zero where not ``present`` [B, M]."""
        raise NotImplementedError

    def fit(self, fitting: Fitting) -> None:
        """Learn the scores, and fit the head to them with the penalty that suits held-out samples."""
        batch = fitting.inputs.batch(fitting.samples)
        self.views.fit([batch])
        table = ViewTable(self.views(batch), batch.presence, batch.y)
        self.learn(table, fitting.seed)
        self.penalty.fill_(best_penalty(self.target, self.prior, self._folds(table, fitting)))
        if self.supervised:
            self.learn(table, fitting.seed)
        self.head.fit(self.scores(table.views, table.present), table.y, self.prior, float(self.penalty))

    def _folds(self, table: ViewTable, fitting: Fitting) -> Iterator[HeldOut]:
        folds = fitting.folds_within(FOLDS, self.target.kind)
        scores = self.scores(table.views, table.present)
        for number in fitting.progress(range(len(folds))):
            rest, held_out = folds[number]
            if self.supervised:
                self.learn(table.take(rest), fitting.seed)
                scores = self.scores(table.views, table.present)
            yield HeldOut(scores[rest], table.y[rest], scores[held_out], table.y[held_out])

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for samples without modalities."""
        logits = self.head(self.scores(self.views(batch), batch.presence))
        return torch.where(batch.presence.any(1, keepdim=True), logits, self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))

    def details(self) -> dict[str, Any]:
        """Return the penalty of the head."""
        return {"penalty": float(self.penalty)}
