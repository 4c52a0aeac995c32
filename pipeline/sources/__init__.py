"""Data sets, one folder each: where the raw files are and what they hold."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...cache_schema import InputError, MissingInputError
from ..source import DataSet
from ..tables.splits import SplitDataSet
from .pseudonyms import PseudonymousDataSet

DATASETS = {
    "mimic": "MIMIC-III or MIMIC-IV, with MIMIC-CXR images and reports where the folder holds them",
    "physionet2012": "PhysioNet/CinC Challenge 2012: 48 hours of vital signs and laboratory values",
    "lung": "CT and PET series, Chinese clinical text, and how invasive the pathology of the lung is",
    "meds": "a MEDS folder of events, with labels named by --samples",
    "synthetic": "a MIMIC-shaped cohort written by `omnifuse synth`",
}
DEFAULT_TEXT_ENCODERS = {"lung": "bert-base-chinese"}
"""Text encoders of data sets whose texts are not English."""

FILES = "files"
"""The data set that is a user's own table, which --samples names, and has no raw folder."""


@dataclass(frozen=True)
class TableOptions:
    """A user's own table: the file, a YAML file of its columns, and which are labels, a split, or kept.

    ``events``: long tables of timed events, by the modality that each becomes. Of the data set ``meds``: its labels,
    and a YAML file of codes.
    """

    samples: Path | None = None
    columns: Path | None = None
    labels: tuple[str, ...] = ()
    split: str | None = None
    keep: tuple[str, ...] = ()
    events: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceOptions:
    """What of a data set is extracted, and how.

    ``modalities`` None: all that the folder holds. ``limit``: only the first samples, in order of their id.
    ``without``: rules of the clean profile that are switched off. ``splits``: lists of subjects and their part.
    ``table``: for the data sets ``files`` and ``meds`` alone. ``window_hours``: how far ``meds`` looks back, None: 48.
    ``pseudonym_key``: replaces ids by their hashes with this key.
    """

    modalities: tuple[str, ...] | None = None
    profile: str = "clean"
    bin_hours: float = 2.0
    limit: int | None = None
    without: tuple[str, ...] = ()
    splits: tuple[Path, ...] = ()
    table: TableOptions = field(default_factory=TableOptions)
    window_hours: float | None = None
    pseudonym_key: bytes | None = None

    def __post_init__(self) -> None:
        if self.bin_hours <= 0 or 24 % self.bin_hours:
            raise InputError(f"--bin-hours {self.bin_hours:g} does not divide a day; use 1, 2, 3, 4, 6, 8, 12 or 24.")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit {self.limit} leaves no sample; give a number of at least 1.")


def raw_folder(dataset: str, raw: Path | None, samples: Path | None = None) -> Path:
    """Return the folder of raw files: the given one, else ``$OMNIFUSE_DATA/<dataset>``, else ``./data/<dataset>``.

    That of the data set ``files`` is where the table ``samples`` lies.

    Raises
    ------
    InputError
        If there is no data set of this name, or ``files`` is asked for without a table.
    MissingInputError
        If the folder does not exist; the message says what to do.
    """
    if dataset == FILES:
        if samples is None or raw is not None:
            raise InputError("--dataset files reads one table: name it with --samples, and leave --raw out.")
        return samples.parent
    if dataset not in DATASETS:
        raise _unknown(dataset)
    roots = [Path(root) for root in (os.environ.get("OMNIFUSE_DATA"), "data") if root]
    candidates = [raw] if raw else [root / dataset for root in roots]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise MissingInputError(
        f"There is no folder {' or '.join(map(str, candidates))} with the raw files of {dataset}. Name it with --raw, "
        f"or set OMNIFUSE_DATA to the folder that contains {dataset}/. `omnifuse demo` needs no data."
    )


def open_dataset(dataset: str, raw: Path, options: SourceOptions) -> DataSet:
    """Return the data set of a name; an unknown name raises :class:`InputError` that lists the known ones."""
    opened = _open(dataset, raw, options)
    if options.splits:  # they name subjects by their own ids
        opened = SplitDataSet(opened, options.splits)
    return opened if options.pseudonym_key is None else PseudonymousDataSet(opened, options.pseudonym_key)


def _open(dataset: str, raw: Path, options: SourceOptions) -> DataSet:
    if options.window_hours is not None and dataset != "meds":
        raise InputError(f"--window-hours is for meds; of {dataset} the tasks say how much is seen. Leave it out.")
    if dataset == FILES:
        return _open_files(options)
    if dataset == "meds":
        return _open_meds(raw, options)
    if options.table != TableOptions():
        raise InputError(
            "--samples, --columns, --label, --split, --keep and --events describe a table of your own; "
            f"{dataset} has none. Give --dataset files with them, or leave them out."
        )
    if dataset == "lung":
        from .lung import LungDataSet

        if options.without:
            raise InputError(f"lung has no rule {options.without[0]!r}; only MIMIC's can be switched off.")
        return LungDataSet(raw, options.modalities, options.limit)
    if dataset in ("mimic", "synthetic"):
        from .mimic import MimicDataSet

        return MimicDataSet(raw, options.modalities, options.profile, options.bin_hours, options.limit, options.without)
    if dataset == "physionet2012":
        from .physionet2012 import Physionet2012DataSet

        if options.without:
            raise InputError(f"physionet2012 has no rule {options.without[0]!r}; only MIMIC's can be switched off.")
        return Physionet2012DataSet(raw, options.modalities, options.bin_hours, options.limit)
    raise _unknown(dataset)


def _open_files(options: SourceOptions) -> DataSet:
    from ..tables.sample_table import SampleColumns
    from .files import FilesDataSet

    table = options.table
    if table.samples is None:
        raise InputError("--dataset files reads one table: name it with --samples.")
    if options.without:
        raise InputError(f"files has no rule {options.without[0]!r}; only MIMIC's can be switched off.")
    columns = SampleColumns(table.labels, table.split, table.keep)
    return FilesDataSet(
        table.samples, table.columns, columns, options.modalities, options.limit, table.events, options.bin_hours
    )


def _open_meds(raw: Path, options: SourceOptions) -> DataSet:
    from .meds import WINDOW_HOURS, MedsDataSet
    from .meds.labels import COLUMNS

    table = options.table
    if table.samples is None:
        raise InputError(f"A MEDS data set has no labels of its own: name a table of them, {COLUMNS}, with --samples.")
    if table != TableOptions(table.samples, table.columns):
        raise InputError(
            f"--label, --split, --keep and --events are for tables of your own; labels of MEDS have {COLUMNS}."
        )
    if options.without:
        raise InputError(f"meds has no rule {options.without[0]!r}; only MIMIC's can be switched off.")
    hours = WINDOW_HOURS if options.window_hours is None else options.window_hours
    return MedsDataSet(
        raw, table.samples, table.columns, options.modalities, options.bin_hours, hours, options.limit
    )  # fmt: skip


def _unknown(dataset: str) -> InputError:
    return InputError(f"Unknown data set {dataset!r}; known: {', '.join([*DATASETS, FILES])}.")
