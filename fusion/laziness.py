"""Traceable laziness activation (section 3.5 of the paper): which combination of modalities predicts worst, when.

All ``2**M - 1`` combinations are evaluated in one batched pass over embeddings that were encoded once. Above six
modalities only singles, the full set and full sets without one modality are, ``2 * M + 1`` in all.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .targets import mean_known

Score = Literal["absolute", "excess"]
MOST_MODALITIES = 6  # up to which every combination is evaluated
_ROWS_PER_PASS = 8192


def combination_table(modalities: int) -> Tensor:
    """Return the combinations as bool [C, M], small ones first and the full set last; none is empty."""
    sizes = [1, modalities - 1, modalities] if modalities > MOST_MODALITIES else range(1, modalities + 1)
    chosen = [c for size in sizes for c in itertools.combinations(range(modalities), size)]
    return torch.tensor([[m in c for m in range(modalities)] for c in chosen])


def combination_name(shown: Tensor, names: Sequence[str]) -> str:
    """Sorted names of the modalities of ``shown`` (bool [M]), such as ``"cxr+ehr"``."""
    return "+".join(sorted(name for name, is_shown in zip(names, shown.tolist(), strict=True) if is_shown))


def every_combination(
    predict: Callable[[Tensor, Tensor], Tensor], embeddings: Tensor, present: Tensor, table: Tensor
) -> Tensor:
    """Predict each sample under each combination of the modalities that it has.

    Parameters
    ----------
    predict : maps embeddings [n, M, D] and shown modalities bool [n, M] to an output [n, ...]
    embeddings : float [B, M, D]
    present : bool [B, M]
    table : bool [C, M]

    Returns
    -------
    float [C, B, ...]; where a sample lacks a modality of the combination, the output under the rest of it
    """
    combinations, step = len(table), max(1, _ROWS_PER_PASS // len(table))
    outputs = []
    for part, there in zip(torch.split(embeddings, step), torch.split(present, step), strict=True):
        used = (table.unsqueeze(1) & there).flatten(0, 1)  # [C * b, M]
        output = predict(part.repeat(combinations, 1, 1), used)
        outputs.append(output.view(combinations, len(part), *output.shape[1:]))
    return torch.cat(outputs, dim=1)


class Distances:
    """Mean loss of every combination over the samples that have all of it, gathered batch by batch (equation 15).

    Parameters
    ----------
    table : bool [C, M]
    """

    def __init__(self, table: Tensor) -> None:
        count = len(table)
        self.table = table
        self.rows = torch.zeros(count, dtype=torch.int64)
        # entry (i, j): loss under combination i over the samples that have all of combination j
        self._sums = torch.zeros(count, count, dtype=torch.float64)

    def add(self, losses: Tensor, present: Tensor, known: Tensor) -> None:
        """Count a batch: ``losses`` [C, B] under each combination, ``present`` bool [B, M], ``known`` bool [B]."""
        has_all = (present | ~self.table.to(present.device).unsqueeze(1)).all(-1) & known  # [C, B]
        self._sums += (losses.double() @ has_all.double().T).cpu()
        self.rows += has_all.sum(1).cpu()

    @property
    def distance(self) -> Tensor:
        """D, float64 [C]; NaN for a combination that no counted sample has."""
        return self._means().diagonal()

    @property
    def excess(self) -> Tensor:
        """By how much D exceeds the best proper part of the combination on the same samples, float64 [C].

        Positive: a smaller combination predicts better, its additional modality hurts. NaN for single modalities.
        """
        within = ~(self.table.unsqueeze(1) & ~self.table).any(-1)  # [i, j]: i is part of j
        part = within & ~within.T
        best = torch.where(part, self._means(), float("inf")).amin(0)
        return torch.where(part.any(0), self.distance - best, float("nan"))

    def laziest(self, score: Score) -> int | None:
        """Index of the combination with the largest distance, or excess; None where no score exists."""
        scores = self.distance if score == "absolute" else self.excess
        if scores.isnan().all():
            return None
        return int(scores.nan_to_num(float("-inf")).argmax())

    def table_rows(self, names: Sequence[str], epoch: int, laziest: int | None) -> list[dict[str, Any]]:
        """Return one row per combination for the trace: epoch, combination, distance, excess, rows, chosen."""
        columns = (self.distance.tolist(), self.excess.tolist(), self.rows.tolist())
        return [
            {
                "epoch": epoch,
                "combination": combination_name(shown, names),
                "distance": None if math.isnan(distance) else distance,
                "excess": None if math.isnan(excess) else excess,
                "rows": rows,
                "chosen": index == laziest,
            }
            for index, (shown, distance, excess, rows) in enumerate(zip(self.table, *columns, strict=True))
        ]

    def _means(self) -> Tensor:
        return self._sums / torch.where(self.rows > 0, self.rows, float("nan"))


def activation_loss(losses: Tensor, used: Tensor, lazy: Tensor | None, known: Tensor) -> Tensor:
    """Mean loss of the samples that were shown exactly the lazy combination (equations 16 and 17).

    Parameters
    ----------
    losses : float [B], of the fused prediction
    used : bool [B, M], what each sample was shown
    lazy : bool [M], or None before the first mining
    known : bool [B], samples with a label

    Returns
    -------
    float scalar; exactly 0 with a gradient of 0 if no sample was shown it
    """
    if lazy is None:
        return losses.new_zeros(())
    return mean_known(losses, (used == lazy).all(-1) & known)
