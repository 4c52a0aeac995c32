"""Devices as people name them."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.device import named_devices


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a CPU and two GPUs."""
    present = {"cpu": "cpu", "cuda": "cuda:0", "cuda:0": "cuda:0", "cuda:1": "cuda:1"}

    def zeros(_: int, device: str) -> object:
        if device not in present:
            raise RuntimeError("no such device")
        return SimpleNamespace(item=lambda: 0.0, device=torch.device(present[device]))

    monkeypatch.setattr(torch, "zeros", zeros)


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
    with pytest.raises(InputError, match=f"^device = {wrong!r}: this machine has .*no such device"):
        named_devices(names)


@pytest.mark.parametrize("names", ["cuda,cuda:0", "cuda:1,1"])
def test_each_is_named_once(two_gpus: None, names: str) -> None:
    with pytest.raises(InputError, match="each device can be named once"):
        named_devices(names)
