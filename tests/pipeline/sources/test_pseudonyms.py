"""Ids become keyed hashes and nothing else changes: rows, labels, items and parts go with their sample."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache, InputError
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.pseudonym_key import KEY_BYTES, secret_key
from omnifuse.pipeline.sources import open_dataset
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


def cached(raw: Path, cache: Path, key: bytes | None = KEY, **options: Any) -> FeatureCache:
    extract(open_dataset("mimic", raw, {"modalities": ("ehr",)}, pseudonym_key=key, **options), cache, RANDOM)
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
    dataset = open_dataset("mimic", mimic4.write(), {"modalities": ("cxr", "rep")}, pseudonym_key=KEY)
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
        open_dataset("mimic", raw, {"modalities": ("ehr",)}, pseudonym_key=bytes(KEY_BYTES)), tmp_path / "first", RANDOM
    )
    reasons = [reason.split(":")[0] for reason in outcome.reasons]
    assert reasons == ["cohort.inputs.6 entries", "cohort.settings.pseudonyms"]


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    cache, file = tmp_path / "cache", tmp_path / "cache.key"
    assert len(secret_key(cache, keep=False)) == KEY_BYTES and not file.exists()
    key = secret_key(cache, keep=True)
    assert secret_key(cache, keep=True) == secret_key(cache, keep=False) == key == file.read_bytes()[:KEY_BYTES]
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(KEY)  # made by somebody else
    assert secret_key(cache, keep=True) == KEY


def test_a_cache_is_never_given_other_pseudonyms_by_mistake(raw: Path, tmp_path: Path) -> None:
    cached(raw, tmp_path / "cache")
    with pytest.raises(InputError, match=r"cache\.key is gone that .*cache was made with.* Restore it from a copy"):
        secret_key(tmp_path / "cache", keep=True)
    assert not (tmp_path / "cache.key").exists()
    (tmp_path / "cache.key").write_bytes(bytes(KEY_BYTES))
    with pytest.raises(InputError, match=r"cache\.key is not the key that"):
        secret_key(tmp_path / "cache", keep=True)
    (tmp_path / "cache.key").write_bytes(KEY)
    assert secret_key(tmp_path / "cache", keep=True) == KEY
    cached(raw, tmp_path / "plain", None)
    assert secret_key(tmp_path / "plain", keep=False), "its first pseudonyms"


def test_files_that_are_called_like_patients_are_not_named(tmp_path: Path) -> None:
    folder = tmp_path / "raw/set-a"
    folder.mkdir(parents=True)
    for record in (132539, 132540):
        (folder / f"{record}.txt").write_text(f"Time,Parameter,Value\n00:00,RecordID,{record}\n01:00,HR,80\n")
    dataset = open_dataset("physionet2012", tmp_path / "raw", pseudonym_key=KEY)
    extract(dataset, tmp_path / "cache", RANDOM)
    assert not extract(dataset, tmp_path / "cache", RANDOM).done
    written = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert written and not [content for content in written if b"13253" in content or b"13254" in content]
    (folder / "132540.txt").write_text("Time,Parameter,Value\n00:00,RecordID,132540\n01:00,HR,81\n")
    assert [reason.split(":")[0] for reason in extract(dataset, tmp_path / "cache", RANDOM).reasons] == [
        "cohort.inputs.2 entries"
    ]


class TestContents:
    """Equal notes of two patients, and who may see that they are."""

    @pytest.fixture
    def notes(self, tmp_path: Path) -> Path:
        (tmp_path / "samples.csv").write_text("sample_id,label,text:note\na,0,Clear.\nb,1,Effusion.\nc,0,Clear.\n")
        return tmp_path

    def extracted(self, folder: Path, name: str, key: bytes | None, reuse: Path | None = None) -> Extraction:
        dataset = open_dataset("files", options={"samples": folder / "samples.csv"}, pseudonym_key=key)
        return extract(dataset, folder / name, RANDOM, reuse=reuse)

    def digests(self, folder: Path, name: str) -> set[str]:
        items = FeatureCache.open(folder / name).items("note")
        assert items is not None
        return set(items["digest"])

    def test_only_who_has_the_key_links_a_content_to_its_file_or_to_another_cache(self, notes: Path) -> None:
        for name, key in (("plain", None), ("mine", KEY), ("other", bytes(KEY_BYTES))):
            self.extracted(notes, name, key)
        plain = {hashlib.sha256(text).hexdigest() for text in (b"Clear.", b"Effusion.")}
        assert self.digests(notes, "plain") == plain
        mine = {hmac.new(KEY, f"content:{digest}".encode(), hashlib.sha256).hexdigest() for digest in plain}
        assert self.digests(notes, "mine") == mine
        assert not self.digests(notes, "other") & (mine | plain)

    @pytest.mark.parametrize(
        ("older", "newer", "reused"),
        [(None, None, 2), (None, KEY, 2), (KEY, KEY, 2), (KEY, None, 0), (KEY, bytes(KEY_BYTES), 0)],
        ids=["plain", "plain by pseudonyms", "same key", "pseudonyms by plain", "another key"],
    )
    def test_a_cache_is_reused_with_its_key(
        self, notes: Path, older: bytes | None, newer: bytes | None, reused: int
    ) -> None:
        self.extracted(notes, "older", older)
        assert self.extracted(notes, "newer", newer, reuse=notes / "older").reused == {"note": reused}
        self.extracted(notes, "alone", newer)
        ours, theirs = (FeatureCache.open(notes / name).manifest for name in ("newer", "alone"))
        assert ours == theirs


def test_no_id_of_the_source_is_left_in_any_table(raw: Path, tmp_path: Path) -> None:
    cache = cached(raw, tmp_path / "hashed")
    ids = {str(number) for subject in range(1, 7) for number in (10 * subject, 100 * subject)}
    tables = [cache.samples, cache.quarantine, cache.quarantine_counts, cache.counts]
    names = [table.select(pl.col(pl.String, pl.Int64)) for table in tables]
    found = {str(value) for table in names for column in table.drop("count", strict=False) for value in column}
    assert not found & ids
