"""Traceable laziness activation (section 3.5 of the paper): which combination of modalities predicts worst, when."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ...parts.combinations import combination_name
from ...parts.targets import mean_known

Score = Literal["absolute", "excess"]


class Distances:
    """Mean loss of every combination over the samples that have all of it, gathered batch by batch (equation 15).

    Parameters
    ----------
    table : bool [C, M]
    heads : H, the modalities whose weights are gathered as well
    """

    def __init__(self, table: Tensor, heads: int = 0) -> None:
        count = len(table)
        self.table = table
        self.rows = torch.zeros(count, dtype=torch.int64)
        # entry (i, j): loss under combination i over the samples that have all of combination j
        self._sums = torch.zeros(count, count, dtype=torch.float64)
        self._weights = torch.zeros(count, heads, dtype=torch.float64)

    def add(self, losses: Tensor, present: Tensor, known: Tensor, weights: Tensor | None = None) -> None:
        """Count a batch: ``losses`` [C, B] and modality ``weights`` [C, B, H] under each combination.

        ``present`` bool [B, M] and ``known`` bool [B] say of whom.
        """
        has_all = (present | ~self.table.to(present.device).unsqueeze(1)).all(-1) & known  # [C, B]
        self._sums += (losses.double() @ has_all.double().T).cpu()
        self.rows += has_all.sum(1).cpu()
        if weights is not None:
            self._weights += torch.einsum("cbm,cb->cm", weights.double(), has_all.double()).cpu()

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

    @property
    def weights(self) -> Tensor:
        """Mean weight of every modality under each combination, float64 [C, H]; NaN where nobody has it."""
        return self._weights / self._counts().unsqueeze(-1)

    def laziest(self, score: Score) -> int | None:
        """Index of the combination with the largest distance, or excess; None where no score exists."""
        scores = self.distance if score == "absolute" else self.excess
        if scores.isnan().all():
            return None
        return int(scores.nan_to_num(float("-inf")).argmax())

    def _means(self) -> Tensor:
        return self._sums / self._counts()

    def _counts(self) -> Tensor:
        return torch.where(self.rows > 0, self.rows, float("nan"))


class Activation:
    """Which combination is lazy, what training does about it (equations 16 and 17), and the trace of both.

    Parameters
    ----------
    table : bool [C, M], the combinations
    names : of the modalities
    score : what makes a combination lazy
    always : index of the combination that is lazy whatever is mined, or None
    """

    def __init__(self, table: Tensor, names: Sequence[str], score: Score, always: int | None = None) -> None:
        self.table, self.names, self.score, self.always = table, tuple(names), score, always
        self.active: int | None = None
        self.trace: list[dict[str, Any]] = []
        self._before = torch.full((len(table),), float("nan"), dtype=torch.float64)
        self._selected = self._labelled = torch.zeros(())

    def lazy(self, device: torch.device) -> Tensor | None:
        """Return the combination that training attends to now, bool [M]; None before the first mining."""
        return None if self.active is None else self.table[self.active].to(device)

    def loss(self, losses: Tensor, used: Tensor, known: Tensor) -> Tensor:
        """Mean loss of the samples that were shown exactly the lazy combination.

        Parameters
        ----------
        losses : float [B], of the prediction
        used : bool [B, M], what each sample was shown
        known : bool [B], samples with a label

        Returns
        -------
        float scalar; exactly 0 with a gradient of 0 if no sample was shown it, 0 before the first mining
        """
        lazy = self.lazy(used.device)
        if lazy is None:
            return losses.new_zeros(())
        mask = (used == lazy).all(-1) & known
        self._selected = self._selected + mask.sum()
        self._labelled = self._labelled + known.sum()
        return mean_known(losses, mask)

    def record(self, epoch: int, mined: Distances, validation: Distances | None) -> None:
        """Write the epoch into the trace and choose the combination for the next one."""
        chosen = mined.laziest(self.score) if self.always is None else self.always
        columns = {
            "distance": mined.distance,
            "excess": mined.excess,
            "change": mined.distance - self._before,
            **dict(zip((f"{name}.weight" for name in self.names), mined.weights.T, strict=False)),
        }
        if validation is not None:
            columns |= {"validation_distance": validation.distance, "validation_excess": validation.excess}
        labelled, selected = int(self._labelled), int(self._selected)
        for index, shown in enumerate(self.table):
            active = index == self.active
            self.trace.append(
                {
                    "epoch": epoch,
                    "combination": combination_name(shown, self.names),
                    "rows": int(mined.rows[index]),
                    "chosen": index == chosen,
                    "active": active,
                    "selected": selected if active else 0,
                    "share": selected / labelled if active and labelled else 0.0,
                    **{name: _defined(float(values[index])) for name, values in columns.items()},
                }
            )
        self.active, self._before = chosen, mined.distance
        self._selected = self._labelled = torch.zeros(())


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
