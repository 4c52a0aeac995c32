"""The 17 variables of the ICU benchmark, the items that measure them, and the 76 columns they become.

Harutyunyan et al. 2019, Multitask learning and benchmarking with clinical time series data. The spelling of names and
categories is the benchmark's: it is part of the column names.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import Column

RESOURCES = Path(str(files(__package__))) / "resources"


@dataclass(frozen=True)
class Limits:
    """Values outside [outlier_low, outlier_high] are errors; the others are cut to [valid_low, valid_high]."""

    outlier_low: float
    valid_low: float
    valid_high: float
    outlier_high: float


@dataclass(frozen=True)
class Variable:
    """One variable: a quantity with a unit and limits, or a choice between categories (in column order).

    ``normal`` stands before the first observation in the benchmark profile; of a categorical variable it is an index
    into ``categories``. ``meanings`` names for every category the one spelling that the clean profile keeps, ``scores``
    its clinical score.
    """

    name: str
    unit: str
    normal: float
    limits: Limits | None
    categories: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Number of value columns."""
        return max(1, len(self.categories))


@cache
def variables() -> tuple[Variable, ...]:
    """Return the 17 variables in column order."""
    categories = pl.read_csv((RESOURCES / "categories.csv").read_bytes(), infer_schema=False)
    table = pl.read_csv((RESOURCES / "variables.csv").read_bytes(), infer_schema=False)
    return tuple(
        _variable(row, categories.filter(pl.col("variable") == row["variable"])) for row in table.iter_rows(named=True)
    )


def _variable(row: dict[str, str], categories: pl.DataFrame) -> Variable:
    names = tuple(categories["category"])
    if names:
        scores = tuple(float(score) for score in categories["score"])
        normal = float(names.index(row["normal"]))
        return Variable(row["variable"], row["unit"], normal, None, names, tuple(categories["meaning"]), scores)
    limits = Limits(*(float(row[name]) for name in ("outlier_low", "valid_low", "valid_high", "outlier_high")))
    return Variable(row["variable"], row["unit"], float(row["normal"]), limits)


@cache
def items() -> pl.DataFrame:
    """Return the items that measure a variable: itemid, variable (index), table, label, item_unit, benchmark, clean.

    ``benchmark`` and ``clean`` say which profile uses the item. The clean profile leaves out urine and other body
    fluids and adds the laboratory items that newer MIMIC-IV releases use.
    """
    index = {variable.name: number for number, variable in enumerate(variables())}
    table = pl.read_csv((RESOURCES / "items.csv").read_bytes(), schema_overrides={"unit": pl.String})
    return table.select(
        "itemid",
        pl.col("variable").replace_strict(index, return_dtype=pl.UInt8),
        "table",
        pl.col("label").str.to_lowercase(),
        pl.col("unit").fill_null("").alias("item_unit"),
        pl.col("benchmark").cast(pl.Boolean),
        pl.col("clean").cast(pl.Boolean),
    )


@cache
def columns() -> tuple[Column, ...]:
    """Return the 76 columns: 59 values and categories, then one mask per variable."""
    values = [column for variable in variables() for column in _value_columns(variable)]
    masks = [Column(f"mask->{variable.name}", "", variable.name, "mask") for variable in variables()]
    return (*values, *masks)


def _value_columns(variable: Variable) -> list[Column]:
    if not variable.categories:
        return [Column(variable.name, variable.unit, variable.name, "value")]
    return [Column(f"{variable.name}->{name}", "", variable.name, "onehot") for name in variable.categories]


@cache
def first_columns() -> npt.NDArray[np.int64]:
    """Return the first value column of each variable ``[17]``."""
    return np.cumsum([0, *(variable.width for variable in variables())])[:-1]
