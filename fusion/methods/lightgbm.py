"""Gradient boosting of many small trees on pooled features, by LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError
from ..parts.feature_table import Array
from ..parts.targets import Kind
from .forests import Forests
from .stored_boosters import Boosted, dump_boosters, library, load_boosters

OBJECTIVES: Mapping[Kind, str] = {"multiclass": "multiclass", "regression": "regression"}
"""Of every other kind of target each label is a binary one."""


@dataclass(frozen=True)
class Growth:
    """How trees are grown."""

    rounds: int = 900
    """Trees."""
    learning_rate: float = 0.02
    """Share of each tree's answer that counts."""
    leaves: int = 8
    """Most leaves of a tree."""
    samples_per_leaf: int = 25
    """Fewest samples in a leaf."""
    l2: float = 10.0
    """Ridge of the leaves' answers."""
    columns: float = 0.2
    """Share of the columns that a tree may choose from."""
    rows: float = 0.8
    """Share of the samples that a tree sees."""
    bins: int = 63
    """Most different values of a column that are told apart."""

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("rounds", 1, 100_000), ("leaves", 2, 4096), ("samples_per_leaf", 1, 1 << 30), ("bins", 2, 255),
        ):  # fmt: skip
            if not lowest <= getattr(self, name) <= highest:
                raise InputError(f"{name} = {getattr(self, name)}; expected {lowest} to {highest}.")
        if not (0 < self.learning_rate <= 1 and 0 < self.columns <= 1 and 0 < self.rows <= 1 and self.l2 >= 0):
            raise InputError("learning_rate, columns and rows are shares above 0, at most 1; l2 is not negative.")

    def grow(self, kind: Kind, features: Array, y: Array, seed: int) -> Boosted:
        """Fit trees to features [n, F], NaN where unknown, and labels [n]; the same digits from the same seed."""
        classes: tuple[int, ...] = ()
        settings: dict[str, Any] = {
            "objective": OBJECTIVES.get(kind, "binary"), "learning_rate": self.learning_rate,
            "num_leaves": self.leaves, "min_data_in_leaf": self.samples_per_leaf, "lambda_l2": self.l2,
            "feature_fraction": self.columns, "bagging_fraction": self.rows, "bagging_freq": 1, "max_bin": self.bins,
            "seed": seed % (1 << 31), "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1,
        }  # fmt: skip
        if kind == "multiclass":
            seen, place = np.unique(y, return_inverse=True)
            classes, y = tuple(map(int, seen)), place.astype(np.float64)
            settings["num_class"] = len(classes)
        lightgbm = library()
        return Boosted(lightgbm.train(settings, lightgbm.Dataset(features, y), self.rounds), classes)


class LightGBM(Forests[Boosted]):
    """Gradient boosting by LightGBM, slowly and of small trees: early fusion of everything in one table.

    It reads what `boosting` reads and treats missing modalities alike; what differs is that trees are three times as
    many and each is shown four fifths of the samples and a fifth of the columns. It works in one thread, so that the
    same seed gives the same digits on every machine of a kind.
    """

    name = "lightgbm"
    family = "trees"
    source = "LightGBM, Ke et al., NeurIPS 2017; the settings were chosen on PhysioNet 2012 set-a"
    cost = 3.0
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.rounds": ("450", "900", "1350"),
        "options.leaves": ("4", "8", "16"),
        "options.columns": ("0.1", "0.2", "0.5"),
    }

    @dataclass(frozen=True)
    class Options(Growth, Forests.Options):
        """How trees are grown, and what becomes of missing modalities."""

    options: Options
    dump = staticmethod(dump_boosters)
    load = staticmethod(load_boosters)

    def grow(self, features: Array, y: Array, seed: int) -> Boosted:
        """Fit trees to features [n, F] and labels [n]."""
        return self.options.grow(self.target.kind, features, y, seed)

    def classes_of(self, model: Boosted) -> npt.NDArray[np.int64]:
        """Return the classes that a model of several knows."""
        return np.array(model.classes, dtype=np.int64)

    def fits(self, model: Boosted, columns: int) -> bool:
        """Return whether a stored model is one of this target and of so many columns."""
        kind, booster = self.target.kind, model.booster
        if booster.num_feature() != columns or bool(model.classes) != (kind == "multiclass"):
            return False
        if model.classes and model.classes[-1] >= self.target.output_size:
            return False
        objective: str = booster.dump_model(num_iteration=1)["objective"]
        return objective.split(" ")[0] == OBJECTIVES.get(kind, "binary")

    def ask(self, model: Boosted, features: Array) -> Array:
        """Return log-odds or values [n], or log-chances [n, C] of the classes that the model knows."""
        said: Array = model.booster.predict(features, raw_score=True, num_threads=1)
        if not model.classes:
            return said
        lifted = said - said.max(axis=1, keepdims=True)
        chances: Array = lifted - np.log(np.exp(lifted).sum(axis=1, keepdims=True))
        return chances
