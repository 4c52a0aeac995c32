"""Why there is something to do: also where a cache does not say what it was made from."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from omnifuse.cache_schema import StagedCache
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.memo import DigestMemo
from omnifuse.pipeline.core.plan import reasons_to_run


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"cohort": None, "encoders": {}, "contents": ""},
        {"cohort": {}, "encoders": {}, "contents": ""},
        {"cohort": {"dataset": "toy"}, "encoders": [], "contents": ""},
        {"cohort": {"dataset": "toy"}, "encoders": {}},
    ],
)
def test_a_cache_whose_keys_say_nothing_is_made_anew(tmp_path: Path, keys: dict[str, Any]) -> None:
    samples = pl.DataFrame({"sample_id": [1], "subject_id": [1]})
    StagedCache(tmp_path / "cache", "toy", {}).add_samples(samples).commit(keys)
    memo = DigestMemo(tmp_path / "digests.parquet", tmp_path)
    reasons = reasons_to_run(tmp_path / "cache", {"dataset": "toy"}, Encoders(), memo)
    assert reasons == [f"the cache at {tmp_path / 'cache'} does not say what it was made from"]
