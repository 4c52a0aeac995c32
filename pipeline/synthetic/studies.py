"""Radiology studies of the stays in the folders of MIMIC-CXR-JPG (images) and MIMIC-CXR (reports).

The metadata table names every frontal image, as the real one does for those who downloaded only some of the files: a
study whose image is missing but whose report is there has a metadata row (the only place that dates a study) and no
file.
"""

from pathlib import Path

import numpy as np
import polars as pl

from ...progress import progress
from .images import SIZE, draw_image, write_jpeg
from .layouts import write_csv
from .reports import write_reports

PROCEDURES = {"AP": "CHEST (PORTABLE AP)", "PA": "CHEST (PA AND LAT)", "LATERAL": "CHEST (PA AND LAT)"}
VIEW_NAMES = {"AP": "antero-posterior", "PA": "postero-anterior", "LATERAL": "lateral"}


def write_studies(raw: Path, studies: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Write images, reports and the two CSV files of MIMIC-CXR-JPG for the studies of `plan_studies`.

    Returns the studies that have a report, with its ``text``.
    """
    images = _list_images(studies, rng)
    _write_listing(raw / "mimic-cxr-jpg", images)
    with_file = images.filter("has_image")
    for image in progress(with_file.iter_rows(named=True), "images", total=len(with_file), unit="files"):
        lateral = image["view"] == "LATERAL"
        shown = rng.standard_normal(2) if lateral else np.array([image["cxr_shared"], image["cxr_own"]])
        path = raw / "mimic-cxr-jpg" / _study_folder(image) / f"{image['dicom_id']}.jpg"
        write_jpeg(path, draw_image(shown, 1.0 if lateral else image["cxr_sign"], rng))
    reported = with_reports(studies, rng)
    for study in reported.iter_rows(named=True):
        path = raw / "mimic-cxr" / f"{_study_folder(study)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(study["text"], encoding="utf-8")
    return reported


def with_reports(studies: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return the studies that have a report, with its ``text``."""
    reported = studies.filter("has_report")
    views = [PROCEDURES[view] for view in reported["view"]]
    texts = write_reports(views, reported["rep_shared", "rep_own"].to_numpy(), reported["rep_sign"].to_numpy(), rng)
    return reported.with_columns(text=pl.Series(list(texts), dtype=pl.String))


def _study_folder(row: dict[str, object]) -> str:
    subject = f"p{row['subject_id']}"
    return f"files/{subject[:3]}/{subject}/s{row['study_id']}"


def _list_images(studies: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return one row per image: frontal ones of all studies, then the lateral ones; ids are random."""
    lateral = studies.filter("has_lateral").with_columns(view=pl.lit("LATERAL"))
    images = pl.concat([studies, lateral])
    hexadecimal = [f"{number:08x}" for number in rng.integers(0, 2**32, 5 * len(images))]
    ids = ["-".join(hexadecimal[start : start + 5]) for start in range(0, len(hexadecimal), 5)]
    taken = pl.from_epoch("taken", time_unit="s")
    part = pl.when(pl.col("subject_id") % 50 == 0).then(pl.lit("validate"))
    return images.with_columns(
        dicom_id=pl.Series(ids, dtype=pl.String),
        StudyDate=taken.dt.strftime("%Y%m%d"),
        StudyTime=taken.dt.strftime("%H%M%S") + ".000",
        split=part.when(pl.col("subject_id") % 50 == 1).then(pl.lit("test")).otherwise(pl.lit("train")),
    )


def _write_listing(folder: Path, images: pl.DataFrame) -> None:
    metadata = images.select(
        "dicom_id",
        "subject_id",
        "study_id",
        PerformedProcedureStepDescription=pl.col("view").replace_strict(PROCEDURES),
        ViewPosition="view",
        Rows=SIZE,
        Columns=SIZE,
        StudyDate="StudyDate",
        StudyTime="StudyTime",
        ProcedureCodeSequence_CodeMeaning=pl.col("view").replace_strict(PROCEDURES),
        ViewCodeSequence_CodeMeaning=pl.col("view").replace_strict(VIEW_NAMES),
        PatientOrientationCodeSequence_CodeMeaning=pl.lit("Erect"),
    )
    write_csv(folder / "mimic-cxr-2.0.0-metadata.csv.gz", [metadata])
    write_csv(folder / "mimic-cxr-2.0.0-split.csv.gz", [images.select("dicom_id", "study_id", "subject_id", "split")])
