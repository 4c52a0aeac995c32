"""Ids become keyed hashes and nothing else changes: rows, labels, items and parts go with their sample."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache, InputError
from omnifuse.pipeline.encoders import Encoders
from omnifuse.pipeline.sources import SourceOptions, open_dataset
from omnifuse.pipeline.sources.pseudonyms import KEY_BYTES, secret_key
from omnifuse.pipeline.stages import extract
from PIL import Image

from .conftest import RawFolder

KEY = bytes(range(KEY_BYTES))
RANDOM = Encoders("random", "random")
HEART = 50


def pseudonym(kind: str, name: object, key: bytes = KEY) -> str:
    return hmac.new(key, f"{kind}:{name}".encode(), hashlib.sha256).hexdigest()[:16]


@pytest.fixture
def raw(mimic3: RawFolder, stay3: Callable[..., None], charted3: Callable[..., None]) -> Path:
    """Five patients whose heart rates and labels tell them apart, one without events, and a row that is left out."""
    for subject in range(2, 6):
        died = {"DEATHTIME": "2150-01-05 00:00:00"} if subject % 2 else {}
        stay3(mimic3, subject, 10 * subject, 100 * subject, **died)
        charted3(mimic3, subject, 10 * subject, 100 * subject, "2150-01-01 05:00:00", 211, str(80 + subject))
    stay3(mimic3, 6, 60, 600)
    charted3(mimic3, 2, 20, 200, "2150-01-01 06:00:00", 211, "ERROR")
    return mimic3.write()


def cached(raw: Path, cache: Path, key: bytes | None = KEY, **options: object) -> FeatureCache:
    extract(open_dataset("mimic", raw, SourceOptions(("ehr",), pseudonym_key=key, **options)), cache, RANDOM)  # type: ignore[arg-type]
    return FeatureCache.open(cache)


def test_rows_and_labels_go_with_their_sample(raw: Path, tmp_path: Path) -> None:
    plain, hashed = cached(raw, tmp_path / "plain", None), cached(raw, tmp_path / "hashed")
    old = plain.samples["sample_id"].to_list()
    new = hashed.samples["sample_id"].to_list()
    assert new == sorted(pseudonym("sample", stay) for stay in old)
    place = [new.index(pseudonym("sample", stay)) for stay in old]
    subjects = [pseudonym("subject", subject) for subject in plain.samples["subject_id"]]
    assert hashed.samples["subject_id"].gather(place).to_list() == subjects
    for before, after in enumerate(place):
        np.testing.assert_array_equal(hashed.modality("ehr")[after], plain.modality("ehr")[before])
    np.testing.assert_array_equal(hashed.task("mortality").y[place], plain.task("mortality").y)
    assert plain.task("mortality").y[:, 0].tolist()[:5] == [0, 0, 1, 0, 1]
    assert np.isnan(plain.task("mortality").y[5, 0]), "no event"


def test_predictions_of_long_tasks_go_with_their_sample(raw: Path, tmp_path: Path) -> None:
    def predictions(cache: FeatureCache, ids: list[str]) -> set[tuple[str, float, float]]:
        task = cache.task("decompensation")
        assert task.sample is not None and task.time is not None
        assert (np.diff(task.sample) >= 0).all()
        return {(ids[s], float(t), float(y)) for s, t, y in zip(task.sample, task.time, task.y[:, 0], strict=True)}

    plain, hashed = cached(raw, tmp_path / "plain", None), cached(raw, tmp_path / "hashed")
    renamed = [pseudonym("sample", stay) for stay in plain.samples["sample_id"]]
    expected = predictions(plain, renamed)
    assert predictions(hashed, hashed.samples["sample_id"].to_list()) == expected and len(expected) > 50


def test_what_is_left_out_is_counted_and_not_listed(raw: Path, tmp_path: Path) -> None:
    plain, hashed = cached(raw, tmp_path / "plain", None), cached(raw, tmp_path / "hashed")
    assert plain.quarantine.height > 0 and hashed.quarantine.height == 0
    assert hashed.quarantine_counts.equals(plain.quarantine_counts)


def test_a_split_names_subjects_by_their_own_ids(raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("subject_id,split\n1,test\n2,val\n")
    hashed = cached(raw, tmp_path / "hashed", splits=(path,))
    parts = dict(hashed.splits["mine"].iter_rows())
    assert parts[pseudonym("sample", 100)] == "test" and parts[pseudonym("sample", 200)] == "validation"
    assert sorted(parts) == hashed.samples["sample_id"].to_list()


def test_images_keep_what_a_task_chooses_by_and_lose_their_ids(
    mimic4: RawFolder, with_images: Callable[[RawFolder], None], tmp_path: Path
) -> None:
    with_images(mimic4)
    for image in mimic4.path.rglob("*.jpg"):
        Image.new("L", (32, 32), ord(image.stem)).save(image)
    dataset = open_dataset("mimic", mimic4.write(), SourceOptions(("cxr", "rep"), pseudonym_key=KEY))
    extract(dataset, tmp_path / "cache", RANDOM)
    cache = FeatureCache.open(tmp_path / "cache")
    images, reports = cache.items("cxr"), cache.items("rep")
    assert images is not None and reports is not None
    assert images["item_id"].to_list() == [pseudonym("item_id", name) for name in ("b", "c")], "by time"
    assert images["view_position"].to_list() == ["LATERAL", "PA"]
    assert reports["study_id"].to_list() == [pseudonym("study_id", 51)]
    assert set(cache.quarantine["where"]) == {pseudonym("item_id", name) for name in ("e", "s52", "s54")}
    seen = cache.task_inputs("phenotyping", ["cxr"])["cxr"]
    np.testing.assert_array_equal(seen[0], cache.modality("cxr")[0][1:], "the frontal one")


def test_the_same_key_gives_the_same_cache_and_another_one_other_ids(raw: Path, tmp_path: Path) -> None:
    first, again = cached(raw, tmp_path / "first"), cached(raw, tmp_path / "again")
    assert first.digest == again.digest
    other = cached(raw, tmp_path / "other", bytes(KEY_BYTES))
    assert not set(other.samples["sample_id"]) & set(first.samples["sample_id"])
    outcome = extract(
        open_dataset("mimic", raw, SourceOptions(("ehr",), pseudonym_key=bytes(KEY_BYTES))), tmp_path / "first", RANDOM
    )
    assert [reason.split(":")[0] for reason in outcome.reasons] == ["cohort.settings.pseudonyms"]


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "cache.key"
    assert len(secret_key(file, keep=False)) == KEY_BYTES and not file.exists()
    key = secret_key(file, keep=True)
    assert secret_key(file, keep=True) == secret_key(file, keep=False) == key
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"short")
    with pytest.raises(InputError, match=r"cache.key has 5 bytes; a key of pseudonyms has 32. Move that file away"):
        secret_key(file, keep=True)


def test_no_id_of_the_source_is_left_in_any_table(raw: Path, tmp_path: Path) -> None:
    cache = cached(raw, tmp_path / "hashed")
    ids = {str(number) for subject in range(1, 7) for number in (10 * subject, 100 * subject)}
    tables = [cache.samples, cache.quarantine, cache.quarantine_counts, cache.counts]
    names = [table.select(pl.col(pl.String, pl.Int64)) for table in tables]
    found = {str(value) for table in names for column in table.drop("count", strict=False) for value in column}
    assert not found & ids
