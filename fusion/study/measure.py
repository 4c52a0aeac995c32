"""What is asked of a cell's models after the training; each answer is a table in the cell's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ..explain.combinations import combination_scores
from ..explain.embedding_map import embedding_map
from ..explain.missing_curves import drawn_predictions, missing_curves
from ..files import whole_file
from ..runs.replay import Replay
from .cell import Measurement


def mapped(replay: Replay) -> pl.DataFrame:
    """Return the points of `embedding_map`, each with the similarity of its modality."""
    points, similarity = embedding_map(replay)
    return points.join(similarity, on="modality", how="left", maintain_order="left")


DRAWN = "drawn_predictions"

MEASUREMENTS: dict[str, Callable[..., pl.DataFrame]] = {
    "combinations": combination_scores,
    DRAWN: drawn_predictions,
    "embedding_map": mapped,
    "missing_curves": missing_curves,
}


def measure(run: Path, cache: Path, measurement: Measurement) -> None:
    """Ask the models of a run, and write the answer beside them under its own name when it is complete."""
    replay = Replay.open(run, cache, complete=measurement.name == DRAWN)
    table = MEASUREMENTS[measurement.name](replay, **dict[str, Any](measurement.arguments))
    path = run / measurement.file
    with whole_file(path) as file:
        table.write_parquet(file)
