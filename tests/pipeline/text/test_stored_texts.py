"""Texts in a file: found by their digest, stored once, gone with their owner."""

import gc
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline.text.stored_texts import StoredTexts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
def test_every_text_is_found_by_its_digest(texts: list[str]) -> None:
    stored = StoredTexts()
    digests = [stored.add(text) for text in texts]
    assert digests == [sha256(text.encode()).hexdigest() for text in texts]
    assert [stored[digest] for digest in digests] == texts
    assert set(stored) == set(digests) and len(stored) == len(set(texts))


def test_reading_between_writing_damages_nothing() -> None:
    stored = StoredTexts()
    first = stored.add("the first, which is longer")
    assert stored[first] == "the first, which is longer"
    second = stored.add("second")
    assert (stored[first], stored[second]) == ("the first, which is longer", "second")


def test_the_file_goes_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stored = StoredTexts()
    stored.add("a text")
    (file,) = (path for path in tmp_path.rglob("texts"))
    assert file.parent.parent.stat().st_mode & 0o077 == 0, "its folder is for its owner alone"
    del stored
    gc.collect()
    assert not list(tmp_path.iterdir())
