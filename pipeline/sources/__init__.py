"""One module per data set: where its raw files are and what they hold."""

import os
from dataclasses import dataclass
from pathlib import Path

from ...cache_schema import InputError, MissingInputError
from ..source import DataSet
from .splits import SplitDataSet

DATASETS = {
    "mimic": "MIMIC-III or MIMIC-IV, with MIMIC-CXR images and reports where the folder holds them",
    "physionet2012": "PhysioNet/CinC Challenge 2012: 48 hours of vital signs and laboratory values",
    "synthetic": "a MIMIC-shaped cohort written by `omnifuse synth`",
}


@dataclass(frozen=True)
class SourceOptions:
    """What of a data set is extracted, and how.

    ``modalities`` None: all that the folder holds. ``limit``: only the first samples, in order of their id.
    ``without``: rules of the clean profile that are switched off. ``splits``: lists of subjects and their part.
    """

    modalities: tuple[str, ...] | None = None
    profile: str = "clean"
    bin_hours: float = 2.0
    limit: int | None = None
    without: tuple[str, ...] = ()
    splits: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.bin_hours <= 0 or 24 % self.bin_hours:
            raise InputError(f"--bin-hours {self.bin_hours:g} does not divide a day; use 1, 2, 3, 4, 6, 8, 12 or 24.")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit {self.limit} leaves no sample; give a number of at least 1.")


def raw_folder(dataset: str, raw: Path | None) -> Path:
    """Return the folder of raw files: the given one, else ``$OMNIFUSE_DATA/<dataset>``, else ``./data/<dataset>``.

    Raises
    ------
    InputError
        If there is no data set of this name.
    MissingInputError
        If the folder does not exist; the message says what to do.
    """
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
    return SplitDataSet(opened, options.splits) if options.splits else opened


def _open(dataset: str, raw: Path, options: SourceOptions) -> DataSet:
    if dataset in ("mimic", "synthetic"):
        from .mimic import MimicDataSet

        return MimicDataSet(raw, options.modalities, options.profile, options.bin_hours, options.limit, options.without)
    if dataset == "physionet2012":
        from .physionet2012 import Physionet2012DataSet

        if options.without:
            raise InputError(f"physionet2012 has no rule {options.without[0]!r}; only MIMIC's can be switched off.")
        return Physionet2012DataSet(raw, options.modalities, options.bin_hours, options.limit)
    raise _unknown(dataset)


def _unknown(dataset: str) -> InputError:
    return InputError(f"Unknown data set {dataset!r}; known: {', '.join(DATASETS)}.")
