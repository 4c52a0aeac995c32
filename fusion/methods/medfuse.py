"""MedFuse: a recurrent network reads the modalities that are there, one token each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.heads import UnimodalHeads, unimodal_losses
from .base import ModelSpec, Phase
from .joint import JointFusion


class MedFuse(JointFusion):
    """LSTM over the projected embeddings of the available modalities; its last state predicts.

    A first phase trains every encoder with a head of its own; the second trains everything but these heads for the
    fused prediction.
    """

    name = "medfuse"
    family = "joint head"
    source = "Hayat et al. 2022, arXiv 2207.07027: logits W h, h the last state of an LSTM on projected embeddings"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.lstm_hidden": ("64", "128", "256"),
        "options.pretraining_share": ("0.25", "0.5"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, the size of the LSTM, and how it is trained."""

        lstm_hidden: int = 128
        """Units of the LSTM: 256 in the paper, whose embeddings are four times as wide as ours."""
        pretraining_share: float = 0.5
        """Share of the epochs that the first phase takes; 0 leaves it out."""
        order: Literal["given", "random"] = "given"
        """Order in which the LSTM reads a training sample's modalities: that of the model, or any. Predictions read
        them in the model's order."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.lstm_hidden < 1:
                raise InputError(f"lstm_hidden must be 1 or more; got {self.lstm_hidden}")
            if not 0 <= self.pretraining_share < 1:
                raise InputError(f"pretraining_share must be 0 or more and less than 1; got {self.pretraining_share}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        width, hidden, output = spec.encoder.dimension, self.options.lstm_hidden, spec.target.output_size
        self.heads = UnimodalHeads(len(spec.inputs), output, spec.encoder)
        self.projections = nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs)
        self.cell = nn.LSTMCell(width, hidden)
        self.head = nn.Linear(hidden, output)

    def phases(self) -> Sequence[Phase]:
        """Return the encoders on their own, then the fusion; the fusion alone without pretraining."""
        share = self.options.pretraining_share
        alone = Phase("pretraining", self.pretraining_loss, [self.encoders, self.heads], share)
        fusion = Phase("", self.loss, [self.encoders, self.projections, self.cell, self.head], 1 - share)
        return [alone, fusion] if share else [fusion]

    def pretraining_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of every modality's head over the samples that have it; ``total`` is their sum."""
        terms = unimodal_losses(self.target, self.heads(self.encode(batch), self.prior), batch)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the last state."""
        slots = zip(self.projections, embeddings.unbind(1), strict=True)
        tokens = torch.stack([project(embedding) for project, embedding in slots], dim=1)  # [B, M, D]
        if self.training and self.options.order == "random":
            tokens, shown = self._shuffled(tokens, shown)
        logits: Tensor = self.head(last_state(self.cell, tokens, shown))
        return logits

    def _shuffled(self, tokens: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens [B, M, D] of each sample in an order of its own, and ``shown`` [B, M] with them."""
        order = torch.rand(shown.shape, generator=self.generator).argsort(1).to(shown.device)
        return tokens.gather(1, order[:, :, None].expand_as(tokens)), shown.gather(1, order)


def last_state(cell: nn.LSTMCell, tokens: Tensor, shown: Tensor) -> Tensor:
    """Return the state [B, H] after the ``shown`` (bool [B, M]) ones of tokens [B, M, D]; zeros if there are none.

    Skipping a token leaves state and memory as they were, which is what a packed sequence without it does.
    """
    state = memory = tokens.new_zeros(len(tokens), cell.hidden_size)
    for token, there in zip(tokens.unbind(1), shown.unbind(1), strict=True):
        read = cast("tuple[Tensor, Tensor]", cell(token, (state, memory)))
        state, memory = (torch.where(there[:, None], new, old) for new, old in zip(read, (state, memory), strict=True))
    return state
