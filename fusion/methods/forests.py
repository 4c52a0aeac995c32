"""What methods of boosted trees share: who is fitted to what, and how the answers become logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..parts.feature_table import Array, FeatureTable
from .base import ModelSpec
from .per_combination import PerCombination

if TYPE_CHECKING:
    from .fitting import Fitting

Trees = TypeVar("Trees")


class Forest(nn.Module, Generic[Trees]):
    """The models of one combination of modalities; stored ones are read when they are first asked, which takes long.

    ``models``: one per label or quantity, or one of all classes or all intervals of time; None where only one outcome
    occurred. ``dump`` makes bytes of them and ``load`` reads those, or raises InputError if anything but trees was
    stored.
    """

    def __init__(
        self, dump: Callable[[list[Trees | None]], bytes], load: Callable[[bytes], list[Trees | None]]
    ) -> None:
        super().__init__()
        self.models: list[Trees | None] = []
        self.dump, self.load = dump, load
        self._stored: bytes | None = None

    def read(self) -> list[Trees | None]:
        """Return the models."""
        if self._stored is not None:
            self.models, self._stored = self.load(self._stored), None
        return self.models

    def get_extra_state(self) -> Tensor:
        """Return the models as bytes, uint8 [n]."""
        stored = self._stored or self.dump(self.models)
        return torch.frombuffer(bytearray(stored), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the bytes of :meth:`get_extra_state`."""
        self._stored = state.cpu().numpy().tobytes()


class Forests(PerCombination, Generic[Trees]):
    """Base of gradient boosting: what is unknown stays unknown, and trees are told where it is.

    By default each combination of modalities has a model of its own, see `PerCombination`. Otherwise one model predicts
    all samples, to which the columns of missing modalities are unknown like any other.

    Of a time to an event it learns the hazards of all intervals at once: the table has a row for each interval that a
    sample lived into, and the number of the interval as its last column.

    A subclass says how trees are grown, asked and stored.
    """

    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "masked": ("options.missing=masked",),
        "native": ("options.missing=native",),
    }

    @dataclass(frozen=True)
    class Options:
        """What becomes of missing modalities."""

        missing: Literal["per_combination", "masked", "native"] = "per_combination"
        """A model for each combination of modalities; or one model, fitted to the samples and to a copy of each that
        shows only a random part of its modalities, or to the samples alone."""

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        if self.options.missing != "per_combination":
            self.combinations = torch.ones(1, len(spec.inputs), dtype=torch.bool)
            self.required = ~self.combinations
        self.forests = nn.ModuleList(Forest(self.dump, self.load) for _ in self.combinations)

    @staticmethod
    def dump(models: list[Trees | None]) -> bytes:
        """Return trees as bytes, equal ones as equal bytes."""
        raise NotImplementedError

    @staticmethod
    def load(stored: bytes) -> list[Trees | None]:
        """Return the trees of :meth:`dump`; raises InputError for anything else."""
        raise NotImplementedError

    def grow(self, features: Array, y: Array, seed: int) -> Trees:
        """Fit trees to features [n, F] and labels [n], which are known and not all alike."""
        raise NotImplementedError

    def classes_of(self, model: Trees) -> npt.NDArray[np.int64]:
        """Return the classes that a model of several knows."""
        raise NotImplementedError

    def fits(self, model: Trees, columns: int) -> bool:
        """Return whether a model that was stored is one of this target and of so many columns."""
        raise NotImplementedError

    def ask(self, model: Trees, features: Array) -> Array:
        """Return log-odds or values [n], or log-chances [n, C] of the classes that the model knows."""
        raise NotImplementedError

    def table(self, fitting: Fitting) -> FeatureTable:
        """Return the training part, with copies that lack something if they are wanted."""
        table = super().table(fitting)
        if self.options.missing == "masked":
            return table.with_copies(torch.Generator().manual_seed(fitting.seed))
        return table

    def forest(self, combination: int) -> Forest[Trees]:
        """Return the models of a combination, a row of ``combinations``."""
        return cast("Forest[Trees]", self.forests[combination])

    @property
    def pools(self) -> bool:
        """Whether one model predicts several labels: those of intervals of time."""
        return self.target.kind == "survival" and self.target.classes > 1

    def fit_one(self, number: int, features: Array, table: FeatureTable, seed: int) -> None:
        """Fit the models of a combination."""
        y = table.y
        if self.pools:
            sample, interval = np.nonzero(~np.isnan(y))
            features, y = _within(features[sample], interval), y[sample, interval][:, None]
        self.forest(number).models = [self._model(features, label, seed) for label in y.T]

    def _model(self, features: Array, y: Array, seed: int) -> Trees | None:
        known = ~np.isnan(y)
        return self.grow(features[known], y[known], seed) if len(np.unique(y[known])) > 1 else None

    def answer(self, number: int, features: Array, unknown: Tensor) -> Tensor:
        """Return what the models of a combination say of features [n, F], [n, K]."""
        models = self.forest(number).read()
        if not self.pools:
            return self._answer(models, features, unknown)
        intervals = self.target.classes
        each = _within(features.repeat(intervals, axis=0), np.tile(np.arange(intervals), len(features)))
        return self._answer(models, each, unknown.reshape(-1, 1)).view(-1, intervals)

    def _answer(self, models: list[Trees | None], features: Array, unknown: Tensor) -> Tensor:
        logits = unknown.clone()
        for column, model in enumerate(models):
            if model is None:
                continue
            if not self.fits(model, features.shape[1]):
                raise InputError(f"The stored {self.name} is of other columns or classes than the run. Train again.")
            said = torch.from_numpy(self.ask(model, features)).to(logits)
            if self.target.kind == "multiclass":
                logits[:, torch.from_numpy(self.classes_of(model)).to(logits.device)] = said
            else:
                logits[:, column] = said
        return logits


def _within(features: Array, interval: npt.NDArray[np.int64]) -> Array:
    """Return features [n, F] with the number of an interval of time [n] as a last column."""
    return np.concatenate([features, interval[:, None].astype(features.dtype)], axis=1)
