"""Chest X-rays and radiology reports of MIMIC-CXR, placed in ICU stays by subject and study time."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ...cache_schema import InputError, MissingInputError
from ..source import ItemModality, Quarantine, UnreadableItem
from ..text.sections import findings
from .mimic_folder import METADATA, MimicFolder
from .mimic_tables import Table, read_table, unique_rows

STAGE = "items"
REPORT_RECIPE = {"sections": "findings", "version": 1}


def require_mimic_cxr(folder: MimicFolder, modalities: Sequence[str]) -> None:
    """Raise :class:`InputError` where images or reports are asked for that are not there or cannot be joined."""
    wanted = ", ".join(name for name in ("cxr", "rep") if name in modalities)
    if wanted and folder.version == 3:
        raise InputError(
            f"{wanted} cannot be joined to MIMIC-III: its identifiers were made different from those of MIMIC-CXR on "
            "purpose. Use MIMIC-IV (hosp/ and icu/), which shares subject_id with MIMIC-CXR, or --modalities ehr."
        )
    if wanted and folder.metadata is None:
        raise MissingInputError(f"{folder.raw} has no {METADATA}.csv(.gz), which {wanted} need. Add MIMIC-CXR-JPG.")
    if "rep" in modalities and folder.reports is None:
        raise MissingInputError(f"{folder.raw} has no reports files/p10/p10000032/s50414267.txt. Add MIMIC-CXR.")


def image_items(folder: MimicFolder, stays: pl.DataFrame, quarantine: Quarantine) -> ItemModality:
    """List the images taken within each stay, with view position and study; whether or not a file is there."""
    table = _table(folder)
    images = _in_stays(_metadata(table, quarantine), stays, table, quarantine)
    name = pl.concat_str(_study_path(table.path.parent), pl.lit("/"), "dicom_id", pl.lit(".jpg"))
    items = images.with_columns(path=name, item_id="dicom_id")
    items = items.select("sample_id", "item_id", "path", "time", "view_position", "study_id")
    return ItemModality("cxr", "image", "one chest X-ray", items.sort("sample_id", "time", "item_id"), {})


def report_items(folder: MimicFolder, stays: pl.DataFrame, quarantine: Quarantine) -> ItemModality:
    """List the reports of the studies within each stay, whether or not a file is there, with the time of the study."""
    assert folder.reports is not None
    table = _table(folder)
    studies = _metadata(table, quarantine).unique(["subject_id", "study_id"], keep="first", maintain_order=True)
    path = pl.concat_str(_study_path(folder.reports), pl.lit(".txt"))
    items = _in_stays(studies, stays, table, quarantine)
    items = items.with_columns(path=path, item_id=pl.concat_str(pl.lit("s"), "study_id"))
    items = items.select("sample_id", "item_id", "path", "time", "study_id").sort("sample_id", "time", "item_id")
    return ItemModality("rep", "text", "one token of a report", items, REPORT_RECIPE, read_findings)


def read_findings(path: Path) -> str:
    """Return the findings of a report; raises :class:`UnreadableItem` where there are none."""
    try:
        text = findings(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UnreadableItem(f"cannot be read: {error.strerror}") from error
    if not text.strip():
        raise UnreadableItem("no findings in the report")
    return text


def _table(folder: MimicFolder) -> Table:
    assert folder.metadata is not None
    table = Table.open(folder.metadata)
    table.require(["dicom_id", "subject_id", "study_id", "viewposition", "studydate", "studytime"])
    return table


def _metadata(table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Return one row per image: row, subject_id, study_id, dicom_id, view_position, second."""
    needed = ["subject_id", "study_id"]
    texts = ["dicom_id", "viewposition", "studydate", "studytime"]
    frame = unique_rows(read_table(table, needed, texts, quarantine, needed), ["dicom_id"], table, quarantine)
    clock = pl.col("studytime").str.extract(r"^\s*(\d{1,6})(?:\.\d*)?\s*$").str.zfill(6)
    moment = (pl.col("studydate").str.strip_chars() + clock).str.to_datetime("%Y%m%d%H%M%S", strict=False)
    frame = frame.with_columns(second=moment.dt.epoch("s"), view_position=pl.col("viewposition").fill_null(""))
    for row in frame.filter(pl.col("second").is_null()).iter_rows(named=True):
        value = f"{row['studydate']} {row['studytime']}"
        quarantine.add(STAGE, table.path.name, f"row {row['row']}", value, "StudyDate and StudyTime are no time")
    return frame.drop_nulls("second").drop("viewposition", "studydate", "studytime")


def _in_stays(studies: pl.DataFrame, stays: pl.DataFrame, table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Give every row the stay of its subject that it lies in (both ends included); the others are counted."""
    of_cohort = studies.join(
        stays.select("subject_id", "intime", "outtime", sample_id="stay_id"), on="subject_id", maintain_order="left"
    )
    within = of_cohort.filter(pl.col("second").is_between(pl.col("intime"), pl.col("outtime")))
    strangers = len(studies) - of_cohort["row"].n_unique()
    outside = of_cohort["row"].n_unique() - within["row"].n_unique()
    for count, reason in ((strangers, "subject is not in the cohort"), (outside, "study lies outside the ICU stays")):
        if count:
            quarantine.add(STAGE, table.path.name, "", "", reason, count)
    return within.with_columns(time=((pl.col("second") - pl.col("intime")) / 3600).cast(pl.Float32))


def _study_path(root: Path) -> pl.Expr:
    """Return the path of a study without ending, as both parts of MIMIC-CXR lay it out."""
    subject = pl.col("subject_id").cast(pl.String)
    return pl.concat_str(
        pl.lit(f"{root}/files/p"), subject.str.slice(0, 2), pl.lit("/p"), subject, pl.lit("/s"), "study_id"
    )
