"""MUSE-style fusion: patients and modalities as a graph, and a patient who loses some edges stays who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.completion.patterns import sample_patterns
from ..parts.contrast import info_nce
from ..parts.encoders import Encoded
from ..parts.targets import PROBABILITIES, Target
from .base import Context, ModelSpec
from .joint import JointFusion


class Muse(JointFusion):
    """MUSE-style: messages between a sample and its modalities along edges that are their embeddings.

    Where published modalities hear all patients of a batch, ours hear the training samples of the last epoch, whoever
    is predicted: to a sample they are constants, and what is left is a DeepSet over its modalities. A sample is taught
    to resemble itself without some of its modalities, and others of its label.
    """

    name = "muse"
    family = "joint head"
    kinds = PROBABILITIES
    source = "MUSE, Wu et al. 2024, ICLR: bipartite graph, contrast with dropped edges; modalities are inductive here"
    cost = 2.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5", "options.contrast_weight=0", "options.label_weight=0"),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.contrast_weight": ("0.0", "0.5"),
        "options.label_weight": ("0.0", "0.5"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, size of the graph network, and weights of the contrasts."""

        layers: int = 2
        """Rounds of messages."""
        dropout: float = 0.25
        """Share of hidden units dropped after each round."""
        edge_dropout: float = 0.5
        """Probability that the second view of a training sample lacks a random part of its modalities."""
        contrast_weight: float = 0.5
        """Weight of telling a sample's second view among those of other patients."""
        label_weight: float = 0.5
        """Weight of resembling other patients by how alike their labels are."""
        temperature: float = 1.0
        """Temperature of the first, 1 as in the released code: with the paper's 0.05 it outweighs everything else."""
        label_temperature: float = 0.07
        """Temperature of the second."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.layers < 1:
                raise InputError(f"layers must be 1 or more; got {self.layers}")
            if not 0 <= self.dropout < 1:
                raise InputError(f"dropout must be 0 or more and less than 1; got {self.dropout}")
            if not 0 <= self.edge_dropout <= 1:
                raise InputError(f"edge_dropout must lie between 0 and 1; got {self.edge_dropout}")
            for name in ("contrast_weight", "label_weight"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")
            for name in ("temperature", "label_temperature"):
                if not getattr(self, name) > 0:
                    raise InputError(f"{name} must be positive; got {getattr(self, name)}")

    options: Options
    heard: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        width, modalities, layers = spec.encoder.dimension, len(spec.inputs), self.options.layers
        self.modality = nn.Parameter(torch.randn(modalities, width))
        self.rounds = nn.ModuleList(Round(width, last=number == layers - 1) for number in range(layers))
        self.dropout = nn.Dropout(self.options.dropout)
        self.head = nn.Linear(width, spec.target.output_size)
        # [layers - 1, M, D] mean message of all training samples to each modality; of the last round nobody hears
        self.register_buffer("heard", torch.zeros(layers - 1, modalities, width))

    def vectors(self, edges: Tensor, there: Tensor, rounds: int | None = None) -> tuple[Tensor, Tensor]:
        """Return vectors of samples [B, D], and messages to modalities [B, M, D], after some rounds, by default all.

        ``edges`` [B, M, D] are embeddings, of which some are ``there`` [B, M]; no other is read. The messages are those
        of the round after the last.
        """
        sample: Tensor = torch.ones_like(edges[:, 0])
        modality: Tensor = self.modality
        all_rounds = cast("list[Round]", list(self.rounds))
        for number, one in enumerate(all_rounds[:rounds]):
            told = one.update(sample, mean_there(one.message(modality, edges), there))
            if one.renew is not None:
                modality = one.update(modality, self.heard[number])
                edges = one.new_edges(edges, told, modality)
            sample = self.dropout(told)
        following = all_rounds[min(len(all_rounds) - 1, len(all_rounds[:rounds]))]
        return sample, following.message(sample[:, None], edges)

    @torch.no_grad()
    def listen(self, context: Context) -> None:
        """Let the modalities hear all training samples, round after round."""
        for number in range(len(self.heard)):
            total = torch.zeros_like(self.heard[number])
            count = total.new_zeros(len(total))
            for batch in context.training():
                _, messages = self.vectors(self.encode(batch).embeddings, batch.presence, number)
                total += (messages * batch.presence[:, :, None]).sum(0)
                count += batch.presence.sum(0)
            self.heard[number] = total / count.clamp(min=1)[:, None]

    def on_fit_start(self, context: Context) -> None:
        """Let the modalities hear samples as they are before the training."""
        super().on_fit_start(context)
        self.eval()
        self.listen(context)

    def on_epoch_end(self, context: Context) -> None:
        """Let the modalities hear samples as they are now."""
        self.listen(context)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head on the samples' vectors."""
        logits: Tensor = self.head(self.vectors(embeddings, shown)[0])
        return logits

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy (``ce``), and the terms that the options weigh; means over the samples that have anything."""
        encoded, options = self.encode(batch), self.options
        embeddings, shown = self.complete(encoded)
        vectors, _ = self.vectors(embeddings, shown)
        has = encoded.presence.any(1)
        ce = self.target.loss(torch.where(has[:, None], self.head(vectors), self.prior), batch.y)
        other, _ = self.vectors(embeddings, self.second_view(encoded, shown))
        first, second = F.normalize(vectors[has], dim=1), F.normalize(other[has], dim=1)
        subject = batch.subject[has]
        rivals = subject[:, None] != subject
        scale = 1 / options.temperature
        both_ways = info_nce(first, second, scale, rivals) + info_nce(second, first, scale, rivals)
        contrast = both_ways.sum() / (2 * len(first)) if len(first) else both_ways.sum()
        label = resembling(first, likeness(self.target, batch.y[has]), 1 / options.label_temperature, rivals)
        total = ce + options.contrast_weight * contrast + options.label_weight * label
        return {"total": total, "ce": ce, "contrast": contrast, "label": label}

    def second_view(self, encoded: Encoded, shown: Tensor) -> Tensor:
        """Return what the second view shows, [B, M]: in training a part of the first; else all of it."""
        if not self.training:
            return shown
        return sample_patterns(shown & encoded.presence, self.generator, self.options.edge_dropout, "proper")


class Round(nn.Module):
    """One round of messages; both kinds of nodes have the same weights. Edges are not renewed after the last."""

    def __init__(self, width: int, last: bool) -> None:
        super().__init__()
        self.speak = nn.Linear(2 * width, width)
        self.hear = nn.Linear(2 * width, width)
        self.renew = None if last else nn.Linear(3 * width, width)

    def message(self, speakers: Tensor, edges: Tensor) -> Tensor:
        """Return messages along edges [B, M, D] from speakers, which are broadcast to them."""
        return F.relu(self.speak(torch.cat([speakers.expand_as(edges), edges], dim=-1)))

    def update(self, nodes: Tensor, heard: Tensor) -> Tensor:
        """Return nodes [..., D] after they have heard a mean message each."""
        return F.relu(self.hear(torch.cat([nodes, heard], dim=-1)))

    def new_edges(self, edges: Tensor, samples: Tensor, modalities: Tensor) -> Tensor:
        """Return edges [B, M, D] after samples [B, D] and modalities [M, D] have changed."""
        assert self.renew is not None
        ends = samples[:, None].expand_as(edges), modalities.expand_as(edges)
        return F.relu(self.renew(torch.cat([edges, *ends], dim=-1)))


def mean_there(values: Tensor, there: Tensor) -> Tensor:
    """Return the mean [B, D] of values [B, M, D] over those that are ``there`` [B, M]; 0 without any."""
    return (values * there[:, :, None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1)


def likeness(target: Target, y: Tensor) -> Tensor:
    """Return how alike the labels y [B, C] of samples are, [B, B] in [0, 1]; 0 for those that share no known label.

    Whether classes are equal; of several labels the share of those that either has which both have, among those known
    of both (1 if neither has any): the Jaccard index.
    """
    if target.kind == "multiclass":
        return (y == y.T).to(y.dtype)  # unknown is equal to nothing
    known, has = (~y.isnan()).to(y.dtype), y.nan_to_num(0.0)
    both = has @ has.T
    either = has @ known.T + known @ has.T - both
    alike = torch.where(either > 0, both / either.clamp(min=1), 1.0)
    return torch.where(known @ known.T > 0, alike, 0.0)


def resembling(vectors: Tensor, alike: Tensor, scale: float, rivals: Tensor) -> Tensor:
    """Supervised contrast of Khosla et al. 2020 (arXiv 2004.11362, Eq. 2), positives weighed by how alike they are.

    Parameters
    ----------
    vectors : float [n, d] of length one
    alike : float [n, n] in [0, 1]
    scale : 1 / temperature
    rivals : bool [n, n], samples of other patients, among whom those alike are to be told

    Returns
    -------
    scalar, mean over the samples that somebody resembles; 0 without such
    """
    weight = torch.where(rivals, alike, 0.0)
    some = weight.sum(1) > 0
    lp = (scale * vectors @ vectors.T).masked_fill(~rivals, -torch.inf)[some].log_softmax(1)
    weight, told = weight[some], lp.masked_fill(~rivals[some], 0.0)
    return -((weight * told).sum(1) / weight.sum(1)).sum() / some.sum().clamp(min=1)
