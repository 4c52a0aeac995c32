"""What a raw folder holds: which MIMIC version, which tables, which images and reports."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from ....cache_schema import InputError, MissingInputError
from .concepts.definitions import Version
from .tables import DEPTH, SUFFIXES, Table

METADATA = "mimic-cxr-2.0.0-metadata"
"""Table at the root of MIMIC-CXR-JPG: every image with its study, time and view."""
RECORDS = "cxr-record-list"
"""Table at the root of MIMIC-CXR: every image with its study; times and views are in the DICOM headers."""
ELECTROCARDIOGRAMS = "record_list"
"""Table at the root of MIMIC-IV-ECG: every recording with its time."""
REPORTS_ARCHIVE = "mimic-cxr-reports.zip"
MODULES = ("note", "ed")
IMAGE_SUFFIXES = (".jpg", ".dcm")
PATIENT_FOLDERS_TRIED = 200


@dataclass(frozen=True)
class MimicFolder:
    """A raw folder. ``version`` is 3 (flat, ICUSTAY_ID) or 4 (hosp/ and icu/, stay_id)."""

    raw: Path
    version: Version
    folders: tuple[Path, ...]
    metadata: Path | None
    """``mimic-cxr-2.0.0-metadata.csv`` of MIMIC-CXR-JPG."""
    records: Path | None
    """``cxr-record-list.csv`` of MIMIC-CXR."""
    images: tuple[tuple[Path, str], ...]
    """Folders that hold ``files/p10/p10000032/s50414267/<dicom_id>`` with a suffix, ``.jpg`` before ``.dcm``."""
    reports: Path | None
    """Folder that holds ``files/p10/p10000032/s50414267.txt``."""
    reports_archive: Path | None
    """``mimic-cxr-reports.zip``, which has to be unpacked."""
    ecg: Path | None
    """Folder of MIMIC-IV-ECG, which holds ``record_list.csv`` and ``files/p1000/p10000032/s40689238``."""
    modules: tuple[Path, ...] = ()
    """Folders ``note`` of MIMIC-IV-Note and ``ed`` of MIMIC-IV-ED, wherever they lie."""

    @classmethod
    def find(cls, raw: Path) -> "MimicFolder":
        """Search ``raw`` to three levels; raises :class:`MissingInputError` where there is no table of ICU stays."""
        if not raw.is_dir():
            raise MissingInputError(f"There is no folder {raw}. Give the folder of the MIMIC tables with --raw.")
        folders = list(_folders(raw, DEPTH))
        anchors = [path for folder in folders if (path := table_in(folder, "icustays"))]
        if not anchors:
            found = ", ".join(sorted(path.name for path in raw.iterdir())[:12]) or "nothing"
            raise MissingInputError(
                f"{raw} has no table icustays{{{', '.join(SUFFIXES)}}} to {DEPTH} levels below; it holds {found}. "
                "Give the folder of MIMIC-III, or the one above hosp/ and icu/ of MIMIC-IV, with --raw."
            )
        if len(anchors) > 1:
            raise InputError(
                f"{raw} holds more than one data set: {', '.join(map(str, anchors))}. Give the folder of one of them."
            )
        stays = Table.open(anchors[0])
        version: Version = 3 if "icustay_id" in stays.columns else 4
        metadata, records = (
            next((path for folder in folders if (path := table_in(folder, name))), None) for name in (METADATA, RECORDS)
        )
        trees = [folder for folder in folders if (folder / "files").is_dir()]
        images = tuple((tree, end) for end in IMAGE_SUFFIXES for tree in trees if _holds(tree, f"s*/*{end}"))
        reports = next((tree for tree in trees if _holds(tree, "s*.txt")), None)
        archive = next((path for folder in folders if (path := folder / REPORTS_ARCHIVE).is_file()), None)
        ecg = next((folder for folder in folders if table_in(folder, ELECTROCARDIOGRAMS)), None)
        tables = _table_folders(anchors[0].parent)
        modules = tuple(folder for folder in folders if folder.name.lower() in MODULES)
        return cls(raw, version, tables, metadata, records, images, reports, archive, ecg, modules)

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """What the folder can give: ``ehr``, and ``cxr`` and ``rep`` where MIMIC-CXR lies beside MIMIC-IV.

        And ``notes`` where NOTEEVENTS lie beside MIMIC-III, or MIMIC-IV-Note without the same texts as ``rep``. What is
        there and only read where it is asked for (``ed``) is not among them.
        """
        found = ["ehr"]
        if self.version == 4 and self.studies:
            found += ["cxr"] if self.images else []
            found += ["rep"] if self.reports else []
        notes = self.find_note_table("noteevents" if self.version == 3 else "radiology")
        return tuple(found + (["notes"] if notes and "rep" not in found else []))

    @property
    def studies(self) -> Path | None:
        """The table that lists the images: with times, or else without where DICOM headers have them."""
        return self.metadata or (self.records if self.dicom else None)

    @property
    def dicom(self) -> Path | None:
        """The folder of the DICOM images."""
        return next((tree for tree, suffix in self.images if suffix == ".dcm"), None)

    def find_table(self, name: str) -> Path | None:
        """Return the file of a table, or None."""
        return next((path for folder in self.folders if (path := table_in(folder, name))), None)

    def find_note_table(self, name: str) -> Path | None:
        """Return the file of a table of notes, or None: of MIMIC-III, or in the folder ``note`` of MIMIC-IV-Note."""
        return self.find_table(name) if self.version == 3 else self._in_module("note", name)

    def find_ed_table(self, name: str) -> Path | None:
        """Return the file of a table in the folder ``ed`` of MIMIC-IV-ED, or None."""
        return self._in_module("ed", name) if self.version == 4 else None

    def _in_module(self, module: str, name: str) -> Path | None:
        folders = (folder for folder in self.modules if folder.name.lower() == module)
        return next((path for folder in folders if (path := table_in(folder, name))), None)

    def table(self, name: str) -> Table:
        """Open a table; raises :class:`MissingInputError` naming it and what was found."""
        path = self.find_table(name)
        if path is None:
            found = sorted({entry.name for folder in self.folders for entry in folder.iterdir() if entry.is_file()})
            raise MissingInputError(
                f"{self.raw} has no table {name}{{{', '.join(SUFFIXES)}}} (searched: "
                f"{', '.join(map(str, self.folders))}); found: {', '.join(found)}. Add the missing file."
            )
        return Table.open(path)


def table_in(folder: Path, name: str) -> Path | None:
    """Return the file of a table in one folder, whatever its case and format.

    Raises :class:`InputError` where there are several: one of them may be an unfinished copy.
    """
    names = {name + suffix for suffix in SUFFIXES}
    found = sorted(entry for entry in folder.iterdir() if entry.name.lower() in names)
    if len(found) > 1:
        listed = ", ".join(entry.name for entry in found)
        raise InputError(f"{folder} holds {name} several times: {listed}. Move all but one of them away.")
    return found[0] if found else None


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Yield ``root`` and the folders below it, nearest first, but not the trees of images and reports."""
    level = [root]
    for _ in range(depth + 1):
        yield from level
        level = [
            Path(entry.path)
            for folder in level
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if entry.is_dir() and entry.name != "files" and not re.fullmatch(r"p\d+|\..*", entry.name)
        ]


def _table_folders(anchor: Path) -> tuple[Path, ...]:
    """Return the folders of the tables: flat, or hosp/ (and core/ of MIMIC-IV v1) beside icu/."""
    beside = [anchor.parent / name for name in ("hosp", "core")] if anchor.name.lower() == "icu" else []
    return (anchor, *(folder for folder in beside if folder.is_dir()))


def _holds(tree: Path, pattern: str) -> bool:
    """Whether ``files/p*/p*/<pattern>`` exists, judged by the first patients."""
    patients = (tree / "files").glob("p*/p*")
    return any(next(patient.glob(pattern), None) for patient in islice(patients, PATIENT_FOLDERS_TRIED))
