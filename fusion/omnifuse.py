"""OmniFuse (Wu et al., Information Fusion 117, 2025): imputation, dynamic weighted fuse and laziness activation.

docs/method.md goes through every equation and every decision that the paper leaves open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..cache_schema import InputError
from .batches import Batch
from .dwfuse import DynamicWeightedFuse
from .encoders import mlp
from .imputation import CycleImputation, backward_loss, fill, forward_loss, sample_patterns
from .laziness import Distances, activation_loss, combination_table, every_combination
from .methods.base import Context, Method, ModelSpec, Prediction
from .targets import mean_known


@dataclass(frozen=True)
class Heads:
    """What the heads say about B samples, each shown some of its modalities.

    ``logits`` [B, M, output_size] of the modalities' heads, ``joint`` [B, output_size] of the joint head; ``weighing``
    [B, M] bool, the modalities that take part in the fused prediction; ``imputed`` [B, M, D] from the forward cascade.
    """

    logits: Tensor
    joint: Tensor
    weighing: Tensor
    imputed: Tensor


class OmniFuse(Method):
    """Impute what is missing, weigh modalities per sample, and train more on the combination that predicts worst.

    Every sample is shown a random part of its modalities in training (all of them half of the time): without that,
    complete data would train neither imputation nor laziness activation.
    """

    name = "omnifuse"
    family = "imputation and weighted heads"
    source = "Wu et al. 2025, equations 1-18"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "as-published": ("options.alpha=0.1", "options.score=sum"),
    }

    @dataclass(frozen=True)
    class Options:
        """Options of OmniFuse; where the paper states a value, it is the default unless said otherwise."""

        blocks: int = 5
        """Residual autoencoders per cascade, K."""
        beta: float = 0.5
        """How strongly confident modalities weigh down the others."""
        alpha: float = 1.0
        """Weight of the joint head, in the loss and in the prediction; 0.1 in the paper."""
        score: Literal["mean", "sum"] = "mean"
        """Weighted mean of the heads' log-probabilities, or the paper's sum, whose risks are not comparable between
        samples with different modalities."""
        lambda1: float = 1.0
        """Weight of backward imputation."""
        lambda2: float = 10.0
        """Weight of the heads' losses."""
        lambda3: float = 0.5
        """Weight of laziness activation; 0 only watches."""
        full_probability: float = 0.5
        """Probability that a training sample is shown all that it has; otherwise a random non-empty part."""
        laziness: Literal["absolute", "excess"] = "absolute"
        """Lazy is the combination of largest loss, or that which most exceeds the loss of a part of itself."""

        def __post_init__(self) -> None:
            if self.blocks < 1:
                raise InputError(f"blocks must be at least 1; got {self.blocks}")
            if not 0 <= self.full_probability <= 1:
                raise InputError(f"full_probability must lie between 0 and 1; got {self.full_probability}")
            for name in ("alpha", "beta", "lambda1", "lambda2", "lambda3"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, count = spec.encoder, len(spec.inputs)
        self.imputation = CycleImputation(count, encoder.dimension, self.options.blocks)
        head = partial(mlp, hidden=encoder.hidden, output=spec.target.output_size, dropout=encoder.dropout)
        self.heads = nn.ModuleList(head(encoder.dimension) for _ in range(count))
        self.joint = head(self.imputation.latent_size)
        self.fuse = DynamicWeightedFuse(
            spec.target, self.options.beta, self.options.alpha, normalised=self.options.score == "mean"
        )
        self.generator = torch.Generator()
        self.combinations = combination_table(count)
        self.lazy: Tensor | None = None
        self.trace: list[dict[str, Any]] = []

    def on_fit_start(self, context: Context) -> None:
        """Forget an earlier fit and keep the generator that draws what is shown."""
        self.generator, self.lazy, self.trace = context.generator, None, []

    def run(self, embeddings: Tensor, missing: Tensor, used: Tensor) -> Heads:
        """Apply the heads to samples that are shown the modalities ``used`` (equations 2, 4, 5, 9 and 11).

        Parameters
        ----------
        embeddings : float [B, M, D]; slots that are not shown are not read
        missing : float [M, D]
        used : bool [B, M]
        """
        imputed, latents = self.imputation(embeddings, missing, used)
        completed = fill(embeddings, imputed, used)  # [B, M, D]
        logits = [head(completed[:, m]) for m, head in enumerate(self.heads)]
        return Heads(torch.stack(logits, dim=1), self.joint(latents), torch.ones_like(used), imputed)

    def score(self, heads: Heads) -> Tensor:
        """Fused score of every candidate value, [B, K, C]."""
        joint, _ = self.target.log_probabilities(heads.joint)
        return self.fuse.score(*self.target.log_probabilities(heads.logits), joint, heads.weighing)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return equation 18 as ``total``, and its terms; ``ce`` is the cross-entropy of the fused prediction.

        In evaluation mode nothing is hidden, so that the total is that of the heads alone.
        """
        options, encoded, used = self.options, self.encode(batch), batch.presence
        if self.training:
            used = sample_patterns(used, self.generator, options.full_probability)
        heads = self.run(encoded.embeddings, encoded.missing, used)
        fused = self.target.cross_entropy(self.target.logits(self.score(heads)), batch.y)  # [B]
        tables, known = self.target.log_probabilities(heads.logits), self.target.known(batch.y)
        terms = {
            "enc": self.fuse.encoder_loss(*tables, batch.y, heads.weighing),
            "joint": self.target.loss(heads.joint, batch.y),
            "ce": mean_known(fused, known),
        }
        total = options.lambda2 * (terms["enc"] + options.alpha * terms["joint"])
        if self.training:
            terms["forward"], terms["backward"] = self._imputation_losses(batch, encoded.missing, used, heads.imputed)
            terms["tla"] = activation_loss(fused, used, self.lazy, known)
            total = total + terms["forward"] + options.lambda1 * terms["backward"] + options.lambda3 * terms["tla"]
        return {"total": total, **terms}

    def _imputation_losses(self, batch: Batch, missing: Tensor, used: Tensor, imputed: Tensor) -> tuple[Tensor, Tensor]:
        """Equations 6 to 8. Truths come from the encoders without dropout and carry no gradient.

        Otherwise the encoders learn to make embeddings easy to impute by making them all alike.
        """
        self.encoders.eval()
        with torch.no_grad():
            truth = self.encode(batch).embeddings
        self.encoders.train()
        reconstructed = self.imputation.reconstruct(imputed, missing, used)
        return forward_loss(imputed, truth, batch.presence, used), backward_loss(reconstructed, truth, used)

    def predict(self, batch: Batch) -> Prediction:
        """Return the fused probabilities; the label frequencies for a sample that has no modality."""
        encoded = self.encode(batch)
        heads = self.run(encoded.embeddings, encoded.missing, batch.presence)
        score, has_any = self.score(heads), batch.presence.any(1, keepdim=True)
        logits = torch.where(has_any, self.target.logits(score), self.prior)
        probability, imputed = self.target.probabilities(logits), ~batch.presence
        if self.target.kind != "binary":
            return Prediction(probability, imputed=imputed)
        _, l1p = self.target.log_probabilities(heads.logits)
        weight = self.fuse.predicted_weights(l1p, score, heads.weighing).squeeze(-1)  # [B, M]
        return Prediction(probability, self.target.probabilities(heads.logits).squeeze(-1), weight, imputed)

    def predict_combinations(self, batch: Batch) -> Tensor:
        """Logits [C, B, output_size] under every row of ``combinations``, each sample encoded once."""
        encoded = self.encode(batch)

        def predict(embeddings: Tensor, used: Tensor) -> Tensor:
            return self.target.logits(self.score(self.run(embeddings, encoded.missing, used)))

        table = self.combinations.to(batch.presence.device)
        return every_combination(predict, encoded.embeddings, batch.presence, table)

    def on_epoch_end(self, context: Context) -> None:
        """Find the combination that training pays more attention to in the next epoch (equation 15)."""
        distances = Distances(self.combinations)
        for batch in context.training():
            losses = self.target.cross_entropy(self.predict_combinations(batch), batch.y)  # [C, B]
            distances.add(losses, batch.presence, self.target.known(batch.y))
        laziest = distances.laziest(self.options.laziness)
        self.lazy = None if laziest is None else self.combinations[laziest].to(self.prior.device)
        self.trace += distances.table_rows(self.spec.modalities, context.epoch, laziest)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the trace of laziness: a row per epoch and combination."""
        return {"laziness": self.trace}

    def details(self) -> dict[str, Any]:
        """Return in how many epochs each combination was the lazy one."""
        return {"lazy_epochs": dict(Counter(row["combination"] for row in self.trace if row["chosen"]))}
