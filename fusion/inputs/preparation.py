"""What encoders read of each modality, as far as it does not depend on the fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError
from .batches import Cohort, Source
from .prefixes import MeanPrefixes, Prefixes, RowPrefixes, SeriesPrefixes
from .series import Summary, series_steps, series_summary
from .spec import READS_A_VECTOR, READS_ROWS, EncoderConfig
from .statistics import Segments


@dataclass(frozen=True)
class Prepared:
    """What can be computed of one modality before any fold is known: vectors, rows, or both.

    ``rows`` [R, d] raw; of these the columns marked in ``standardised`` [d] bool are shifted and scaled.
    """

    source: Source
    summary: Summary | Prefixes | None
    rows: npt.NDArray[Any] | None
    standardised: npt.NDArray[np.bool_] | None


def prepare(cohort: Cohort, config: EncoderConfig) -> dict[str, Prepared]:
    """Return the vectors and rows that the configured encoders need, per modality; done once for all folds.

    Where predictions share rows, their vectors are made when they are asked for.
    """
    return {name: _prepare(name, source, config, cohort) for name, source in cohort.sources.items()}


def _prepare(name: str, source: Source, config: EncoderConfig, cohort: Cohort) -> Prepared:
    if source.kind == "features":
        return Prepared(source, _single_rows(name, source), None, None)
    encoder: str = getattr(config, source.kind)
    if source.kind == "embedding":
        means = None if encoder in READS_ROWS else _row_means(source)
        if encoder in READS_A_VECTOR:
            return Prepared(source, means, None, None)
        return Prepared(source, means, source.rows.values, np.ones(source.rows.dim, dtype=bool))
    summary = None if encoder in READS_ROWS else _statistics(source, cohort)
    if encoder in READS_A_VECTOR:
        return Prepared(source, summary, None, None)
    steps = series_steps(source)
    values = [column.role == "value" for column in source.columns]
    return Prepared(source, summary, steps, np.array(values + [False] * (steps.shape[1] - len(values))))


def _statistics(source: Source, cohort: Cohort) -> Summary | Prefixes:
    if cohort.queries is None:
        return series_summary(source, cohort.task.window_hours)
    return SeriesPrefixes(source, cohort.queries.hours)


def _single_rows(name: str, source: Source) -> Summary | Prefixes:
    rows = source.rows
    if rows.lengths.max(initial=0) > 1:
        raise InputError(f"Modality {name!r} holds features but a sample has {rows.lengths.max()} rows; expected one.")
    is_share = np.array([column.role != "value" for column in source.columns] or [False] * rows.dim)
    if source.spans is not None:
        return RowPrefixes(source, Summary(rows.values[:, ~is_share], np.nan_to_num(rows.values[:, is_share])))
    vectors = np.full((len(rows), rows.dim), np.nan, dtype=np.float32)
    vectors[rows.present] = rows.values
    return Summary(vectors[:, ~is_share], np.nan_to_num(vectors[:, is_share]))


def _row_means(source: Source) -> Summary | Prefixes:
    if source.spans is not None:
        return MeanPrefixes(source)
    rows, present = source.rows, source.rows.present
    segments = Segments(rows.offsets[:-1][present], rows.lengths[present])
    means = np.full((len(rows), rows.dim), np.nan, dtype=np.float32)
    total = np.add.reduceat(rows.values, segments.starts, axis=0, dtype=np.float32)
    means[present] = total / segments.lengths[:, None]
    return Summary(means, np.zeros((len(rows), 0), dtype=np.float32))
