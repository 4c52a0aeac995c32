"""A small cache with every kind of element in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column, ModalitySpec, StagedCache, Task

REPORTS = np.array([2, 0, 3], dtype=np.int64)  # samples 10 and 30 have reports
EHR_TIME = np.array([2, 4, 6, 2, 4], dtype=np.float32)


def report_values() -> np.ndarray:
    return np.arange(5 * 4, dtype=np.float16).reshape(5, 4)


def ehr_values() -> np.ndarray:
    values = np.arange(5 * 2, dtype=np.float32).reshape(5, 2)
    values[0, 0] = np.nan
    return values


def stage(path: Path, reports: np.ndarray | None = None, *, split: bool = True) -> StagedCache:
    """Stage three samples (ids 10, 20, 30) with reports, an EHR, a task, a quarantine and a split."""
    reports = report_values() if reports is None else reports
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "sample": [0, 2, 2],
            "first_row": [0, 2, 4],
            "rows": [2, 2, 1],
            "time": pl.Series([1.0, 5.0, 50.0], dtype=pl.Float32),
            "digest": ["d1", "d2", "d3"],
            "view_position": ["AP", "PA", None],
        }
    )
    report_time = np.array([1, 1, 5, 5, 50], dtype=np.float32)
    columns = (Column("Heart Rate", "beats/min", "Heart Rate"), Column("mask", "", "Heart Rate", "mask"))
    y = np.array([[0], [1], [np.nan]], dtype=np.float32)
    staged = (
        StagedCache(path, "toy", {"omnifuse": "0"})
        .add_samples(
            pl.DataFrame({"sample_id": [10, 20, 30], "subject_id": ["x", "y", "y"], "age": [60.5, None, 41.0]})
        )
        .add_modality(
            ModalitySpec("rep", "embedding", "token", {"encoder": "toy"}), REPORTS, 4, [reports], report_time, items
        )
        .add_modality(
            ModalitySpec("ehr", "timeseries", "2-hour bin", {"bin_hours": 2.0}, columns),
            np.array([3, 2, 0]),
            2,
            [ehr_values()[:1], ehr_values()[1:]],
            EHR_TIME,
        )
        .add_task(
            Task("mortality", "binary", ("died",), y, 48.0, {"rep": {"rows": "last"}}, (("adults", 3), ("48 h", 2)))
        )
        .add_quarantine(
            pl.DataFrame(
                {"stage": ["plan"], "source": ["t.csv"], "where": ["row 3"], "value": ["x"], "reason": ["bad"]}
            ),
            pl.DataFrame({"stage": ["plan"], "source": ["t.csv"], "reason": ["bad"], "count": [7]}),
        )
    )
    if split:
        staged.add_split("published", pl.DataFrame({"sample_id": [10, 20, 30], "part": ["train", "train", "test"]}))
    return staged


@pytest.fixture
def cache_path(tmp_path: Path) -> Path:
    """A complete toy cache."""
    path = tmp_path / "cache"
    stage(path).commit({"cohort": {"limit": None}})
    return path


@pytest.fixture
def staged() -> Callable[..., StagedCache]:
    """The function that stages the toy cache."""
    return stage
