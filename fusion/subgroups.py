"""Who a model works for: groups of samples by sex, age and unit, which no model ever sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from . import metrics
from .metrics import FloatArray

Groups = dict[str, npt.NDArray[np.str_]]
"""Of each grouping the group of every sample, [N]."""

CATEGORIES = ("sex", "gender", "first_careunit", "icu_type")
"""Columns of a cohort whose values are groups, whatever their case."""

AGE = "age"
AGE_BOUNDS = (45, 65, 80)
AGE_BANDS = ("0-44", "45-64", "65-79", "80+")
"""Bands of the age in years, whose text sorts as they do."""

MOST_VALUES = 12
"""A column with more values than this is no grouping."""

UNKNOWN = "unknown"


def groups_of(samples: pl.DataFrame) -> Groups:
    """Return the groupings that the descriptive columns of a cohort allow; those with a single group say nothing."""
    found: Groups = {}
    for column in samples.get_columns():
        name = column.name.lower()
        if name == AGE:
            found[name] = _age_bands(column)
        elif name in CATEGORIES:
            found[name] = column.cast(pl.String).fill_null(UNKNOWN).to_numpy().astype(np.str_)
    return {name: groups for name, groups in found.items() if 2 <= len(np.unique(groups)) <= MOST_VALUES}


def _age_bands(ages: pl.Series) -> npt.NDArray[np.str_]:
    years = ages.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    bands = np.array(AGE_BANDS)[np.digitize(years, AGE_BOUNDS)]
    return np.where(np.isnan(years), UNKNOWN, bands)


def per_subgroup(groups: Mapping[str, npt.NDArray[np.str_]], y: FloatArray, p: FloatArray) -> list[dict[str, Any]]:
    """Return AUROC and observed over expected positives of every group.

    ``groups`` [n], binary ``y`` [n] and ``p`` [n] of the same samples, those of all folds together.
    """
    return [
        {
            "group": name,
            "value": value,
            "samples": int(inside.sum()),
            "positives": int(np.nansum(y[inside])),
            "auroc": metrics.auroc(y[inside], p[inside]),
            **_ratio(y[inside], p[inside]),
        }
        for name, value, inside in _each(groups)
    ]


def _each(groups: Mapping[str, npt.NDArray[np.str_]]) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for name, of_sample in groups.items():
        for value in np.unique(of_sample):
            yield name, str(value), of_sample == value


def _ratio(y: FloatArray, p: FloatArray) -> dict[str, Any]:
    found = metrics.calibration(y, p)
    return {name: found[name] for name in ("observed_expected", "observed_expected_ci")}
