"""Whether a folder is MIMIC, and what of it is there."""

from pathlib import Path

from ....cache_schema import MissingInputError
from ...check import Check, recognised
from .cxr import not_found
from .data_set import COHORT_TABLES, MimicDataSet
from .ed import ED_MODALITIES
from .ehr_events import EVENT_TABLES
from .folder import MimicFolder
from .note_tables import DEFAULT, note_tables


def recognise(raw: Path) -> list[Check]:
    """Check every table by its name, and then what they hold; images and reports may be missing."""
    folder, dataset = MimicFolder.find(raw), MimicDataSet(raw)
    checks = [recognised(dataset.name, raw, f"MIMIC-{'IV' if folder.version == 4 else 'III'}")]
    for name in (*COHORT_TABLES, *EVENT_TABLES):
        path = folder.find_table(name)
        if path is None:
            checks.append(Check(f"table {name}", "problem", "missing", f"add {name}.csv.gz"))
        else:
            checks.append(Check(f"table {name}", "ok", str(path.relative_to(raw))))
    if all(check.state == "ok" for check in checks):
        dataset.inputs()
    checks += [_notes(folder)]
    if folder.version == 4:
        checks += [Check(name, "ok", "there") for name in folder.modalities if name not in ("ehr", "notes")]
        if folder.find_ed_table("edstays"):
            checks.append(Check("ed", "ok", f"there, and read if --modalities names {', '.join(ED_MODALITIES)}"))
        checks += [Check(names, "note", reason) for names, reason in not_found(folder, ("cxr", "rep"))]
    return checks


def _notes(folder: MimicFolder) -> Check:
    """Say whether there are notes."""
    try:
        found = note_tables(folder, DEFAULT[folder.version])
    except MissingInputError as error:
        return Check("notes", "note", str(error))
    return Check("notes", "ok", ", ".join(str(table.path.relative_to(folder.raw)) for table in found))
