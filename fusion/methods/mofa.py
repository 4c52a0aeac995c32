"""Multi-omics factor analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..parts.completion.factors import PACKAGE, FactorModel
from .base import ModelSpec
from .multiview import MultiView, ViewTable


class MOFA(MultiView):
    """Factors that modalities share, or that are of one alone, learnt without labels.

    The scores of a sample are the means of its factors given the modalities that it has.
    """

    name = "mofa"
    source = "MOFA of Argelaguet et al. 2018, Mol. Syst. Biol. 14: e8124, by mofapy2; normal conditional means"
    package = PACKAGE
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.factors": ("10", "25", "50"),
    }

    @dataclass(frozen=True)
    class Options(MultiView.Options):
        """Size of the model."""

        factors: int = 25
        """Factors; those that explain nothing shrink to nothing. The published default of 10 predicts much worse."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.factors < 1:
                raise InputError(f"factors must be at least 1; got {self.factors}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.model = FactorModel(self.views.widths, self.options.factors)
        generator = torch.Generator().manual_seed(0)
        for m, width in enumerate(self.views.widths):
            turn, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
            self.register_buffer(f"turn_{m}", turn.contiguous())

    def score_columns(self) -> int:
        """Return the number of factors."""
        return self.options.factors

    def learn(self, table: ViewTable, seed: int) -> None:
        """Fit the factor model."""
        self.model.fit(self._turned(table.views), table.present, seed)

    def scores(self, views: Sequence[Tensor], present: Tensor) -> Tensor:
        """Return the factors, [B, K]."""
        factors: Tensor = self.model(self._turned(views), present)
        return factors

    def _turned(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Return the views in random orthogonal axes.

        Principal components are uncorrelated, so that each would be taken for noise of its own column; in other axes
        the same values are correlated columns, and directions of large variance can be factors.
        """
        return [view @ getattr(self, f"turn_{m}") for m, view in enumerate(views)]
