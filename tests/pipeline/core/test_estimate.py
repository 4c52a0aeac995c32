"""What an extraction is foretold to take: measured on a few items of every encoder, and added up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.estimate import COPIES, START_SECONDS, WRITTEN_BYTES_A_SECOND, probed_batches
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.frozen_encoders import FROZEN_ENCODERS, Encode, FrozenEncoder
from omnifuse.pipeline.summary import outcome

from .toy import ToyDataSet, write_raw


@dataclass
class Clock:
    """What the machine's clock says; only a :class:`Ticking` encoder lets time pass."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An encoder of texts that takes 10 seconds to load and 350 for each, which becomes 300 megabytes."""
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)

    class Ticking(FrozenEncoder):
        content = "text"

        def recipe(self) -> dict[str, Any]:
            return {"name": "ticking"}

        def read(self, path: Path) -> str:
            return path.read_text()

        def load(self) -> Encode:
            clock.now += 10

            def encode(texts: Iterable[str]) -> Iterator[np.ndarray]:
                for _ in texts:
                    clock.now += 350
                    yield np.broadcast_to(np.float16(0), (18_750_000, 8))

            return encode

    FROZEN_ENCODERS.register("ticking", Ticking)
    yield "ticking:any"
    FROZEN_ENCODERS.forget("ticking")


def test_seconds_and_bytes_of_what_is_pending_add_up(tmp_path: Path, encoder: str) -> None:
    """Of two notes the first is timed with the loading; what four samples of a small table take is next to nothing."""
    dataset = ToyDataSet(write_raw(tmp_path / "raw"), modalities=("rate", "note"))
    found = extract(dataset, tmp_path / "cache", Encoders(encoder, "random"), dry_run=True)
    expected = START_SECONDS + (10 + 350) + 2 * 350 + 2 * 3e8 / WRITTEN_BYTES_A_SECOND
    assert found.estimated is not None
    assert found.estimated.seconds == pytest.approx(expected, abs=0.1)
    assert found.estimated.bytes == pytest.approx(COPIES * 2 * 3e8, rel=0.01)
    assert "About 18 min on this machine" in outcome(found)[1]


def test_the_batches_are_neighbours_from_the_short_and_the_long_half() -> None:
    items = list(map(str, range(400)))
    assert probed_batches(items, 4) == [("0",), ("98", "99", "100", "101"), ("298", "299", "300", "301")]


@pytest.mark.parametrize("number", [1, 2, 3, 30])
def test_few_items_are_probed_as_they_are(number: int) -> None:
    items = list(map(str, range(number)))
    first, *batches = probed_batches(items, 24)
    assert first == ("0",) and all(0 < len(batch) <= 24 and set(batch) <= set(items) for batch in batches)
