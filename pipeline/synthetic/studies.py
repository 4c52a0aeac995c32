"""Radiology studies of the stays in the folders of MIMIC-CXR-JPG (images) and MIMIC-CXR (reports).

The metadata table names every frontal image, as the real one does for those who downloaded only some of the files: a
stay whose image is missing but whose report is there has a metadata row (the only place that dates a study) and no
file.
"""

from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from .cohort import Cohort
from .images import SIZE, draw_image, write_jpeg
from .law import MODALITIES, FloatArray
from .layouts import write_csv
from .reports import write_reports

PROCEDURES = {"AP": "CHEST (PORTABLE AP)", "PA": "CHEST (PA AND LAT)", "LATERAL": "CHEST (PA AND LAT)"}
VIEW_NAMES = {"AP": "antero-posterior", "PA": "postero-anterior", "LATERAL": "lateral"}


def write_studies(raw: Path, cohort: Cohort, rng: np.random.Generator) -> None:
    """Write images, reports and the two CSV files of MIMIC-CXR-JPG."""
    studied = cohort.stays.with_row_index("row").filter(pl.col("has_image") | pl.col("has_report"))
    images = _list_images(studied, rng)
    _write_listing(raw / "mimic-cxr-jpg", images)
    statistic, sign = cohort.draw.statistic, cohort.draw.sign
    column = MODALITIES.index("cxr")
    with_file = images.filter("has_image")
    for image in tqdm(with_file.iter_rows(named=True), total=len(with_file), desc="images", disable=None):
        row, lateral = image["row"], image["view"] == "LATERAL"
        shown: FloatArray = rng.standard_normal(2) if lateral else statistic[row, column]
        path = raw / "mimic-cxr-jpg" / _study_folder(image) / f"{image['dicom_id']}.jpg"
        write_jpeg(path, draw_image(shown, 1.0 if lateral else float(sign[row, column]), rng))
    _write_report_files(raw / "mimic-cxr", studied.filter("has_report"), cohort, rng)


def _study_folder(row: dict[str, object]) -> str:
    subject = f"p{row['subject_id']}"
    return f"files/{subject[:3]}/{subject}/s{row['study_id']}"


def _list_images(studied: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return one row per image: frontal ones of all studies, then the lateral ones; ids are random."""
    lateral = studied.filter("has_lateral").with_columns(view=pl.lit("LATERAL"))
    images = pl.concat([studied, lateral])
    hexadecimal = [f"{number:08x}" for number in rng.integers(0, 2**32, 5 * len(images))]
    ids = ["-".join(hexadecimal[start : start + 5]) for start in range(0, len(hexadecimal), 5)]
    taken = pl.from_epoch(pl.col("intime") + pl.col("study_after"), time_unit="s")
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


def _write_report_files(folder: Path, studied: pl.DataFrame, cohort: Cohort, rng: np.random.Generator) -> None:
    rows, column = studied["row"].to_numpy(), MODALITIES.index("rep")
    views = [PROCEDURES[view] for view in studied["view"]]
    texts = write_reports(views, cohort.draw.statistic[rows, column], cohort.draw.sign[rows, column], rng)
    for study, text in zip(studied.iter_rows(named=True), texts, strict=True):
        path = folder / f"{_study_folder(study)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
