"""The parameters of the records: whose modality, unit, and the range that a patient can have."""

from functools import cache
from importlib.resources import files

import polars as pl


@cache
def variables() -> pl.DataFrame:
    """Return parameter, modality, unit, low and high of every parameter that is read."""
    table = pl.read_csv(files(__package__).joinpath("variables.csv").read_bytes())
    return table.with_columns(pl.col("unit").fill_null(""))


def parameters(modality: str) -> pl.DataFrame:
    """Return the parameters of a modality, in column order."""
    return variables().filter(pl.col("modality") == modality)
