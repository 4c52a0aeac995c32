"""Features that somebody else computed, joined by the id of the sample."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ....cache_schema import InputError, MissingInputError
from ....cache_schema.export.exported import find_export
from ...source import Quarantine, Records, TableModality
from ...tables.feature_files import SAMPLE_ID, read_table, reading, require_columns
from ...tables.label_spec import label_columns
from ...tables.labels import NAME, check_name
from ...tables.sample_table import SampleColumns, SampleTable, read_samples
from .exports import ExportedFeatures
from .items import ItemFeatures
from .matrix_files import MUDATA, mudata_modalities
from .tables import TableFeatures

VERSION = 4
"""To be raised whenever the same files would give another result."""

PART = "#"
"""Between a file and what of it is meant."""


class Features(Protocol):
    """The features of one modality: in one file, or in a folder with a file for each sample."""

    @property
    def part(self) -> str:
        """What of the file is meant; empty if it holds one thing only."""
        ...

    def files(self) -> tuple[Path, ...]:
        """Return every file that decides the rows; raises :class:`InputError` if they cannot be used."""
        ...

    def modality(self, name: str, samples: SampleTable) -> TableModality:
        """Return the modality, whose rows are read when it is computed."""
        ...


class ImportedDataSet:
    """A table of samples and the features of each modality.

    Parameters
    ----------
    samples
        Table with ``sample_id``, ``subject_id`` (the patient; without it every sample is a patient of its own) and the
        columns named below.
    features
        File of each modality, or ``FILE#PART``: see :func:`open_features`. What is empty is unknown; a sample without a
        row, or with an empty one, lacks the modality.
    labels
        Columns to predict, each as `LabelSpec` says: ``COLUMN``, or ``NAME=COLUMN,COLUMN`` for several at once.
    split
        Column with the part of each sample: train, validation or test.
    keep
        Further columns of ``samples`` to store, such as age and sex; no model sees them.
    """

    name = "imported"
    resources: tuple[Path, ...] = ()

    def __init__(
        self,
        samples: Path,
        features: Mapping[str, Path],
        labels: Sequence[str] = (),
        split: str | None = None,
        keep: Sequence[str] = (),
    ) -> None:
        if not features:
            raise InputError("There are no features; give at least one --features NAME=FILE.")
        self.raw = samples.parent
        self.samples = samples
        self.given = {_checked(name): path for name, path in features.items()}
        self.columns = SampleColumns(tuple(labels), split, tuple(keep))

    @cached_property
    def features(self) -> dict[str, Features]:
        """The features by modality; raises :class:`InputError` as :func:`open_features`."""
        return {name: open_features(name, path) for name, path in self.given.items()}

    def inputs(self) -> list[Path]:
        """Return all files; raises MissingInputError naming what is missing."""
        require_columns(read_table(self.samples, rows=0), [SAMPLE_ID], self.samples)
        files = (path for features in self.features.values() for path in features.files())
        return [self.samples, *dict.fromkeys(files)]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        return {
            "version": VERSION,
            "modalities": {name: features.part for name, features in self.features.items()},
            "labels": list(self.columns.labels),
            "split": self.columns.split,
            "keep": list(self.columns.keep),
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read the samples; rows without an id, or with one that was there already, are quarantined."""
        samples = read_samples(self.samples, self.columns, quarantine)
        modalities = [features.modality(name, samples) for name, features in self.features.items()]
        self._refuse_labels(modalities, samples.table.columns)
        versioned = tuple(replace(table, recipe={"imported": VERSION, **table.recipe}) for table in modalities)
        return Records(samples.frame, lambda _: samples.tasks, versioned, splits=samples.splits)

    def _refuse_labels(self, modalities: Sequence[TableModality], known: Sequence[str]) -> None:
        """Raise :class:`InputError` if what is to be predicted is a feature as well."""
        labels = label_columns(self.columns.labels, known)
        for modality in modalities:
            if leaks := [column.name for column in modality.columns if column.name in labels]:
                raise InputError(
                    f"{self.given[modality.name]} has a column {leaks[0]!r}, which is to be predicted, and would be a "
                    f"feature of {modality.name!r}. Leave it out."
                )


def open_features(name: str, given: Path) -> Features:
    """Return the features that ``FILE`` or ``FILE#PART`` means.

    A file is a table (CSV, Parquet), a matrix with ids (NPY, NPZ, HDF5, AnnData, MuData) or an export of a cache; a
    folder holds an HDF5 file for each sample. Of MuData and exports the modality ``name`` is meant, unless PART names
    another or there is only one.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file cannot be read, or has no such modality.
    """
    path, part = _split_part(given)
    with reading(path):
        export = find_export(path)
        held = export.modalities() if export else ()
    several = len(held) > 1 or path.suffix.lower() == MUDATA
    wanted = part or (name if several or name in held else "".join(held))
    if export is not None and wanted in held:
        return ExportedFeatures(export, wanted)
    if path.suffix.lower() == MUDATA:
        return TableFeatures(path, wanted)
    if export is not None:
        raise InputError(
            f"{path} has no modality {wanted!r}; it has {', '.join(held)}. Write {name}={path}{PART}{held[0]}."
        )
    return ItemFeatures(path, part) if path.is_dir() else TableFeatures(path, part)


def with_every_modality(pairs: Sequence[str]) -> tuple[str, ...]:
    """Return NAME=FILE pairs; a FILE alone that holds several modalities, an export or MuData, gives one for each."""
    return tuple(named for pair in pairs for named in ([pair] if "=" in pair else _pairs_of(Path(pair)) or [pair]))


def _pairs_of(path: Path) -> list[str]:
    if not path.exists():
        return []
    with reading(path):
        export = None if path.suffix.lower() == MUDATA else find_export(path)
        held = mudata_modalities(path) if path.suffix.lower() == MUDATA else export.modalities() if export else ()
    return [f"{name}={path}{PART}{name}" for name in held]


def _checked(name: str) -> str:
    """Return the name of a modality, in which a dot may stand before the name of its encoder."""
    return name if all(map(NAME.fullmatch, name.split("."))) else check_name(name, "The modality")


def _split_part(given: Path) -> tuple[Path, str]:
    """Return a file and what of it is meant; a name that has the sign in it is taken as it is if it exists."""
    file, sign, part = str(given).rpartition(PART)
    path, part = (given, "") if given.exists() or not sign else (Path(file), part)
    if not path.exists():
        raise MissingInputError(f"There is no file {path}.")
    return path, part
