"""One cell of a study: a training that is run once, however many experiments look at it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from ...cache_schema import InputError
from ..scores.paired import MARGIN
from ..training.config import TrainConfig, make_config


@dataclass(frozen=True)
class Scope:
    """What all cells of a study share: the task, its modalities in model order, folds, seeds, settings and margin."""

    task: str
    modalities: tuple[str, ...]
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    settings: tuple[str, ...] = ()
    margin: float = MARGIN
    """AUROC differences smaller than this are of no consequence."""

    def modality_sets(self, wanted: str) -> list[tuple[str, ...]]:
        """Return sets of modalities: ``all`` at once, ``each`` alone, ``several`` (every two or more), or named ones.

        These are written as ``ehr+cxr,ehr+rep``.

        Raises
        ------
        InputError
            For a modality that the study has not.
        """
        sizes = {"all": [len(self.modalities)], "each": [1], "several": range(2, len(self.modalities) + 1)}
        if wanted in sizes:
            return [chosen for size in sizes[wanted] for chosen in combinations(self.modalities, size)]
        named = [tuple(names.split("+")) for names in wanted.split(",")]
        for name in (name for names in named for name in names):
            if name not in self.modalities:
                raise InputError(
                    f"modalities = {wanted!r} names {name!r}; the study has: {', '.join(self.modalities)}. "
                    "Write all, each, several, or sets such as ehr+cxr,ehr+rep."
                )
        return named


@dataclass(frozen=True)
class Cell:
    """A training by cross-validation: method and preset as ``NAME`` or ``NAME:PRESET``, on some modalities."""

    method: str
    modalities: tuple[str, ...]
    task: str
    folds: int
    seed: int = 0
    settings: tuple[str, ...] = ()

    @property
    def config(self) -> TrainConfig:
        """Settings of the training; raises `InputError` for what does not exist."""
        name, _, preset = self.method.partition(":")
        return make_config(
            name,
            preset or "default",
            self.settings,
            task=self.task,
            modalities=self.modalities,
            folds=self.folds,
            seed=self.seed,
        )

    @property
    def id(self) -> str:
        """Name of its folder: readable, and different for different settings."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        return "-".join([self.method.replace(":", "-"), "+".join(self.modalities), f"seed{self.seed}", digest])


@dataclass(frozen=True)
class Measurement:
    """What else is asked of a cell's models after the training, with its arguments; see ``measure.py``."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = field(default=())

    @property
    def file(self) -> str:
        """Name of its table in the cell's folder, different for different arguments."""
        digest = hashlib.sha256(json.dumps(self.arguments).encode()).hexdigest()[:8]
        return f"{self.name}-{digest}.parquet"
