"""Tokens of a modality, for methods that read more of it than one embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..inputs.batches import ModalityBatch, Rows
from ..inputs.spec import EncoderConfig, InputSpec
from ..inputs.statistics import STATISTICS
from .encoders import ScoreEncoder, score_terms
from .pooling import padded

MOST_TOKENS = 256
"""Of a vector; columns of a wider one share tokens with their neighbours."""
WAVES = 2
"""Waves of which the place of a time step among the others is told by sine and cosine."""


class VectorTokens(nn.Module):
    """Neighbouring columns of a vector, F in all, as tokens with weights of their own: [n, F] to [n, T, W]."""

    def __init__(self, columns: int, together: int, terms: int, width: int, dropout: float) -> None:
        super().__init__()
        self.tokens, self.together, self.terms = math.ceil(columns / together), together, terms
        self.lacking = self.tokens * together - columns
        read = terms * together
        self.weight = nn.Parameter(torch.empty(self.tokens, read, width).uniform_(-1, 1) / math.sqrt(read))
        self.bias = nn.Parameter(0.02 * torch.randn(self.tokens, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the tokens of vectors [n, F]; of normal scores, NaN where unknown, they have `score_terms`."""
        padding = vectors.new_zeros(len(vectors), self.lacking)
        columns = torch.cat([vectors, padding], dim=1).view(len(vectors) * self.tokens, self.together)
        read = score_terms(columns) if self.terms > 1 else columns
        read = self.dropout(read).view(len(vectors), self.tokens, -1)  # [n, T, terms * together]
        return torch.einsum("ntc,tcw->ntw", read, self.weight) + self.bias


class RowTokens(nn.Module):
    """Rows as tokens: [R, d] to [R, W]. Steps of time are told by their place among those of the sample."""

    def __init__(self, columns: int, in_order: bool, width: int) -> None:
        super().__init__()
        self.in_order = in_order
        self.project = nn.Linear(columns + (1 + 2 * WAVES if in_order else 0), width)

    def forward(self, rows: Rows) -> Tensor:
        """Return the tokens of all rows, sample after sample."""
        values = torch.cat([rows.values, places(rows.lengths)], dim=1) if self.in_order else rows.values
        projected: Tensor = self.project(values)
        return projected


class ModalityTokens(nn.Module):
    """What an encoder would read of one modality, as tokens.

    Of rows each is a token. Of a time series' statistics those of a variable are one token, and what categories and
    masks tell follows in as many columns a token; of features every column is one. A mean of rows is a single token.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig, width: int) -> None:
        super().__init__()
        self.vector = self.rows = None
        if spec.summary:
            terms = 1 if spec.kind == "embedding" else ScoreEncoder.terms
            dropout = config.input_dropout if spec.summary > config.wide else 0.0
            self.vector = VectorTokens(spec.summary, _together(spec), terms, width, dropout)
        if spec.rows:
            self.rows = RowTokens(spec.rows, spec.kind == "timeseries", width)

    def forward(self, inputs: ModalityBatch) -> tuple[Tensor, Tensor]:
        """Return the tokens of the n samples that have the modality, [n, T, W], and which are real, bool [n, T]."""
        parts = []
        if self.vector is not None:
            assert inputs.summary is not None
            tokens = self.vector(inputs.summary)
            parts.append((tokens, torch.ones_like(tokens[..., 0], dtype=torch.bool)))
        if self.rows is not None:
            assert inputs.rows is not None
            parts.append(padded(Rows(self.rows(inputs.rows), inputs.rows.lengths)))
        tokens, real = (torch.cat(one, dim=1) for one in zip(*parts, strict=True))
        return tokens, real


def _together(spec: InputSpec) -> int:
    """Return how many neighbouring columns of a modality's vector are one token."""
    if spec.kind == "embedding":
        return spec.summary
    return len(STATISTICS) if spec.kind == "timeseries" else math.ceil(spec.summary / MOST_TOKENS)


def places(lengths: Tensor) -> Tensor:
    """Return where each row is among those of its sample, [R, 1 + 2 waves]: its place in (0, 1], and waves of it."""
    ends = torch.cumsum(lengths, 0)
    number = torch.arange(int(lengths.sum()), device=lengths.device) - torch.repeat_interleave(ends - lengths, lengths)
    place = (number + 1) / torch.repeat_interleave(lengths, lengths)  # [R]
    angles = math.pi * place[:, None] * torch.arange(1, WAVES + 1, device=lengths.device)
    return torch.cat([place[:, None], angles.sin(), angles.cos()], dim=1)


def token_makers(specs: Sequence[InputSpec], config: EncoderConfig, width: int) -> nn.ModuleList:
    """Return the token makers of all modalities, in model order."""
    return nn.ModuleList(ModalityTokens(spec, config, width) for spec in specs)
