"""OmniFuse (Wu et al., Information Fusion 117, 2025): imputation, dynamic weighted fuse and laziness activation.

docs/method.md goes through every equation and every decision that the paper leaves open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ....cache_schema import InputError
from ...inputs.batches import Batch
from ...parts.combinations import combination_called
from ...parts.completion.fidelity import explained_variance
from ...parts.completion.filling import NoFilling
from ...parts.completion.patterns import fill
from ...parts.encoders import Encoded
from ...parts.targets import mean_known
from ..base import Context, ModelSpec
from .cascade import CycleImputation, Goal, WayBack, backward_loss, forward_loss
from .dwfuse import Completed, DWFuse, Heads
from .laziness import Activation, Distances, Score
from .trace import imputation_rows

WITHOUT_IMPUTATION = ("options.imputation=none", "options.lambda3=0", "options.modality_dropout=0")
CONCATENATION = ("options.modality_heads=false", "options.lambda2=1")

Samples = Sequence[tuple[Encoded, Tensor]]
"""Embeddings of some batches with their labels [B, C]."""


class OmniFuse(DWFuse):
    """Impute what is missing, weigh modalities per sample, and train more on the combination that predicts worst.

    Every sample is shown a random part of its modalities in training (all of them half of the time): without that,
    complete data would train neither imputation nor laziness activation.
    """

    name = "omnifuse"
    family = "imputation and weighted heads"
    source = "Wu et al. 2025, equations 1-18"
    cost = 4.0
    term_words: ClassVar[Mapping[str, tuple[str, str]]] = {
        "ce": ("Cross-entropy", "Misfit of the fused prediction."),
        "forward": ("Forward imputation", "Distance of imputed from true embeddings, on modalities hidden on purpose."),
        "backward": ("Backward imputation", "Distance of available embeddings from those rebuilt out of imputed ones."),
        **DWFuse.term_words,
        "tla": ("Traceable laziness", "Extra misfit on samples seen with the chosen combination (TLA)."),
    }
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "as-published": ("options.alpha=0.1", "options.score=sum"),
        "table4-a": (*WITHOUT_IMPUTATION, *CONCATENATION),
        "table4-b": WITHOUT_IMPUTATION,
        "table4-c": ("options.imputation=none",),
        "table4-d": ("options.imputation=forward",),
        "table4-e": ("options.lambda3=0",),
        "table4-f": (),
    }

    @dataclass(frozen=True)
    class Options(DWFuse.Options):
        """Options of OmniFuse; where the paper states a value, it is the default unless said otherwise."""

        modality_dropout: float = 0.5
        """Probability that a training sample shows only a random part of its modalities."""
        imputation: Literal["cycle", "forward", "none"] = "cycle"  # type: ignore[assignment]
        """Both cascades, the forward one alone, or none: then the joint head sees the embeddings side by side."""
        blocks: int = 5
        """Residual autoencoders per cascade, K."""
        share_cascades: bool = False
        """One set of weights for the way there and the way back."""
        imputation_target: Goal = "hidden"
        """What the forward cascade is trained towards: the hidden embeddings; those, and the missing embedding in the
        slots that are shown (MMIN); or all embeddings, the shown ones included."""
        truth: Literal["detached", "teacher", "attached"] = "detached"
        """Who says what an embedding is: the encoders themselves without gradient and dropout; a frozen copy of them,
        taken after a third of the epochs without hiding or imputation (MMIN); or the encoders with gradient."""
        weighing: Literal["all", "available", "discounted"] = "all"
        """Which modalities weigh beside imputation: imputed ones like real ones, not at all, or as far as imputation
        explains the variance of their embeddings."""
        lambda1: float = 1.0
        """Weight of backward imputation."""
        lambda2: float = 10.0
        """Weight of the heads' losses."""
        lambda3: float = 0.5
        """Weight of laziness activation; 0 only watches."""
        laziness: Score = "absolute"
        """Lazy is the combination of largest loss, or that which most exceeds the loss of a part of itself."""
        mining: Literal["train", "validation"] = "train"
        """Samples on which laziness is measured."""
        activation: Literal["select", "force"] = "select"
        """Attend to samples that happen to be shown the lazy combination, or show it once more to all that have it."""
        always_lazy: str | None = None
        """Control: a combination such as cxr+rep to attend to from the second epoch on, whatever is mined."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.blocks < 1:
                raise InputError(f"blocks must be at least 1; got {self.blocks}")

    options: Options
    imputation: CycleImputation | None
    reliability: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        always = self.options.always_lazy
        self.always = None if always is None else combination_called(always, spec.modalities, self.combinations)
        self.activation = self._new_activation()
        self.imputation_trace: list[dict[str, Any]] = []
        self.pretraining = False
        wants_teacher = self.imputation is not None and self.options.truth == "teacher"
        self.teacher = deepcopy(self.encoders).requires_grad_(False) if wants_teacher else None
        self.discounts = self.imputation is not None and self.options.weighing == "discounted"
        if self.discounts:  # [M], measured after each epoch
            self.register_buffer("reliability", torch.ones(len(spec.inputs)))

    def build(self) -> int:
        """Build the cascades; return the width of the joint head's input, the latents of the forward cascade."""
        options, self.imputation, self.filler = self.options, None, NoFilling()
        if options.imputation == "none":
            return super().build()
        backward: WayBack = "shared" if options.share_cascades else "own"
        if options.imputation == "forward":
            backward = "none"
        count, width = len(self.spec.inputs), self.spec.encoder.dimension
        self.imputation = CycleImputation(count, width, options.blocks, backward)
        return self.imputation.latent_size

    def _new_activation(self) -> Activation:
        return Activation(self.combinations, self.spec.modalities, self.options.laziness, self.always)

    def on_fit_start(self, context: Context) -> None:
        """Forget an earlier fit."""
        super().on_fit_start(context)
        self.activation, self.imputation_trace = self._new_activation(), []
        if self.options.mining == "validation" and next(iter(context.validation()), None) is None:
            raise InputError("options.mining=validation needs a validation part; set validation to 0.1, for example.")

    def on_epoch_start(self, context: Context) -> None:
        """End the teacher's own training when its time has come."""
        first = max(1, context.epochs // 3)
        self.pretraining = self.teacher is not None and context.epoch < first
        if self.teacher is not None and context.epoch == first:
            self.teacher.load_state_dict(self.encoders.state_dict())

    def complete(self, embeddings: Tensor, missing: Tensor, used: Tensor) -> Completed:
        """Impute what is not shown (equations 2, 4 and 5); the joint head gets the latents."""
        if self.imputation is None:
            return super().complete(embeddings, missing, used)
        imputed, latents = self.imputation(embeddings, missing, used)
        return Completed(fill(embeddings, imputed, used), latents, imputed)

    def trust(self, used: Tensor) -> Tensor:
        """How much each modality takes part, [B, M]."""
        shown = super().trust(used)
        if self.discounts:
            return torch.maximum(shown, self.reliability)
        counts_all = self.imputation is not None and self.options.weighing == "all"
        return torch.ones_like(shown) if counts_all else shown

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return equation 18 as ``total``, and its terms; ``ce`` is the cross-entropy of the prediction.

        In evaluation mode nothing is hidden, so that the total is that of the heads alone; so it is while the teacher
        is trained.
        """
        options, encoded = self.options, self.encode(batch)
        used = batch.presence if self.pretraining else self.shown(batch.presence)
        heads = self.run(encoded.embeddings, encoded.missing, used)
        losses = self.target.cross_entropy(self.logits(heads), batch.y)  # [B]
        terms = self.head_losses(heads, batch.y)
        total = options.lambda2 * (terms["enc"] + options.alpha * terms["joint"])
        terms["ce"] = mean_known(losses, self.target.known(batch.y))
        if self.training and not self.pretraining:
            extra = self._imputation_losses(batch, encoded, used, heads)
            extra["tla"] = self._activation_loss(batch, encoded, used, losses)
            weights = {"forward": 1.0, "backward": options.lambda1, "tla": options.lambda3}
            for name, term in extra.items():
                total = total + weights[name] * term
            terms |= extra
        return {"total": total, **terms}

    def _imputation_losses(self, batch: Batch, encoded: Encoded, used: Tensor, heads: Heads) -> dict[str, Tensor]:
        """Equations 6 to 8, as far as the model imputes."""
        if self.imputation is None or heads.imputed is None:
            return {}
        present, imputed = batch.presence, heads.imputed
        truth = encoded if self.options.truth == "attached" else self._truth(batch)
        goal = self.options.imputation_target
        losses = {"forward": forward_loss(imputed, truth.embeddings, truth.missing, present, used, goal)}
        if self.imputation.returns:
            reconstructed = self.imputation.reconstruct(imputed, encoded.missing, used)
            losses["backward"] = backward_loss(reconstructed, truth.embeddings, used)
        return losses

    def _truth(self, batch: Batch) -> Encoded:
        """Embeddings to impute towards, without dropout and gradient.

        Otherwise the encoders learn to make embeddings easy to impute by making them all alike.
        """
        encoders = self.teacher or self.encoders
        encoders.eval()
        with torch.no_grad():
            truth: Encoded = encoders(batch)
        encoders.train()
        return truth

    def _activation_loss(self, batch: Batch, encoded: Encoded, used: Tensor, losses: Tensor) -> Tensor:
        """Equations 16 and 17: ``losses`` [B] of the samples that are shown the lazy combination."""
        lazy = self.activation.lazy(used.device)
        if self.options.activation == "force" and lazy is not None:
            used = batch.presence & lazy
            heads = self.run(encoded.embeddings, encoded.missing, used)
            losses = self.target.cross_entropy(self.logits(heads), batch.y)
        return self.activation.loss(losses, used, self.target.known(batch.y))

    def on_epoch_end(self, context: Context) -> None:
        """Find the combination that training pays more attention to in the next epoch (equation 15)."""
        # embeddings are small and encoding takes long: every batch is encoded once for all that is measured
        train, validation = (
            [(self.encode(batch), batch.y) for batch in batches()] for batches in (context.training, context.validation)
        )
        watched, held_out = self._distances(train), self._distances(validation)
        mined = watched if self.options.mining == "train" else held_out
        self.activation.record(context.epoch, mined, held_out if held_out.rows.any() else None)
        if self.discounts:
            self.reliability.copy_(self._explained_variance(train))
        if self.imputation is not None:
            for part, samples in (("train", train), ("validation", validation)):
                place = {"epoch": context.epoch, "part": part}
                self.imputation_trace += [{**place, **row} for row in imputation_rows(self, samples)]

    def _distances(self, samples: Samples) -> Distances:
        distances = Distances(self.combinations, len(self.heads))
        for encoded, y in samples:
            logits, log_weights = self.under_combinations(
                encoded,
                lambda heads: (self.logits(heads), self.fuse.log_weights(heads.l1p, heads.trust)),
            )
            weights, known = self.target.gather(log_weights.exp(), y.unsqueeze(1))  # [C, B, H, K]
            losses = self.target.cross_entropy(logits, y)  # [C, B]
            distances.add(losses, encoded.presence, self.target.known(y), mean_known(weights, known))
        return distances

    def _explained_variance(self, samples: Samples) -> Tensor:
        """How well every modality is imputed from all others of a sample, [M]."""
        parts = []
        for encoded, _ in samples:
            present = encoded.presence
            imputed = self._impute_each(encoded)
            parts.append((imputed, encoded.embeddings, present & (present.sum(1, keepdim=True) > 1)))
        return explained_variance(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))

    def imputed_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Return the embeddings of a batch, encoded and imputed from all others that a sample has, both [B, M, D].

        Of what a sample lacks the first is the missing embedding; of the only thing it has the second says nothing.
        None without imputation.
        """
        if self.imputation is None:
            return None
        encoded = self.encode(batch)
        return encoded.embeddings, self._impute_each(encoded)

    def _impute_each(self, encoded: Encoded) -> Tensor:
        assert self.imputation is not None
        return self.imputation.impute_each(encoded.embeddings, encoded.missing, encoded.presence)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return a row per epoch and combination, the trace of laziness, and per epoch and modality, of imputation."""
        traces = {"laziness": self.activation.trace, "imputation": self.imputation_trace}
        return {name: rows for name, rows in traces.items() if rows}

    def details(self) -> dict[str, Any]:
        """Return in how many epochs each combination was the lazy one, and how far imputed modalities are trusted."""
        trace = self.activation.trace
        details: dict[str, Any] = {"lazy_epochs": dict(Counter(row["combination"] for row in trace if row["chosen"]))}
        if not self.options.lambda3:
            details["only_watched"] = True  # the trace of laziness changed nothing
        if self.discounts:
            details["reliability"] = dict(zip(self.spec.modalities, self.reliability.tolist(), strict=True))
        return details
