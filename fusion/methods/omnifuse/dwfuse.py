"""Dynamic weighted fuse: a head per modality and a joint head, weighed per sample.

OmniFuse (``method.py``) is this method with imputation that is trained along, and laziness activation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ....cache_schema import InputError
from ...inputs.batches import Batch
from ...parts.combinations import combination_name, combination_table, every_combination
from ...parts.completion.filling import Filling, new_completion
from ...parts.completion.patterns import Patterns, fill, sample_patterns
from ...parts.encoders import Encoded, mlp
from ...parts.targets import mean_known
from ..base import Context, Method, ModelSpec, Prediction
from .weighting import DynamicWeightedFuse

Readout = Literal["fused", "joint", "weighted", "mean"]


class Completed(NamedTuple):
    """Embeddings of B samples with something in every slot, and what the joint head gets.

    ``embeddings`` [B, M, D]; ``joint_input`` [B, W]; ``imputed`` [B, M, D], what imputation says of every slot, or None
    if there is none.
    """

    embeddings: Tensor
    joint_input: Tensor
    imputed: Tensor | None


@dataclass(frozen=True)
class Heads:
    """What the heads say about B samples, each shown some of its modalities.

    ``lp``, ``l1p`` [B, M, K, C] of the modalities' heads and ``joint`` [B, K, C] of the joint head, as in
    :mod:`..targets`; ``trust`` [B, M], how much each modality takes part; ``imputed`` as in :class:`Completed`.
    """

    lp: Tensor
    l1p: Tensor
    joint: Tensor
    trust: Tensor
    imputed: Tensor | None


class DWFuse(Method):
    """A head per modality, weighed down per sample where the others are right, beside a joint head.

    Only modalities that a sample has take part; the joint head sees all embeddings side by side, with the missing
    embedding in the other slots. If predictions impute, all modalities take part in them.
    """

    name = "dwfuse"
    family = "weighted heads"
    source = "Wu et al. 2025, equations 9-14; the rule of Liu et al. 2018, arXiv 1805.11730"
    cost = 1.3
    term_words: ClassVar[Mapping[str, tuple[str, str]]] = {
        "enc": ("Unimodal heads", "Misfit of each modality's own prediction, weighted per sample (DWFuse)."),
        "joint": ("Joint head", "Misfit of the head on the latent codes of the imputation."),
    }
    weight_words = (
        "The weight of a modality at the predicted class is large where the other modalities do not already support "
        "that class, and small where they do: it says how much the prediction leans on it, not how good it is."
    )
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
        "ridge": ("options.imputation=ridge",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.beta": ("0.25", "0.5", "1.0"),
        "options.alpha": ("0.1", "1.0", "5.0"),
    }

    @dataclass(frozen=True)
    class Options:
        """Options of dynamic weighted fuse; where the paper states a value, it is the default unless said otherwise."""

        beta: float = 0.5
        """How strongly confident modalities weigh down the others; 0 lets all heads count alike (a control)."""
        alpha: float = 1.0
        """Weight of the joint head, in the loss and in the prediction; 0.1 in the paper."""
        score: Literal["mean", "sum"] = "mean"
        """Weighted mean of the heads' log-probabilities, or the paper's sum, whose risks are not comparable between
        samples with different modalities."""
        readout: Readout = "fused"
        """What predicts: all heads by the weighted score, the joint head alone, the score without the joint head, or
        the mean probability of the modalities' heads. Training is the same but for laziness activation."""
        modality_heads: bool = True
        """False: the joint head is trained alone and predicts: concatenation, or with imputation MMIN."""
        modality_dropout: float = 0.0
        """Probability that a training sample shows only a random part of its modalities."""
        patterns: Patterns = "uniform"
        """Which part: any non-empty one, any but the whole, or every modality hidden independently."""
        class_weights: bool = False
        """Control: losses of the heads weighed by inverse label frequency, as imbalance alone would ask for."""
        permute_weights: bool = False
        """Control: each training sample's modalities are weighed by the beliefs of another sample's heads."""
        imputation: Filling = "none"
        """What predictions put into the slots of absent modalities, which then take part like any other: nothing (they
        do not weigh), zeros, the mean, or an estimate from the others; fitted when training has ended."""

        def __post_init__(self) -> None:
            if not 0 <= self.modality_dropout <= 1:
                raise InputError(f"modality_dropout must lie between 0 and 1; got {self.modality_dropout}")
            for name, value in vars(self).items():
                if isinstance(value, float) and not value >= 0:
                    raise InputError(f"{name} must not be negative; got {value}")

    options: Options

    @classmethod
    def options_of(cls, stored: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return stored options; earlier runs have the probability of showing everything."""
        rest = {name: value for name, value in stored.items() if name != "full_probability"}
        everything = stored.get("full_probability")
        return {**rest, "modality_dropout": 1 - everything} if isinstance(everything, int | float) else stored

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, count = spec.encoder, len(spec.inputs)
        head = partial(mlp, hidden=encoder.hidden, output=spec.target.output_size, dropout=encoder.dropout)
        joint_width = self.build()
        self.heads = nn.ModuleList(head(encoder.dimension) for _ in range(count if self.options.modality_heads else 0))
        self.joint = head(joint_width)
        normalised = self.options.score == "mean"
        self.fuse = DynamicWeightedFuse(spec.target, self.options.beta, self.options.alpha, normalised)
        self.generator = torch.Generator()
        self.combinations = combination_table(count)

    def build(self) -> int:
        """Build what lies between encoders and heads; return the width of the joint head's input."""
        count, width = len(self.spec.inputs), self.spec.encoder.dimension
        self.filler = new_completion(self.options.imputation, count, width)
        return count * width

    def on_fit_start(self, context: Context) -> None:
        """Keep the generator that draws what is shown; nothing can be filled in yet."""
        self.generator = context.generator
        self.filler.begin()

    def on_fit_end(self, context: Context) -> None:
        """Fit the imputation that predictions alone use."""
        self.filler.end(map(self.encode, context.training()))

    def complete(self, embeddings: Tensor, missing: Tensor, used: Tensor) -> Completed:
        """Put something into the slots that are not shown: the missing embedding, or in predictions an estimate."""
        if self.filler.fills:
            imputed = self.filler(embeddings, used)
            return Completed(imputed, imputed.flatten(1), imputed)
        completed = fill(embeddings, missing, used)  # [B, M, D]
        return Completed(completed, completed.flatten(1), None)

    def trust(self, used: Tensor) -> Tensor:
        """How much each modality takes part, [B, M]: those that are shown; all where nothing is, to have a value."""
        if self.filler.fills:
            return torch.ones_like(used, dtype=torch.float32)
        return (used | ~used.any(1, keepdim=True)).float()

    def run(self, embeddings: Tensor, missing: Tensor, used: Tensor) -> Heads:
        """Apply the heads to samples that are shown the modalities ``used`` (equations 9 and 11).

        Parameters
        ----------
        embeddings : float [B, M, D]; slots that are not shown are not read
        missing : float [M, D]
        used : bool [B, M]
        """
        completed, joint_input, imputed = self.complete(embeddings, missing, used)
        heads = list(self.heads)
        logits = completed.new_empty(len(completed), len(heads), self.target.output_size)
        if heads:
            logits = torch.stack([head(completed[:, m]) for m, head in enumerate(heads)], dim=1)
        joint, _ = self.target.log_probabilities(self.joint(joint_input))
        lp, l1p = self.target.log_probabilities(logits)
        return Heads(lp, l1p, joint, self.trust(used)[:, : len(heads)], imputed)

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Ways to read a prediction off the heads of this model."""
        return get_args(Readout) if self.options.modality_heads else ("joint",)

    @property
    def readout(self) -> Readout:
        """The way that predicts."""
        return self.options.readout if self.options.modality_heads else "joint"

    def score(self, heads: Heads, readout: Readout) -> Tensor:
        """Score of every candidate value, [B, K, C], whose softmax over C is the prediction."""
        if readout == "joint":
            return heads.joint
        if readout == "mean":
            return (heads.lp + heads.trust.log()[..., None, None]).logsumexp(1)
        fuse = self.fuse if readout == "fused" else replace(self.fuse, alpha=0.0)
        return fuse.score(heads.lp, heads.l1p, heads.joint, heads.trust)

    def logits(self, heads: Heads, readout: Readout | None = None) -> Tensor:
        """Logits [B, output_size] of a readout, by default the one that predicts."""
        return self.target.logits(self.score(heads, readout or self.readout))

    def head_losses(self, heads: Heads, y: Tensor) -> dict[str, Tensor]:
        """Losses of equations 12 and 13 for labels ``y`` [B, K], scalars."""
        l1p, balance = heads.l1p, torch.ones_like(self.prior[0])
        if self.options.permute_weights and self.training:
            l1p = l1p[torch.randperm(len(l1p), generator=self.generator).to(l1p.device)]
        if self.options.class_weights:
            frequency = self.target.log_probabilities(self.prior)[0].exp()  # [K, C]
            balance = 1 / (frequency.shape[-1] * frequency)
        joint = self.target.negative_log_likelihood(balance * heads.joint, y)  # [B]
        return {
            "enc": self.fuse.encoder_loss(balance * heads.lp, l1p, y, heads.trust),
            "joint": mean_known(joint, self.target.known(y)),
        }

    def shown(self, present: Tensor) -> Tensor:
        """Return what each sample is shown, bool [B, M]: all that is ``present``, in training at times a part."""
        if not self.training or not self.options.modality_dropout:
            return present
        return sample_patterns(present, self.generator, self.options.modality_dropout, self.options.patterns)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return equation 14 as ``total``, and its terms; ``ce`` is the cross-entropy of the prediction."""
        encoded = self.encode(batch)
        heads = self.run(encoded.embeddings, encoded.missing, self.shown(batch.presence))
        terms = self.head_losses(heads, batch.y)
        total = terms["enc"] + self.options.alpha * terms["joint"]
        return {"total": total, **terms, "ce": self.target.loss(self.logits(heads), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities; the label frequencies for a sample that has no modality."""
        encoded, present = self.encode(batch), batch.presence
        heads = self.run(encoded.embeddings, encoded.missing, present)
        imputed = None if heads.imputed is None else ~present
        probability = {name: self._probability(self.logits(heads, name), present) for name in self.readouts}
        predicted = probability[self.readout]  # [B, K]
        if self.target.kind != "binary":
            return Prediction(predicted, imputed=imputed)
        readouts = {str(name): p[:, 0] for name, p in probability.items()}
        own, weight = self._explain(heads, present) if self.options.modality_heads else (None, None)
        return Prediction(predicted, own, weight, imputed, readouts, self._explain_combinations(encoded))

    def _probability(self, logits: Tensor, present: Tensor) -> Tensor:
        return self.target.probabilities(torch.where(present.any(1, keepdim=True), logits, self.prior))

    def _explain(self, heads: Heads, present: Tensor) -> tuple[Tensor, Tensor]:
        """Probability and weight of every modality [B, M] of a binary task; the prior where its head has no input."""
        own = heads.lp[:, :, 0, 1].exp()
        if heads.imputed is None:
            own = torch.where(present, own, self.target.probabilities(self.prior))
        score = self.score(heads, self.readout)
        return own, self.fuse.predicted_weights(heads.l1p, score, heads.trust).squeeze(-1)

    def _explain_combinations(self, encoded: Encoded) -> dict[str, Tensor]:
        """Probability [B] of a binary task under every combination; NaN for samples that lack some of it."""
        table = self.combinations.to(encoded.presence.device)
        has_all = (encoded.presence | ~table.unsqueeze(1)).all(-1)  # [C, B]
        probability = self.target.probabilities(self.predict_combinations(encoded)).squeeze(-1)
        names = (combination_name(shown, self.spec.modalities) for shown in self.combinations)
        return dict(zip(names, torch.where(has_all, probability, torch.nan), strict=True))

    def predict_combinations(self, encoded: Encoded) -> Tensor:
        """Logits [C, B, output_size] under every row of ``combinations``."""
        return self.under_combinations(encoded, lambda heads: (self.logits(heads),))[0]

    def under_combinations(self, encoded: Encoded, read: Callable[[Heads], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return what ``read`` makes of the heads under every combination, each tensor with a first axis C."""

        def run(embeddings: Tensor, used: Tensor) -> tuple[Tensor, ...]:
            return read(self.run(embeddings, encoded.missing, used))

        table = self.combinations.to(encoded.presence.device)
        return every_combination(run, encoded.embeddings, encoded.presence, table)
