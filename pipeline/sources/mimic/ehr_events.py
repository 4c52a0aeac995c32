"""Rows of the tables of events, as the tensors of the 17 variables take them."""

from collections.abc import Iterator, Sequence

import polars as pl

from ....progress import progress
from ...source import Quarantine
from .tables import Table
from .times import refuse_events_in_another_format

IDS = ("subject_id", "hadm_id", "stay_id", "itemid")
EVENT_TABLES = {"chartevents": IDS, "labevents": tuple(name for name in IDS if name != "stay_id")}
"""Tables of events, and which ids each has."""


def read_events(table: Table, texts: Sequence[str], keep: pl.Expr, quarantine: Quarantine) -> Iterator[pl.DataFrame]:
    """Yield rows of an event table with the columns that :func:`.extract_tensors` takes."""
    absent = [pl.lit(None, pl.String).alias(name) for name in ("valueuom", "valuenum", "error") if name not in texts]
    expected = table.expected_rows()
    with progress(name=table.path.name, total=expected, unit="rows") as bar:
        for number, batch in enumerate(table.batches(IDS, texts, quarantine, keep)):
            if not number:
                refuse_events_in_another_format(batch, table)
            bar.update(batch["row"][-1] - 1 - bar.n)  # the header is line 1
            yield batch.with_columns(absent).rename({"valueuom": "unit"})


def link_by_stay(events: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Take HADM_ID from events of an admission of which the cohort has several stays: it does not say which of them.

    Such an event belongs to the stay that it names, or in which it lies.
    """
    several = stays.filter(pl.len().over("hadm_id") > 1)["hadm_id"].unique()
    if several.is_empty():
        return events
    unclear = pl.col("hadm_id").is_in(several.implode())
    return events.with_columns(hadm_id=pl.when(~unclear.fill_null(False)).then("hadm_id"))
