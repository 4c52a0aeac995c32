"""A dry run says what is there of a MIMIC folder, and refuses what would stop the work later."""

import gzip
from pathlib import Path

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.summary import outcome

RANDOM = Encoders("random", "random")


def dry_run(raw: Path) -> Extraction:
    return extract(MimicDataSet(raw), raw.parent / "cache", RANDOM, dry_run=True)


def test_the_share_of_files_that_are_there_is_said(mimic4, with_images) -> None:
    with_images(mimic4)
    found = dry_run(mimic4.write())
    assert found.files == {"cxr": (2, 3), "rep": (2, 3)}  # e.jpg and s54.txt are missing
    assert "cxr                  2 of 3 files are there (67%)" in outcome(found)[1]


def test_what_was_not_found_is_said(mimic4, tmp_path: Path) -> None:
    raw = mimic4.write()
    assert "\nNot found: cxr and rep. " in outcome(dry_run(raw))[1]
    found = extract(MimicDataSet(raw), tmp_path / "cache", RANDOM)
    assert "\nNot found: cxr and rep. " in outcome(found)[1]


@pytest.mark.parametrize("table", ["icu/chartevents", "hosp/labevents", "icu/icustays"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_cut_table_is_refused(mimic4, table: str, suffix: str) -> None:
    event = {"subject_id": 10000032, "hadm_id": 20, "itemid": 50931, "charttime": "2180-01-01 01:00:00", "value": "80"}
    mimic4.add("hosp/labevents", **event)
    raw = mimic4.write(suffix)
    path = raw / f"{table}{suffix}"
    path.write_bytes(path.read_bytes()[:-16])
    with pytest.raises(InputError, match=rf"{path.name} (cannot be read|ends in the middle of a line).*cut"):
        dry_run(raw)


def test_a_changed_byte_in_a_compressed_table_is_refused(mimic4) -> None:
    raw = mimic4.write(".csv.gz")
    path = raw / "icu/chartevents.csv.gz"
    content = bytearray(gzip.compress(gzip.decompress(path.read_bytes()) * 1000))
    content[len(content) // 2] ^= 16
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"chartevents\.csv\.gz cannot be read"):
        dry_run(raw)
