"""Fixtures that every part of the suite shares."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a folder of real, openly licensed data below ``$OMNIFUSE_TEST_DATA``, or skip and say why."""

    def find(name: str) -> Path:
        root = os.environ.get("OMNIFUSE_TEST_DATA")
        if not root:
            pytest.skip("OMNIFUSE_TEST_DATA is not set")
        folder = Path(root) / name
        if not folder.exists():
            pytest.skip(f"{name} is not in {root}")
        return folder

    return find
