"""Devices as people name them."""

from collections.abc import Sequence

import pytest
import torch
from omnifuse import device
from omnifuse.cache_schema import InputError
from omnifuse.device import named_devices


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a CPU and two GPUs."""
    present = {"cpu": "cpu", "cuda": "cuda:0", "cuda:0": "cuda:0", "cuda:1": "cuda:1"}

    def check(name: str) -> torch.device:
        if name not in present:
            raise InputError(f"device = {name!r}")
        return torch.device(present[name])

    monkeypatch.setattr(device, "check_device", check)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("cpu", ["cpu"]),
        ("cuda", ["cuda:0"]),
        ("cuda:1", ["cuda:1"]),
        ("cuda:0,1", ["cuda:0", "cuda:1"]),
        ("cuda:1, cuda:0", ["cuda:1", "cuda:0"]),
        ("cpu,cuda:0,1", ["cpu", "cuda:0", "cuda:1"]),
    ],
)
def test_several_are_named_at_once(two_gpus: None, names: str, expected: Sequence[str]) -> None:
    assert named_devices(names) == tuple(expected)


@pytest.mark.parametrize(("names", "wrong"), [("cuda:0,2", "cuda:2"), ("0,1", ":0"), ("cuda:0,", ""), ("cuda,x", "x")])
def test_one_that_is_not_there_is_refused(two_gpus: None, names: str, wrong: str) -> None:
    with pytest.raises(InputError, match=f"^device = {wrong!r}$"):
        named_devices(names)


@pytest.mark.parametrize("names", ["cuda,cuda:0", "cuda:1,1"])
def test_each_is_named_once(two_gpus: None, names: str) -> None:
    with pytest.raises(InputError, match="each device can be named once"):
        named_devices(names)
