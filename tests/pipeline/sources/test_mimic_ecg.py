"""Electrocardiograms: which belong to a stay, and what the machine measured in them."""

from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.pipeline.core.encode import Machines
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.mimic.ecg import AXES, INTERVALS
from omnifuse.pipeline.synthetic.cohort import SynthSettings
from omnifuse.pipeline.synthetic.write import write_cohort

from .conftest import RawFolder

LIST, MEASURED = "mimic-iv-ecg/record_list", "mimic-iv-ecg/machine_measurements"
NAMES = [*INTERVALS, *AXES]


def add_records(raw: RawFolder, times: dict[int, str]) -> None:
    """Add recordings of the one subject by their number; all values of the machine are 100."""
    raw.headers[LIST] = "subject_id,study_id,file_name,ecg_time,path"
    raw.headers[MEASURED] = ",".join(["subject_id,study_id,ecg_time", *NAMES])
    for study, time in times.items():
        ids = {"subject_id": 10000032, "study_id": study, "ecg_time": time}
        raw.add(LIST, **ids, path="../../etc/passwd")
        raw.add(MEASURED, **ids, **dict.fromkeys(NAMES, 100))


def test_recordings_of_the_stay_with_their_hours(mimic4: RawFolder) -> None:
    add_records(
        mimic4,
        {
            1: "2179-12-31 23:59:59",  # a second before the stay
            2: "2180-01-01 00:00:00",
            3: "2180-01-03 02:00:00",  # its last second
            4: "2180-01-03 02:00:01",
            5: "soon",
        },
    )
    mimic4.add(LIST, subject_id=77, study_id=6, ecg_time="2180-01-01 01:00:00")
    quarantine = Quarantine()
    raw = mimic4.write()
    (ecg,) = MimicDataSet(raw, Options(modalities=("ecg",))).read(quarantine).items
    assert (ecg.name, ecg.content) == ("ecg", "ecg")
    folder = f"{raw}/mimic-iv-ecg/files/p1000/p10000032"  # never what the table says of paths
    assert ecg.items.select("sample_id", "item_id", "time", "path").rows() == [
        (200, "s2", 0.0, f"{folder}/s2"),
        (200, "s3", 50.0, f"{folder}/s3"),
    ]
    counted = quarantine.counts().select("source", "reason", "count").rows()
    assert ("ecg", "recording lies outside the ICU stays", 2) in counted
    assert ("record_list.csv", "ecg_time is no time", 1) in counted


def test_what_the_machine_did_not_find_is_missing(mimic4: RawFolder) -> None:
    add_records(mimic4, {1: "2180-01-01 02:00:00", 2: "2180-01-01 01:00:00"})
    later = mimic4.tables[MEASURED][0]
    later |= {"p_onset": "29999", "rr_interval": "0", "qrs_axis": "0", "t_axis": "-370", "t_end": "x", "p_end": ""}
    (table,) = MimicDataSet(mimic4.write(), Options(modalities=("ecg_measurements",))).read(Quarantine()).tables
    assert [column.name for column in table.columns[:9]] == NAMES
    (block,) = table.blocks(Quarantine())
    assert (block.sample_ids.tolist(), block.lengths.tolist(), block.time.tolist()) == ([200], [2], [1, 2])
    np.testing.assert_array_equal(block.values[0], [100] * 9 + [1] * 9)
    expected = {**dict.fromkeys(NAMES, 100.0), "qrs_axis": 0.0}
    expected |= dict.fromkeys(["p_onset", "rr_interval", "t_axis", "t_end", "p_end"], np.nan)
    np.testing.assert_array_equal(block.values[1, :9], list(expected.values()))
    np.testing.assert_array_equal(block.values[1, 9:], ~np.isnan(list(expected.values())))


@pytest.mark.parametrize("name", ["ecg", "ecg_measurements"])
def test_they_are_extracted_by_name_alone_and_refused_where_they_are_not(
    mimic3: RawFolder, mimic4: RawFolder, name: str
) -> None:
    with pytest.raises(InputError, match=r"cannot be joined to MIMIC-III"):
        MimicDataSet(mimic3.write(), Options(modalities=(name,))).inputs()
    with pytest.raises(MissingInputError, match=r"has no record_list\.csv"):
        MimicDataSet(mimic4.write(), Options(modalities=(name,))).inputs()
    add_records(mimic4, {1: "2180-01-01 02:00:00"})
    raw = mimic4.write()
    assert MimicDataSet(raw).modalities == ("ehr",)
    (raw / f"{MEASURED}.csv").unlink()
    if name == "ecg_measurements":
        with pytest.raises(MissingInputError, match=r"has no machine_measurements\.csv"):
            MimicDataSet(raw, Options(modalities=(name,))).inputs()
    else:
        assert raw / f"{LIST}.csv" in MimicDataSet(raw, Options(modalities=(name,))).inputs()


def test_tasks_see_the_last_recording(mimic4: RawFolder) -> None:
    add_records(mimic4, {1: "2180-01-01 02:00:00"})
    records = MimicDataSet(mimic4.write(), Options(modalities=("ehr", "ecg"))).read(Quarantine())
    tasks = records.tasks({"ehr": np.array([1.0])})
    assert all(task.select["ecg"] == {"rows": "last"} for task in tasks)


def test_a_synthetic_cohort_goes_from_waveforms_to_rows(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_cohort(raw, SynthSettings(20, 1, events_per_stay=20, images=0, ecg=True))
    broken, missing = sorted(raw.rglob("*.dat"))[:2]
    broken.write_bytes(broken.read_bytes()[:-2])
    missing.unlink()
    dataset = MimicDataSet(raw, Options(modalities=("ehr", "ecg", "ecg_measurements")))
    extract(dataset, tmp_path / "cache", Encoders(others={"ecg": "random"}), Machines(0))
    cache = FeatureCache.open(tmp_path / "cache")
    ecg, measured = cache.modality("ecg"), cache.modality("ecg_measurements")
    assert ecg.values.shape[1] == 256
    assert len(measured.values) == len(ecg.values) + 2
    reasons = cache.quarantine.filter(source="ecg")["reason"].to_list()
    assert "the file of samples has 119998 bytes, the header claims 120000" in reasons
    assert "the file is missing" in reasons
