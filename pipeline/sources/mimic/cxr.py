"""Chest X-rays and radiology reports of MIMIC-CXR, placed in ICU stays by subject and study time.

An image has the study time of its row in the table, or of its DICOM header where there is no table of times. A report
has the time of the last image of its study, because it can describe all of them.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ....cache_schema import InputError, MissingInputError
from ....progress import progress
from ...source import ItemModality, Quarantine, UnreadableItem
from ...text.sections import findings
from .folder import METADATA, RECORDS, MimicFolder
from .tables import DEPTH, Table, read_table, unique_rows
from .times import refuse_other_format
from .within import of_cohort, within_stays

STAGE = "items"
REPORT_RECIPE = {"sections": "findings", "version": 2}

IDS = ["subject_id", "study_id"]
HEADER = {"viewposition": "ViewPosition", "studydate": "StudyDate", "studytime": "StudyTime"}
"""Columns of MIMIC-CXR-JPG's table by the names of the DICOM elements that they come from."""

NAME = r"^[0-9A-Za-z][0-9A-Za-z_-]*$"
"""What a ``dicom_id`` may look like: it becomes part of a path."""

DATE = r"^\s*(\d{4})-?(\d{2})-?(\d{2})(?:\.0*|[T ]00:00:00(?:\.0*)?)?\s*$"
"""A date as MIMIC-CXR-JPG writes it, 21610510, as a number with a point, or as ISO 8601 does."""


def require_mimic_cxr(folder: MimicFolder, modalities: Sequence[str]) -> None:
    """Raise :class:`InputError` where images or reports are asked for that are not there or cannot be joined."""
    wanted = [name for name in ("cxr", "rep") if name in modalities]
    if wanted and folder.version == 3:
        raise InputError(
            f"{', '.join(wanted)} cannot be joined to MIMIC-III: its identifiers were made different from those of "
            "MIMIC-CXR on purpose. Use MIMIC-IV (hosp/ and icu/), which shares subject_id with MIMIC-CXR, or "
            "--modalities ehr."
        )
    for _, reason in not_found(folder, wanted):
        raise MissingInputError(reason)


def not_found(folder: MimicFolder, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return which of ``cxr`` and ``rep`` a folder does not have, and why: what was looked for, where, and the mend."""
    if wanted and folder.studies is None:
        reason = (
            f"{folder.raw} (searched to {DEPTH} levels below) has no {METADATA}.csv(.gz), which {', '.join(wanted)} "
            f"need for the times of studies. Add the one of MIMIC-CXR-JPG, or {RECORDS}.csv(.gz) of MIMIC-CXR with its "
            "DICOM files below files/. If they lie elsewhere, give the folder above them, hosp/ and icu/ with --raw."
        )
        return [(" and ".join(wanted), reason)]
    missing = []
    if "cxr" in wanted and not folder.images:
        where = "files/p10/p10000032/s50414267/….jpg or .dcm"
        missing.append(("cxr", f"{folder.raw} has no images {where}. Add MIMIC-CXR-JPG or MIMIC-CXR."))
    if "rep" in wanted and folder.reports is None:
        mend = f"Unpack {folder.reports_archive} there." if folder.reports_archive else "Add MIMIC-CXR."
        missing.append(("rep", f"{folder.raw} has no reports files/p10/p10000032/s50414267.txt. {mend}"))
    return missing


def study_items(
    folder: MimicFolder, modalities: Sequence[str], stays: pl.DataFrame, quarantine: Quarantine
) -> tuple[ItemModality, ...]:
    """List the images (``cxr``) and reports (``rep``) of the stays, whether or not a file is there.

    ``stays`` has stay_id, subject_id, and since, intime and outtime in seconds, as :func:`within_stays` takes them.
    """
    makers = {name: make for name, make in (("cxr", _images), ("rep", _reports)) if name in modalities}
    if not makers:
        return ()
    studies = _read_studies(folder, stays, quarantine)
    return tuple(make(folder, studies, stays, quarantine) for make in makers.values())


def subjects_with_images(folder: MimicFolder) -> pl.Series:
    """Return the patients of whom MIMIC-CXR has any image, whenever it was made."""
    table = Table.open(folder.studies) if folder.studies else None
    if table is None or folder.version == 3:
        raise MissingInputError(
            f"--cxr-years: {folder.raw} has no table of the images of MIMIC-CXR beside MIMIC-IV. Add "
            f"{METADATA}.csv(.gz), or leave the option out."
        )
    unseen = Quarantine()  # what is wrong with this table is listed where images are
    return read_table(table, ["subject_id"], [], unseen, ["subject_id"])["subject_id"].unique()


def image_shares(images: pl.DataFrame, stays: pl.DataFrame) -> str:
    """Return how many stays of each band of years have an image, in words; nothing where no years are known.

    MIMIC-CXR ends in 2016: later stays lack images by date and not by chance. ``images`` has sample_id, ``stays``
    stay_id and anchor_year_group.
    """
    having = stays.with_columns(there=pl.col("stay_id").is_in(images["sample_id"].drop_nulls().unique().implode()))
    groups = having.drop_nulls("anchor_year_group").group_by("anchor_year_group").agg(pl.len(), pl.col("there").mean())
    shares = [f"{share:.0%} of {count:,} in {years}" for years, count, share in groups.sort("anchor_year_group").rows()]
    return f"Stays with a chest X-ray: {', '.join(shares)}." if shares else ""


def read_findings(path: Path) -> str:
    """Return the findings of a report; raises :class:`UnreadableItem` where there are none."""
    try:
        text = findings(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UnreadableItem(f"cannot be read: {error.strerror}") from error
    if not text.strip():
        raise UnreadableItem("no findings in the report")
    return text


def _images(folder: MimicFolder, studies: pl.DataFrame, stays: pl.DataFrame, quarantine: Quarantine) -> ItemModality:
    """List the images taken within each stay, with view position and study.

    Those whose time is unknown, because their DICOM file is missing or damaged, are listed without a stay: they are not
    encoded, but that they have come or were mended is noticed.
    """
    images = within_stays(studies.drop_nulls("second"), stays, "cxr", quarantine)
    unknown = studies.filter(pl.col("second").is_null())
    items = pl.concat([images, unknown], how="diagonal")
    items = items.with_columns(_image_paths(folder, items), item_id="dicom_id", view_position="viewposition")
    items = items.select("sample_id", "item_id", "path", "time", "view_position", "study_id")
    items = items.sort("sample_id", "time", "item_id")
    return ItemModality("cxr", "image", "one chest X-ray", items, {}, title="chest X-rays")


def _reports(folder: MimicFolder, studies: pl.DataFrame, stays: pl.DataFrame, quarantine: Quarantine) -> ItemModality:
    """List the reports of the studies within each stay, at the time of the last image of the study."""
    assert folder.reports is not None
    last = studies.drop_nulls("second").group_by(IDS, maintain_order=True).agg(pl.max("second"))
    items = within_stays(last, stays, "rep", quarantine)
    items = items.with_columns(path=_study_path(folder.reports, ".txt"), item_id=pl.concat_str(pl.lit("s"), "study_id"))
    items = items.select("sample_id", "item_id", "path", "time", "study_id").sort("sample_id", "time", "item_id")
    return ItemModality(
        "rep", "text", "one token of a report", items, REPORT_RECIPE, read_findings, title="radiology reports"
    )


def _read_studies(folder: MimicFolder, stays: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Return one row for each image of the cohort's subjects: subject_id, study_id, dicom_id, viewposition, second.

    ``second`` (of study, since 1970) is null where it is to be had from a DICOM file that cannot be read.
    """
    assert folder.studies is not None
    table = Table.open(folder.studies)
    texts = ["dicom_id", *(HEADER if folder.metadata else ())]
    table.require([*IDS, *texts])
    images = unique_rows(read_table(table, IDS, texts, quarantine, IDS), ["dicom_id"], table, quarantine)
    named = images.filter(pl.col("dicom_id").str.contains(NAME).fill_null(value=False))
    for row in images.join(named, on="row", how="anti").iter_rows(named=True):
        quarantine.add(STAGE, table.path.name, f"row {row['row']}", "", "dicom_id cannot be the name of a file")
    images = of_cohort(named, stays, table, quarantine)
    if folder.metadata is None:
        return _with_headers(images, folder, table, quarantine)
    clock = pl.col("studytime").str.extract(r"^\s*(\d{1,6})(?:\.\d*)?\s*$").str.zfill(6)  # 930 is 00:09:30
    return _with_second(images, clock, table, quarantine)


def _with_headers(images: pl.DataFrame, folder: MimicFolder, table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Add what MIMIC-CXR-JPG has in its table from the DICOM headers."""
    from ...image.dicom import read_header

    assert folder.dicom is not None
    paths = images.select(_study_path(folder.dicom, "/") + pl.col("dicom_id") + ".dcm").to_series()
    headers: list[list[str] | None] = []
    for path, row in progress(zip(paths, images["row"], strict=True), "DICOM headers", total=len(paths), unit="files"):
        try:
            headers.append(read_header(Path(path), list(HEADER.values())))
        except UnreadableItem as reason:
            headers.append(None)
            quarantine.add(STAGE, table.path.name, f"row {row}", "", f"no study time: {reason}")
    known = pl.Series([header is not None for header in headers], dtype=pl.Boolean)
    values = pl.DataFrame(
        [header for header in headers if header], schema=dict.fromkeys(HEADER, pl.String), orient="row"
    )
    clock = pl.col("studytime").str.extract(r"^(\d{2}(?:\d{2}){0,2})(?:\.\d*)?$").str.pad_end(6, "0")  # 0930 is 09:30
    read = _with_second(images.filter(known).hstack(values), clock, table, quarantine)
    return pl.concat([read, images.filter(~known)], how="diagonal")


def _with_second(images: pl.DataFrame, clock: pl.Expr, table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Add the second of the study, from its date and a clock of six digits; rows without one are left out.

    Raises :class:`InputError` where no date can be read.
    """
    images = images.with_columns(pl.col("studydate").cast(pl.String))
    date = pl.concat_str(pl.col("studydate").str.extract(DATE, part) for part in (1, 2, 3))
    days = images.select(date.str.to_datetime("%Y%m%d", strict=False)).to_series()
    refuse_other_format(images, "studydate", days, table, form="21500301")
    moment = (date + clock).str.to_datetime("%Y%m%d%H%M%S", strict=False)
    images = images.with_columns(moment.dt.epoch("s").alias("second"), pl.col("viewposition").fill_null(""))
    for row in images.filter(pl.col("second").is_null()).iter_rows(named=True):
        value = f"{row['studydate']} {row['studytime']}"
        quarantine.add(STAGE, table.path.name, f"row {row['row']}", value, "StudyDate and StudyTime are no time")
    return images.drop_nulls("second").drop("studydate", "studytime")


def _image_paths(folder: MimicFolder, images: pl.DataFrame) -> pl.Series:
    """Return where each image lies: of several places the first that exists, .jpg before .dcm."""
    places = images.select(
        (_study_path(tree, "/") + pl.col("dicom_id") + suffix).alias(str(number))
        for number, (tree, suffix) in enumerate(folder.images)
    )
    if places.width == 1:
        return places.to_series().alias("path")
    found = (next((path for path in paths if Path(path).exists()), paths[0]) for paths in places.iter_rows())
    return pl.Series("path", found, dtype=pl.String)


def _study_path(root: Path, end: str) -> pl.Expr:
    """Return the path of a study with some ending, as both parts of MIMIC-CXR lay it out."""
    subject, study = (pl.col(name).cast(pl.String) for name in IDS)
    start = pl.lit(f"{root}/files/p")
    return pl.concat_str(start, subject.str.slice(0, 2), pl.lit("/p"), subject, pl.lit("/s"), study, pl.lit(end))
