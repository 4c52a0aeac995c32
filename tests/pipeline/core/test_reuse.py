"""What an older cache has encoded is copied from its arrays, bit by bit, and nothing else is taken over."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import CorruptCacheError, FeatureCache, InputError, verify_cache
from omnifuse.pipeline.core import reuse
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract

from .toy import InterruptedDataSet, ToyDataSet, write_raw

RANDOM = Encoders("random", "random")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files, without the broken picture, and the older cache, whose parts are gone."""
    folder = tmp_path_factory.mktemp("reuse")
    (write_raw(folder / "raw") / "picture3.png").unlink()
    extract(ToyDataSet(folder / "raw"), folder / "older", RANDOM, drop_items=True)
    return folder


@pytest.fixture
def toy(finished: Path, tmp_path: Path) -> Path:
    """A copy of that folder, in which the new cache need not digest the seeded weights again."""
    shutil.copytree(finished, tmp_path / "toy")
    (tmp_path / "toy/cache.items").mkdir()
    shutil.copy(finished / "older.items/digests.memo", tmp_path / "toy/cache.items")
    return tmp_path / "toy"


@pytest.fixture
def no_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a model is built."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an encoder was built")

    monkeypatch.setattr(torch.nn.Module, "__init__", fail)


def run(folder: Path, **options: Any) -> Extraction:
    return extract(ToyDataSet(folder / "raw"), folder / "cache", RANDOM, **options)


def test_nothing_is_encoded_when_everything_is_reused(toy: Path, no_encoders: None) -> None:
    outcome = run(toy, reuse=toy / "older")
    assert outcome.reused == {"note": 2, "picture": 2}
    assert outcome.pending == {"rate": 4, "note": 0, "picture": 0}
    assert verify_cache(toy / "cache").passed
    ours, theirs = (FeatureCache.open(toy / name) for name in ("cache", "older"))
    for name in ("note", "picture"):
        np.testing.assert_array_equal(ours.rows(name).view(np.uint16), theirs.rows(name).view(np.uint16))


def test_the_cache_is_the_same_with_and_without(toy: Path) -> None:
    run(toy, reuse=toy / "older")
    assert FeatureCache.open(toy / "cache").manifest == FeatureCache.open(toy / "older").manifest


def test_only_new_items_are_encoded(toy: Path) -> None:
    (toy / "raw/note4.txt").write_text("Small right effusion.")
    (toy / "raw/picture3.png").write_bytes(b"not a picture")
    outcome = run(toy, reuse=toy / "older")
    assert outcome.reused == {"note": 2, "picture": 2}
    assert outcome.pending == {"rate": 4, "note": 1, "picture": 1}
    assert FeatureCache.open(toy / "cache").modality("note").present.all()


def test_what_could_not_be_encoded_is_tried_again(toy: Path) -> None:
    dataset = ToyDataSet(toy / "raw", modalities=("picture",))
    (toy / "raw/picture3.png").write_bytes(b"not a picture")
    extract(dataset, toy / "cache", RANDOM, reuse=toy / "older")
    again = extract(dataset, toy / "again", RANDOM, reuse=toy / "cache", dry_run=True)
    assert (again.reused, again.pending) == ({"picture": 2}, {"picture": 1})


def test_a_dry_run_counts_what_would_be_reused(toy: Path) -> None:
    outcome = run(toy, reuse=toy / "older", dry_run=True)
    assert outcome.reused == {"note": 2, "picture": 2}
    assert outcome.pending == {"rate": 4, "note": 0, "picture": 0}
    assert [path.name for path in (toy / "cache.items").iterdir()] == ["digests.memo"]


def test_another_recipe_is_named_and_nothing_of_it_is_reused(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = ToyDataSet(toy / "raw", recipe_version=2)
    outcome = extract(dataset, toy / "cache", RANDOM, reuse=toy / "older", dry_run=True)
    assert outcome.reused == {"note": 0, "picture": 0}
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [
        f"{name}: nothing of {toy / 'older'} is reused, its recipe differs: version: 1 -> 2"
        for name in ("note", "picture")
    ]


def test_a_modality_that_the_older_cache_lacks(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    older = ToyDataSet(toy / "raw", modalities=("rate", "note"))
    extract(older, toy / "notes", RANDOM, reuse=toy / "older")
    assert run(toy, reuse=toy / "notes", dry_run=True).reused == {"note": 2, "picture": 0}
    assert f"picture: nothing is reused, {toy / 'notes'} has no items of it" in caplog.messages


def test_a_killed_run_goes_on_without_the_older_cache(toy: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(InterruptedDataSet(toy / "raw"), toy / "cache", RANDOM, reuse=toy / "older")
    assert run(toy).pending == {"rate": 4, "note": 0, "picture": 0}
    assert FeatureCache.open(toy / "cache").manifest == FeatureCache.open(toy / "older").manifest


def test_few_items_at_a_time_in_many_parts(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "ROWS_AT_ONCE", 1)
    run(toy, reuse=toy / "older")
    assert len(list((toy / "cache.items").glob("*/*.safetensors"))) >= 4
    assert FeatureCache.open(toy / "cache").manifest == FeatureCache.open(toy / "older").manifest


def test_a_damaged_older_cache_is_refused(toy: Path) -> None:
    chunk = toy / "older/modalities/note/values/c/0/0"
    content = bytearray(chunk.read_bytes())
    content[100] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(CorruptCacheError, match=r"note/values/c/0/0 differs from what was written"):
        run(toy, reuse=toy / "older")


def test_a_path_that_is_no_cache(toy: Path) -> None:
    with pytest.raises(InputError, match=r"raw cannot be reused\. .*is not an OmniFuse cache"):
        run(toy, reuse=toy / "raw")
    with pytest.raises(InputError, match=r"nowhere cannot be reused\. There is no cache"):
        run(toy, reuse=toy / "nowhere")
