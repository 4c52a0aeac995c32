"""The samples of a task with their rows, and batches of them; nothing here touches a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ...cache_schema import Column, RaggedArray, Task
from .groups import Groups
from .queries import Queries, Spans


@dataclass(frozen=True)
class Source:
    """One modality of a cohort as stored: raw rows of its N samples, NaN = unknown, and what the columns are."""

    kind: str
    columns: tuple[Column, ...]
    rows: RaggedArray
    spans: Spans | None = None
    """Which rows each of Q predictions sees; None where each of the N samples sees its own."""

    @property
    def seen(self) -> Spans:
        """Which rows each position of the cohort sees."""
        return Spans(self.rows.offsets[:-1], self.rows.lengths) if self.spans is None else self.spans

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """[N] or [Q] bool: who has the modality."""
        return self.seen.lengths > 0

    def rows_of(self, samples: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """[R] bool: rows that the given samples (positions in the cohort) see."""
        if self.spans is not None:
            return self.spans.take(samples).rows(len(self.rows.time))
        chosen = np.zeros(len(self.rows), dtype=bool)
        chosen[samples] = True
        return np.repeat(chosen, self.rows.lengths)

    def take(self, samples: npt.NDArray[np.int64]) -> Source:
        """Return the given samples (positions [n]) in the given order; rows that predictions share stay as they are."""
        if self.spans is None:
            return replace(self, rows=self.rows.take(samples))
        return replace(self, spans=self.spans.take(samples))

    def without(self, hidden: npt.NDArray[np.bool_]) -> Source:
        """Return the modality as if the ``hidden`` samples, bool [N], did not have it."""
        if self.spans is None:
            return replace(self, rows=self.rows.keep_rows(~np.repeat(hidden, self.rows.lengths)))
        return replace(self, spans=replace(self.spans, lengths=np.where(hidden, 0, self.spans.lengths)))


@dataclass(frozen=True)
class Cohort:
    """Samples that have at least one of the modalities, in the cache's order.

    ``sample_id``, ``subject_id`` [N]; ``y`` [N, C] float32 as in `Task`; ``sources`` one entry per modality, in model
    order; ``without_input`` counts the samples left out because they have none of the modalities; ``groups`` of each
    sample are for reports alone, no model sees them.

    Of a task with several predictions a sample every position is one of the predictions, whose samples and times
    ``queries`` has: N is their number, and they share the rows of the sources.
    """

    task: Task
    sample_id: npt.NDArray[Any]
    subject_id: npt.NDArray[Any]
    y: npt.NDArray[np.float32]
    sources: dict[str, Source]
    without_input: int = 0
    groups: Groups = field(default_factory=dict)
    queries: Queries | None = None

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in model order."""
        return tuple(self.sources)

    @property
    def presence(self) -> npt.NDArray[np.bool_]:
        """[N, M] bool: which sample has which modality."""
        return np.stack([source.present for source in self.sources.values()], axis=1)

    @property
    def counted(self) -> str:
        """What the positions are, for a reader: samples, or predictions of a task with several a sample."""
        return "samples" if self.queries is None else "predictions"

    @cached_property
    def subject(self) -> npt.NDArray[np.int64]:
        """[N] the same number for samples of one subject, in the order of their ids."""
        if self.queries is None:
            return np.unique(self.subject_id, return_inverse=True)[1]
        _, first, sample = np.unique(self.queries.sample, return_index=True, return_inverse=True)
        number: npt.NDArray[np.int64] = np.unique(self.subject_id[first], return_inverse=True)[1][sample]
        return number

    def take(self, samples: npt.NDArray[np.int64]) -> Cohort:
        """Return the given samples (positions [n]) in the given order."""
        sources = {name: source.take(samples) for name, source in self.sources.items()}
        return replace(
            self,
            sample_id=self.sample_id[samples],
            subject_id=self.subject_id[samples],
            y=self.y[samples],
            sources=sources,
            groups={name: values[samples] for name, values in self.groups.items()},
            queries=None if self.queries is None else self.queries.take(samples),
        )


@dataclass(frozen=True)
class Rows:
    """Rows of the n samples of a batch that have a modality, sample after sample: ``values`` [R, d] float32."""

    values: Tensor
    lengths: Tensor  # [n] int64, all positive

    @property
    def segments(self) -> Tensor:
        """[R] int64: which of the n samples a row belongs to."""
        return torch.repeat_interleave(torch.arange(len(self.lengths), device=self.lengths.device), self.lengths)


@dataclass(frozen=True)
class ModalityBatch:
    """One modality of a batch, only the n samples that have it.

    ``samples`` [n] int64 positions in the batch; ``summary`` [n, F] one normalised vector a sample, NaN where unknown;
    ``rows`` their normalised rows. The encoder decides which of the two exists.
    """

    samples: Tensor
    summary: Tensor | None
    rows: Rows | None


@dataclass(frozen=True)
class Batch:
    """B samples: ``index`` [B] positions in the cohort, ``y`` [B, C], ``presence`` [B, M] bool, modalities by name.

    ``subject`` [B] int64 as in `Inputs`.
    """

    index: Tensor
    y: Tensor
    presence: Tensor
    modalities: dict[str, ModalityBatch]
    subject: Tensor

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class RowStore:
    """Rows of all samples and the affine map that standardises them when a batch is gathered.

    ``values`` [R, d] float16 or float32, of which sample i sees ``lengths[i]`` from ``starts[i]`` on, both [N];
    ``scale * values + shift`` is standardised. Keeping embeddings raw lets all folds share one array. Values that are
    too large for a GPU stay in the memory of the processor, and those of each batch are copied.
    """

    values: Tensor
    starts: Tensor
    lengths: Tensor
    scale: Tensor
    shift: Tensor

    def gather(self, samples: Tensor) -> Rows:
        """Copy the rows of the given samples [n] out, standardised."""
        starts, lengths = self.starts[samples], self.lengths[samples]
        ends = torch.cumsum(lengths, 0)
        total = int(ends[-1]) if len(ends) else 0
        index = torch.repeat_interleave(starts - ends + lengths, lengths) + torch.arange(total, device=ends.device)
        # embedding copies whole rows, three times faster than indexing; the copy can be changed in place
        values = F.embedding(index.to(self.values.device), self.values)  # [total, d]
        if values.device != index.device:
            values = values.pin_memory().to(index.device, non_blocking=True)
        values = values.float()
        return Rows(values.mul_(self.scale).add_(self.shift), lengths)


class Vectors(Protocol):
    """Normalised vectors that are made when they are asked for."""

    def __getitem__(self, samples: Tensor, /) -> Tensor:
        """Return those of some samples [n], [n, F] float32."""


@dataclass(frozen=True)
class ModalityInputs:
    """One modality of a whole cohort, normalised.

    ``summary`` [N, F] float32, NaN where unknown; rows of absent samples are not used.
    """

    summary: Tensor | Vectors | None
    rows: RowStore | None

    def gather(self, positions: Tensor, samples: Tensor) -> ModalityBatch:
        """Return the modality of a batch: ``positions`` [n] in the batch belong to cohort ``samples`` [n]."""
        summary = None if self.summary is None else self.summary[samples]
        return ModalityBatch(positions, summary, None if self.rows is None else self.rows.gather(samples))


@dataclass(frozen=True)
class Inputs:
    """A cohort ready for one model: normalised modalities in order.

    Labels ``y`` [N, C]; ``presence`` [N, M] bool; ``subject`` [N] int64, the same number for samples of one subject;
    ``sample`` [N] int64 tells predictions of one sample by the same number, None where each sample has one.
    """

    y: Tensor
    presence: Tensor
    modalities: dict[str, ModalityInputs]
    subject: Tensor
    sample: Tensor | None = None

    def batch(self, index: Tensor) -> Batch:
        """Return the samples at ``index`` [B] as one batch."""
        presence = self.presence[index]  # [B, M]
        parts = {}
        for column, (name, inputs) in enumerate(self.modalities.items()):
            positions = torch.nonzero(presence[:, column]).flatten()
            parts[name] = inputs.gather(positions, index[positions])
        return Batch(index, self.y[index], presence, parts, self.subject[index])

    def batches(self, index: Tensor, size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """Yield batches of at most ``size`` samples, in the given order or shuffled by ``generator``."""
        if generator is not None:
            index = index[torch.randperm(len(index), generator=generator).to(index.device)]
        for first in range(0, len(index), size):
            yield self.batch(index[first : first + size])

    def without(self, names: Sequence[str]) -> Inputs:
        """Return the same cohort as if nobody had the named modalities."""
        return self.hiding(torch.tensor([name in names for name in self.modalities]))

    def hiding(self, hidden: Tensor) -> Inputs:
        """Return the same cohort as if nobody had what is ``hidden``, bool [N, M] or [M]."""
        return replace(self, presence=self.presence & ~hidden.to(self.presence.device))
