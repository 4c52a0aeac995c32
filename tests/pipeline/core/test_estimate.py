"""What an extraction is foretold to take: measured on a few items of every encoder, and added up."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.estimate import COPIES, START_SECONDS, WRITTEN_BYTES_A_SECOND, Cost, probed_batches
from omnifuse.pipeline.core.item_encoder import ItemEncoder
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.summary import outcome

from .toy import ToyDataSet, write_raw

RANDOM = Encoders("random", "random")


def test_seconds_and_bytes_of_what_is_pending_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two notes and three pictures; what four samples of a small table take is next to nothing."""
    monkeypatch.setattr("omnifuse.pipeline.core.estimate.probe", lambda *_: Cost(start=10.0, item=200.0, bytes=3e8))
    found = extract(ToyDataSet(write_raw(tmp_path / "raw")), tmp_path / "cache", RANDOM, dry_run=True)
    encoding = 2 * 10 + 5 * 200
    expected = START_SECONDS + found.report.seconds["plan"] + encoding + 5 * 3e8 / WRITTEN_BYTES_A_SECOND
    assert found.estimated is not None
    assert found.estimated.seconds == pytest.approx(expected, abs=0.1)
    assert found.estimated.bytes == pytest.approx(COPIES * 5 * 3e8, rel=0.01)
    assert 17 * 60 < expected < 19 * 60
    assert re.search(r"About 1[789] min on this machine", outcome(found)[1])


def test_the_speed_is_that_of_the_encoder_after_its_first_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def outcomes(
        _self: ItemEncoder, _model: object, parts: Sequence[Sequence[str]], _workers: int
    ) -> Iterator[list[np.ndarray]]:
        nonlocal now
        now += 0.4
        for part in parts:
            now += 0.1 * len(part)
            yield [np.zeros((3, 8), np.float16) for _ in part]

    probed = []
    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr(ItemEncoder, "load", lambda _self: None)
    monkeypatch.setattr(ItemEncoder, "outcomes", outcomes)
    monkeypatch.setattr("omnifuse.pipeline.core.estimate.Cost", lambda *cost: probed.append(cost) or Cost(*cost))
    dataset = ToyDataSet(write_raw(tmp_path / "raw"), modalities=("note",))
    extract(dataset, tmp_path / "cache", RANDOM, dry_run=True)
    [(start, item, size)] = probed
    assert (start, item, size) == (pytest.approx(0.5), pytest.approx(0.1), 3 * 8 * 2)


def test_the_batches_are_neighbours_from_the_short_and_the_long_half() -> None:
    items = list(map(str, range(400)))
    assert probed_batches(items, 4) == [("0",), ("98", "99", "100", "101"), ("298", "299", "300", "301")]


@pytest.mark.parametrize("number", [1, 2, 3, 30])
def test_few_items_are_probed_as_they_are(number: int) -> None:
    items = list(map(str, range(number)))
    first, *batches = probed_batches(items, 24)
    assert first == ("0",) and all(0 < len(batch) <= 24 and set(batch) <= set(items) for batch in batches)
