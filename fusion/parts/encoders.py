"""Trainable encoders: what a sample has of a modality becomes one vector of a width that all modalities share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...cache_schema import InputError, unknown
from ...registry import Registry
from ..inputs.batches import Batch, ModalityBatch, Rows
from ..inputs.spec import EncoderConfig, InputSpec
from .pooling import GatedAttention, padded

MEAN_DISTANCE = math.sqrt(2 / math.pi)
"""Of a standard normal variable from its median."""


@dataclass(frozen=True)
class Encoded:
    """Embeddings of a batch: ``embeddings`` [B, M, D] with ``missing[m]`` in every slot where ``presence`` is false.

    ``missing`` [M, D] is the encoders' answer to an input of zeros, the paper's e(0): not the mean of the embeddings.
    """

    embeddings: Tensor
    missing: Tensor
    presence: Tensor


def mlp(columns: int, hidden: int, output: int, dropout: float) -> nn.Sequential:
    """Return Linear - ReLU - dropout - Linear."""
    return nn.Sequential(nn.Linear(columns, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, output))


class VectorEncoder(nn.Module):
    """MLP with dropout on wide inputs: [n, F] to [n, D]."""

    terms = 1
    """Numbers that the MLP reads of each column."""

    def __init__(self, columns: int, config: EncoderConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.input_dropout if columns > config.wide else 0.0)
        self.columns = self.terms * columns
        self.mlp = mlp(self.columns, config.hidden, config.dimension, config.dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """Encode vectors [n, F] as [n, D]."""
        encoded: Tensor = self.mlp(self.dropout(vectors))
        return encoded


class ScoreEncoder(VectorEncoder):
    """The same for normal scores, NaN where unknown: the MLP reads :func:`score_terms`."""

    terms = 3

    def forward(self, vectors: Tensor) -> Tensor:
        """Encode scores [n, F] as [n, D]."""
        return super().forward(score_terms(vectors))


def score_terms(scores: Tensor) -> Tensor:
    """Return what models read of normal scores [n, F], NaN where unknown: numbers [n, 3 * F].

    Of each the score (0 where unknown), how far it is from the median, because too low and too high often mean the
    same, and whether it is unknown. On PhysioNet 2012 set-a that is worth .006 of AUROC.
    """
    unknown = scores.isnan()
    distance = torch.where(unknown, 0.0, scores.abs() - MEAN_DISTANCE)
    return torch.cat([scores.nan_to_num(0.0), distance, unknown], dim=1)


class AttentionEncoder(nn.Module):
    """Gated attention over rows, then the MLP: rows [R, d] of n samples to [n, D]."""

    def __init__(self, columns: int, config: EncoderConfig) -> None:
        super().__init__()
        self.pool = GatedAttention(columns, config.attention)
        self.project = VectorEncoder(columns, config)

    def forward(self, rows: Rows) -> Tensor:
        """Encode the rows of n samples as [n, D]."""
        encoded: Tensor = self.project(self.pool(rows))
        return encoded


class RecurrentEncoder(nn.Module):
    """GRU over time steps; its last and its mean state, projected: rows [R, d] of n samples to [n, D]."""

    def __init__(self, columns: int, config: EncoderConfig) -> None:
        super().__init__()
        self.recurrence = nn.GRU(columns, config.recurrent, batch_first=True)
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * config.recurrent, config.dimension))

    def forward(self, rows: Rows) -> Tensor:
        """Encode the rows of n samples as [n, D]."""
        values, real = padded(rows)
        states, _ = self.recurrence(values)  # [n, T, H]; steps after the end are never read
        last = states[torch.arange(len(states), device=states.device), rows.lengths - 1]
        mean = (states * real[:, :, None]).sum(1) / rows.lengths[:, None]
        encoded: Tensor = self.project(torch.cat([last, mean], dim=1))
        return encoded


@dataclass(frozen=True)
class Encoder:
    """How a modality is encoded: by what is made of its vector, of its rows, or the sum of both.

    ``vector`` is a :class:`VectorEncoder`; ``rows`` a module that is made of a number of columns and the sizes, and
    makes [n, D] of :class:`Rows`.
    """

    vector: type[VectorEncoder] | None = None
    rows: Callable[[int, EncoderConfig], nn.Module] | None = None


STATISTICS = Encoder(vector=ScoreEncoder)
RECURRENT = Encoder(rows=RecurrentEncoder)
BOTH = Encoder(ScoreEncoder, RecurrentEncoder)
ATTENTION = Encoder(rows=AttentionEncoder)
MEAN = Encoder(vector=VectorEncoder)


def _flaw(encoder: Any) -> str | None:
    if not isinstance(encoder, Encoder):
        return f"it is no {__name__}.Encoder"
    if encoder.vector is None and encoder.rows is None:
        return "it reads neither a vector nor rows"
    vector = encoder.vector
    if vector is not None and not (isinstance(vector, type) and issubclass(vector, VectorEncoder)):
        return "what reads the vector is no subclass of VectorEncoder"
    return None


ENCODERS = Registry(
    "omnifuse.encoders",
    "encoder",
    {
        "timeseries.statistics": "fusion.parts.encoders:STATISTICS",
        "timeseries.recurrent": "fusion.parts.encoders:RECURRENT",
        "timeseries.both": "fusion.parts.encoders:BOTH",
        "embedding.attention": "fusion.parts.encoders:ATTENTION",
        "embedding.mean": "fusion.parts.encoders:MEAN",
        "features.mlp": "fusion.parts.encoders:STATISTICS",
    },
    _flaw,
)
"""Encoders by the kind of modality and their name: ``--set encoder.timeseries=recurrent``."""


def check_encoders(config: EncoderConfig) -> None:
    """Raise `InputError` for a name that no encoder of the kind has."""
    for kind in ("timeseries", "embedding", "features"):
        name, of_kind = getattr(config, kind), f"{kind}."
        if of_kind + name not in ENCODERS:
            known = [known.removeprefix(of_kind) for known in ENCODERS.names() if known.startswith(of_kind)]
            raise unknown(f"{kind} encoder", name, known)


class ModalityEncoder(nn.Module):
    """Encoder of one modality: the sum of what its vector and its rows say, normalised, [n, D].

    LayerNorm without gain and bias fixes the scale of every embedding, so that distances between them mean something.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        encoder = ENCODERS.get(f"{spec.kind}.{getattr(config, spec.kind)}")
        self.row_columns = spec.rows
        self.summary = encoder.vector(spec.summary, config) if encoder.vector and spec.summary else None
        self.rows = encoder.rows(spec.rows, config) if encoder.rows and spec.rows else None
        if self.summary is None and self.rows is None:
            raise InputError(f"The {spec.kind} encoder {getattr(config, spec.kind)!r} reads nothing of {spec.name!r}.")
        self.norm = nn.LayerNorm(config.dimension, elementwise_affine=False)

    def forward(self, inputs: ModalityBatch) -> Tensor:
        """Encode the n samples that have the modality as [n, D]."""
        said = [] if self.summary is None else [self.summary(inputs.summary)]
        said += [] if self.rows is None else [self.rows(inputs.rows)]
        return self._normalised(said)

    def missing(self) -> Tensor:
        """Return e(0), [D]: the embedding of one row of zeros.

        Zero is the mean of normalised rows; of `score_terms` it is the median, known, at an average distance from it.
        """
        parameter = next(self.parameters())
        one = torch.ones(1, dtype=torch.int64, device=parameter.device)
        said = [] if self.summary is None else [self.summary.mlp(parameter.new_zeros(1, self.summary.columns))]
        said += [] if self.rows is None else [self.rows(Rows(parameter.new_zeros(1, self.row_columns), one))]
        return self._normalised(said)[0]

    def _normalised(self, said: list[Tensor]) -> Tensor:
        normalised: Tensor = self.norm(torch.stack(said).sum(0))
        return normalised


class ModalityEncoders(nn.Module):
    """The encoders of all modalities, in model order."""

    def __init__(self, specs: Sequence[InputSpec], config: EncoderConfig) -> None:
        super().__init__()
        self.each = nn.ModuleList(ModalityEncoder(spec, config) for spec in specs)

    def forward(self, batch: Batch) -> Encoded:
        """Encode each modality once for the samples that have it; all others get the missing embedding."""
        encoders = cast("list[ModalityEncoder]", list(self.each))
        missing = torch.stack([encoder.missing() for encoder in encoders])  # [M, D]
        slots = []
        for encoder, absent, inputs in zip(encoders, missing, batch.modalities.values(), strict=True):
            slot = absent.expand(len(batch), -1)  # [B, D]
            if len(inputs.samples):
                slot = slot.index_copy(0, inputs.samples, encoder(inputs))
            slots.append(slot)
        return Encoded(torch.stack(slots, dim=1), missing, batch.presence)
