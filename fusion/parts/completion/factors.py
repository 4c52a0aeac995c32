"""Factors that several modalities share: fitted by mofapy2, and estimated for new samples from what they have."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ....cache_schema.packages import require

Array = npt.NDArray[np.float64]

PACKAGE = "mofapy2"
ITERATIONS = 100
"""Most iterations of mofapy2; thousands, until it has converged, predict no better and take minutes."""


class FactorModel(nn.Module):
    """Multi-omics factor analysis (Argelaguet et al. 2018 and 2020): ``x_m = mean_m + W_m z + noise``.

    Factors z are standard normal, the noise of each column has a precision of its own, and each factor has a variance
    of its own in each modality, which can be none. Columns of modality m follow those of m - 1 in every buffer.
    """

    mean: Tensor
    loadings: Tensor
    precision: Tensor

    def __init__(self, widths: Sequence[int], factors: int) -> None:
        super().__init__()
        self.widths = list(widths)
        self.register_buffer("mean", torch.zeros(sum(widths)))
        self.register_buffer("loadings", torch.zeros(sum(widths), factors))
        self.register_buffer("precision", torch.ones(sum(widths)))

    def fit(self, views: Sequence[Tensor], present: Tensor, seed: int) -> None:
        """Fit to views, each [n, width]; those that are not ``present`` [n, M] are not read."""
        columns = self._columns(present)
        values = torch.where(columns, torch.cat(list(views), dim=1), torch.nan)
        self.mean.copy_(values.nanmean(0).nan_to_num(0.0))
        centred = (values - self.mean)[present.any(1)].cpu().double().numpy()
        used = present.any(0).tolist()
        blocks = [block for block, some in zip(_split(centred, self.widths), used, strict=True) if some]
        weights, precisions = fit_mofa(blocks, self.loadings.shape[1], seed)
        seen = columns.any(0)
        self.loadings.zero_()
        self.loadings[seen] = torch.from_numpy(weights).to(self.loadings)
        self.precision[seen] = torch.from_numpy(precisions).to(self.precision)

    def forward(self, views: Sequence[Tensor], present: Tensor) -> Tensor:
        """Return the mean of the factors given what is ``present`` [B, M] of views: [B, K].

        It is ``(I + sum_m W_m' T_m W_m)^-1 sum_m W_m' T_m (x_m - mean_m)`` over the present modalities, with T the
        diagonal of precisions.
        """
        columns = self._columns(present).to(self.loadings)  # [B, W]
        weighted = self.precision[:, None] * self.loadings  # [W, K]
        deviation = torch.where(columns > 0, torch.cat(list(views), dim=1) - self.mean, 0.0)
        # [B, K, K]
        information = torch.einsum("bw,wk,wl->bkl", columns, weighted, self.loadings)
        identity = torch.eye(self.loadings.shape[1]).to(self.loadings)
        factors: Tensor = torch.linalg.solve(identity + information, deviation @ weighted)
        return factors

    def reconstruct(self, factors: Tensor) -> list[Tensor]:
        """Return what factors [B, K] make of every modality, each [B, width]."""
        return list(torch.split(self.mean + factors @ self.loadings.T, self.widths, dim=1))

    def _columns(self, present: Tensor) -> Tensor:
        """Repeat flags of modalities [n, M] for each of their columns, [n, W]."""
        return present.repeat_interleave(torch.tensor(self.widths, device=present.device), dim=1)


def fit_mofa(views: Sequence[Array], factors: int, seed: int) -> tuple[Array, Array]:
    """Fit the model to centred views [n, width], whose rows are NaN where absent, with mofapy2.

    Nobody may lack all views. Sparsity is left to the variances of factors: columns of dense embeddings have none of
    their own. mofapy2 is not asked to drop weak factors, because it ends Python if it drops the last.

    Returns
    -------
    loadings [W, factors] and precisions [W]
    """
    require(PACKAGE, "Factor analysis")
    from mofapy2.run.entry_point import entry_point  # takes seconds to import

    with _aside():
        entry = entry_point()
        entry.set_data_options(scale_views=False)
        entry.set_data_matrix([[view.copy()] for view in views], likelihoods=["gaussian"] * len(views))
        entry.set_model_options(factors=factors, spikeslab_weights=False, ard_weights=True)
        entry.set_train_options(iter=ITERATIONS, convergence_mode="fast", seed=seed, quiet=True)
        entry.build()
        entry.run()
    if not entry.model.trained:
        raise KeyboardInterrupt  # which it catches
    nodes: dict[str, Any] = entry.model.getNodes()
    loadings = np.concatenate(nodes["W"].getExpectation())
    # each column has one precision, repeated for all samples
    precisions = np.concatenate([precision[0] for precision in nodes["Tau"].getExpectation()])
    return loadings, precisions


@contextmanager
def _aside() -> Iterator[None]:
    """Keep what a block prints from the terminal, and NumPy's global generator as it was."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _split(values: Array, widths: Sequence[int]) -> list[Array]:
    return np.split(values, np.cumsum(widths)[:-1], axis=1)
