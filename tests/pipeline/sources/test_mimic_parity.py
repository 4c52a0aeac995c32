"""The benchmark profile against tensors that the published benchmark itself made, and the MIMIC-III demo."""

import tarfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import Task
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.benchmark import columns
from omnifuse.pipeline.sources.mimic.benchmark_labels import benchmark_tasks, read_stays
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet

from .label import tasks_of

Tensors = dict[int, np.ndarray]


@pytest.fixture(scope="module")
def golden(shared_data) -> Path:
    return shared_data("ehr-golden")


@pytest.fixture(scope="module")
def raw(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(golden / "raw.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def tensors_and_labels(raw: Path, bin_hours: float, task: int) -> tuple[Tensors, Tensors]:
    """Return float64 tensors ``[bins, 76]`` and labels of a task's stays, in the window of the task."""
    dataset = MimicDataSet(raw, Options(modalities=("ehr",), profile="benchmark", bin_hours=bin_hours))
    quarantine = Quarantine()
    cohort = dataset.read_cohort(quarantine)
    tensors = dataset.events.tensors(cohort.stays, quarantine)
    stays = read_stays(dataset.folder, cohort, dataset.ehr, quarantine)
    labels = benchmark_tasks(stays, ("ehr",), dataset.ehr, {"ehr": tensors.first_hours})[task]
    ids = cohort.stays["stay_id"].to_list()
    rows: Tensors = {}
    for block in tensors.blocks():
        inside = block.time <= (labels.window_hours or np.inf)
        ends = np.cumsum(block.lengths)
        for stay, end, length in zip(block.stays, ends, block.lengths, strict=True):
            part = slice(end - length, end)
            rows[ids[stay]] = block.values[part][inside[part]]
    wanted = {ids[i]: labels.y[i] for i in np.flatnonzero(~np.isnan(labels.y[:, 0]))}
    return {stay: rows[stay] for stay in wanted}, wanted


@pytest.mark.parametrize(("task", "name"), [(0, "ihm"), (1, "pheno")])
@pytest.mark.parametrize("bin_hours", [1, 2])
def test_ids_labels_and_tensors_are_those_of_the_benchmark(
    golden: Path, raw: Path, task: int, name: str, bin_hours: int
) -> None:
    expected = np.load(golden / f"{name}_ts{bin_hours}.npz")
    rows, labels = tensors_and_labels(raw, float(bin_hours), task)
    assert [column.name for column in columns()] == expected["header"].tolist()
    assert sorted(rows) == sorted(expected["stay"].tolist())
    tensors = np.split(expected["X"], expected["offsets"][1:-1]) if "offsets" in expected else expected["X"]
    for stay, tensor, y in zip(expected["stay"].tolist(), tensors, expected["y"], strict=True):
        np.testing.assert_allclose(rows[stay], tensor, rtol=1e-9, atol=1e-9, err_msg=f"stay {stay}")
        np.testing.assert_array_equal(labels[stay], np.atleast_1d(y), err_msg=f"stay {stay}")


def test_counts_are_those_of_the_benchmark(golden: Path, raw: Path) -> None:
    dataset = MimicDataSet(raw, Options(modalities=("ehr",), profile="benchmark"))
    cohort = dataset.read_cohort(Quarantine())
    published = [
        int(line.split(":")[1]) for line in (golden / "cohort_steps.txt").read_text().splitlines() if "_ID" in line
    ]
    ours = [number for step in cohort.steps for number in (step.stays, step.admissions, step.subjects)]
    assert ours == published
    counts = dataset.events.tensors(cohort.stays, Quarantine()).counts
    lines = (line.split(": ") for line in (golden / "validate_events_counts.txt").read_text().splitlines())
    expected = {name: int(count) for name, count in lines}
    assert counts["events"] == expected["n_events"]
    assert counts["HADM_ID empty"] == expected["empty_hadm"]
    assert counts["HADM_ID outside the cohort"] == expected["no_hadm_in_stay"]
    assert counts["stay id empty, taken from HADM_ID"] == expected["recovered"]
    assert counts["stay id contradicts HADM_ID"] == expected["icustay_missing_in_stays"]


@pytest.mark.parametrize("profile", ["benchmark", "clean"])
def test_demo(shared_data, profile: str) -> None:
    """The counts are those that the published benchmark gives on the MIMIC-III demo."""
    dataset = MimicDataSet(shared_data("mimic-iii-demo"), Options(modalities=None, profile=profile))
    assert dataset.modalities == ("ehr",)
    records = dataset.read(Quarantine())
    mortality, phenotyping, *_ = tasks_of(records)
    assert [count for _, count in mortality.counts] == [136, 126, 115, 114, 114, 57, 57]
    assert phenotyping.counts[-1][1] == 113
    assert np.nansum(mortality.y) == 17
    blocks = list(records.tables[0].blocks(Quarantine()))
    assert sum(len(block.sample_ids) for block in blocks) == 113
    assert sum(len(block.values) for block in blocks) == 5782
    values = np.concatenate([block.values for block in blocks])
    assert np.isnan(values).any() == (profile == "clean")
    if profile == "clean":
        assert np.nanmax(values[:, 3]) <= 1  # a fraction of oxygen
        assert np.nanmin(values[:, 56]) >= 26  # degrees Celsius
        assert np.nanmax(values[:, 56]) <= 45


def listing(task: Task, ids: np.ndarray) -> tuple[int, float, str]:
    """Return the number of predictions, the sum of labels and a digest of the sorted lines ``stay,hour,label``."""
    assert task.sample is not None and task.time is not None
    rows = sorted(zip(ids[task.sample].tolist(), task.time.tolist(), task.y[:, 0].tolist(), strict=True))
    lines = "\n".join(f"{stay},{hour:g},{label:g}" for stay, hour, label in rows)
    return len(rows), float(task.y.sum()), sha256(lines.encode()).hexdigest()[:16]


LISTFILES = {
    "golden": ((12682, 25, "9d1a3719b928b1e0"), (12682, 23029, "4ef2655c74ec1fea")),
    "demo": ((10863, 456, "568de62057d9cd64"), (10941, 43262, "68384e122e88b382")),
}
"""What ``create_decompensation`` and ``create_length_of_stay`` of the published benchmark (commit ea0314c) list for the
two folders, stays by ICUSTAY_ID and the remaining hours as the bucket of ``get_bin_custom``."""


@pytest.mark.parametrize("name", ["golden", "demo"])
def test_hourly_predictions_are_those_of_the_benchmark(shared_data, request, name: str) -> None:
    folder = request.getfixturevalue("raw") if name == "golden" else shared_data("mimic-iii-demo")
    records = MimicDataSet(folder, Options(modalities=("ehr",), profile="benchmark", bin_hours=1.0)).read(Quarantine())
    ids = records.samples["sample_id"].to_numpy()
    tasks = {task.name: listing(task, ids) for task in tasks_of(records) if task.long}
    assert (tasks["decompensation"], tasks["length_of_stay"]) == LISTFILES[name]
