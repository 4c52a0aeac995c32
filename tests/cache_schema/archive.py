"""The cache that every schema version keeps in ``tests/data/archives``: one of each element, with awkward values.

    python -m tests.cache_schema.archive tests/data/archives/version-N.zip

writes it with the present code; once, when the schema version has been raised, and never again for that version.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
from omnifuse.cache_schema import Column, ModalitySpec, StagedCache, Task

SAMPLES = pl.DataFrame(
    {
        "sample_id": ["a/1", "b 2", "丙"],
        "subject_id": [-7, 2**40, 2**40],
        "age": [60.5, None, 41.0],
        "sex": ["F", None, ""],
        "emergency": [True, False, None],
    }
)
ITEMS = pl.DataFrame(
    {
        "item_id": ["x", "y", "z"],
        "sample": [0, 2, 2],
        "first_row": [0, 2, 4],
        "rows": [2, 2, 1],
        "time": pl.Series([1.0, None, 50.0], dtype=pl.Float32),
        "digest": ["d1", "d2", "d3"],
        "view_position": ["AP", None, "PA"],
    }
)
SERIES = (Column("Heart Rate", "beats/min", "Heart Rate"), Column("mask->Heart Rate", "", "Heart Rate", "mask"))
SPECS = {
    "rep": ModalitySpec("rep", "embedding", "one token", {"encoder": {"name": "toy", "dim": 4}, "tolerance": 0.05}),
    "ehr": ModalitySpec("ehr", "timeseries", "2 hours", {"bin_hours": 2.0, "rules": ["a", "b"]}, SERIES),
    "num": ModalitySpec("num", "features", "one row", {"source": None}, (Column("Na", "mmol/L", "Na"),)),
    "empty": ModalitySpec("empty", "embedding", "one image", {}),
}
LENGTHS = {"rep": [2, 0, 3], "ehr": [1, 2, 0], "num": [1, 0, 1], "empty": [0, 0, 0]}
VALUES = {
    "rep": np.array(
        [[0, -0.0, 65504, 6e-8], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [0.5, 0.25, 0.125, -1]], np.float16
    ),
    "ehr": np.array([[np.nan, 0], [80, 1], [1e-30, 0]], np.float32),
    "num": np.array([[140], [np.nan]], np.float32),
    "empty": np.empty((0, 8), np.float16),
}
TIMES = {
    "rep": np.array([1, 1, np.nan, np.nan, 50], np.float32),
    "ehr": np.array([2, 2, 4], np.float32),
    "num": np.array([0, np.nan], np.float32),
    "empty": np.empty(0, np.float32),
}
LATEST = {"rep": {"rows": "last", "where": {"view_position": ["AP", "PA"]}}}
TASKS = (
    Task("death", "binary", ("died",), np.array([[0], [1], [np.nan]], np.float32), 48.0, LATEST, (("all", 3),)),
    Task("codes", "multilabel", ("早", "late"), np.array([[0, 1], [np.nan, 1], [1, 0]], np.float32)),
    Task("grade", "multiclass", ("low", "mid", "high"), np.array([[2], [0], [np.nan]], np.float32), 24.0),
    Task(
        "stay", "binary", ("long",), np.array([[1], [0], [0]], np.float32),
        sample=np.array([0, 0, 2]), time=np.array([5, 6, 5], np.float32),
    ),
)  # fmt: skip
TASKS_SINCE_2 = (
    Task(
        "gaps", "regression", ("albumin", "lactate"), np.array([[-1.5, 0], [np.nan, 9e9], [np.nan] * 2], np.float32),
        24.0, history_hours=48.0, unit="mg/dL",
    ),
    Task(
        "leaving", "regression", ("hours",), np.array([[3.25], [2.25]], np.float32),
        sample=np.array([1, 1]), time=np.array([1, 2], np.float32), unit="h",
    ),
    Task(
        "survival", "survival", ("time", "event"), np.array([[12.5, 1], [365, 0], [np.nan, np.nan]], np.float32),
        0.0, history_hours=None, unit="d",
    ),
)  # fmt: skip
"""Kinds of tasks, and fields, that a cache has had since schema version 2."""
SPLIT = pl.DataFrame({"sample_id": ["a/1", "b 2", "丙"], "part": ["train", "validation", "test"]})
QUARANTINE = pl.DataFrame(
    {"stage": ["plan"], "source": ["t.csv"], "where": ["row 3"], "value": ["x"], "reason": ["no number"]}
)
QUARANTINE_COUNTS = pl.DataFrame({"stage": ["plan"], "source": ["t.csv"], "reason": ["no number"], "count": [7]})
COUNTS = pl.DataFrame(
    {
        "scope": ["cohort"],
        "step": ["adults"],
        "unit": ["stays"],
        "count": [3],
        "published": pl.Series([None], dtype=pl.Int64),
        "source": pl.Series([None], dtype=pl.String),
    }
)
KEYS = {"cohort": {"limit": None, "inputs": {"t.csv": "0" * 64}}}


def write(path: Path) -> None:
    """Write the cache."""
    staged = StagedCache(path, "archive", {"omnifuse": "0.1.0"}).add_samples(SAMPLES)
    for name, spec in SPECS.items():
        items = ITEMS if name == "rep" else None
        values = VALUES[name]
        staged.add_modality(spec, np.array(LENGTHS[name]), values.shape[1], [values], TIMES[name], items)
    for task in (*TASKS, *TASKS_SINCE_2):
        staged.add_task(task)
    staged.add_split("published", SPLIT).add_quarantine(QUARANTINE, QUARANTINE_COUNTS).add_counts(COUNTS).commit(KEYS)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(sys.argv[1], "x", zipfile.ZIP_DEFLATED) as archive:
        write(Path(folder) / "cache")
        for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(folder))
