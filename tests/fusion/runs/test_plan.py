"""What is known of a training before it begins."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import FeatureCache, RaggedArray, offsets_of
from omnifuse.fusion.runs.plan import plan_training
from omnifuse.fusion.training.config import make_config

from ..conftest import Signal, make_rows, write_cache


def rows_at(hour: float) -> Callable[[RaggedArray], RaggedArray]:
    def of_everybody(rows: RaggedArray) -> RaggedArray:
        lengths = np.ones(len(rows.offsets) - 1, dtype=int)
        values = np.ones((len(lengths), rows.dim), rows.values.dtype)
        return RaggedArray(values, offsets_of(lengths), np.full(len(lengths), hour, np.float32))

    return of_everybody


@pytest.mark.parametrize(("hour", "said"), [(-3.0, True), (20.0, True), (6.0, False)])
def test_a_modality_that_nobody_has_where_the_task_may_look_is_named(tmp_path: Path, hour: float, said: bool) -> None:
    """The task sees hours 0 to 12; it trains all the same, for another task may see the modality."""
    rows, y = make_rows(Signal())
    rows["rep"] = rows_at(hour)(rows["rep"])
    cache = write_cache(tmp_path / "cache", Signal(), None, 1, (rows, y))
    notes = plan_training(FeatureCache.open(cache), make_config("concat", overrides=["folds=2"])).notes
    assert ("Nobody has any rep within what the task 'outcome' may see: it was of no use." in notes) == said
