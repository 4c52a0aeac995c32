"""Chest X-rays and reports: which belong to a stay, and when."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.cache_schema import InputError, MissingInputError, Modality, ModalitySpec, Task, offsets_of
from omnifuse.cache_schema.selection import input_rows
from omnifuse.pipeline.source import Quarantine, Records, UnreadableItem
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.benchmark.tasks import SELECTION
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet

from .conftest import RawFolder

METADATA = "mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"
RECORDS = "mimic-cxr/cxr-record-list"
SUBJECT = "files/p10/p10000032"


@pytest.fixture
def records(mimic4, with_images) -> tuple[Records, Quarantine]:
    with_images(mimic4)
    quarantine = Quarantine()
    return MimicDataSet(mimic4.write()).read(quarantine), quarantine


def test_the_modalities_are_what_the_folder_holds(mimic3, mimic4, with_images) -> None:
    assert MimicDataSet(mimic3.write()).modalities == ("ehr",)
    assert MimicDataSet(mimic4.write()).modalities == ("ehr",)
    with_images(mimic4)
    assert MimicDataSet(mimic4.write()).modalities == ("ehr", "cxr", "rep")


def test_images_of_the_stay_with_their_hours(records) -> None:
    images = records[0].items[0]
    assert (images.name, images.content) == ("cxr", "image")
    rows = images.items.select("sample_id", "item_id", "time", "view_position", "study_id").rows()
    assert rows == [
        (200, "b", 1.0, "LATERAL", 51),
        (200, "e", 24.0, "AP", 54),  # its file is missing: for the stages to find and count, in case it comes later
        (200, "c", 50.0, "PA", 52),  # at the end of the stay; d is a second later
    ]
    assert all(path.endswith(f"/{item}.jpg") for path, item in images.items.select("path", "item_id").rows())


def test_reports_of_the_stay_with_their_hours(mimic4, with_images) -> None:
    with_images(mimic4)
    metadata = mimic4.tables["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"]
    metadata[0] |= {"StudyDate": "21800101", "StudyTime": "10000"}
    reports = MimicDataSet(mimic4.write(), Options(modalities=("rep",))).read(Quarantine()).items[0]
    assert (reports.name, reports.content) == ("rep", "text")
    rows = reports.items.select("sample_id", "item_id", "time").rows()
    assert rows == [(200, "s51", 1.0), (200, "s54", 24.0), (200, "s52", 50.0)]


def test_only_the_findings_are_read(mimic4, with_images) -> None:
    with_images(mimic4)
    mimic4.tables["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"].pop(0)
    dataset = MimicDataSet(mimic4.write(), Options(modalities=("rep",)))
    reports = dataset.read(Quarantine()).items[0]
    first, missing, empty = (dataset.raw / path for path in reports.items["path"])
    assert reports.read_text(first) == "The lungs are clear."
    with pytest.raises(UnreadableItem):
        reports.read_text(empty)
    with pytest.raises(UnreadableItem, match="cannot be read"):
        reports.read_text(missing)


def test_what_is_left_out_is_quarantined(records) -> None:
    reasons = {(source, reason): n for stage, source, reason, n in records[1].counts().rows() if stage == "items"}
    table = "mimic-cxr-2.0.0-metadata.csv"
    assert reasons == {
        (table, "StudyDate and StudyTime are no time"): 1,
        ("cxr", "study lies outside the ICU stays"): 2,  # a and d
        ("rep", "study lies outside the ICU stays"): 1,  # s53; the last image of s51 was taken in the stay
    }


@pytest.mark.parametrize(
    "date", ["21800102.0", "2180-01-02", "2180-01-02 00:00:00", "2180-01-02T00:00:00", " 21800102 "]
)
def test_other_ways_to_write_the_date_of_a_study(mimic4, with_images, date: str) -> None:
    with_images(mimic4)
    mimic4.tables[METADATA][5]["StudyDate"] = date
    images = MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(Quarantine()).items[0].items
    assert dict(images.select("item_id", "time").rows())["f"] == 24.0


def test_dates_of_studies_in_parquet_are_read(mimic4, with_images) -> None:
    with_images(mimic4)
    for row in mimic4.tables[METADATA]:
        row["StudyDate"] = "2180-01-02"
    images = MimicDataSet(mimic4.write(".parquet"), Options(modalities=("cxr",))).read(Quarantine()).items[0].items
    assert images["item_id"].to_list() == ["e", "f", "b", "c", "d", "a"]


def test_dates_of_studies_in_another_format_are_named(mimic4, with_images) -> None:
    with_images(mimic4)
    for row in mimic4.tables[METADATA]:
        row["StudyDate"] = "01/02/2180"
    with pytest.raises(InputError, match=r"STUDYDATE of row 2, '01/02/2180', cannot be read.*as 21500301"):
        MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(Quarantine())


def test_images_of_other_patients_and_repeated_images(mimic4, with_images) -> None:
    with_images(mimic4)
    metadata = mimic4.tables["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"]
    metadata.append({**metadata[2], "subject_id": "10000033", "dicom_id": "z"})
    metadata.append(dict(metadata[2]))
    quarantine = Quarantine()
    images = MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(quarantine).items[0]
    assert images.items["item_id"].to_list() == ["b", "e", "c"]
    reasons = {reason: n for _, _, reason, n in quarantine.counts().rows()}
    assert reasons["subject is not in the cohort"] == 1
    assert reasons["dicom_id is repeated"] == 1


@pytest.mark.parametrize("modality", ["cxr", "rep"])
def test_mimic3_cannot_be_joined(mimic3, modality) -> None:
    with pytest.raises(InputError, match=rf"{modality} cannot be joined to MIMIC-III.*Use MIMIC-IV"):
        MimicDataSet(mimic3.write(), Options(modalities=("ehr", modality))).inputs()


@pytest.mark.parametrize("modality", ["cxr", "rep"])
def test_a_missing_table_of_studies_is_named(mimic4, modality) -> None:
    with pytest.raises(MissingInputError, match=rf"no mimic-cxr-2.0.0-metadata.*{modality}"):
        MimicDataSet(mimic4.write(), Options(modalities=(modality,))).inputs()


def test_what_was_not_found_is_said_and_where_it_was_looked_for(mimic4, with_images) -> None:
    raw = mimic4.write()
    for folder in (raw, raw / "icu"):
        (note,) = MimicDataSet(folder).read(Quarantine()).notes
        assert note.startswith(f"Not found: cxr and rep. {folder} (searched to 3 levels below) has no mimic-cxr-2.0.0-")
        assert "give the folder above them, hosp/ and icu/ with --raw" in note
    assert MimicDataSet(raw, Options(modalities=("ehr",))).read(Quarantine()).notes == (), "nobody asked for them"
    with_images(mimic4)
    assert MimicDataSet(mimic4.write()).read(Quarantine()).notes == ()
    shutil.rmtree(mimic4.path / "mimic-cxr-jpg/files")
    (note,) = MimicDataSet(mimic4.path).read(Quarantine()).notes
    assert note.startswith(f"Not found: cxr. {mimic4.path} has no images files/p10/")


def test_nothing_is_missed_beside_mimic3(mimic3) -> None:
    assert MimicDataSet(mimic3.write()).read(Quarantine()).notes == ()


def test_missing_images_are_named(mimic4, with_images) -> None:
    with_images(mimic4)
    shutil.rmtree(mimic4.path / "mimic-cxr-jpg/files")
    assert MimicDataSet(mimic4.write()).modalities == ("ehr", "rep")
    with pytest.raises(MissingInputError, match="no images files/p10/"):
        MimicDataSet(mimic4.path, Options(modalities=("cxr",))).inputs()


def test_reports_have_to_be_unpacked(mimic4, with_images) -> None:
    with_images(mimic4)
    shutil.rmtree(mimic4.path / "mimic-cxr/files")
    (mimic4.path / "mimic-cxr/mimic-cxr-reports.zip").write_bytes(b"")
    assert MimicDataSet(mimic4.write()).modalities == ("ehr", "cxr")
    with pytest.raises(MissingInputError, match=r"no reports .*Unpack .*mimic-cxr/mimic-cxr-reports\.zip there"):
        MimicDataSet(mimic4.path, Options(modalities=("rep",))).inputs()


def test_a_report_has_the_time_of_the_last_image_of_its_study(mimic4, with_images) -> None:
    with_images(mimic4)
    for dicom, date, time in (("g", "21800101", "93000"), ("h", "21800103", "020001")):
        row = {"dicom_id": dicom, "subject_id": "10000032", "study_id": "52", "ViewPosition": "AP"}
        mimic4.add(METADATA, **row, StudyDate=date, StudyTime=time)
    both = MimicDataSet(mimic4.write(), Options(modalities=("cxr", "rep"))).read(Quarantine()).items
    images, reports = (dict(items.items.select("item_id", "time").rows()) for items in both)
    assert images == {"b": 1.0, "g": 9.5, "e": 24.0, "c": 50.0}
    assert reports == {"s51": 1.0, "s54": 24.0}, "the last image of s52 was taken after the stay"


@pytest.mark.parametrize("name", ["../../../../secret", "/etc/passwd", "a/b", "..", ""])
def test_a_dicom_id_never_leads_out_of_the_folder(mimic4, with_images, name) -> None:
    with_images(mimic4)
    mimic4.tables[METADATA][1]["dicom_id"] = name
    quarantine = Quarantine()
    images = MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(quarantine).items[0]
    assert images.items["item_id"].to_list() == ["e", "c"]
    assert {reason for _, _, reason, _ in quarantine.counts().rows()} >= {"dicom_id cannot be the name of a file"}


def chosen(records: Records, window_hours: float | None, rule: Mapping[str, Any] = SELECTION["cxr"]) -> list[str]:
    """Return the images that a task with this window sees, by the rule of all tasks or another."""
    items = records.items[0].items.with_row_index("first_row").with_columns(sample=0, rows=1)
    height = items.height
    values, time = np.arange(height, dtype=np.float32)[:, None], items["time"].to_numpy()
    spec = ModalitySpec("cxr", "embedding", "one chest X-ray", {})
    images = Modality(values=values, offsets=offsets_of(np.array([height])), time=time, spec=spec, items=items)
    task = Task("any", "binary", ("y",), np.zeros((1, 1), np.float32), window_hours, {"cxr": rule}, ())
    return [items["item_id"][int(row)] for row in input_rows(images, task).values[:, 0]]


@pytest.mark.parametrize(
    ("images", "window", "expected"),
    [
        ([("a", "AP", "20000"), ("b", "PA", "10000")], 48, ["a"]),
        ([("a", "PA", "10000"), ("b", "AP", "10000")], 48, ["b"]),  # at one time: the last by name, whatever the order
        ([("b", "AP", "10000"), ("a", "PA", "10000")], 48, ["b"]),
        ([("a", "AP", "10000"), ("b", "LATERAL", "20000"), ("c", "LL", "30000")], 48, ["a"]),
        ([("a", "AP", "10000"), ("b", "", "20000")], 48, ["a"]),  # the view is not known
        ([("a", "", "10000"), ("b", "LATERAL", "20000")], 48, []),
        ([("a", "AP", "0"), ("b", "AP", "10000")], 0.5, ["a"]),  # exactly at the beginning
        ([("a", "AP", "10000"), ("b", "AP", "10001")], 1, ["a"]),  # exactly at the end of the window
        ([], None, []),
    ],
)
def test_tasks_see_the_last_frontal_image_of_their_window(mimic4, with_images, images, window, expected) -> None:
    with_images(mimic4)
    mimic4.tables[METADATA].clear()
    for dicom, view, time in images:
        row = {"dicom_id": dicom, "subject_id": "10000032", "study_id": "51", "ViewPosition": view}
        mimic4.add(METADATA, **row, StudyDate="21800101", StudyTime=time)
    records = MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(Quarantine())
    assert records.items[0].items.height == len(images), "all images of the stay are in the cache"
    assert chosen(records, window) == expected


@pytest.mark.parametrize(("time", "inside"), [("235959", False), ("0", True), ("20000", True), ("20001", False)])
def test_both_ends_belong_to_the_stay(mimic4, with_images, time, inside) -> None:
    with_images(mimic4)
    date = {"235959": "21791231", "0": "21800101"}.get(time, "21800103")
    mimic4.tables[METADATA] = [{**mimic4.tables[METADATA][4], "StudyDate": date, "StudyTime": time}]
    assert MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(Quarantine()).items[0].items.height == inside


def test_a_dicom_file_stands_in_where_there_is_no_jpg(mimic4, with_images) -> None:
    with_images(mimic4)
    for study, dicom in (("s51", "b"), ("s54", "e")):  # b is there as .jpg too
        folder = mimic4.path / "mimic-cxr" / SUBJECT / study
        folder.mkdir(parents=True)
        (folder / f"{dicom}.dcm").write_bytes(b"not decoded here")
    images = MimicDataSet(mimic4.write(), Options(modalities=("cxr",))).read(Quarantine()).items[0].items
    paths = {item: Path(path).relative_to(mimic4.path) for path, item in images.select("path", "item_id").rows()}
    assert paths == {
        "b": Path("mimic-cxr-jpg", SUBJECT, "s51/b.jpg"),
        "e": Path("mimic-cxr", SUBJECT, "s54/e.dcm"),
        "c": Path("mimic-cxr-jpg", SUBJECT, "s52/c.jpg"),
    }


@pytest.fixture
def dicom_only(mimic4, with_images, write_dicom) -> Callable[..., RawFolder]:
    """MIMIC-CXR as its DICOM release: the same images, times and views in the headers; e is missing, f damaged."""
    with_images(mimic4)
    shutil.rmtree(mimic4.path / "mimic-cxr-jpg")
    del mimic4.headers[METADATA]
    mimic4.headers[RECORDS] = "subject_id,study_id,dicom_id,path"
    for row in mimic4.tables.pop(METADATA):
        study, dicom = row["study_id"], row["dicom_id"]
        path = f"{SUBJECT}/s{study}/{dicom}.dcm"
        mimic4.add(RECORDS, subject_id=row["subject_id"], study_id=study, dicom_id=dicom, path=path)
        if dicom != "e":
            time = {"10000": "01", "020000.0": "0200", "000000": ""}.get(row["StudyTime"], row["StudyTime"])
            header = {"StudyDate": row["StudyDate"].replace("-13-", "01"), "StudyTime": time}
            pixels = np.zeros((2, 2), np.uint8)
            write_dicom(mimic4.path / "mimic-cxr" / path, pixels, **header, ViewPosition=row["ViewPosition"])
    return mimic4


def test_the_dicom_release_alone_has_times_and_views_in_its_headers(dicom_only) -> None:
    dataset = MimicDataSet(dicom_only.write())
    assert dataset.modalities == ("ehr", "cxr", "rep")
    quarantine = Quarantine()
    images, reports = dataset.read(quarantine).items
    rows = images.items.select("sample_id", "item_id", "time", "view_position").rows()
    assert rows == [(None, "e", None, None), (200, "b", 1.0, "LATERAL"), (200, "c", 50.0, "PA")]
    assert reports.items.select("sample_id", "item_id", "time").rows() == [(200, "s51", 1.0), (200, "s52", 50.0)]
    reasons = {reason: n for stage, source, reason, n in quarantine.counts().rows() if source.startswith("cxr-record")}
    assert reasons == {"no study time: the file is missing": 1, "StudyDate and StudyTime are no time": 1}


def test_an_image_that_comes_later_is_noticed(dicom_only, write_dicom) -> None:
    images = MimicDataSet(dicom_only.write(), Options(modalities=("cxr",))).read(Quarantine()).items[0].items
    (late,) = images.filter(images["sample_id"].is_null())["path"]
    assert not Path(late).exists() and Path(late).name == "e.dcm"
    write_dicom(Path(late), np.zeros((2, 2), np.uint8), StudyDate="21800102", StudyTime="000000", ViewPosition="AP")
    images = MimicDataSet(dicom_only.path, Options(modalities=("cxr",))).read(Quarantine()).items[0].items
    assert images["item_id"].to_list() == ["b", "e", "c"]


def test_only_headers_of_the_cohort_are_read(dicom_only) -> None:
    dicom_only.add(RECORDS, subject_id="10000033", study_id="60", dicom_id="z", path="files/z.dcm")
    quarantine = Quarantine()
    MimicDataSet(dicom_only.write(), Options(modalities=("cxr", "rep"))).read(quarantine)
    missing = [row for row in quarantine.frame().iter_rows(named=True) if "the file is missing" in row["reason"]]
    assert len(missing) == 1, "e is missing, and so would be z"


def test_a_list_of_images_without_the_images_has_no_times(dicom_only) -> None:
    for path in dicom_only.path.rglob("*.dcm"):
        path.unlink()
    assert MimicDataSet(dicom_only.write()).modalities == ("ehr",)
    with pytest.raises(MissingInputError, match="which rep need for the times of studies"):
        MimicDataSet(dicom_only.path, Options(modalities=("rep",))).inputs()


def test_with_a_history_images_and_reports_before_the_stay_have_negative_hours(mimic4, with_images) -> None:
    with_images(mimic4)
    mimic4.tables["hosp/admissions"][0]["admittime"] = "2179-12-31 20:00:00"
    listed = mimic4.tables["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"]
    listed[0] |= {"StudyDate": "21791231", "StudyTime": "200000"}  # a: at admission to the hospital
    listed[4] |= {"StudyDate": "21791231", "StudyTime": "195959"}  # e: a second before

    def hours(history: str) -> dict[str, float]:
        (images,) = MimicDataSet(mimic4.write(), Options(modalities=("cxr",), history=history)).read(Quarantine()).items
        return dict(images.items.drop_nulls("sample_id").select("item_id", "time").rows())

    assert hours("icu") == {"b": 1, "c": 50}
    assert hours("hospital") == {"a": -4, "b": 1, "c": 50}
    assert set(hours("all")) == {"a", "b", "c", "e"}


def test_the_years_without_images_are_said_and_can_be_left_out(mimic4, with_images) -> None:
    with_images(mimic4)
    mimic4.headers["hosp/patients"] += ",anchor_year_group"
    mimic4.tables["hosp/patients"][0]["anchor_year_group"] = "2014 - 2016"
    ids = {"subject_id": 10000099, "hadm_id": 21}
    stay = dict(mimic4.tables["icu/icustays"][0]) | {"subject_id": "10000099", "hadm_id": "21", "stay_id": "201"}
    mimic4.add("icu/icustays", **stay)
    mimic4.add("hosp/admissions", **ids, admittime="2180-01-01 00:00:00", dischtime="2180-01-04 00:00:00")
    mimic4.add("hosp/patients", subject_id=10000099, anchor_age=50, anchor_year=2180, anchor_year_group="2017 - 2019")
    raw = mimic4.write()
    everyone = MimicDataSet(raw, Options(modalities=("cxr",))).read(Quarantine())
    assert everyone.notes == ("Stays with a chest X-ray: 100% of 1 in 2014 - 2016, 0% of 1 in 2017 - 2019.",)
    dataset = MimicDataSet(raw, Options(modalities=("ehr",), cxr_years=True))
    assert dataset.read(Quarantine()).samples["sample_id"].to_list() == [200]
    assert any("metadata" in path.name for path in dataset.inputs()), "another list of images is another cohort"
    assert dataset.settings() != MimicDataSet(raw, Options(modalities=("ehr",))).settings()


def test_who_has_images_is_known_beside_mimic4_alone(mimic3, mimic4) -> None:
    for raw in (mimic3, mimic4):
        with pytest.raises(MissingInputError, match=r"--cxr-years: .* has no table of the images of MIMIC-CXR"):
            MimicDataSet(raw.write(), Options(modalities=("ehr",), cxr_years=True)).read(Quarantine())
