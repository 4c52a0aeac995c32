"""Groups of samples by sex, age, race, language, insurance and unit, which no model ever sees."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

Groups = dict[str, npt.NDArray[np.str_]]
"""Of each grouping the group of every sample, [N]."""

CATEGORIES = ("sex", "gender", "first_careunit", "icu_type", "insurance")
"""Columns of a cohort whose values are groups, whatever their case."""

AGE = "age"
AGE_BOUNDS = (45, 65, 80)
AGE_BANDS = ("0-44", "45-64", "65-79", "80+")
"""Bands of the age in years, whose text sorts as they do."""

RACE = ("race", "ethnicity")
RACES = {
    "white": r"^WHITE",
    "Black": r"^BLACK|^CARIBBEAN",
    "Hispanic": r"^HISPANIC|^SOUTH AMERICAN",
    "Asian": r"^ASIAN",
    "native": r"^AMERICAN INDIAN|^NATIVE",
}
"""Broad groups of what MIMIC writes as race; any other is ``other``. Studies of MIMIC draw these lines differently."""

LANGUAGE = "language"
ENGLISH = r"^ENGL"

NOT_SAID = r"^$|^\?$|UNKNOWN|UNABLE|DECLINED|NOT SPECIFIED"
UNKNOWN, OTHER = "unknown", "other"

MOST_VALUES = 12
"""A column with more values than this is no grouping."""


def groups_of(samples: pl.DataFrame) -> Groups:
    """Return the groupings that the descriptive columns of a cohort allow; those with a single group say nothing."""
    found: Groups = {}
    for column in samples.get_columns():
        name = column.name.lower()
        if name == AGE:
            found[name] = _age_bands(column)
        elif name in CATEGORIES:
            found[name] = column.cast(pl.String).fill_null(UNKNOWN).to_numpy().astype(np.str_)
        elif name in RACE:
            found[name] = _broad(column, RACES)
        elif name == LANGUAGE:
            found[name] = _broad(column, {"English": ENGLISH})
    return {name: groups for name, groups in found.items() if 2 <= len(np.unique(groups)) <= MOST_VALUES}


def _age_bands(ages: pl.Series) -> npt.NDArray[np.str_]:
    years = ages.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    bands = np.array(AGE_BANDS)[np.digitize(years, AGE_BOUNDS)]
    return np.where(np.isnan(years), UNKNOWN, bands)


def _broad(column: pl.Series, patterns: Mapping[str, str]) -> npt.NDArray[np.str_]:
    """Return the first group whose pattern a text has, ``unknown`` where it says nothing, else ``other``."""
    texts = column.cast(pl.String).fill_null("").str.strip_chars().str.to_uppercase()
    groups = np.where(texts.str.contains(NOT_SAID).to_numpy(), UNKNOWN, OTHER)
    for group, pattern in reversed(list(patterns.items())):
        groups = np.where(texts.str.contains(pattern).to_numpy(), group, groups)
    return groups
