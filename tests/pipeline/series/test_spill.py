"""Events wait in memory or on disk for the group of subjects that they belong to."""

import resource
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.series import spill
from omnifuse.pipeline.series.spill import EventStore, read_group

EVENTS = pl.DataFrame({"subject": [0, 200, 0, 100], "value": [1, 2, 3, 4]}, schema_overrides={"subject": pl.Int32})


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EventStore:
    if request.param == "disk":
        monkeypatch.setattr(spill, "ROWS_SORTED", 1)
        monkeypatch.setattr(spill, "ROWS_HELD", 1)
    return EventStore(tmp_path / "events", 300)


def test_a_group_has_all_events_of_its_subjects_in_order(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "ROWS_TOGETHER", 1)  # a group for each bucket
    store.add(EVENTS)
    store.add(EVENTS.with_columns(pl.col("value") + 10))
    groups = [read_group(pieces).rows() for pieces in store.groups()]
    assert groups == [[(0, 1), (0, 3), (0, 11), (0, 13)], [(100, 4), (100, 14)], [(200, 2), (200, 12)]]


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may become longer than a few bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_named_with_the_way_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_room: None
) -> None:
    monkeypatch.setattr(spill, "ROWS_SORTED", 1)
    monkeypatch.setattr(spill, "ROWS_HELD", 1)
    with pytest.raises(InputError, match=rf"{tmp_path}/events cannot take .*: File too large.*TMPDIR"):
        EventStore(tmp_path / "events", 300).add(EVENTS)
