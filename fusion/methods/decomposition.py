"""Angle-based joint and individual variation explained: what modalities share, and what each has alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag, eigh

Array = npt.NDArray[np.floating[Any]]

WEDIN_PERCENTILE, RANDOM_PERCENTILE = 5, 95


@dataclass(frozen=True)
class Signal:
    """The first ``rank`` singular vectors and values of a view [n, d], and the values that are left.

    ``scores`` [n, rank], ``values`` [rank], ``rest`` [min(n, d) - rank]. Whatever is smaller than ``threshold``,
    midway between the last value of the signal and the first of the rest, is noise.
    """

    scores: Array
    values: Array
    rest: Array
    samples: int
    columns: int

    @property
    def threshold(self) -> float:
        """Largest size of noise; without signal everything is."""
        last = self.values[-1] if len(self.values) else np.inf
        return float(last + (self.rest[0] if len(self.rest) else 0.0)) / 2


@dataclass(frozen=True)
class Decomposition:
    """Joint scores [n, J], orthonormal; axes [d, I] of the individual variation of each view, orthonormal.

    ``squared`` are the squared singular values of all scores side by side; those above both bounds are joint.
    """

    joint: Array
    individual: list[Array]
    squared: Array
    wedin_bound: float
    random_bound: float


def decompose(views: Sequence[Array], share: float, draws: int, seed: int) -> Decomposition:
    """Decompose centred views of the same samples, each [n, d] (Feng et al. 2018, JMVA 166: 241).

    ``share`` of a view's variance decides the rank of its signal: the smallest that has as much. Each bound is a
    percentile of as many ``draws``.
    """
    rng = np.random.default_rng(seed)
    signals = [signal_of(view, share) for view in views]
    vectors, sizes, _ = np.linalg.svd(
        np.concatenate([signal.scores for signal in signals], axis=1), full_matrices=False
    )
    wedin, chance = wedin_bound(signals, draws, rng), random_bound(signals, draws, rng)
    candidates = vectors[:, sizes**2 > max(wedin, chance)]
    # identifiable is what is no noise in any view
    seen = [np.linalg.norm(view.T @ candidates, axis=0) >= s.threshold for view, s in zip(views, signals, strict=True)]
    joint = candidates[:, np.all(seen, axis=0)]
    alone = [own_axes(view, joint, s.threshold) for view, s in zip(views, signals, strict=True)]
    return Decomposition(joint, alone, sizes**2, wedin, chance)


def signal_of(view: Array, share: float) -> Signal:
    """Return the signal of a view [n, d]."""
    vectors, values, _ = np.linalg.svd(view, full_matrices=False)
    variance = np.cumsum(values**2)
    rank = int(np.searchsorted(variance, share * variance[-1] * (1 - 1e-9))) + 1 if variance[-1] > 0 else 0
    return Signal(vectors[:, :rank], values[:rank], values[rank:], *view.shape)


def own_axes(view: Array, joint: Array, threshold: float) -> Array:
    """Return the axes [d, I] of what is above noise in a view after the joint variation was taken away."""
    _, values, axes = np.linalg.svd(view - joint @ (joint.T @ view), full_matrices=False)
    return axes[values > threshold].T


def wedin_bound(signals: Sequence[Signal], draws: int, rng: np.random.Generator) -> float:
    """Return how small the squared singular value of a joint direction can be, as noise turns the signals' subspaces.

    The sine of the angle is at most the size of the noise along the signal over the signal's least singular value.
    Noise along random directions off the signal, among samples and among columns, stands for it.
    """
    least = np.full(draws, float(len(signals)))
    for signal in signals:
        rank = len(signal.values)
        if rank and len(signal.rest):
            spaces = (signal.samples - rank, signal.columns - rank)
            noise = [[noise_size(signal.rest, space, min(rank, space), rng) for space in spaces] for _ in range(draws)]
            least -= np.minimum(np.max(noise, axis=1) / signal.values[-1], 1) ** 2
    return float(np.percentile(least, WEDIN_PERCENTILE))


def noise_size(values: Array, space: int, rank: int, rng: np.random.Generator) -> float:
    """Return the spectral norm of noise with singular ``values`` along a random subspace of some ``rank``.

    The noise fills as many dimensions of the ``space`` as it has values.
    """
    inside = rng.standard_normal((len(values), rank))
    whole = inside.T @ inside + gram_matrix(space - len(values), rank, rng)
    along = (values[:, None] * inside).T @ (values[:, None] * inside)
    return float(np.sqrt(largest_eigenvalue(along, whole)))


def random_bound(signals: Sequence[Signal], draws: int, rng: np.random.Generator) -> float:
    """Return how large the squared singular value can be of subspaces that have nothing in common."""
    ranks = [len(signal.values) for signal in signals]
    if not sum(ranks):
        return 0.0
    inside = block_diag(*(np.ones((rank, rank)) for rank in ranks))
    grams = (gram_matrix(signals[0].samples, sum(ranks), rng) for _ in range(draws))
    return float(np.percentile([largest_eigenvalue(gram, gram * inside) for gram in grams], RANDOM_PERCENTILE))


def largest_eigenvalue(matrix: Array, metric: Array) -> float:
    """Return the largest eigenvalue of a symmetric matrix [k, k] where ``metric`` [k, k] measures lengths."""
    last = len(matrix) - 1
    return float(eigh(matrix, metric, eigvals_only=True, subset_by_index=[last, last])[0])


def gram_matrix(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Return the Gram matrix [columns, columns] of standard normal ``rows``, without drawing them if they are many.

    It is the product of a triangular matrix of normal and chi variables with itself (Bartlett 1933).
    """
    if rows < columns:
        drawn = rng.standard_normal((rows, columns))
        return drawn.T @ drawn
    triangle = np.tril(rng.standard_normal((columns, columns)), -1)
    triangle += np.diag(np.sqrt(rng.chisquare(rows - np.arange(columns))))
    return triangle @ triangle.T
