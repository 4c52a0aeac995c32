"""What a run says of a cache: predictions, and what whoever uses them should know first."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError, Task, digest, digest_file
from ..files import whole_file
from ..inputs.batches import Cohort, Source
from ..inputs.normalisation import Normaliser
from ..inputs.series import observed_cells
from ..inputs.statistics import STATISTICS
from ..training.model import OVERRIDES_FILE
from .folder import RunFolder
from .unseen import MEAN, OUT_OF_FOLD, SEEN

FORMATS = (".parquet", ".csv", ".json")
"""Endings of a file of predictions; each is written as what it is called."""

DEVIATIONS = 10 / 3
"""Where only mean and deviation of the training rows are known: their range is taken to end so far from the mean. With
as much again as the range is wide on either side, what is far is 10 deviations away."""

RUN_DIGITS = 12
"""Digits of the run's digest in the column ``run``."""

MOST_NAMED = 20
"""Columns that are named in messages; all of them are in the answer."""

MOST, HARDLY_ANY, FEWEST_LABELS = (0.05, 0.95), 0.1, 20
"""Labels are in another unit, most likely, if fewer than a tenth lie where nine tenths of the training's do."""

FloatArray = npt.NDArray[np.floating[Any]]
Ranges = Mapping[str, tuple[FloatArray, FloatArray]]
"""Lowest and highest value [V] of each value column that training rows had, by modality."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outside:
    """A column with values far outside of what the models were trained on.

    ``samples`` have such a value; ``low`` and ``high`` were the bounds in training, ``furthest`` is the worst value.
    """

    modality: str
    column: str
    samples: int
    low: float
    high: float
    furthest: float

    def __str__(self) -> str:
        return (
            f"{self.modality}, {self.column}: values up to {self.furthest:g} (samples: {self.samples:,}) are far "
            f"outside those in training, {self.low:g} to {self.high:g}. Another unit, or an error?"
        )


@dataclass(frozen=True)
class Answer:
    """Predictions, columns as in `Run.predict`; ``run`` is the digest of the run that made them.

    ``other_cache``: whether they are of another cache than the run was trained on. ``sets`` has the same rows: sets of
    classes, or bounds of quantities, that hold the truth with the chance that metrics.json has as the ``level`` (see
    `prediction_sets`); no column where the run has none.
    """

    table: pl.DataFrame
    run: str
    other_cache: bool
    outside: tuple[Outside, ...]
    unlike: str | None = None
    """How labels of the cache differ from those of the training, where they hardly overlap."""
    sets: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def models(self) -> dict[str, int]:
        """How many samples were answered by whom, in the words of `fusion.unseen`."""
        return {who: int((self.table["models"] == who).sum()) for who in (OUT_OF_FOLD, MEAN, SEEN)}

    def __str__(self) -> str:
        said = {
            OUT_OF_FOLD: "by the model of the fold that tested their subject",
            MEAN: "by the mean of the models",
            SEEN: "by models that were trained on their subject",
        }
        return ", ".join(f"{count:,} {said[who]}" for who, count in self.models.items() if count)

    def warnings(self) -> Iterator[str]:
        """Yield what must be known before these predictions are used, in sentences."""
        count = self.models
        if count[SEEN]:
            yield (
                f"{count[SEEN]:,} of {self.table.height:,} samples are of subjects that the run was trained on, and no "
                "model of it was not: they look better predicted than new patients would be."
            )
        if self.other_cache and count[OUT_OF_FOLD]:
            yield (
                f"{count[OUT_OF_FOLD]:,} of {self.table.height:,} samples have subject ids that the run knows from "
                "another cache. They are taken for the same people, each predicted by the one model that was not "
                "trained on them: the mean of all models would look better than it is. If they are others, give them "
                "ids of their own."
            )
        if self.unlike:
            yield self.unlike
        yield from map(str, self.outside[:MOST_NAMED])
        if (more := len(self.outside) - MOST_NAMED) > 0:
            yield f"{more:,} further columns have values far outside the training range."

    def to_json(self) -> dict[str, Any]:
        """Return what is known of the predictions, without them."""
        outside = [
            {name: None if value in (np.inf, -np.inf) else value for name, value in asdict(column).items()}
            for column in self.outside
        ]
        known = {"samples": self.table.height, "run_digest": self.run, "models": self.models}
        return {**known, "outside_training_range": outside, "warnings": list(self.warnings())}

    def write(self, path: Path) -> None:
        """Write predictions and sets, whole or not at all; the last column, ``run``, begins the digest of the run.

        Raises
        ------
        InputError
            As `check_ending`.
        """
        run = pl.lit(f"run-{self.run[:RUN_DIGITS]}")  # digits alone may be a number
        table = self.table.hstack(self.sets).with_columns(run=run)
        ending = check_ending(path)
        with whole_file(path) as file:
            if ending == ".parquet":
                table.write_parquet(file)
            elif ending == ".csv":
                table.write_csv(file)
            else:
                file.write(table.write_json().encode())


def check_ending(path: Path) -> str:
    """Return the ending of a file of predictions; raises `InputError` if it is none of `FORMATS`, or a folder."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"{path}: predictions are written as {', '.join(FORMATS)}; give a file with such an ending.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    return ending


def answer(
    run: RunFolder,
    table: pl.DataFrame,
    cohort: Cohort,
    ranges: Sequence[Ranges],
    *,
    other_cache: bool,
    trained: FloatArray | None = None,
    drop: Iterable[str] = (),
    sets: pl.DataFrame | None = None,
) -> Answer:
    """Return predictions of a cohort with what is to be known of them, which is logged as warnings, too.

    ``ranges`` of each of the run's models; ``trained`` labels [n, C] of the run, as in `Task`; ``drop`` names
    modalities that were not looked at; ``sets`` as in `Answer`.
    """
    shown = {name: source for name, source in cohort.sources.items() if name not in drop}
    outside = tuple(column for name, source in shown.items() for column in _outside(name, source, ranges))
    unlike = None if trained is None else next(_unlike(cohort.task, trained), None)
    sets = pl.DataFrame() if sets is None else sets
    answered = Answer(table, run_digest(run), other_cache, outside, unlike, sets)
    for line in answered.warnings():
        logger.warning("Warning: %s", line)
    return answered


def _unlike(task: Task, trained: FloatArray) -> Iterator[str]:
    """Yield the quantities, or times to an event, of which hardly one is like those [n, C] that were trained on."""
    columns = {"regression": len(task.labels), "survival": 1}.get(task.kind, 0)
    for label, found, known in zip(task.labels[:columns], task.y.T, trained.T, strict=False):
        found, known = (values[~np.isnan(values)].astype(np.float64) for values in (found, known))
        if min(len(found), len(known)) < FEWEST_LABELS:
            continue
        low, high = np.quantile(known, MOST)
        if ((found >= low) & (found <= high)).mean() < HARDLY_ANY:
            lowest, highest = np.quantile(found, MOST)
            yield (
                f"{label}: nine tenths of the labels of this cache lie between {lowest:g} and {highest:g}, of those in "
                f"training between {low:g} and {high:g}. Another unit?"
            )


def run_digest(run: RunFolder) -> str:
    """Return the digest of all that decides what a run predicts: its settings and its models."""
    models = sorted(run.folds.rglob("*.safetensors")) + sorted(run.folds.rglob(OVERRIDES_FILE))
    files = [run.config, *models]
    return digest({file.relative_to(run.path).as_posix(): digest_file(file) for file in files})


def trained_ranges(cohort: Cohort, normaliser: Normaliser) -> Ranges:
    """Return the range of every value column in the training rows of a model, as far as its normaliser knows it.

    Embeddings are left out: what made them is the same, or the cache is refused.
    """
    found = {name: _range(name, source, normaliser) for name, source in cohort.sources.items()}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def _range(name: str, source: Source, normaliser: Normaliser) -> tuple[FloatArray, FloatArray] | None:
    if source.kind == "embedding":
        return None
    if name in normaliser.summaries:
        lowest, highest = normaliser.summaries[name].quantiles[[0, -1]]  # [F]
        if source.kind == "features":
            return lowest, highest
        of_each = (-1, len(STATISTICS))  # F = V * 17
        low, high = STATISTICS.index("min"), STATISTICS.index("max")
        return lowest.reshape(of_each)[:, low], highest.reshape(of_each)[:, high]
    values = _value_columns(source)
    scale, shift = normaliser.rows[name].scale[values], normaliser.rows[name].shift[values]
    return (-DEVIATIONS - shift) / scale, (DEVIATIONS - shift) / scale


def _value_columns(source: Source) -> list[int]:
    """Return the positions of the columns that hold quantities, in the order of a `Summary`."""
    roles = [column.role for column in source.columns] or ["value"] * source.rows.dim
    return [position for position, role in enumerate(roles) if role == "value"]


def _outside(name: str, source: Source, ranges: Sequence[Ranges]) -> Iterator[Outside]:
    """Yield the columns with a value beyond the range of all models by more than that is wide."""
    if name not in ranges[0] or not len(source.rows):
        return
    lowest = np.fmin.reduce([one[name][0] for one in ranges])
    highest = np.fmax.reduce([one[name][1] for one in ranges])
    known = observed_cells(source)
    sample = np.repeat(np.arange(len(source.rows)), source.rows.lengths)  # [R]
    for position, low, high in zip(_value_columns(source), lowest.tolist(), highest.tolist(), strict=True):
        values = source.rows.values[:, position].astype(np.float64)
        room = (high - low) or max(abs(low), 1.0)  # a column that never changed in training
        far = known[:, position] & ((values < low - room) | (values > high + room))
        if far.any():
            furthest = values[far][np.argmax(np.abs(values[far] - (low + high) / 2))]
            column = source.columns[position].name if source.columns else f"column {position}"
            yield Outside(name, column, len(np.unique(sample[far])), low, high, float(furthest))
