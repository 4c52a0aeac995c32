"""Several devices of one machine share the parts and make the same bytes; they are CPUs here."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.core.encode import Machines, _make_here
from omnifuse.pipeline.core.item_encoder import ItemEncoder
from omnifuse.pipeline.core.parts import PartStore
from omnifuse.pipeline.frozen_encoders import Encode, FrozenEncoder
from omnifuse.pipeline.frozen_torch import computing_on, default_device, side_by_side
from omnifuse.pipeline.source import UnreadableItem
from omnifuse.pipeline.text.encoder import Transformers

TWO = ("cpu", "cpu")
PARTS = [[f"{part}-{item}" for item in range(3)] for part in range(20)]


class Counting(FrozenEncoder):
    """Gives each text one row: how long it is. Every loaded one waits until another has begun, too."""

    content = "text"
    on_devices = True
    meeting = threading.Barrier(2)
    loaded = 0

    def recipe(self) -> dict[str, Any]:
        return {}

    def read(self, path: Path) -> Any:
        raise UnreadableItem("there are no files")

    def load(self) -> Encode:
        type(self).loaded += 1
        met = False

        def encode(texts: Iterable[str]) -> Iterator[np.ndarray]:
            nonlocal met
            if self.model == "meeting" and not met:
                met = True
                self.meeting.wait(timeout=60)
            for text in texts:
                if text == self.model:
                    raise InputError(f"no {text}")
                yield np.full((1, 2), len(text), np.float32)

        return encode


class OneThread(Counting):
    on_devices = False


def lengths(encoder: FrozenEncoder, devices: tuple[str, ...]) -> list[list[float]]:
    items = ItemEncoder(encoder, read=None)
    outcomes = items.outcomes(items.load_onto(devices), PARTS, workers=0)
    return [[float(rows[0, 0]) for rows in part if not isinstance(rows, UnreadableItem)] for part in outcomes]


def test_devices_work_at_the_same_time_and_parts_come_in_order() -> None:
    expected = [[float(len(item)) for item in part] for part in PARTS]
    assert lengths(Counting("meeting"), TWO) == expected  # alone each would wait for ever
    assert lengths(Counting("alone"), ()) == expected


@pytest.mark.parametrize(("family", "devices", "loaded"), [(Counting, TWO, 2), (Counting, (), 1), (OneThread, TWO, 1)])
def test_an_encoder_is_loaded_once_for_each_device_that_it_serves(
    family: type[Counting], devices: tuple[str, ...], loaded: int
) -> None:
    before = family.loaded
    lengths(family("counted"), devices)
    assert family.loaded - before == loaded


def test_what_they_write_is_what_one_writes(tmp_path: Path) -> None:
    parts = [tuple(part) for part in PARTS[:6]]
    items = [item for part in parts for item in part]
    alone, together = (PartStore(tmp_path / name, {"encoder": "toy"}) for name in ("alone", "together"))
    encoder = ItemEncoder(Transformers("random"), read=None)
    for store, devices in ((alone, ()), (together, TWO)):
        assert list(_make_here(encoder, store, parts, parts, Machines(devices=devices))) == parts
    expected, found = alone.load(items), together.load(items)
    assert all(np.array_equal(expected[item].values, found[item].values) for item in items)


@pytest.mark.parametrize("devices", [(), TWO])
def test_what_is_wrong_with_a_part_is_raised_and_nothing_behind_it_comes(devices: tuple[str, ...]) -> None:
    items = ItemEncoder(Counting("7-1"), read=None)
    outcomes = items.outcomes(items.load_onto(devices), PARTS, workers=0)
    assert [len(next(outcomes)) for _ in range(7)] == [3] * 7
    with pytest.raises(InputError, match="no 7-1"):
        next(outcomes)


def test_encoders_are_loaded_onto_the_device_that_is_named() -> None:
    before = default_device()
    with computing_on("meta"):
        assert default_device() == torch.device("meta")
        with computing_on(""):
            assert default_device() == torch.device("meta")
    assert default_device() == before


def test_a_cpu_serves_one_thread() -> None:
    assert side_by_side(list, torch.device("cpu"), threads=4) == [list]


def test_a_gpu_serves_several_threads_each_in_its_own_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[object] = []

    @contextmanager
    def stream(one: object) -> Iterator[None]:
        entered.append(one)
        yield
        entered.append("left")

    def encode(items: Iterable[str]) -> Iterator[str]:
        yield from (f"{item} in {entered[-1]}" for item in items)

    names = iter(["first", "second"])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"{next(names)} of {device}")
    monkeypatch.setattr(torch.cuda, "stream", stream)
    first, second = side_by_side(encode, torch.device("cuda:1"), threads=2)  # type: ignore[arg-type]
    assert first("ab") == ["a in first of cuda:1", "b in first of cuda:1"]
    assert second("c") == ["c in second of cuda:1"]
    assert entered[-1] == "left"


def test_devices_are_those_of_this_machine() -> None:
    with pytest.raises(InputError, match="--device is about this machine"):
        Machines(scheduler="tcp://host:8786", devices=("cuda:0",))
