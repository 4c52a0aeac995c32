"""A small cohort of three modalities, in memory and as a cache."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column, ModalitySpec, RaggedArray, StagedCache, Task, offsets_of
from omnifuse.fusion.inputs.batches import Cohort, Source

SERIES = (
    Column("pulse", "bpm", "pulse"),
    Column("pulse mask", "", "pulse", "mask"),
    Column("lactate", "mmol/L", "lactate"),
    Column("lactate mask", "", "lactate", "mask"),
)
FEATURES = (Column("age", "years", "age"), Column("height", "cm", "height"))
KINDS = {"ehr": ("timeseries", SERIES), "rep": ("embedding", ()), "static": ("features", FEATURES)}


@dataclass(frozen=True)
class Signal:
    """What the label does to the values: ``strength`` 0 makes them noise."""

    strength: float = 1.0
    kind: str = "binary"
    samples: int = 60
    seed: int = 0
    positives: int | None = None  # the number of positives, about 40 % if None
    flip_labels: bool = False  # the same values with contrary labels
    first_id: int = 0  # of samples, and of subjects


def make_rows(signal: Signal) -> tuple[dict[str, RaggedArray], np.ndarray]:
    """Return rows of the three modalities and labels y [N, C]; every sample has features, some lack the others."""
    rng = np.random.default_rng(signal.seed)
    count = signal.samples
    y = (rng.random((count, 1)) < 0.4).astype(np.float32)
    if signal.positives is not None:
        y[:, 0] = np.arange(count) < signal.positives
    shift = signal.strength * y[:, 0]
    lengths = {"ehr": rng.integers(0, 7, count), "rep": rng.integers(0, 4, count), "static": np.ones(count, dtype=int)}
    rows = {}
    for name, width in (("ehr", 4), ("rep", 6), ("static", 2)):
        number = lengths[name]
        values = rng.normal(size=(number.sum(), width)) + np.repeat(shift, number)[:, None]
        rows[name] = RaggedArray(values.astype(np.float32), offsets_of(number), _hours(number))
    _measure_some(rows["ehr"].values, rng)
    rows["static"].values[rng.random(rows["static"].values.shape) < 0.1] = np.nan
    rows["rep"] = replace(rows["rep"], values=rows["rep"].values.astype(np.float16))
    return rows, labels(1 - y if signal.flip_labels else y, signal.kind, rng)


def _hours(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([2.0 * np.arange(1, n + 1) for n in lengths] + [[]]).astype(np.float32)


def _measure_some(values: np.ndarray, rng: np.random.Generator) -> None:
    values[:, 1::2] = rng.random(values[:, 1::2].shape) < 0.7
    values[:, ::2][(values[:, 1::2] == 0) & (rng.random(values[:, ::2].shape) < 0.5)] = np.nan


def labels(y: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return y [N, 1] as labels of another kind: two with some unknown, three classes, days, or time and event."""
    if kind == "regression":
        return (10 + 4 * y + rng.normal(size=y.shape)).astype(np.float32)
    if kind == "survival":
        time, lost = rng.exponential(10 - 6 * y), rng.uniform(2, 30, y.shape)
        return np.concatenate([np.minimum(time, lost), time <= lost], axis=1).astype(np.float32)
    if kind == "multilabel":
        second = np.where(rng.random(y.shape) < 0.2, np.nan, 1 - y)
        return np.concatenate([y, second], axis=1).astype(np.float32)
    return np.where(rng.random(y.shape) < 0.3, 2, y).astype(np.float32) if kind == "multiclass" else y


def make_task(y: np.ndarray, kind: str = "binary", window_hours: float | None = 12.0) -> Task:
    """Return a task called ``outcome``."""
    names = {
        "binary": ("outcome",),
        "multilabel": ("first", "second"),
        "multiclass": ("a", "b", "c"),
        "regression": ("days",),
        "survival": ("time", "event"),
    }[kind]
    unit = "d" if kind in ("regression", "survival") else ""
    return Task("outcome", kind, names, y, window_hours, counts=(("everyone", len(y)),), unit=unit)


def make_cohort(signal: Signal) -> Cohort:
    """Return the cohort that loading the cache of the same signal would give; two samples a subject."""
    rows, y = make_rows(signal)
    sources = {name: Source(*KINDS[name], rows[name]) for name in KINDS}
    ids = np.arange(len(y))
    return Cohort(make_task(y, signal.kind), ids, ids // 2, y, sources)


def write_cache(
    path: Path, signal: Signal, split: pl.DataFrame | None, recipe: int, rows_and_labels: Any = None,
    described: pl.DataFrame | None = None,
) -> Path:  # fmt: skip
    """Write the cohort of a signal as a cache, or other rows and labels; ``described``: more columns of samples."""
    rows, y = rows_and_labels or make_rows(signal)
    staged = StagedCache(path, "toy", {})
    ids = np.arange(len(y))
    samples = pl.DataFrame({"sample_id": ids, "subject_id": ids // 2}) + signal.first_id
    staged.add_samples(samples if described is None else samples.hstack(described))
    for name, (kind, columns) in KINDS.items():
        spec = ModalitySpec(name, kind, "row", {"encoder": name, "version": recipe}, columns)
        ragged = rows[name]
        staged.add_modality(spec, ragged.lengths, ragged.dim, [ragged.values], ragged.time)
    staged.add_task(make_task(y, signal.kind))
    if split is not None:
        staged.add_split("given", split)
    staged.commit({})
    return path


@pytest.fixture(scope="session")
def toy_cohort() -> Callable[..., Cohort]:
    """Return the maker of cohorts: arguments are those of `Signal`."""
    return lambda **signal: make_cohort(Signal(**signal))


@pytest.fixture(scope="session")
def toy_cache() -> Callable[..., Path]:
    """Return the maker of caches: a path, a split, a recipe version, and arguments of `Signal`."""

    def write(
        path: Path, split: pl.DataFrame | None = None, recipe: int = 1, described: pl.DataFrame | None = None,
        **signal: object,
    ) -> Path:  # fmt: skip
        return write_cache(path, Signal(**signal), split, recipe, described=described)

    return write
