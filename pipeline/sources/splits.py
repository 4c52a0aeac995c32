"""Published splits that the user supplies: a list of subjects with the part each belongs to."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ...cache_schema import InputError, MissingInputError, digest_file
from ..source import DataSet, Quarantine, Records

PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
COLUMNS = ["subject_id", "split"]


class SplitDataSet:
    """A data set with splits from files: a change in these changes nothing else.

    Each file is a CSV table with the columns ``subject_id`` and ``split`` (train, val or validation, test), whose name
    becomes the split's. Subjects that it does not list are trained on, as in the benchmark.
    """

    def __init__(self, dataset: DataSet, paths: tuple[Path, ...]) -> None:
        self.dataset = dataset
        self.name, self.raw = dataset.name, dataset.raw
        self.paths = {split_name(path): path for path in paths}
        if len(self.paths) < len(paths):
            raise InputError(f"Two of the files {', '.join(map(str, paths))} give a split of one name; rename one.")

    def inputs(self) -> list[Path]:
        """Return the inputs of the data set."""
        return self.dataset.inputs()

    def settings(self) -> dict[str, Any]:
        """Return the settings of the data set and the digest of every split."""
        if missing := [path for path in self.paths.values() if not path.is_file()]:
            raise MissingInputError(f"There is no file {missing[0]}; give a list of subjects with --splits.")
        splits = {name: digest_file(path) for name, path in self.paths.items()}
        return {**self.dataset.settings(), "splits": splits}

    def read(self, quarantine: Quarantine) -> Records:
        """Read the data set and put its samples into the parts of every split."""
        records = self.dataset.read(quarantine)
        splits = {name: read_split(path, records.samples) for name, path in self.paths.items()}
        return replace(records, splits={**records.splits, **splits})


def split_name(path: Path) -> str:
    """Return the name of a file without its ending, other signs than letters, digits, ``-`` and ``_`` replaced."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)


def read_split(path: Path, samples: pl.DataFrame) -> pl.DataFrame:
    """Return sample_id and part (train, validation, test) of ``samples`` (sample_id, subject_id).

    Raises
    ------
    InputError
        Where the file is no such table, names an unknown part, gives a subject two parts, or lists no subject of the
        cohort.
    """
    listed = _read_list(path).with_row_index("row", 2)  # as a text editor counts, with the header as line 1
    if (unknown := listed.filter(~pl.col("split").is_in(list(PARTS)))).height:
        row, _, part = unknown.row(0)
        raise InputError(f"{path}, row {row}: unknown part {part!r}; known are {', '.join(PARTS)}.")
    parts = listed.select("subject_id", part=pl.col("split").replace(PARTS)).unique(maintain_order=True)
    several = parts.group_by("subject_id", maintain_order=True).agg("part").filter(pl.col("part").list.len() > 1)
    if several.height:
        subject, both = several.row(0)
        raise InputError(f"{path} puts subject {subject} into {' and '.join(both)}; keep one of the rows.")
    subjects = samples.select("sample_id", pl.col("subject_id").cast(pl.String))
    found = subjects.join(parts, on="subject_id", how="left", maintain_order="left")
    if found["part"].is_null().all():
        raise InputError(
            f"{path} lists {parts.height:,} subjects, none of which is in the cohort (subjects "
            f"{', '.join(subjects['subject_id'].head(3))}, …). Was it made for another data set?"
        )
    return found.select("sample_id", pl.col("part").fill_null("train"))


def _read_list(path: Path) -> pl.DataFrame:
    """Return subject_id and split as trimmed text."""
    try:
        table = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} is no CSV table: {str(error).splitlines()[0]}.") from error
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}. A split is a table with "
            "the header subject_id,split."
        )
    return table.select(pl.col(COLUMNS).fill_null("").str.strip_chars())
