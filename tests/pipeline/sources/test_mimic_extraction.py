"""A MIMIC cache grows step by step, and no step is done again: events, images, reports, samples, splits."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.progress import telling

RANDOM = Encoders("random", "random")


def run(
    raw: Path, cache: Path, *, dry_run: bool = False, splits: tuple[Path, ...] = (), **options: object
) -> Extraction:
    dataset = open_dataset("synthetic", raw, options, splits=splits)
    return extract(dataset, cache, RANDOM, dry_run=dry_run)


@pytest.fixture
def no_events() -> Iterator[None]:
    """Nobody reads the tables of events."""
    told: list[str] = []
    with telling(lambda name, *_: told.append(name)):
        yield
    assert not {name for name in told if name.startswith(("chartevents", "labevents"))}


@pytest.fixture(scope="module")
def ehr_only(synthetic_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache of the EHR of all stays; copied for tests that change it."""
    folder = tmp_path_factory.mktemp("growing")
    run(synthetic_raw, folder / "cache", modalities=("ehr",))
    return folder


@pytest.fixture
def growing(ehr_only: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ehr_only, tmp_path / "growing") / "cache"


def encoded_at_once(cache: Path) -> dict[str, int]:
    """Return how many samples or items of each modality the only extraction of a cache had to do."""
    return json.loads((cache / "extraction.json").read_text())["encoded"]


def test_a_plan_reads_no_events(synthetic_raw: Path, tmp_path: Path, no_events: None) -> None:
    outcome = run(synthetic_raw, tmp_path / "cache", dry_run=True, modalities=("ehr",), limit=7)
    assert outcome.pending == {"ehr": 7}
    assert list(tmp_path.iterdir()) == []


def test_images_and_reports_added_later_leave_the_events_alone_and_the_cache_is_the_one_made_at_once(
    synthetic_raw: Path, growing: Path, synthetic_cache: Path, no_events: None
) -> None:
    outcome = run(synthetic_raw, growing)
    assert outcome.pending == encoded_at_once(synthetic_cache) | {"ehr": 0}
    grown, at_once = FeatureCache.open(growing), FeatureCache.open(synthetic_cache)
    assert "ehr" in grown.quarantine_counts["stage"], "what the event pass left out is still reported"
    assert grown.manifest == at_once.manifest


def test_labels_know_which_stays_have_events(mimic3, stay3, charted3, tmp_path: Path) -> None:
    for subject, time in ((2, "2150-01-01 02:30:00"), (3, "2160-01-01 00:00:00")):
        stay3(mimic3, subject=subject, hadm=10 * subject, stay=100 * subject)
        charted3(mimic3, subject, 10 * subject, 100 * subject, time, 211, "90")
    raw = mimic3.write()
    told: list[str] = []
    with telling(lambda name, *_: told.append(name)):
        extract(MimicDataSet(raw), tmp_path / "cache", RANDOM)
    assert told.count("CHARTEVENTS.csv") == 1
    cache = FeatureCache.open(tmp_path / "cache")
    assert cache.task("mortality").y[:, 0].tolist() == pytest.approx([0, 0, np.nan], nan_ok=True)
    assert set(cache.task("length_of_stay").sample.tolist()) == {0, 1}


def test_a_table_that_does_not_decide_the_ehr_does_not_compute_it_anew(mimic3, stay3, tmp_path: Path) -> None:
    raw, cache = mimic3.write(), tmp_path / "cache"
    extract(MimicDataSet(raw), cache, RANDOM)
    assert np.nansum(FeatureCache.open(cache).task("phenotyping").y) == 1
    (raw / "DIAGNOSES_ICD.csv").write_text("SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE\n1,10,1,5849\n1,10,2,4019\n")
    outcome = extract(MimicDataSet(raw), cache, RANDOM)
    assert any("DIAGNOSES_ICD.csv" in reason for reason in outcome.reasons) and outcome.pending == {"ehr": 0}
    assert np.nansum(FeatureCache.open(cache).task("phenotyping").y) == 2


@pytest.mark.parametrize("table", ["CHARTEVENTS", "ICUSTAYS"])
def test_a_table_that_decides_the_ehr_computes_it_anew(mimic3, table: str, tmp_path: Path) -> None:
    raw, cache = mimic3.write(), tmp_path / "cache"
    extract(MimicDataSet(raw), cache, RANDOM)
    file = raw / f"{table}.csv"
    file.write_text(file.read_text().replace("2150-01-01 01:00:00", "2150-01-01 03:00:00").replace("2.0833", "2.0"))
    assert extract(MimicDataSet(raw), cache, RANDOM).pending == {"ehr": 1}


def test_more_samples_encode_only_their_new_images(synthetic_raw: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    first = run(synthetic_raw, tmp_path / "cache", modalities=("cxr",), limit=30).pending["cxr"]
    more = run(synthetic_raw, tmp_path / "cache", modalities=("cxr",)).pending["cxr"]
    assert first > 0 and more > 0 and first + more == encoded_at_once(synthetic_cache)["cxr"]


def test_a_split_changes_nothing_else_and_is_trained_on(
    synthetic_raw: Path, growing: Path, no_events: None, tmp_path: Path
) -> None:
    subjects = FeatureCache.open(growing).samples["subject_id"].unique(maintain_order=True)
    parts = ["train", "val", "test"]
    split = pl.DataFrame({"subject_id": subjects, "split": [parts[row % 3] for row in range(len(subjects))]})
    split.write_csv(tmp_path / "my split.csv")
    outcome = run(synthetic_raw, growing, modalities=("ehr",), splits=(tmp_path / "my split.csv",))
    assert outcome.pending == {"ehr": 0}
    assert [reason.split(":")[0] for reason in outcome.reasons] == ["cohort.settings.splits"]
    assert not run(synthetic_raw, growing, modalities=("ehr",), splits=(tmp_path / "my split.csv",)).done
    config = make_config("concat", overrides=["fit.epochs=1"])
    trained = train(growing, config, tmp_path / "run")
    assert trained.metrics.task == "mortality", "the first task with one prediction a sample"
    tested = pl.read_parquet(tmp_path / "run" / "predictions.parquet")["sample_id"]
    in_test = FeatureCache.open(growing).splits["my_split"].filter(part="test")["sample_id"]
    assert set(tested) <= set(in_test) and len(tested)
