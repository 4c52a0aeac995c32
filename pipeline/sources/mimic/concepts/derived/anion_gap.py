"""Anion gap of one sample, without potassium, and corrected for albumin.

What the laboratory gives as the anion gap (50868) includes potassium, and is about 4 mEq/L more.
"""

import polars as pl

from .given import DAY, Given, points
from .ingredients import named
from .latest import last_before, of_one_sample

IONS = ("sodium", "chloride", "bicarbonate")
USUAL_ALBUMIN = 4.0
"""g/dL."""
PER_ALBUMIN = 2.5
"""mEq/L of the gap for each g/dL of albumin."""
LOOK_BACK = DAY
"""Seconds before a sample in which an albumin counts."""

of_gap = named(*IONS)
of_corrected = named(*IONS, "albumin")


def without_potassium(given: Given) -> pl.DataFrame:
    """Return sodium - chloride - bicarbonate, in mEq/L."""
    sample = of_one_sample({name: given[name] for name in IONS})
    return points(sample, pl.col("sodium") - pl.col("chloride") - pl.col("bicarbonate"))


def corrected(given: Given) -> pl.DataFrame:
    """Return the gap without potassium + 2.5 (4 - albumin), the last albumin of a day."""
    gap = given.once(without_potassium)
    albumin = pl.Series(last_before(gap, given["albumin"], LOOK_BACK))
    both = gap.with_columns(value=pl.col("value") + PER_ALBUMIN * (USUAL_ALBUMIN - albumin))
    return points(both.drop_nulls("value"))
