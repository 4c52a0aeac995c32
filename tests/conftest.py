"""Fixtures that every part of the suite shares."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does


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


@pytest.fixture(scope="session")
def synthetic_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MIMIC-IV-shaped raw folder of 60 stays with images and reports; read-only for tests."""
    from omnifuse.pipeline.synthetic import SynthSettings, write_cohort

    raw = tmp_path_factory.mktemp("synthetic") / "raw"
    write_cohort(raw, SynthSettings(stays=60, events_per_stay=40, images=30))
    return raw


@pytest.fixture(scope="session")
def synthetic_cache(synthetic_raw: Path) -> Path:
    """The cache of the synthetic raw folder, made with random encoders; read-only for tests."""
    from omnifuse.pipeline.plan import Encoders
    from omnifuse.pipeline.sources import SourceOptions, open_dataset
    from omnifuse.pipeline.stages import extract

    cache = synthetic_raw.parent / "cache"
    dataset = open_dataset("synthetic", synthetic_raw, SourceOptions())
    extract(dataset, synthetic_raw, cache, Encoders("random", "random"))
    return cache


@pytest.fixture(scope="session")
def trained_run(synthetic_cache: Path) -> Path:
    """A short OmniFuse run of two folds on the synthetic cache; read-only for tests."""
    from omnifuse.fusion.config import make_config
    from omnifuse.fusion.run import train

    run = synthetic_cache.parent / "run"
    train(synthetic_cache, make_config("omnifuse", overrides=["fit.epochs=2"], task="mortality", folds=2), run)
    return run
