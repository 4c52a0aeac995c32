"""Published splits that the user supplies: lists of subjects with the part each belongs to."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ...cache_schema import InputError, MissingInputError, digest, digest_file
from ..source import DataSet, Quarantine, Records
from .delimited import LINE, Delimited
from .feature_files import row_of
from .ids import as_ids

PARTS = {
    "train": "train",
    "val": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "test",
}
"""Names of the parts in tables; MIMIC-CXR's own says ``validate``."""
COLUMNS, MARKED = ["subject_id", "split"], "mark"
BENCHMARK_LISTS = {"testset": "test", "valset": "val"}
"""Lists of the ICU benchmark (``testset.csv``) and its port to MIMIC-IV (``testset_iv.csv``): without a header, a
subject and 1 if it is in this part. The first must be there; without the second, the trainer cuts a validation part
from the training part."""


VERSION = 3
"""To be raised whenever the same list would give other parts."""


class SplitDataSet:
    """A data set with splits from files: a change in these changes nothing else.

    Each path is a CSV table with the columns ``subject_id`` and ``split`` (`PARTS`), such as MIMIC-CXR's own, or a
    folder with the lists of the ICU benchmark (``BENCHMARK_LISTS``); its name becomes the split's. Subjects that are
    not listed are trained on, as in the benchmark, unless a table names subjects to train on: then they are in no part.
    """

    def __init__(self, dataset: DataSet, paths: tuple[Path, ...]) -> None:
        self.dataset = dataset
        self.name, self.raw, self.resources = dataset.name, dataset.raw, dataset.resources
        self.paths = {split_name(path): path for path in paths}
        if len(self.paths) < len(paths):
            raise InputError(f"Two of {', '.join(map(str, paths))} give a split of one name; rename one.")

    def inputs(self) -> list[Path]:
        """Return the inputs of the data set."""
        return self.dataset.inputs()

    def settings(self) -> dict[str, Any]:
        """Return the settings of the data set and the digest of every split."""
        lists = {name: digest([VERSION, _digest(path)]) for name, path in self.paths.items()}
        return {**self.dataset.settings(), "splits": lists}

    def read(self, quarantine: Quarantine) -> Records:
        """Read the data set and put its samples into the parts of every split."""
        records = self.dataset.read(quarantine)
        splits = {name: read_split(path, records.samples) for name, path in self.paths.items()}
        for name, parts in splits.items():
            if in_none := records.samples.height - parts.height:
                quarantine.add("splits", name, "", "", "the sample's subject is in no part of the split", in_none)
        return replace(records, splits={**records.splits, **splits})


def split_name(path: Path) -> str:
    """Return the name of a file without its ending, other signs than letters, digits, ``-`` and ``_`` replaced."""
    stem = path.name.removesuffix(".gz") if path.name.endswith(".csv.gz") else path.name
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(stem).stem)


def read_split(path: Path, samples: pl.DataFrame) -> pl.DataFrame:
    """Return sample_id and part (train, validation, test) of ``samples`` (sample_id, subject_id) that are in a part.

    Raises
    ------
    InputError
        Where a file is no such list, names an unknown part, gives a subject two parts, or lists no subject of the
        cohort.
    """
    listed = _read_benchmark_lists(path) if path.is_dir() else _read_list(path)
    parts = listed.select("subject_id", part=pl.col("split").replace(PARTS)).unique(maintain_order=True)
    several = parts.group_by("subject_id", maintain_order=True).agg("part").filter(pl.col("part").list.len() > 1)
    if several.height:
        subject, both = several.row(0)
        raise InputError(f"{path} puts subject {subject} into {' and '.join(both)}; keep one of the rows.")
    subjects = samples.select("sample_id", as_ids(samples["subject_id"]))
    found = subjects.join(parts, on="subject_id", how="left", maintain_order="left")
    if found["part"].is_null().all():
        raise InputError(
            f"{path} lists {parts.height:,} subjects, none of which is in the cohort (subjects "
            f"{', '.join(subjects['subject_id'].head(3))}, …). Was it made for another data set?"
        )
    found = found.select("sample_id", "part")
    rest_trains = path.is_dir() or "train" not in parts["part"]
    return found.with_columns(pl.col("part").fill_null("train")) if rest_trains else found.drop_nulls("part")


def _digest(path: Path) -> str:
    """Return the digest of a list, or of those in a folder; raises :class:`MissingInputError` where there is none."""
    if path.is_dir():
        return digest({part: digest_file(list_) for part, list_ in _benchmark_lists(path).items()})
    if not path.is_file():
        raise MissingInputError(f"There is no file {path}; give a list of subjects with --splits.")
    return digest_file(path)


def _benchmark_lists(folder: Path) -> dict[str, Path]:
    """Return the file of each part that has one."""
    found = {name: sorted(folder.glob(f"{name}*.csv")) for name in BENCHMARK_LISTS}
    if not found["testset"]:
        raise MissingInputError(
            f"{folder} has no testset.csv; a folder given with --splits holds the benchmark's lists."
        )
    for name, files in found.items():
        if len(files) > 1:
            listed = " and ".join(file.name for file in files)
            raise InputError(f"{folder} holds {listed}; keep the {name} of this data set alone.")
    return {BENCHMARK_LISTS[name]: files[0] for name, files in found.items() if files}


def _read_benchmark_lists(folder: Path) -> pl.DataFrame:
    """Return subject_id and split: a subject that no list marks with 1 is trained on."""
    lists = _benchmark_lists(folder).items()
    listed = pl.concat(_read_benchmark_list(path).with_columns(split=pl.lit(part)) for part, path in lists)
    marked = listed.filter(pl.col(MARKED) == "1").select(COLUMNS)
    others = listed.join(marked, on="subject_id", how="anti").select("subject_id", split=pl.lit("train"))
    return pl.concat([marked, others])


def _read_benchmark_list(path: Path) -> pl.DataFrame:
    """Return subject_id and ``mark``, 1 or 0, as text."""
    table = Delimited.open(path, names=("subject_id", MARKED)).read()
    return _checked(table, MARKED, ("0", "1"), path)


def _read_list(path: Path) -> pl.DataFrame:
    """Return subject_id and split of a table with this header."""
    table = Delimited.open(path).read()
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(table.drop(LINE).columns)[:80]}. A split is "
            "a table with the header subject_id,split, or a folder with the benchmark's testset.csv and valset.csv."
        )
    return _checked(table, "split", tuple(PARTS), path)


def _checked(table: pl.DataFrame, column: str, known: Sequence[str], path: Path) -> pl.DataFrame:
    """Return subject_id and a column in one spelling; raises :class:`InputError` for the first row that has neither."""
    lists = pl.DataFrame([as_ids(table["subject_id"]), as_ids(table[column]), table[LINE]])
    wrong = lists.filter(pl.col("subject_id").is_null() | ~pl.col(column).is_in(known).fill_null(False))
    for subject, value, line in wrong.head(1).iter_rows():
        shown = "no subject" if subject is None else f"{column} is {(value or '')[:80]!r}"
        raise InputError(f"{path}, {row_of(line)}: {shown}; expected a subject, and one of {', '.join(known)}.")
    return lists.drop(LINE)
