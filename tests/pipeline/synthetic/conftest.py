"""Two small cohorts, written once."""

from pathlib import Path

import polars as pl
import pytest
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort


@pytest.fixture(scope="session")
def mimic4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 stays with at most 110 images."""
    raw = tmp_path_factory.mktemp("synthetic") / "mimic4"
    write_cohort(raw, SynthSettings(stays=300, seed=3, images=110))
    return raw


@pytest.fixture(scope="session")
def mimic3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 stays with more events each."""
    raw = tmp_path_factory.mktemp("synthetic") / "mimic3"
    write_cohort(raw, SynthSettings(stays=60, seed=4, layout="mimic3", events_per_stay=600))
    return raw


@pytest.fixture(scope="session")
def truth(mimic4: Path) -> pl.DataFrame:
    return pl.read_parquet(mimic4 / "synthetic" / "truth.parquet")
