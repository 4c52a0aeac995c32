"""AUG: late fusion in which the weakest modality is given further classifiers, fitted to what its own leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..inputs.spec import EncoderConfig
from ..parts.balance import EpochMeans
from ..parts.encoders import Encoded
from ..parts.heads import unimodal_losses
from ..parts.targets import PROBABILITIES, mean_known
from .base import Context, ModelSpec
from .late import Late


class BoostedHeads(nn.Module):
    """Classifiers of every modality on its embedding, which add up; all end in one layer.

    There are ``most`` of each modality from the start, so that the optimiser knows them; the first ``active`` [M] are
    used.
    """

    active: Tensor

    def __init__(self, modalities: int, most: int, output: int, config: EncoderConfig) -> None:
        super().__init__()
        self.most = most
        self.inner = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(nn.Linear(config.dimension, config.hidden), nn.ReLU(), nn.Dropout(config.dropout))
                for _ in range(most)
            )
            for _ in range(modalities)
        )
        self.last = nn.Linear(config.hidden, output)
        self.register_buffer("active", torch.ones(modalities, dtype=torch.int64))

    def each(self, encoded: Encoded) -> list[Tensor]:
        """Return of every modality what its active classifiers say, [T, B, K]."""
        said, inner = [], cast("list[nn.ModuleList]", list(self.inner))
        for m, (classifiers, active) in enumerate(zip(inner, self.active.tolist(), strict=True)):
            hidden = [classifier(encoded.embeddings[:, m]) for classifier in classifiers[:active]]
            said.append(self.last(torch.stack(hidden)))
        return said

    def together(self, each: list[Tensor], present: Tensor, prior: Tensor) -> Tensor:
        """Return the sums of what classifiers say, [B, M, K]; the ``prior`` [K] where a modality is missing."""
        sums = torch.stack([said.sum(0) for said in each], dim=1)
        return torch.where(present[:, :, None], sums, prior)

    def forward(self, encoded: Encoded, prior: Tensor) -> Tensor:
        """Return what each modality says, [B, M, K]; the ``prior`` [K] where it is missing."""
        return self.together(self.each(encoded), encoded.presence, prior)


class AUG(Late):
    """One model per modality, of which the one that says the truth worst gets another classifier, epoch by epoch.

    A new classifier learns most from what the earlier ones of its modality leave; a modality says the sum of what all
    its classifiers say, and the prediction is the mean over the modalities that a sample has.
    """

    name = "aug"
    kinds = PROBABILITIES
    source = "AUG, NeurIPS 2025, arXiv 2502.20120: classifiers added to the weakest modality, with residual weights"
    cost = 1.5
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "mean": ("options.combine=mean",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.discount": ("0.1", "0.33", "1.0"),
    }

    @dataclass(frozen=True)
    class Options(Late.Options):
        """Options of late fusion, and of the classifiers that are added."""

        combine: Literal["mean", "logit_mean"] = "logit_mean"
        """Mean of the probabilities or, as published but for samples that lack something, of the logits."""
        discount: float = 0.33
        """How much less a decision counts for the last classifier for each earlier one that is sure of the truth."""
        most: int = 4
        """Classifiers of a modality, at most."""
        every: int = 1
        """Epochs from one decision to the next."""
        scale: float = 1.0
        """The weakest modality's probability of the truth is multiplied by it before it is compared."""
        margin: float = 0.01
        """The weakest modality gets a classifier if the strongest gives the truth more probability by more than it."""

        def __post_init__(self) -> None:
            for name in ("discount", "scale", "margin"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")
            for name in ("most", "every"):
                if getattr(self, name) < 1:
                    raise InputError(f"{name} must be at least 1; got {getattr(self, name)}")

    options: Options
    heads: BoostedHeads  # type: ignore[assignment]

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.heads = BoostedHeads(len(spec.inputs), self.options.most, spec.target.output_size, spec.encoder)
        self.trace = EpochMeans(spec.modalities)

    def independent_parts(self) -> list[nn.Module]:
        """All models share the last layer."""
        return [self]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of :meth:`boosted` over modalities; their cross-entropies, and ``ce`` of the prediction, for history."""
        encoded = self.encode(batch)
        each = self.heads.each(encoded)
        logits = self.heads.together(each, batch.presence, self.prior)
        boosted = [self.boosted(said[:, has], batch.y[has]) for said, has in zip(each, batch.presence.T, strict=True)]
        ce = self.target.loss(self.mean(logits, batch.presence), batch.y)
        return {"total": torch.stack(boosted).sum(), **unimodal_losses(self.target, logits, batch), "ce": ce}

    def boosted(self, said: Tensor, y: Tensor) -> Tensor:
        """Loss of a modality's T classifiers by what they say, [T, n, K]: of the last, of all, of all but the last.

        That of the last weighs every decision by what the others leave of it; of one classifier it is all there is.
        """
        truth, known = self.target.gather(self.target.log_probabilities(said)[0], y)  # [T, n, K], [n, K]
        left = (1 - self.options.discount * truth[:-1].detach().exp().sum(0)).clamp(min=0)
        last = mean_known(self.target.over_decisions(-left * truth[-1], known), self.target.known(y))
        if len(said) == 1:
            return last
        return last + self.target.loss(said.sum(0), y) + self.target.loss(said[:-1].sum(0), y)

    def scores(self, batches: Iterable[Batch]) -> Tensor:
        """Return the mean probability that each modality gives to the truth where a sample has it, [M]; NaN of none."""
        said, scored = [], []
        for batch in batches:
            lp = self.target.log_probabilities(self.logits(batch))[0]  # [B, M, K, C]
            truth, known = self.target.gather(lp, batch.y[:, None])
            said.append(mean_known(truth.exp(), known))
            scored.append(batch.presence & self.target.known(batch.y)[:, None])
        there = torch.cat(scored)
        return torch.where(there.any(0), mean_known(torch.cat(said).T, there.T), torch.nan)

    def grow(self, scores: Tensor) -> None:
        """Give the modality with the lowest of scores [M] another classifier, if it lags and has not got the most."""
        known = scores.isfinite()
        if not known.any():
            return
        weakest = int(torch.where(known, scores, torch.inf).argmin())
        ahead = torch.where(known, scores, -torch.inf).max() - self.options.scale * scores[weakest]
        if ahead > self.options.margin and self.heads.active[weakest] < self.options.most:
            self.heads.active[weakest] += 1

    def on_fit_start(self, context: Context) -> None:
        """Begin with one classifier of each modality."""
        super().on_fit_start(context)
        self.heads.active.fill_(1)
        self.trace = EpochMeans(self.spec.modalities)

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace, then add a classifier unless the training is over: it could not learn."""
        scores = self.scores(context.training())
        self.trace.add(score=scores, classifiers=self.heads.active.to(scores.dtype))
        self.trace.close(context.epoch)
        done = context.epoch + 1
        if done % self.options.every == 0 and done < context.epochs:
            self.grow(scores)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return after every epoch how probable every modality finds the truth, and how many classifiers it had."""
        return {"boosting": self.trace.rows}
