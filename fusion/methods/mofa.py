"""Multi-omics factor analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...cache_schema import InputError
from ..factors import PACKAGE, FactorModel
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

    def score_columns(self) -> int:
        """Return the number of factors."""
        return self.options.factors

    def learn(self, table: ViewTable, seed: int) -> None:
        """Fit the factor model."""
        self.model.fit(table.views, table.present, seed)

    def scores(self, views: Sequence[Tensor], present: Tensor) -> Tensor:
        """Return the factors, [B, K]."""
        factors: Tensor = self.model(views, present)
        return factors
