"""What lies in a raw folder: which data set it looks like, and what of that is there or missing."""

import shlex
from collections.abc import Callable
from pathlib import Path

from ..cache_schema import MissingInputError, OmniFuseError
from .check import Check
from .sources.lung.data_set import LungDataSet
from .sources.lung.table import TABLE
from .sources.meds.folder import data_files
from .sources.mimic.cxr import not_found
from .sources.mimic.data_set import COHORT_TABLES, EVENT_TABLES, MimicDataSet
from .sources.mimic.folder import MimicFolder
from .sources.physionet2012.records import find_outcomes, find_records

SIGNS = {
    "mimic": "a table icustays, flat (MIMIC-III) or below icu/ beside hosp/ (MIMIC-IV)",
    "physionet2012": "a folder set-a, set-b or set-c with records such as 132539.txt",
    "lung": f"a table {TABLE} beside a folder for each patient",
    "meds": "events in data/**/*.parquet",
}
"""What a data set is known by."""


def check_raw(raw: Path) -> list[Check]:
    """Say which data set a folder looks like, and check that its files are there; a problem if it looks like none."""
    if not raw.is_dir():
        return [Check("raw files", "problem", f"there is no folder {shlex.quote(str(raw))}")]
    checks = [check for name, look in LOOKS.items() for check in _looked(name, look, raw)]
    if checks:
        return checks
    listed = ", ".join(sorted(path.name for path in raw.iterdir())[:12]) or "nothing"
    signs = "\n".join(f"{name}: {sign}" for name, sign in SIGNS.items())
    finding = f"{raw} looks like no data set; it holds {listed}. What each is known by:\n{signs}"
    return [Check("raw files", "problem", finding)]


def _looked(name: str, look: Callable[[Path], list[Check]], raw: Path) -> list[Check]:
    """Return what a look finds, nothing in the folder of another data set."""
    try:
        return look(raw)
    except MissingInputError:
        return []
    except OmniFuseError as error:
        return [Check(name, "problem", str(error))]


def _mimic(raw: Path) -> list[Check]:
    """Check every table by its name, and then what they hold; images and reports may be missing."""
    folder, dataset = MimicFolder.find(raw), MimicDataSet(raw)
    checks = [_is(dataset.name, raw, f"MIMIC-{'IV' if folder.version == 4 else 'III'}")]
    for name in (*COHORT_TABLES, *EVENT_TABLES):
        path = folder.find_table(name)
        if path is None:
            checks.append(Check(f"table {name}", "problem", "missing", f"add {name}.csv.gz"))
        else:
            checks.append(Check(f"table {name}", "ok", str(path.relative_to(raw))))
    if all(check.state == "ok" for check in checks):
        dataset.inputs()
    if folder.version == 4:
        checks += [Check(name, "ok", "there") for name in folder.modalities if name != "ehr"]
        checks += [Check(names, "note", reason) for names, reason in not_found(folder, ("cxr", "rep"))]
    return checks


def _physionet2012(raw: Path) -> list[Check]:
    checks = [_is("physionet2012", raw, f"{len(find_records(raw)):,} records")]
    outcomes = ", ".join(path.name for path in find_outcomes(raw))
    without = Check("outcomes", "note", "no Outcomes-a.txt or another, so that no record has a label")
    return [*checks, Check("outcomes", "ok", outcomes) if outcomes else without]


def _lung(raw: Path) -> list[Check]:
    if not (raw / TABLE).is_file():
        return []
    LungDataSet(raw).inputs()
    return [_is("lung", raw, f"{sum(path.is_dir() for path in raw.iterdir()):,} folders of patients")]


def _meds(raw: Path) -> list[Check]:
    return [_is("meds", raw, f"{len(data_files(raw)):,} files of events", " --samples TABLE")]


def _is(name: str, raw: Path, finding: str, more: str = "") -> Check:
    command = f"omnifuse extract --dataset {name} --raw {shlex.quote(str(raw))}{more} --dry-run"
    return Check("raw files", "ok", f"data set {name}: {finding}. Look further with\n    {command}")


LOOKS = {"mimic": _mimic, "physionet2012": _physionet2012, "lung": _lung, "meds": _meds}
