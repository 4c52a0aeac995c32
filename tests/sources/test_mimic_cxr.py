"""Chest X-rays and reports: which belong to a stay, and when."""

import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Quarantine, Records, UnreadableItem
from omnifuse.pipeline.sources.mimic import MimicDataSet


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
    reports = MimicDataSet(mimic4.write(), ("rep",)).read(Quarantine()).items[0]
    assert (reports.name, reports.content) == ("rep", "text")
    rows = reports.items.select("sample_id", "item_id", "time").rows()
    assert rows == [(200, "s51", 1.0), (200, "s54", 24.0), (200, "s52", 50.0)]


def test_only_the_findings_are_read(mimic4, with_images) -> None:
    with_images(mimic4)
    mimic4.tables["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"].pop(0)
    dataset = MimicDataSet(mimic4.write(), ("rep",))
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
        (table, "StudyDate and StudyTime are no time"): 2,
        (table, "study lies outside the ICU stays"): 4,
    }


def test_images_of_other_patients_and_repeated_images(mimic4, with_images) -> None:
    with_images(mimic4)
    metadata = mimic4.tables["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"]
    metadata.append({**metadata[2], "subject_id": "10000033", "dicom_id": "z"})
    metadata.append(dict(metadata[2]))
    quarantine = Quarantine()
    images = MimicDataSet(mimic4.write(), ("cxr",)).read(quarantine).items[0]
    assert images.items["item_id"].to_list() == ["b", "e", "c"]
    reasons = {reason: n for _, _, reason, n in quarantine.counts().rows()}
    assert reasons["subject is not in the cohort"] == 1
    assert reasons["dicom_id is repeated"] == 1


@pytest.mark.parametrize("modality", ["cxr", "rep"])
def test_mimic3_cannot_be_joined(mimic3, modality) -> None:
    with pytest.raises(InputError, match=rf"{modality} cannot be joined to MIMIC-III.*Use MIMIC-IV"):
        MimicDataSet(mimic3.write(), ("ehr", modality)).inputs()


@pytest.mark.parametrize("modality", ["cxr", "rep"])
def test_missing_images_and_reports_are_named(mimic4, modality) -> None:
    with pytest.raises(MissingInputError, match=rf"no mimic-cxr-2.0.0-metadata.*{modality}"):
        MimicDataSet(mimic4.write(), (modality,)).inputs()
