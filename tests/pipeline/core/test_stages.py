"""An extraction does what is missing, all of it, once; and says why."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, verification_text, verify_cache
from omnifuse.pipeline.core.encode import Machines
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract

from .toy import InterruptedDataSet, ToyDataSet, write_raw

RANDOM = Encoders("random", "random")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files and a finished cache; copied for tests that change it."""
    folder = tmp_path_factory.mktemp("toy")
    write_raw(folder / "raw")
    extract(ToyDataSet(folder / "raw"), folder / "cache", RANDOM)
    return folder


@pytest.fixture
def toy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder."""
    shutil.copytree(finished, tmp_path / "toy")
    return tmp_path / "toy"


def run(folder: Path, **options: object) -> Extraction:
    return extract(ToyDataSet(folder / "raw"), folder / "cache", RANDOM, **options)  # type: ignore[arg-type]


def test_the_cache_holds_what_the_raw_files_hold(finished: Path) -> None:
    cache = FeatureCache.open(finished / "cache")
    rate = cache.modality("rate")
    assert rate.lengths.tolist() == [2, 0, 0, 1]
    assert rate.values[:, 0].tolist() == [80, 90, 70]
    assert rate.time.tolist() == [2, 4, 2]
    note = cache.modality("note")
    assert note.present.tolist() == [True, True, True, False]
    assert note.recipe["encoder"]["name"] == "random"
    assert cache.modality("picture").lengths.tolist() == [1, 1, 0, 0]
    assert verify_cache(finished / "cache").passed


def test_equal_texts_are_encoded_once_and_have_equal_rows(finished: Path) -> None:
    note = FeatureCache.open(finished / "cache").modality("note")
    np.testing.assert_array_equal(note[0], note[2])
    assert note.items is not None and note.items["digest"].n_unique() == 2


def test_what_was_left_out_is_listed_with_its_reason(finished: Path) -> None:
    cache = FeatureCache.open(finished / "cache")
    reasons = {(row["source"], row["reason"].split(":")[0]) for row in cache.quarantine_counts.iter_rows(named=True)}
    assert ("note", "empty note") in reasons
    assert ("picture", "the file is missing") in reasons
    assert ("rates.csv", "not a number") in reasons
    assert ("picture", "not an image of a known format") in reasons
    assert "picture3 in picture3.png" in cache.quarantine["where"].to_list()


def test_a_finished_extraction_has_nothing_to_do_and_reads_nothing(toy: Path) -> None:
    dataset = ToyDataSet(toy / "raw")
    outcome = extract(dataset, toy / "cache", RANDOM)
    assert not outcome.done and outcome.reasons == () and dataset.reads == 0


def test_files_that_were_only_touched_need_no_encoding_again(toy: Path) -> None:
    for file in (toy / "raw").iterdir():
        file.touch()
    assert run(toy).pending == {"rate": 0, "note": 0, "picture": 0}


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "reason", "pending"),
    [
        (lambda raw: (raw / "rates.csv").write_text("sample,hour,rate\n1,2,81\n"), "cohort.inputs.rates.csv", "rate"),
        (lambda raw: (raw / "note2.txt").write_text("Small left effusion."), "files of items", "note"),
        (lambda raw: shutil.copy(raw / "picture1.png", raw / "picture4.png"), "files of items", None),
    ],
    ids=["table", "note", "copy of a known picture"],
)
def test_a_changed_input_is_named_and_only_its_work_is_done(
    toy: Path, change: Change, reason: str, pending: str | None
) -> None:
    change(toy / "raw")
    outcome = run(toy)
    assert any(line.startswith(reason) for line in outcome.reasons)
    assert {name for name, number in outcome.pending.items() if number} == ({pending} if pending else set())
    assert verify_cache(toy / "cache").passed


def test_a_changed_setting_is_printed_as_a_difference(toy: Path) -> None:
    dataset = ToyDataSet(toy / "raw", version=2)
    assert extract(dataset, toy / "cache", RANDOM).reasons == ("cohort.settings.version: 1 -> 2",)


def test_a_change_seen_by_a_killed_run_is_not_forgotten(toy: Path) -> None:
    (toy / "raw" / "note2.txt").write_text("Small left effusion.")
    with pytest.raises(KeyboardInterrupt):
        extract(InterruptedDataSet(toy / "raw"), toy / "cache", RANDOM)
    assert run(toy).done


def test_a_modality_added_later_leaves_the_others_alone(tmp_path: Path) -> None:
    raw, cache = write_raw(tmp_path / "raw"), tmp_path / "cache"
    extract(ToyDataSet(raw, modalities=("rate",)), cache, RANDOM)
    before = (cache / "modalities/rate/values/c/0/0").stat().st_mtime_ns
    outcome = extract(ToyDataSet(raw, modalities=("rate", "note")), cache, RANDOM)
    assert outcome.pending["note"] == 2
    assert FeatureCache.open(cache).modalities == ("note", "rate")
    assert (cache / "modalities/rate/values/c/0/0").stat().st_mtime_ns == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw")
    outcome = extract(ToyDataSet(raw), tmp_path / "cache", RANDOM, dry_run=True)
    assert outcome.pending == {"rate": 4, "note": 2, "picture": 3}
    assert outcome.estimated.bytes > 0 and outcome.free_bytes > 0
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_dropped_parts_are_gone_and_the_cache_stays(toy: Path) -> None:
    dataset = ToyDataSet(toy / "raw", version=2)
    extract(dataset, toy / "cache", RANDOM, drop_items=True)
    assert list((toy / "cache.items").rglob("*.safetensors")) == []
    assert verify_cache(toy / "cache").passed
    assert not extract(dataset, toy / "cache", RANDOM).done


def test_a_damaged_cache_is_laid_out_again(toy: Path) -> None:
    (toy / "cache/modalities/note/values/c/0/0").unlink()
    outcome = run(toy)
    assert outcome.reasons == ("modalities/note/values/c/0/0 is missing",)
    assert verify_cache(toy / "cache").passed


def test_the_advice_of_verify_mends_a_flipped_bit(toy: Path) -> None:
    chunk = toy / "cache/modalities/note/values/c/0/0"
    content = bytearray(chunk.read_bytes())
    content[100] ^= 1
    chunk.write_bytes(content)
    result = verify_cache(toy / "cache")
    assert not result.passed and "remove its manifest.json" in verification_text(result)
    (toy / "cache/manifest.json").unlink()
    assert run(toy).pending == {"rate": 0, "note": 0, "picture": 0}
    assert verify_cache(toy / "cache").passed


def test_a_foreign_folder_is_not_overwritten(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw")
    with pytest.raises(InputError, match="exists and is not an OmniFuse cache"):
        extract(ToyDataSet(raw), raw, RANDOM)


def test_a_cache_of_another_data_set_is_not_replaced(toy: Path) -> None:
    dataset = ToyDataSet(toy / "raw", name="other")
    with pytest.raises(InputError, match=r"holds the data set toy, not other\. Name another place with --cache"):
        extract(dataset, toy / "cache", RANDOM)
    assert verify_cache(toy / "cache").passed


def test_stages_are_timed_and_their_memory_measured(finished: Path) -> None:
    import json

    report = json.loads((finished / "cache/extraction.json").read_text())
    assert set(report["seconds"]) >= {"plan", "encode rate", "encode note", "encode picture", "commit"}
    assert all(peak > 0 for peak in report["peak_memory_mib"].values())


def test_workers_give_the_same_bytes(tmp_path: Path, finished: Path) -> None:
    extract(ToyDataSet(finished / "raw"), tmp_path / "cache", RANDOM, Machines(workers=2))
    ours, theirs = (FeatureCache.open(path).manifest.nodes for path in (tmp_path / "cache", finished / "cache"))
    assert ours == theirs
