"""The cache as a PyTorch data set, for models that are not ours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from .ragged import Modality
    from .read import StoredCache

Sample = dict[str, torch.Tensor]


class TaskDataset(Dataset[Sample]):
    """Samples of a task whose labels are known, held in memory.

    Each element is a dict: every modality as float32 ``[rows, D]`` (0 rows where it is missing) and ``y`` ``[C]``.
    Stored values come as they are: time series may hold NaN where a variable was not yet observed.
    """

    def __init__(self, inputs: dict[str, "Modality"], y: np.ndarray, index: np.ndarray) -> None:
        self._inputs = inputs
        self._y = torch.as_tensor(y, dtype=torch.float32)
        self.index = index
        """Row of each element in the table of samples, ``[len(self)]``."""

    @classmethod
    def from_cache(cls, cache: "StoredCache", task: str, modalities: Sequence[str] | None = None) -> Self:
        """Read the inputs and labels of a task."""
        definition = cache.task(task)
        known = ~np.isnan(definition.y).all(axis=1)
        return cls(cache.task_inputs(definition, modalities), definition.y, np.flatnonzero(known))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, element: int) -> Sample:
        sample = self.index[element]
        rows = {name: torch.as_tensor(modality[sample], dtype=torch.float32) for name, modality in self._inputs.items()}
        return {**rows, "y": self._y[sample]}


def collate(samples: Sequence[Sample]) -> Sample:
    """Batch samples: each modality padded with zeros to ``[B, longest, D]`` beside ``<name>_mask`` ``[B, longest]``."""
    batch: Sample = {"y": torch.stack([sample["y"] for sample in samples])}
    for name in samples[0].keys() - {"y"}:
        rows = [sample[name] for sample in samples]
        lengths = torch.tensor([len(matrix) for matrix in rows])
        batch[name] = pad_sequence(rows, batch_first=True)  # [B, longest, D]
        batch[f"{name}_mask"] = torch.arange(batch[name].shape[1]) < lengths[:, None]
    return batch
