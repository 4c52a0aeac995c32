"""What a study consists of, read from a preset or from a YAML file of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...cache_schema import InputError, MissingInputError, meant, shown
from ...reproductions.names import reproduction_names
from ...reproductions.reproduction import Reproduction, read_reproduction
from ...yaml_file import load_yaml
from ..scores.paired import MARGIN
from ..settings import build
from .cell import Cell, Measurement, Scope
from .kinds import KINDS, Experiment
from .presets import PRESETS, preset_names

MOST_CELLS = 10_000
"""Cells of a study; its largest preset has some hundred."""


@dataclass(frozen=True)
class Shared:
    """What all experiments of a grid share unless they say otherwise."""

    title: str = "Study"
    task: str | None = None
    """Task of every training; the cache's first by default."""
    folds: int = 5
    """Folds by patient of every training."""
    seeds: tuple[int, ...] = (0,)
    """Seeds; each cuts folds of its own."""
    settings: tuple[str, ...] = ()
    """Settings of every training, such as fit.epochs=12."""
    margin: float = MARGIN
    """Methods whose AUROC differs by less than this are equivalent."""

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise InputError(f"margin = {self.margin}; expected a difference of AUROC between 0 and 1.")


@dataclass(frozen=True)
class Grid:
    """Experiments, and what they share; ``content`` is what it was read from, to be written into the study's folder."""

    name: str
    source: str
    """The preset or file that it was read from, as it was named."""
    shared: Shared
    experiments: tuple[Experiment, ...]
    content: Mapping[str, Any]
    reproduction: Reproduction | None = None
    """The publication that it does again."""

    def scope(self, task: str, modalities: tuple[str, ...], folds: int | None = None) -> Scope:
        """Return what all cells share, for a task of a cache and some modalities of it.

        ``folds`` is 1 where the cache's own split takes the place of the grid's folds.
        """
        shared = self.shared
        return Scope(task, modalities, folds or shared.folds, shared.seeds, shared.settings, shared.margin)

    def wanted(self, scope: Scope) -> dict[Cell, tuple[Measurement, ...]]:
        """Return every cell once, with all that is to be measured of it, whether or not it can be trained here."""
        wanted: dict[Cell, tuple[Measurement, ...]] = {}
        for experiment in self.experiments:
            for cell, measurements in experiment.wanted(scope):
                if len(wanted) == MOST_CELLS:
                    raise InputError(f"{self.source} wants more than {MOST_CELLS:,} cells; make several studies of it.")
                wanted[cell] = tuple(dict.fromkeys((*wanted.get(cell, ()), *measurements)))
        return wanted

    def cells(self, scope: Scope) -> dict[Cell, tuple[Measurement, ...]]:
        """Return what is :meth:`wanted`, to train it.

        Raises
        ------
        InputError
            For an experiment whose methods, presets or settings do not exist.
        """
        wanted = self.wanted(scope)
        for cell in wanted:
            _ = cell.config
        return wanted


def read_grid(wanted: str | Path) -> Grid:
    """Return a preset by name, or the grid of a YAML file.

    Raises
    ------
    MissingInputError
        If there is neither.
    InputError
        If the package that offers the preset cannot be used, or the file is no grid; the message names what is wrong
        and what is known.
    """
    name, known = str(wanted), [*preset_names(), *reproduction_names()]
    if name in reproduction_names():
        reproduction = read_reproduction(name)
        return replace(make_grid(name, reproduction.grid, name), reproduction=reproduction)
    path = PRESETS.get(name) if name in PRESETS else Path(wanted)
    if not path.is_file():
        raise MissingInputError(
            f"{wanted} is neither a preset ({', '.join(known)}) nor a YAML file of a grid.{meant(wanted, known)}"
        )
    return make_grid(path.stem, load_yaml(path), name)


def make_grid(name: str, content: Any, source: str) -> Grid:
    """Return the grid that plain values describe; ``source`` is named in messages."""
    if not isinstance(content, Mapping) or not isinstance(content.get("experiments"), list):
        raise InputError(f"{source} is no grid: it needs a list `experiments`, each with a `kind`.")
    shared = {key: value for key, value in content.items() if key != "experiments"}
    try:
        return Grid(name, source, build(Shared, shared, ""), tuple(map(_experiment, content["experiments"])), content)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _experiment(stored: Any) -> Experiment:
    kind = stored.get("kind") if isinstance(stored, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"An experiment has the kind {shown(kind)}; known are: {', '.join(KINDS)}.")
    fields = {key: value for key, value in stored.items() if key != "kind"}
    experiment: Experiment = build(KINDS[kind], fields, f"{kind}.")
    return experiment
