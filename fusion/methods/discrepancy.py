"""How far each modality is ahead of the others, step by step, told by the joint head of a concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..parts.balance import EpochMeans, pairwise_ratios
from ..parts.completion.patterns import fill
from ..parts.encoders import Encoded, mlp
from ..parts.targets import PROBABILITIES, mean_known
from .base import Context, ModelSpec
from .joint import JointFusion


class ToldAlone(JointFusion):
    """Base of concatenations whose joint head tells how well each modality alone would say the truth."""

    kinds = PROBABILITIES
    fewest_modalities = 2

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, and which head."""

        head: Literal["linear", "mlp"] = "linear"
        """Joint head; only a linear one is the sum of what each modality says."""

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, count, output = spec.encoder, len(spec.inputs), spec.target.output_size
        width = count * encoder.dimension
        linear = self.options.head == "linear"
        self.head: nn.Module = (
            nn.Linear(width, output) if linear else mlp(width, encoder.hidden, output, encoder.dropout)
        )
        self.trace = EpochMeans(spec.modalities)

    def on_fit_start(self, context: Context) -> None:
        """Begin a new trace."""
        super().on_fit_start(context)
        self.trace = EpochMeans(self.spec.modalities)

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace."""
        self.trace.close(context.epoch)

    def fuse(self, embeddings: Tensor, _: Tensor) -> Tensor:
        """Return the logits of the head."""
        logits: Tensor = self.head(embeddings.flatten(1))
        return logits

    def unimodal_logits(self, encoded: Encoded) -> Tensor:
        """Return what each modality alone adds to the logits, or would say alone: [B, M, K]."""
        embeddings, count = encoded.embeddings, len(self.spec.inputs)
        if isinstance(self.head, nn.Linear):
            weight = self.head.weight.view(-1, count, embeddings.shape[2])  # [K, M, D]
            return torch.einsum("bmd,kmd->bmk", embeddings, weight) + self.head.bias / count
        alone = torch.eye(count, dtype=torch.bool, device=embeddings.device)
        shown = [only.expand(len(embeddings), -1) for only in alone]
        return torch.stack([self.fuse(fill(embeddings, encoded.missing, only), only) for only in shown], dim=1)

    def scores(self, encoded: Encoded, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability that each modality alone gives to the truth, [B, M], and where it can, bool [B, M]."""
        lp = self.target.log_probabilities(self.unimodal_logits(encoded))[0]  # [B, M, K, C]
        values, known = self.target.gather(lp, y.unsqueeze(1))
        return mean_known(values.exp(), known), encoded.presence & self.target.known(y)[:, None]


class DiscrepancyFusion(ToldAlone):
    """Base of concatenations that act on the modalities that are ahead, as the discrepancy ratio of OGM-GE has it."""

    @dataclass(frozen=True)
    class Options(ToldAlone.Options):
        """Options of a joint head, which head, and which ratio."""

        ratio: Literal["mean_pairwise", "min"] = "mean_pairwise"
        """How far a modality is ahead: mean of its ratios to the others, or its ratio to the weakest of them."""

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.modulates = False

    def decide(self, discrepancy: Tensor) -> None:
        """Decide, without gradients, what a training step does to modalities by how far each is ahead, [M]."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head; in training, decide first what is done to those that are ahead."""
        encoded = self.encode(batch)
        if self.training:
            with torch.no_grad():
                self.decide(self.discrepancy(encoded, batch.y))
        return {"total": self.target.loss(self.joint_logits(encoded), batch.y)}

    def discrepancy(self, encoded: Encoded, y: Tensor) -> Tensor:
        """Return how far each modality is ahead, [M]; NaN without a sample that has another one as well."""
        ratios = pairwise_ratios(*self.scores(encoded, y))
        if self.options.ratio == "mean_pairwise":
            return ratios.nanmean(1)
        return torch.where(ratios.isnan().all(1), torch.nan, ratios.nan_to_num(float("-inf")).amax(1))
