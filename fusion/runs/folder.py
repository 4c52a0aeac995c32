"""Reads a run folder. Nothing that identifies a patient is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ...cache_schema.errors import MissingInputError
from ..files import read_json, read_table
from ..sealed import SEAL, check_seal
from .stored_predictions import Predictions, read_predictions

REQUIRED_FILES = ("metrics.json", "config.json", "environment.json", "predictions.parquet")
REQUIRED_METRICS = {
    **dict.fromkeys(("task", "method", "kind"), str),
    "modalities": list,
    "samples": int,
    "folds": list,
    "auroc": dict,
    "auprc": dict,
}
HISTORY_COLUMNS = {"epoch", "part", "term", "value"}
LAZINESS_COLUMNS = {"fold", "epoch", "combination", "distance", "excess", "chosen"}


@dataclass(frozen=True)
class Run:
    """What a training left: its files as dictionaries and tables.

    ``history`` has fold, epoch, part, term, value; ``laziness`` has fold, epoch, combination, distance, excess,
    chosen. Both are None for a method that does not write them.
    """

    path: Path
    metrics: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    predictions: Predictions
    history: pl.DataFrame | None
    laziness: pl.DataFrame | None

    @property
    def name(self) -> str:
        """The run's name: as recorded, or else the folder's."""
        return str(self.metrics.get("run") or self.path.resolve().name)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the method was trained on."""
        return tuple(self.metrics["modalities"])


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    MissingInputError
        The folder or a file that every run has does not exist.
    InputError
        A file is damaged (by its checksum, where the run has checksums) or lacks what the report needs.
    """
    _require_files(path)
    if (path / SEAL).is_file():
        check_seal(path)
    metrics = read_json(path / "metrics.json", REQUIRED_METRICS)
    return Run(
        path=path,
        metrics=metrics,
        config=read_json(path / "config.json"),
        environment=read_json(path / "environment.json"),
        predictions=read_predictions(path / "predictions.parquet", metrics["kind"], tuple(metrics["modalities"])),
        history=_read_history(path),
        laziness=_read_laziness(path / "laziness.parquet"),
    )


def _require_files(path: Path) -> None:
    if not path.is_dir():
        raise MissingInputError(
            f"{path} is not a folder. Give the folder of a run, such as runs/NAME of `omnifuse train`."
        )
    absent = [name for name in REQUIRED_FILES if not (path / name).is_file()]
    if absent:
        found = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        raise MissingInputError(
            f"{path} is not a finished run: {', '.join(absent)} missing, found {found}. "
            "Give the folder that `omnifuse train` printed, or train again."
        )


def _read_history(path: Path) -> pl.DataFrame | None:
    files = sorted(path.glob("folds/*/history.parquet"))
    tables = [read_table(file, HISTORY_COLUMNS).with_columns(fold=pl.lit(file.parent.name)) for file in files]
    return pl.concat(tables) if tables else None


def _read_laziness(path: Path) -> pl.DataFrame | None:
    if not path.is_file():
        return None
    trace = read_table(path, LAZINESS_COLUMNS)
    return None if trace.is_empty() else trace
