"""What the tests of both sides of an encoder share."""

from pathlib import Path

import pytest
from omnifuse.pipeline import frozen_torch


@pytest.fixture
def plain_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that says nothing of bfloat16, so that encoders compute in float32 as other programs do."""
    monkeypatch.setattr(frozen_torch, "CPU_FLAGS", tmp_path / "no cpuinfo")
