"""What of the emergency department becomes a modality, and from which tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from .....cache_schema import Column, MissingInputError, ModalityKind
from ....source import Block, ItemModality, Quarantine, TableModality
from ..folder import MimicFolder
from ..tables import DEPTH, Table
from . import complaint, medicines, triage, vitals
from .visits import BEFORE_UNIT_HOURS, TRIAGE_SECONDS, Visits

TRIAGE, VITALS, COMPLAINT, MEDICINES = ED_MODALITIES = ("ed", "ed_vitals", "ed_complaint", "ed_medicines")
FILES = {
    TRIAGE: ("edstays", "triage"),
    VITALS: ("edstays", "vitalsign"),
    COMPLAINT: ("edstays", "triage"),
    MEDICINES: ("edstays", "medrecon", "pyxis"),
}
"""Tables of each modality, as their files are called."""
VERSIONS = {TRIAGE: 2, VITALS: 1, COMPLAINT: 1, MEDICINES: 1}
"""To be raised whenever the same tables would give other values or times."""


class Numbers(NamedTuple):
    """A modality of numbers: ``blocks`` makes its rows of the tables and the visits."""

    kind: ModalityKind
    columns: tuple[Column, ...]
    row_meaning: str
    title: str
    blocks: Callable[[Mapping[str, Table], Visits, Quarantine], Iterator[Block]]


NUMBERS = {
    TRIAGE: Numbers("features", triage.COLUMNS, "triage before the stay", triage.TITLE, triage.triage_blocks),
    VITALS: Numbers("timeseries", vitals.COLUMNS, "one time of charting", vitals.TITLE, vitals.vital_blocks),
    MEDICINES: Numbers("features", medicines.COLUMNS, "before the stay", medicines.TITLE, medicines.medicine_blocks),
}


def ed_settings(modalities: Sequence[str]) -> dict[str, Any]:
    """Return the versions of those modalities that are of the department."""
    return {name: VERSIONS[name] for name in ED_MODALITIES if name in modalities}


def ed_tables(folder: MimicFolder, modalities: Sequence[str]) -> dict[str, Table]:
    """Return the tables that the modalities need, by name; raises :class:`MissingInputError` where one is missing."""
    needed = dict.fromkeys(table for name in ED_MODALITIES if name in modalities for table in FILES[name])
    return {name: _table(folder, name) for name in needed}


def department(
    folder: MimicFolder, modalities: Sequence[str], stays: pl.DataFrame, quarantine: Quarantine
) -> tuple[list[TableModality], list[ItemModality]]:
    """Return the modalities of the department that are asked for: of numbers, and of items.

    ``stays`` has stay_id, subject_id, hadm_id, and intime and outtime in seconds.
    """
    tables = ed_tables(folder, modalities)
    if not tables:
        return [], []
    visits = Visits(tables["edstays"], stays)
    made = []
    for name, numbers in NUMBERS.items():
        if name in modalities:
            inputs = (folder.table("icustays").path, *(tables[table].path for table in FILES[name]))
            made.append(
                TableModality(
                    name, numbers.kind, numbers.columns, numbers.row_meaning, _recipe(name), inputs,
                    partial(numbers.blocks, tables, visits), numbers.title,
                )
            )  # fmt: skip
    if COMPLAINT not in modalities:
        return made, []
    return made, [complaint.complaints(COMPLAINT, _recipe(COMPLAINT), tables, visits, quarantine)]


def _recipe(name: str) -> dict[str, Any]:
    return {"version": VERSIONS[name], "triage_seconds": TRIAGE_SECONDS, "before_unit_hours": BEFORE_UNIT_HOURS}


def _table(folder: MimicFolder, name: str) -> Table:
    path = folder.find_ed_table(name)
    if path is None:
        release = "" if folder.version == 4 else " MIMIC-III has no emergency department: use MIMIC-IV."
        raise MissingInputError(
            f"{folder.raw} (searched to {DEPTH} levels below) has no ed/{name}.csv(.gz) of MIMIC-IV-ED. Add it, or "
            f"leave {' and '.join(one for one, files in FILES.items() if name in files)} out of --modalities."
            f"{release}"
        )
    return Table.open(path)
