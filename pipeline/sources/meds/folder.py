"""The folder of a MEDS data set (Medical Event Data Standard): its files and its split.

Described at https://github.com/Medical-Event-Data-Standard/meds.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from ....cache_schema import InputError, MissingInputError
from ...source import Quarantine
from ...tables.feature_files import reading

STAGE = "read"
SPLITS = "metadata/subject_splits.parquet"
PARTS = {"train": "train", "tuning": "validation", "held_out": "test"}
"""The names that MEDS gives to the parts of a split."""

COLUMNS: dict[str, tuple[str, Callable[[pl.DataType], bool]]] = {
    "subject_id": ("whole numbers", lambda kind: kind.is_integer()),
    "time": ("timestamps without a time zone", lambda kind: isinstance(kind, pl.Datetime) and kind.time_zone is None),
    "code": ("text", lambda kind: kind in (pl.String, pl.Categorical)),
}
NUMBER = "numeric_value"
"""Of the columns that need not be there the only one that is read."""


def data_files(raw: Path) -> list[Path]:
    """Return the files of events.

    Raises
    ------
    MissingInputError
        If there are none.
    InputError
        If one of them is damaged or lacks a column of MEDS.
    """
    files = sorted((raw / "data").rglob("*.parquet"))
    if not files:
        found = ", ".join(sorted(path.name for path in raw.iterdir())[:12]) or "nothing"
        raise MissingInputError(
            f"{raw} has no data/*.parquet; it holds {found}. A MEDS data set has its events in data/**/*.parquet and "
            f"beside it metadata/, with {SPLITS} where it comes with a split."
        )
    for path in files:
        with reading(path):
            schema = pl.scan_parquet(path, glob=False).collect_schema()
        _check_columns(path, schema)
    return files


def _check_columns(path: Path, schema: Mapping[str, pl.DataType]) -> None:
    if missing := [name for name in COLUMNS if name not in schema]:
        raise MissingInputError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(schema)[:80]}. Files of MEDS have "
            f"{', '.join(COLUMNS)} and mostly {NUMBER}."
        )
    for name, (meaning, fits) in COLUMNS.items():
        if not fits(schema[name]):
            raise InputError(
                f"{path}: {name} is {str(schema[name])[:80]}; in MEDS it holds {meaning}. Convert the file."
            )
    if NUMBER in schema and not (schema[NUMBER].is_numeric() or schema[NUMBER] == pl.Null):
        raise InputError(f"{path}: {NUMBER} is {str(schema[NUMBER])[:80]}; in MEDS it holds numbers. Convert the file.")


def read_parts(raw: Path, samples: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame | None:
    """Return sample_id and part of ``samples`` (sample_id, subject_id), or None where the data set has no split.

    Samples whose subject is not listed, or in another part than train, tuning and held_out, are in no part; they are
    counted in the quarantine.

    Raises
    ------
    InputError
        If the list is no such table, puts a subject into several parts, or nobody of ``samples`` into ``train``.
    """
    path = raw / SPLITS
    if not path.is_file():
        return None
    with reading(path):
        table = pl.read_parquet(path, glob=False)
    if missing := [name for name in ("subject_id", "split") if name not in table.columns]:
        raise InputError(f"{path} has no column {missing[0]!r}; a split of MEDS has subject_id and split.")
    for name, (meaning, fits) in {"subject_id": COLUMNS["subject_id"], "split": COLUMNS["code"]}.items():
        if not fits(table.schema[name]):
            raise InputError(f"{path}: {name} is {str(table.schema[name])[:80]}; in MEDS it holds {meaning}.")
    listed = table.select(pl.col("subject_id").cast(pl.Int64), pl.col("split").cast(pl.String)).unique()
    if (twice := listed.filter(pl.col("subject_id").is_duplicated())).height:
        subject = twice["subject_id"].sort()[0]
        both = " and ".join(sorted(map(str, twice.filter(pl.col("subject_id") == subject)["split"])))
        raise InputError(f"{path} puts subject {subject} into {both}; keep one of the rows.")
    joined = samples.join(listed, on="subject_id", how="left", maintain_order="left")
    outside = joined.filter(~pl.col("split").is_in(list(PARTS)).fill_null(False))
    first = outside.group_by("split", maintain_order=True).agg(pl.col("subject_id").first(), pl.len())
    for name, subject, count in first.iter_rows():
        reason = "the subject is not listed" if name is None else f"the part {name!r} is none of {', '.join(PARTS)}"
        quarantine.add(STAGE, SPLITS, f"subject {subject}", "", f"{reason}: in no part", count)
    part = joined["split"].replace_strict(PARTS, default=None, return_dtype=pl.String)
    parts = samples.select("sample_id", part=part)
    if "train" not in parts["part"]:
        raise InputError(f"{path} puts none of the {len(samples):,} labelled samples into train. Was it made for them?")
    return parts.drop_nulls("part")
