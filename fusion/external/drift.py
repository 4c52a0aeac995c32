"""What is different at another site: outcomes, and the values of every column, beside where a run was trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ..inputs.described import ROWS, SCHEMA, spread
from ..runs.stored_predictions import Predictions

OUTCOME = "outcome"
"""Stands for a modality where what is described is what happened."""

NOTABLE = 0.25
"""A standardised difference of means, or a difference of shares, from which on it is worth a look; a convention."""

KEY = ["modality", "column", "unit"]


def describe_outcomes(predicted: Predictions, names: Sequence[str]) -> pl.DataFrame:
    """Return a row for each label, of classes how many have it, as `describe_columns` does of columns."""
    rows = []
    for name, values in zip(names, predicted.y.T, strict=True):
        known = values[~np.isnan(values)].astype(np.float64)
        rows.append((OUTCOME, name, "", len(values), len(values), len(known), *spread(known)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def drift(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """Return every described column of some samples beside that of the training rows, the largest difference first.

    Both as `describe_columns` and `describe_outcomes` return them, ``there`` of the training. ``*_here`` and
    ``*_there``: ``share``, of all samples, that know the column, ``mean`` and ``sd`` over these. ``difference`` is that
    of the means in standard deviations, pooled over both (Austin, Statistics in Medicine 28:3083, 2009), of a column
    that never varies infinite; ``share_difference`` that of the shares; ``size`` the larger of their amounts, by which
    they are sorted.
    """
    both = here.join(there, on=KEY, how="inner", suffix="_there", maintain_order="left")
    named = both.rename({name: f"{name}_here" for name in ("mean", "sd", "low", "high")})
    pooled = ((pl.col("sd_here") ** 2 + pl.col("sd_there") ** 2) / 2).sqrt()
    apart = pl.col("mean_here") - pl.col("mean_there")
    return (
        named.with_columns(
            share_here=pl.col("known") / pl.col("samples"),
            share_there=pl.col("known_there") / pl.col("samples_there"),
            difference=pl.when(apart == 0).then(0.0).otherwise(apart / pooled),
        )
        .with_columns(share_difference=pl.col("share_here") - pl.col("share_there"))
        .with_columns(size=pl.max_horizontal(pl.col("difference", "share_difference").abs()))
        .select(
            *KEY, "difference", "mean_here", "sd_here", "mean_there", "sd_there", "low_here", "high_here", "low_there",
            "high_there", "share_difference", "share_here", "share_there", "size",
        )
        .sort("size", descending=True, nulls_last=True, maintain_order=True)
    )  # fmt: skip


def notable(found: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `drift` that are worth a look."""
    return found.filter(pl.col("size") >= NOTABLE)


def in_words(row: dict[str, object]) -> str:
    """Return a row of `drift` as the name of what differs, for a sentence."""
    column = f"{row['modality']}, {row['column']}"
    return column if row["column"] == ROWS or not row["unit"] else f"{column} ({row['unit']})"
