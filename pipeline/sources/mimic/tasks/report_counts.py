"""What is told of a task's predictions beside its steps: releases, the time to the label's event, and what is seen."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from ....source import FirstHours
from .anchors import Units
from .cached import placed
from .execute import Outcome

SOON_HOURS = 1.0
"""A label event so soon after the prediction may have been under way."""
UNTIL = "time to the label event"
BAND = "by release"
SEEN = "seen by the prediction"
Row = tuple[str, str, int]
"""Step, unit and count."""


def predictions(
    outcome: Outcome, units: Units, stays: pl.DataFrame, bands: pl.DataFrame, first: FirstHours
) -> pl.DataFrame:
    """Return a row for each prediction: subject_id, band, positive, until (hours to the label event), and `SEEN`.

    ``stays`` are the samples, ``bands`` has stay_id and band, ``first`` says from when on there is something of each
    modality. ``positive`` is null where the label is no event. `SEEN` has a field for each modality, null for the
    predictions of no sample.
    """
    frame = units.frame.select("subject_id", "stay_id").join(bands, on="stay_id", how="left", maintain_order="left")
    y = outcome.y
    found = frame.select("subject_id", "band")[outcome.unit].with_columns(
        until=pl.Series(outcome.hours_until).fill_nan(None),
        positive=pl.Series((np.nan_to_num(y) > 0).any(axis=1)),
    )
    sample, hours = placed(outcome, units, stays)
    there = pl.Series(sample >= 0)
    seen = {name: pl.Series(of_sample[np.maximum(sample, 0)] <= hours) for name, of_sample in first.items()}
    return found.with_columns(there.alias("there"), *(series.alias(f"{SEEN} {name}") for name, series in seen.items()))


def report_rows(found: pl.DataFrame, parts: Mapping[str, npt.NDArray[np.int64]], *, events: bool) -> Iterator[Row]:
    """Yield what is told of :func:`predictions`, in all and for each part of a split (its subjects by name).

    ``events``: the label is whether something happens.
    """
    for band in sorted(found["band"].drop_nulls().unique()):
        of_band = found.filter(pl.col("band") == band)
        yield BAND, f"samples, {band}", len(of_band)
        if events:
            yield BAND, f"positive samples, {band}", int(of_band["positive"].sum())
    for part, subjects in {"": None, **parts}.items():
        of_part = found if subjects is None else found.filter(pl.col("subject_id").is_in(subjects.tolist()))
        behind = f", {part}" if part else ""
        for step, unit, count in (*_until(of_part["until"].drop_nulls()), *_seen(of_part.filter("there"))):
            yield step, unit + behind, count


def _until(hours: pl.Series) -> Iterator[Row]:
    """Yield the quartiles of the hours to the label event in minutes, and how often it comes soon."""
    if len(hours):
        for name, share in (("lower quartile", 0.25), ("median", 0.5), ("upper quartile", 0.75)):
            yield UNTIL, f"{name}, minutes", round(float(np.quantile(hours.to_numpy(), share)) * 60)
        yield UNTIL, f"samples within {SOON_HOURS:g} h", int((hours <= SOON_HOURS).sum())


def _seen(found: pl.DataFrame) -> Iterator[Row]:
    columns = [name for name in found.columns if name.startswith(SEEN)]
    for name in columns:
        yield SEEN, f"samples with {name.removeprefix(SEEN).strip()}", int(found[name].sum())
    if columns:
        yield SEEN, "samples without any input", int((~found.select(pl.any_horizontal(columns)).to_series()).sum())
