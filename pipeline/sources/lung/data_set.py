"""Lung cancer: CT and PET series, Chinese clinical text, and how invasive the pathology is.

::

    <raw>/patients.csv              UTF-8, with or without byte order mark, or GB18030
    <raw>/<patient_id>/CT/*.dcm     DICOM series, each in a folder of its own, anywhere below the patient's folder
    <raw>/<patient_id>/PET/*.dcm
    <raw>/<patient_id>/ct.nii.gz    or NIfTI files: CT in Hounsfield units, PET as standardised uptake values

``patients.csv`` has one row a patient: ``patient_id``, the name of the patient's folder; ``label``, the pathology (AAH,
AIS, MIA, IA1, IA2, IA3 or such as ``IA grade 2``) or its level (low, moderate, high), empty where unknown; and columns
of clinical text called ``text:`` and a heading, such as ``text:既往史``. No other column is read. What DICOM files are
called is of no matter: their tag Modality says whether they are CT or PET, their positions which slice follows which.
NIfTI files are told by ``CT`` or ``PET`` in their name, or else in that of the nearest folder.

Wu et al., OmniFuse, Information Fusion 117 (2025) 102890, sections 4.1 and 4.2.2. Their data are not public.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from ....cache_schema import InputError
from ....cache_schema.packages import require
from ...image.series import is_nifti
from ...image.slices import CT_RECIPE, PET_RECIPE, read_ct, read_pet
from ...source import ItemModality, Quarantine, Records
from ...tables.feature_files import STAGE
from ...text.tokens import MAX_CHARACTERS
from ..options import check_modalities
from .folders import find_series
from .table import PATIENT_ID, TABLE, TEXT, Patients, check_table, read_patients

VERSION = 2
"""To be raised whenever the same files would give another result."""

SERIES = {"ct": (read_ct, CT_RECIPE), "pet": (read_pet, PET_RECIPE)}
REPORT = "rep"
MODALITIES = (*SERIES, REPORT)
TEXT_RECIPE = {"text": f"each cell behind its heading, cut at {MAX_CHARACTERS} characters", "version": 1}

ITEMS = {"sample_id": pl.String, "item_id": pl.String, "path": pl.String, "place": pl.String}

Row = tuple[str | None, str, str, str]
"""Sample, item, path and place of an item; without a sample it is only watched for changes."""

LONGEST_NAME = 255


class LungDataSet:
    """Patients with CT, PET and clinical text, as the module says; one sample is one patient.

    ``ct`` and ``pet`` have one row a slice, from the feet to the head, of one series after the other; ``rep`` one row a
    token. The task ``invasiveness`` has three classes: low (AAH, AIS), moderate (MIA, IA1), high (IA2, IA3).

    Parameters
    ----------
    raw
        Folder with ``patients.csv`` and a folder for each patient.
    modalities
        Some of ``ct``, ``pet``, ``rep``; None: all that the folder holds.
    limit
        Only the first patients, in order of their id.
    """

    name = "lung"
    resources: tuple[Path, ...] = ()

    def __init__(self, raw: Path, modalities: Sequence[str] | None = None, limit: int | None = None) -> None:
        check_modalities("lung", modalities, MODALITIES)
        self.raw = raw
        self.modalities = None if modalities is None else tuple(name for name in MODALITIES if name in modalities)
        self.limit = limit

    @property
    def table(self) -> Path:
        """The table of patients."""
        return self.raw / TABLE

    def inputs(self) -> list[Path]:
        """Return the table of patients; raises :class:`InputError` if it cannot be read or lacks a column."""
        check_table(self.table)
        return [self.table]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        modalities = None if self.modalities is None else list(self.modalities)
        return {"version": VERSION, "modalities": modalities, "limit": self.limit}

    def read(self, quarantine: Quarantine) -> Records:
        """Read the table and list the series; rows and folders that do not belong together are quarantined."""
        patients = read_patients(self.table, quarantine, self.limit)
        images = self._images(patients, quarantine) if self.modalities != (REPORT,) else ()
        texts = (_reports(patients, self.table),) if REPORT in (self.modalities or MODALITIES) else ()
        if texts and not patients.texts.count():
            raise InputError(
                f"{self.table} has no clinical text: its columns are called {TEXT} and a heading, such as "
                f"{TEXT}既往史. For images alone give --modalities {','.join(SERIES)}."
            )
        samples = pl.DataFrame({"sample_id": patients.ids, "subject_id": patients.ids})
        return Records(samples, lambda _: (patients.task,), (), (*images, *texts))

    def _images(self, patients: Patients, quarantine: Quarantine) -> tuple[ItemModality, ...]:
        """List the series of every patient; folders without any are watched, because series may come."""
        found: dict[str, list[Row]] = {name: [] for name in SERIES}
        watched: list[Row] = []
        folders = {path.name: path for path in self.raw.iterdir() if path.is_dir() and not path.name.startswith(".")}
        for patient, place in zip(patients.ids, patients.places, strict=True):
            if patient in folders:
                _sort(patient, place, folders[patient], found, watched, quarantine)
            elif _can_be_a_folder(patient):
                watched.append((None, patient, str(self.raw / patient), place))
            else:
                quarantine.add(STAGE, TABLE, place, "", f"{PATIENT_ID} cannot be the name of a folder")
        for name in sorted(folders.keys() - patients.every_id):
            quarantine.add(STAGE, TABLE, name, "", f"a folder of no patient in {TABLE}")
        wanted = [name for name in SERIES if (name in self.modalities if self.modalities else found[name])]
        self._check(found, wanted)
        rows = {name: found[name] + (watched if name == wanted[0] else []) for name in wanted}
        return tuple(_slices(name, rows[name]) for name in wanted)

    def _check(self, found: Mapping[str, Sequence[Row]], wanted: Sequence[str]) -> None:
        """Raise unless there is what is wanted, and a package that reads it."""
        if not wanted:
            raise InputError(f"No patient in {self.raw} has a CT or PET series; for texts alone give --modalities rep.")
        if lacking := [name for name in wanted if not found[name]]:
            raise InputError(f"No patient in {self.raw} has a series of the modality {lacking[0]!r}.")
        if any(is_nifti(Path(path)) for name in wanted for _, _, path, _ in found[name]):
            require("nibabel", "Reading NIfTI files")


def _sort(
    patient: str, row: str, folder: Path, found: dict[str, list[Row]], watched: list[Row], quarantine: Quarantine
) -> None:
    """Add what lies below the folder of a patient to what is ``found`` of a modality, or else to what is watched."""
    nothing = True
    for series in find_series(folder):
        place = series.path.relative_to(folder.parent).as_posix()
        if series.modality:
            rows = found[series.modality]
            number = 1 + sum(sample == patient for sample, *_ in rows)
            rows.append((patient, f"{patient}-{series.modality}-{number:02}", str(series.path), place))
        else:
            watched.append((None, patient, str(series.path), place))
        if series.reason:
            quarantine.add(STAGE, "series", place, "", series.reason)
        nothing &= not (series.modality or series.reason)
    if nothing:
        quarantine.add(STAGE, "series", row, "", "no DICOM or NIfTI file in the folder of this patient")


def _can_be_a_folder(name: str) -> bool:
    """Tell names of a folder right below another from paths, and from what no file system takes."""
    return Path(name).name == name != ".." and "\0" not in name and len(name.encode()) <= LONGEST_NAME


def _slices(name: str, rows: Sequence[Row]) -> ItemModality:
    read, recipe = SERIES[name]
    items = pl.DataFrame(rows, schema=ITEMS, orient="row").with_columns(time=pl.lit(None, pl.Float32))
    title = f"{name.upper()} slices"
    meaning = "one slice, from the feet to the head"
    return ItemModality(name, "image", meaning, items, recipe, read=read, large=True, title=title)


def _reports(patients: Patients, table: Path) -> ItemModality:
    """List the texts by their digest."""
    frame = pl.DataFrame({"sample_id": patients.ids, "place": patients.places, "text": patients.texts})
    told = frame.drop_nulls("text")
    texts = {sha256(text.encode()).hexdigest(): text for text in told["text"]}
    items = told.select(
        "sample_id",
        "place",
        item_id="sample_id",
        path=pl.lit(str(table)),
        digest=pl.Series([sha256(text.encode()).hexdigest() for text in told["text"]], dtype=pl.String),
        time=pl.lit(None, pl.Float32),
    )
    return ItemModality(
        REPORT,
        "text",
        "one token of a text",
        items,
        TEXT_RECIPE,
        texts=texts,
        windowed=True,
        title="clinical texts",
    )
