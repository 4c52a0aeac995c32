"""DrFuse: what the modalities share is separated from what is distinct, and each label attends to its own parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.divergence import jensen_shannon, log_mean
from ..parts.encoders import Encoded
from ..parts.targets import PROBABILITIES
from .base import ModelSpec, Prediction
from .joint import JointFusion


class Parts(NamedTuple):
    """What DrFuse makes of B samples, with T = M + 1 tokens: the distinct parts, and the pooled shared one.

    ``shared`` and ``distinct`` [B, M, D]; ``attention`` [B, K, T], zero on absent tokens; ``alone`` [B, T, K] logits of
    each token's own head; ``logits`` [B, K] of the prediction.
    """

    shared: Tensor
    distinct: Tensor
    attention: Tensor
    alone: Tensor
    logits: Tensor


class LabelAttention(nn.Module):
    """Attention of every label over tokens: keys of its own, but one query and one value for all labels."""

    def __init__(self, labels: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.keys = nn.Linear(width, labels * width)
        self.value = nn.Linear(width, width)
        self.labels = labels

    def forward(self, tokens: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [B, K, D] and weights [B, K, T] of tokens [B, T, D]; at least one is ``there`` [B, T]."""
        share = there / there.sum(1, keepdim=True)
        query = (share[:, :, None] * self.query(tokens)).sum(1)  # [B, D]
        keys = self.keys(tokens).unflatten(-1, (self.labels, -1))  # [B, T, K, D]
        scores = torch.einsum("bd,btkd->bkt", query, keys) / math.sqrt(tokens.shape[-1])
        weights = scores.masked_fill(~there[:, None], -torch.inf).softmax(-1)
        return weights @ self.value(tokens), weights


class DrFuse(JointFusion):
    """Disentangled fusion: shared parts that agree are pooled, distinct parts stay, each label weighs all of them.

    Both parts are projections of one embedding instead of outputs of two encoders, so that the method has the same
    encoders as all others.
    """

    name = "drfuse"
    family = "joint head"
    kinds = PROBABILITIES
    source = "DrFuse, Yao et al. 2024, arXiv 2403.06197"
    cost = 2.0
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.alignment_weight": ("0.3", "1.0"),
        "options.orthogonality_weight": ("0.3", "1.0"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of joint fusion, and weights of the losses; that of the prediction has weight 1."""

        alignment_weight: float = 1.0
        """Weight of the Jensen-Shannon divergence between shared parts, summed over units as in the released code."""
        orthogonality_weight: float = 1.0
        """Weight of the cosine between shared and distinct part of a modality, without its sign."""
        auxiliary_weight: float = 1.0
        """Weight of the cross-entropy of each distinct and of the pooled shared part alone."""
        ranking_weight: float = 1.0
        """Weight of the loss of attending less to a part than to another that predicts the label worse."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("alignment_weight", "orthogonality_weight", "auxiliary_weight", "ranking_weight"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        width, outputs = spec.encoder.dimension, spec.target.output_size
        self.to_shared = nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs)
        self.to_distinct = nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs)
        self.common = nn.Linear(width, width)
        self.dropout = nn.Dropout(spec.encoder.dropout)
        self.attention = LabelAttention(outputs, width)
        self.heads = nn.ModuleList(nn.Linear(width, outputs) for _ in range(len(spec.inputs) + 1))
        self.head = nn.Linear(width, outputs)

    def disentangle(self, embeddings: Tensor, shown: Tensor) -> Parts:
        """Return shared and distinct parts of embeddings [B, M, D], and what they predict."""
        shared, distinct = (
            torch.stack([project(embeddings[:, m]) for m, project in enumerate(projections)], dim=1)
            for projections in (self.to_shared, self.to_distinct)
        )  # [B, M, D] each
        shared = self.common(F.relu(shared))
        tokens = torch.cat([distinct, pooled(shared, shown)[:, None]], dim=1)  # [B, T, D]
        # the pooled token takes part even where nothing is shown: a softmax over nothing is not a number
        there = F.pad(shown, (0, 1), value=True)
        features, attention = self.attention(self.dropout(tokens), there)
        alone = torch.stack([head(self.dropout(tokens[:, t])) for t, head in enumerate(self.heads)], dim=1)
        logits = (features * self.head.weight).sum(-1) + self.head.bias
        return Parts(shared, distinct, attention, alone, logits)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the prediction."""
        return self.disentangle(embeddings, shown).logits

    def read(self, encoded: Encoded) -> tuple[Parts, Tensor, Tensor]:
        """Return the parts, the logits of the prediction [B, K], and who takes part, bool [B, M]."""
        embeddings, shown = self.complete(encoded)
        parts = self.disentangle(embeddings, shown)
        return parts, torch.where(encoded.presence.any(1, keepdim=True), parts.logits, self.prior), shown

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction (``ce``), and the terms that the options weigh."""
        (parts, logits, shown), options = self.read(self.encode(batch)), self.options
        there = torch.cat([shown, shown.any(1, keepdim=True)], dim=1)  # [B, T]
        own = [self.target.loss(parts.alone[has, t], batch.y[has]) for t, has in enumerate(there.T)]
        cosine = F.cosine_similarity(parts.shared, parts.distinct, dim=-1).abs()  # [B, M]
        terms = {
            "alignment": alignment(parts.shared, shown),
            "orthogonality": ((cosine * shown).sum(0) / shown.sum(0).clamp(min=1)).sum(),
            "auxiliary": torch.stack(own).sum(),
            "ranking": self.ranking(parts, there, batch.y),
        }
        weighted = torch.stack([getattr(options, f"{name}_weight") * term for name, term in terms.items()])
        ce = self.target.loss(logits, batch.y)
        return {"total": ce + weighted.sum(), "ce": ce, **terms}

    def ranking(self, parts: Parts, there: Tensor, y: Tensor) -> Tensor:
        """Attention that a token gets more than another that predicts better, mean over pairs of those ``there``."""
        lp = self.target.log_probabilities(parts.alone.detach())[0]  # [B, T, decisions, C]
        truth, known = self.target.gather(lp, y[:, None])
        better = (truth[:, :, None] - truth[:, None]).sign()  # [B, T, T, decisions], 1 where the first token is better
        weights = parts.attention.mT  # [B, T, K]
        wrong = F.relu(-better * (weights[:, :, None] - weights[:, None]))  # [B, T, T, K]
        couples = there[:, :, None] & there[:, None] & ~torch.eye(there.shape[1], dtype=torch.bool).to(there.device)
        counted = (couples[..., None] & known[:, :, None]).expand_as(wrong)
        return (wrong * counted).sum() / counted.sum().clamp(min=1)

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities; of a binary task also those of the distinct parts, and the attention on them."""
        parts, logits, shown = self.read(self.encode(batch))
        imputed = self.filler.imputed(batch.presence)
        probability = self.target.probabilities(logits)
        if self.target.kind != "binary":
            return Prediction(probability, imputed=imputed)
        alone = torch.where(shown[:, :, None], parts.alone[:, :-1], self.prior)  # [B, M, 1]
        weight = parts.attention[:, 0, :-1]
        return Prediction(probability, self.target.probabilities(alone)[:, :, 0], weight, imputed)


def log_bernoulli(logits: Tensor) -> Tensor:
    """Log-probabilities of off and on, [..., 2] of logits [...]."""
    return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=-1)


def pooled(shared: Tensor, shown: Tensor) -> Tensor:
    """Pool the shared parts [B, M, D] of those ``shown`` [B, M] into the logit of their mean probability, [B, D].

    Of two parts this is LSE(h1 + h2, h1 + h2, h1, h2) - LSE(0, 0, h1, h2), as it is published; of one, the part itself.
    """
    off, on = log_mean(log_bernoulli(shared), shown).unbind(-1)
    return on - off


def alignment(shared: Tensor, shown: Tensor) -> Tensor:
    """Jensen-Shannon divergence of shared parts [B, M, D], sum over units, mean over the pairs that samples have.

    Of each unit it counts the outcome "on" alone, and units are summed, as in the released code: that is what a weight
    of 1 was published with.
    """
    pairs = torch.tensor(list(combinations(range(shared.shape[1]), 2)))
    couples, both = shared[:, pairs].flatten(0, 1), shown[:, pairs].flatten(0, 1)  # [B * P, 2, D] and [B * P, 2]
    return jensen_shannon(F.logsigmoid(couples), both).sum() / both.all(1).sum().clamp(min=1)
