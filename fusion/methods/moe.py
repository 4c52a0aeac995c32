"""Mixture of experts: modality tokens choose a few of many small networks (FuseMoE, Flex-MoE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.completion.patterns import fill
from ..parts.encoders import Encoded
from ..parts.experts import Experts, Gate, GateKind, chosen_shares, spread, unevenness
from ..parts.targets import mean_known
from .base import Context, ModelSpec, Phase
from .joint import JointFusion

MOST_NUMBERED = 6
"""Modalities whose combinations each can have tokens and an expert of their own."""
FEWEST_EXPERTS, MOST_EXPERTS = 8, 15


class Routed(NamedTuple):
    """What the experts make of B samples: ``logits`` [B, K], and of each token's gate the ``scores`` [B, M, E]."""

    logits: Tensor
    scores: Tensor


class MixtureOfExperts(JointFusion):
    """A token per modality attends to the others, chooses experts, and all tokens side by side go to a linear head.

    Gates measure the distance of a token to each expert, or its product with it. They are taught to spread modalities
    over experts or, in the preset ``flex-moe``, to send samples that lack something to the expert of what they show,
    while samples that lack nothing use all experts alike.
    """

    name = "moe"
    family = "joint head"
    source = (
        "FuseMoE, Han et al. 2024, arXiv 2402.03226: Laplace gate, routers, entropy term; Flex-MoE, Yun et al. 2024, "
        "arXiv 2410.08245: bank of tokens, expert of a combination (preset flex-moe)"
    )
    cost = 2.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
        "fusemoe": ("options.experts=5", "options.chosen=4"),
        "flex-moe": (
            "options.experts=16",
            "options.chosen=4",
            "options.router=shared",
            "options.gate=softmax",
            "options.noise=0.7",
            "options.absent=bank",
            "options.balance=combinations",
            "options.complete_first=0.1",
        ),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.gate": ("laplace", "softmax"),
        "options.chosen": ("1", "2", "4"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, of gates and experts, and of what they are taught besides the prediction."""

        experts: int | None = None
        """How many experts there are; by default one for each combination of modalities, 8 at least and 15 at most."""
        chosen: int = 2
        """How many of them a token is sent to."""
        gate: GateKind = "laplace"
        """How an expert is chosen: by the distance of the token to it, or by their product."""
        router: Literal["joint", "shared", "per-modality", "disjoint"] = "per-modality"
        """Who has a gate: a sample, for all of its tokens; all tokens, the same one; each modality, its own; or each
        modality, with experts of its own as well."""
        noise: float = 0.0
        """Standard deviation of the noise on the scores of a gate in training; published gates learn it from 0.7 on."""
        heads: int = 4
        """Heads of attention; the width of embeddings is a multiple of it."""
        dropout: float = 0.1
        """Share dropped of attention weights and of what experts add."""
        absent: Literal["embedding", "bank"] = "embedding"
        """Token of an absent modality: its missing embedding, or one that is learnt for each combination."""
        balance: Literal["entropy", "combinations"] = "entropy"
        """What gates are taught besides: each modality to be sure of its experts and to differ from the others, or
        each combination of modalities to have its own."""
        balance_weight: float = 0.01
        """Weight of that."""
        complete_first: float = 0.0
        """Share of the epochs, at the start, that only learn from samples that have everything."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.experts is not None and self.experts < 1:
                raise InputError(f"experts must be 1 or more; got {self.experts}")
            for name in ("chosen", "heads"):
                if getattr(self, name) < 1:
                    raise InputError(f"{name} must be 1 or more; got {getattr(self, name)}")
            if self.experts is not None and self.chosen > self.experts:
                raise InputError(f"chosen must be at most experts, {self.experts}; got {self.chosen}")
            for name in ("noise", "balance_weight"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")
            for name in ("dropout", "complete_first"):
                if not 0 <= getattr(self, name) < 1:
                    raise InputError(f"{name} must be 0 or more and less than 1; got {getattr(self, name)}")

    options: Options
    expert_of: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        o, width, modalities = self.options, spec.encoder.dimension, len(spec.inputs)
        if width % o.heads:
            raise InputError(f"encoder.dimension must be a multiple of options.heads; got {width} and {o.heads}")
        self.count = experts = experts_for(modalities) if o.experts is None else o.experts
        if o.chosen > experts:
            raise InputError(f"options.chosen must be at most the {experts} experts; got {o.chosen}")
        self.modality = nn.Parameter(0.02 * torch.randn(modalities, width))
        self.attention = nn.MultiheadAttention(width, o.heads, o.dropout, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        read = modalities * width if o.router == "joint" else width
        gates = modalities if o.router in ("per-modality", "disjoint") else 1
        owners = modalities if o.router == "disjoint" else 1
        self.gates = nn.ModuleList(Gate(read, experts, o.gate, o.noise) for _ in range(gates))
        self.experts = nn.ModuleList(Experts(experts, width, 2 * width, o.dropout) for _ in range(owners))
        self.head = nn.Linear(modalities * width, spec.target.output_size)
        numbered = modalities <= MOST_NUMBERED
        if o.absent == "bank":
            self.bank = nn.Parameter(0.02 * torch.randn(modalities, width))
            # what a combination that training never shows adds is nothing
            self.bank_of = nn.Parameter(torch.zeros(2**modalities if numbered else 1, modalities, width))
        # [2^M] the expert of each combination, -1 for those that training does not show, or that have none
        self.register_buffer("expert_of", torch.full((2**modalities if numbered else 1,), -1))

    def on_fit_start(self, context: Context) -> None:
        """Give the combinations of the training part an expert each, the most frequent first."""
        super().on_fit_start(context)
        if len(self.spec.inputs) > MOST_NUMBERED:
            return
        count = torch.zeros_like(self.expert_of)
        for batch in context.training():
            number = self.combination(batch.presence)[batch.presence.any(1)]
            count += torch.bincount(number, minlength=len(count)).to(count)
        self.expert_of.fill_(-1)
        frequent = count.argsort(descending=True, stable=True)[: self.count]
        shown = frequent[count[frequent] > 0]
        self.expert_of[shown] = torch.arange(len(shown), device=shown.device)

    def phases(self) -> Sequence[Phase]:
        """Return the training, before it that on samples that have everything if the options say so."""
        share = self.options.complete_first
        complete = Phase("complete", self.complete_loss, [self], share)
        everyone = Phase("", self.loss, [self], 1 - share)
        return [complete, everyone] if share else [everyone]

    def combination(self, shown: Tensor) -> Tensor:
        """Return the number of the combination that is shown, [B] of bool [B, M]; 0 for all if there are too many."""
        powers = 2 ** torch.arange(shown.shape[1], device=shown.device)
        number = (shown * powers).sum(1)
        return number if shown.shape[1] <= MOST_NUMBERED else torch.zeros_like(number)

    def tokens(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the token of every modality, [B, M, D]."""
        if self.options.absent == "bank":
            embeddings = fill(embeddings, self.bank + self.bank_of[self.combination(shown)], shown)
        return embeddings + self.modality

    def route(self, embeddings: Tensor, shown: Tensor) -> Routed:
        """Return the prediction, and what gates say of every token."""
        tokens = self.tokens(embeddings, shown)
        normed = self.norms[0](tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        normed = self.norms[1](tokens)
        scores = self.scores(normed)
        shares = chosen_shares(scores, self.options.chosen)
        if len(self.experts) == 1:
            added = self.experts[0](normed, shares)
        else:
            slots = zip(self.experts, normed.unbind(1), shares.unbind(1), strict=True)
            added = torch.stack([experts(token, share) for experts, token, share in slots], dim=1)
        logits: Tensor = self.head((tokens + added).flatten(1))
        return Routed(logits, scores)

    def scores(self, tokens: Tensor) -> Tensor:
        """Return what gates say of tokens [B, M, D], [B, M, E]."""
        if self.options.router == "joint":
            scores: Tensor = self.gates[0](tokens.flatten(1))
            return scores[:, None].expand(-1, tokens.shape[1], -1)
        if len(self.gates) == 1:
            shared: Tensor = self.gates[0](tokens)
            return shared
        return torch.stack([gate(token) for gate, token in zip(self.gates, tokens.unbind(1), strict=True)], dim=1)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head."""
        return self.route(embeddings, shown).logits

    def balance(self, scores: Tensor, shown: Tensor) -> Tensor:
        """Return what gates are taught besides the prediction, by their scores [B, M, E] of samples that show [B, M].

        The entropies are of all experts, so that those that are not chosen learn as well.
        """
        if self.options.balance == "entropy":
            return spread(scores.softmax(-1), shown)
        complete, expert = shown.all(1), self.expert_of[self.combination(shown)]
        even = unevenness(chosen_shares(scores, self.options.chosen)[complete].flatten(0, 1))
        own = ~complete & (expert >= 0)
        surprise = -scores.log_softmax(-1).mean(1).gather(1, expert.clamp(min=0)[:, None])[:, 0]  # [B]
        return even + mean_known(surprise, own)

    def read(self, encoded: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, K], scores of gates [B, M, E], and who takes part, bool [B, M]."""
        embeddings, shown = self.complete(encoded)
        logits, scores = self.route(embeddings, shown)
        return torch.where(encoded.presence.any(1, keepdim=True), logits, self.prior), scores, shown

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction (``ce``), and what gates are taught (``balance``)."""
        return self._loss(batch, torch.ones_like(batch.presence[:, 0]))

    def complete_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the same over the samples that have everything."""
        return self._loss(batch, batch.presence.all(1))

    def _loss(self, batch: Batch, counted: Tensor) -> dict[str, Tensor]:
        logits, scores, shown = self.read(self.encode(batch))
        ce, balance = self.target.loss(logits[counted], batch.y[counted]), self.balance(scores[counted], shown[counted])
        return {"total": ce + self.options.balance_weight * balance, "ce": ce, "balance": balance}


def experts_for(modalities: int) -> int:
    """Return how many experts there are by default: one a combination, within bounds."""
    return min(max(FEWEST_EXPERTS, (1 << modalities) - 1), MOST_EXPERTS)
