"""Kernel ridge regression on the columns by which trees gain most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...cache_schema import InputError
from ..parts.calibration import fit_scale
from ..parts.feature_table import Array, FeatureTable
from ..parts.random_features import Ridge, orthogonal_directions, random_features
from ..parts.targets import Target
from .base import ModelSpec
from .lightgbm import Growth
from .per_combination import PerCombination

if TYPE_CHECKING:
    from .fitting import Fitting

FloatArray = npt.NDArray[np.float64]

ASKED = Growth(rounds=150, learning_rate=0.05)
"""The few trees that tell which columns matter."""
PARTS = 5
"""Parts of the training samples, whole subjects each, that are held out in turn to scale the answers."""


class Kernel(PerCombination):
    """Ridge regression with a Gaussian kernel, whose width in a column follows what trees gain by it.

    A small LightGBM on the same training samples tells which columns matter. The best ones of each combination of
    modalities, normal scores with the unknown in the middle, are scaled by the root of their share in its gain. The
    kernel is that of random features, so that time grows with the samples and no more, and none of them is stored.
    Labels and classes are regressed as 0 and 1; which log-odds an answer means is learnt from subjects held out.
    """

    name = "kernel"
    family = "early fusion"
    source = "kernel ridge regression; orthogonal random features, Yu et al., NeurIPS 2016; Platt scaling 1999"
    cost = 3.0
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.width": ("0.25", "0.5", "1.0"),
        "options.ridge": ("1.0", "2.0", "4.0"),
        "options.columns": ("100", "200", "300"),
    }

    @dataclass(frozen=True)
    class Options:
        """Settings of the kernel."""

        columns: int = 300
        """Most columns that it reads."""
        width: float = 0.5
        """Factor on the squared distance in the exponent of the kernel; samples are about 2 apart."""
        ridge: float = 2.0
        """Weight of the squared coefficients beside the sum of squared errors."""
        directions: int = 512
        """Random directions, each of which gives two features."""

        def __post_init__(self) -> None:
            for name in ("columns", "directions"):
                if not 1 <= getattr(self, name) <= 1 << 14:
                    raise InputError(f"{name} = {getattr(self, name)}; expected 1 to {1 << 14}.")
            if not (self.width > 0 and self.ridge > 0):
                raise InputError(f"width = {self.width}, ridge = {self.ridge}; both must be positive.")

    options: Options
    directions: Tensor
    gain: Tensor
    chosen: Tensor
    scale: Tensor
    coefficients: Tensor
    bias: Tensor
    learnt: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        combinations, outputs = len(self.combinations), spec.target.output_size
        columns = min(self.options.columns, sum(one.summary or one.rows for one in spec.inputs))
        directions = self.options.directions
        self.register_buffer("directions", torch.zeros(columns, directions))
        self.register_buffer("gain", torch.zeros(sum(one.summary or one.rows for one in spec.inputs)))
        self.register_buffer("chosen", torch.zeros(combinations, columns, dtype=torch.int64))
        self.register_buffer("scale", torch.zeros(combinations, columns))  # 0 where there are fewer columns
        self.register_buffer("coefficients", torch.zeros(combinations, 2 * directions, outputs))
        self.register_buffer("bias", torch.zeros(combinations, outputs))
        self.register_buffer("learnt", torch.zeros(combinations, outputs, dtype=torch.bool))  # what occurred, or not

    def fit(self, fitting: Fitting) -> None:
        """Ask trees once which columns matter, and fit the regressions of all combinations."""
        columns, count = self.directions.shape
        self.directions.copy_(orthogonal_directions(columns, count, torch.Generator().manual_seed(fitting.seed)))
        table = self.table(fitting)
        self.gain.copy_(torch.from_numpy(self._gain(np.concatenate(table.pooled, axis=1), table.y, fitting.seed)))
        super().fit(fitting)

    def _gain(self, features: Array, y: Array, seed: int) -> FloatArray:
        """Return the share of each column [F] in what trees gain, the mean over outcomes."""
        gain = np.zeros(features.shape[1])
        for label in y.T:
            known = ~np.isnan(label)
            if len(np.unique(label[known])) > 1:
                grown = ASKED.grow(self.target.kind, features[known], label[known], seed)
                of_label = grown.booster.feature_importance("gain")
                gain += of_label / max(of_label.sum(), 1e-12)
        return gain

    def fit_one(self, number: int, features: Array, table: FeatureTable, seed: int) -> None:
        """Choose the columns of a combination, and fit the regressions of all outcomes."""
        gain = self.gain[self.shown_columns(number)]
        best = gain.argsort(descending=True, stable=True)[: len(self.directions)]
        best = best[gain[best] > 0]
        self.chosen[number, : len(best)] = best
        self.scale[number, : len(best)] = (gain[best] / gain[best].sum()).sqrt()
        projected, part = self._projected(number, features), _parts(table.subject, seed)
        y = torch.from_numpy(table.y)
        for outcomes in _known_alike(y):
            known = ~y[:, outcomes[0]].isnan()
            if known.any():
                self._regress(number, projected[known], y[known][:, outcomes], outcomes, part[known])

    def shown_columns(self, number: int) -> Tensor:
        """Return which columns of the whole table a combination has, bool [F]."""
        widths = torch.tensor([one.summary or one.rows for one in self.spec.inputs])
        return self.combinations[number].repeat_interleave(widths)

    def _projected(self, number: int, features: Array) -> Tensor:
        """Return the random features [n, R] of a combination's features [n, F]."""
        scores = torch.from_numpy(features).nan_to_num(0.0)[:, self.chosen[number].cpu()]
        return random_features(scores * self.scale[number].cpu(), self.directions.cpu(), self.options.width).double()

    def _regress(self, number: int, projected: Tensor, y: Tensor, outcomes: Tensor, part: Tensor) -> None:
        """Fit outcomes y [n, C] that are all known; of several classes C is 1, and each class an outcome."""
        truth = y.double()
        if self.target.kind == "multiclass":
            outcomes = torch.tensor(sorted(set(y.long().flatten().tolist())))
            truth = (y == outcomes).double()
        varies = (truth != truth[0]).any(0)
        if not varies.any():
            return
        truth, outcomes = truth[:, varies], outcomes[varies]
        middle = truth.mean(0)
        ridge = Ridge.fit(projected, truth - middle, self.options.ridge)
        coefficients, bias = ridge.coefficients, middle
        if self.target.kind != "regression":
            steepness = 1 / truth.var(0, correction=0)  # so much faster than a probability its log-odds change at first
            slope, bias = self._scale(ridge.held_out(part) * steepness, truth)
            coefficients = coefficients * steepness * slope
        self.coefficients[number, :, outcomes] = coefficients.float()
        self.bias[number, outcomes] = bias.float()
        self.learnt[number, outcomes] = True

    def _scale(self, said: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return slope and bias [K] that make log-odds, or log-chances of classes, of what is said [n, K]."""
        if self.target.kind == "multiclass":
            several = Target("multiclass", said.shape[1])
            return fit_scale(several, said[:, None, :], truth.argmax(1, keepdim=True))
        each = zip(said.T, truth.T, strict=True)
        fitted = [fit_scale(Target("binary"), answers[:, None, None], known[:, None]) for answers, known in each]
        slopes, biases = zip(*fitted, strict=True)
        return torch.cat(slopes), torch.cat(biases)

    def answer(self, number: int, features: Array, unknown: Tensor) -> Tensor:
        """Return what the regressions of a combination say of features [n, F], [n, K]."""
        said = self._projected(number, features) @ self.coefficients[number].double().cpu()
        logits, learnt = (said + self.bias[number].cpu()).to(unknown), self.learnt[number]
        if self.target.kind == "multiclass" and learnt.any():
            logits[:, learnt] = logits[:, learnt].log_softmax(1)
        return torch.where(learnt, logits, unknown)


def _parts(subject: npt.NDArray[np.int64], seed: int) -> Tensor:
    """Return a part [n] of each sample, the same for those of one subject."""
    subjects, place = np.unique(subject, return_inverse=True)
    drawn = torch.randperm(len(subjects), generator=torch.Generator().manual_seed(seed))
    return drawn[torch.from_numpy(place)] % PARTS


def _known_alike(y: Tensor) -> Iterator[Tensor]:
    """Yield the outcomes of y [n, C] that are known of the same samples, together."""
    alike: dict[bytes, list[int]] = {}
    for column, unknown in enumerate(y.T.isnan().numpy()):
        alike.setdefault(unknown.tobytes(), []).append(column)
    yield from map(torch.tensor, alike.values())
