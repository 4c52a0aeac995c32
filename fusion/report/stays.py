"""Predictions along a stay: how what is predicted changes, and what arrived when."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ..inputs.batches import Cohort
from ..runs.stored_predictions import Predictions
from ..training.predictions import HOURS

MOST_ARRIVALS = 200
"""Of more times than this at which rows of a modality arrived, so many are drawn, evenly among them."""


def along_stays(
    everything: pl.DataFrame, predictions: Predictions, table: pl.DataFrame, cohort: Cohort | None
) -> dict[str, Any]:
    """Return of a ``table`` of some predictions the stay of each, its hour, and what there is of every such stay.

    ``everything`` is the table of all, and ``predictions`` the same as arrays.

    ``stay`` [n] indices and ``hour`` [n] of the rows; ``stays`` with the ``hours`` [T], ``p`` and ``y`` [C][T] of all
    predictions, and the hours ``arrived`` of each modality's rows, empty without a cohort. Nothing for a run whose
    samples have one prediction each.
    """
    if HOURS not in everything.columns:
        return {}
    samples, stay = np.unique(table["sample_id"].to_numpy(), return_inverse=True)
    place = pl.DataFrame(
        {"sample_id": pl.Series(samples, dtype=table.schema["sample_id"]), "stay": range(len(samples))}
    )
    whole = everything.select("sample_id", HOURS).with_row_index("row").join(place, on="sample_id").sort("row")
    parts = whole.partition_by("stay", as_dict=True)
    stays = []
    arrived = _arrivals(cohort, samples)
    for number in range(len(samples)):
        rows = parts[number,]["row"].to_numpy()
        stays.append(
            {
                "hours": _short(parts[number,][HOURS].to_numpy()),
                "p": _short(predictions.p[rows].T),
                "y": _short(predictions.y[rows].T),
                "arrived": arrived[number],
            }
        )
    return {"stay": stay.tolist(), "hour": _short(table[HOURS].to_numpy()), "stays": stays}


def _arrivals(cohort: Cohort | None, samples: np.ndarray[Any, Any]) -> list[list[list[Any]]]:
    """Return of each sample the hours at which rows of each modality became known, [n][M]."""
    if cohort is None or cohort.queries is None:
        return [[] for _ in samples]
    ids, first = np.unique(cohort.sample_id, return_index=True)
    number = cohort.queries.sample[first[np.searchsorted(ids, samples)]]  # [n] in the cache
    return [
        [_times(source.rows.time, source.rows.offsets[n : n + 2]) for source in cohort.sources.values()] for n in number
    ]


def _times(time: np.ndarray[Any, Any], edges: np.ndarray[Any, Any]) -> list[Any]:
    known = np.unique(time[edges[0] : edges[1]])
    known = known[np.isfinite(known)]
    chosen = np.linspace(0, len(known) - 1, min(len(known), MOST_ARRIVALS)).astype(int)
    return _short(known[chosen])


def _short(values: np.ndarray[Any, Any]) -> list[Any]:
    """Return numbers with four decimals as lists, None for what is not finite."""
    rounded = np.round(values.astype(np.float64), 4).astype(object)
    rounded[~np.isfinite(values)] = None
    return list(rounded.tolist())
