"""The statistics of a time series against a plain loop over samples, and what they may not depend on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import Column, InputError, RaggedArray, offsets_of
from omnifuse.fusion.inputs.batches import Source
from omnifuse.fusion.inputs.series import series_steps, series_summary
from omnifuse.fusion.inputs.statistics import STATISTICS, Segments, variable_statistics

PULSE = (Column("pulse", "bpm", "pulse"), Column("pulse mask", "", "pulse", "mask"))


def plain_statistics(x: np.ndarray, seen: np.ndarray, t: np.ndarray, horizon: float) -> list[float]:
    """Say in words of one sample what `STATISTICS` are."""
    nothing = float("nan")
    x, t = x[seen], t[seen]
    if not len(x):
        return [0.0 if name == "log_count" else nothing for name in STATISTICS]
    late = t > horizon / 2
    quarters = [x[(t > horizon * k / 4) & (t <= horizon * (k + 1) / 4)] for k in range(4)]
    lead = t - t.mean()
    slope = (lead * (x - x.mean())).sum() / (lead**2).sum() if len(x) > 1 else nothing
    late_mean, late_min, late_max = (x[late].mean(), x[late].min(), x[late].max()) if late.any() else [nothing] * 3
    named = {
        "mean": x.mean(), "min": x.min(), "max": x.max(), "first": x[0], "last": x[-1], "sd": x.std(),
        "late_mean": late_mean, "log_count": np.log1p(len(x)),
        **{f"mean_{k + 1}": part.mean() if len(part) else nothing for k, part in enumerate(quarters)},
        "slope": slope, "change": x[-1] - x[0], "last_time": t[-1], "late_min": late_min, "late_max": late_max,
    }  # fmt: skip
    return [named[name] for name in STATISTICS]


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=6), seed=st.integers(0, 2**16), share=st.floats(0, 1))
def test_equals_a_loop_over_samples(lengths: list[int], seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    number, offsets = np.array(lengths), offsets_of(np.array(lengths))
    x, seen = rng.normal(size=number.sum()), rng.random(number.sum()) < share
    t = np.concatenate([2.0 * np.arange(1, n + 1) for n in lengths])
    got = variable_statistics(x, seen, t, np.full(len(lengths), 16.0), Segments(offsets[:-1], number))
    rows = [slice(offsets[i], offsets[i + 1]) for i in range(len(lengths))]
    expected = [plain_statistics(x[row], seen[row], t[row], 16.0) for row in rows]
    np.testing.assert_allclose(got, expected, atol=1e-9)


def series(values: list[list[float]], lengths: list[int], columns: tuple[Column, ...] = PULSE) -> Source:
    """Return a time series of 2-hour bins."""
    hours = np.concatenate([2.0 * np.arange(1, n + 1) for n in lengths]).astype(np.float32)
    return Source("timeseries", columns, RaggedArray(np.array(values, "f4"), offsets_of(np.array(lengths)), hours))


def test_carried_values_do_not_count_as_observed() -> None:
    carried = series([[60, 1], [60, 0], [90, 1]], [3])
    summary = series_summary(carried, window_hours=None)
    named = dict(zip(STATISTICS, summary.quantities[0], strict=True))
    assert named["mean"] == 75
    assert named["log_count"] == pytest.approx(np.log(3))
    assert named["late_mean"] == 90


def test_an_absent_sample_has_no_statistics_and_no_flags() -> None:
    summary = series_summary(series([[60, 1]], [0, 1, 0]), 48)
    assert np.isnan(summary.quantities[[0, 2]]).all()
    assert summary.shares[:, 0].tolist() == [0, 1, 0]


def test_a_variable_never_measured_is_unknown_and_flagged_so() -> None:
    summary = series_summary(series([[np.nan, 0], [80, 0]], [2]), 48)  # 80 is a normal value put in, not a measurement
    known = dict(zip(STATISTICS, ~np.isnan(summary.quantities[0]), strict=True))
    assert [name for name in STATISTICS if known[name]] == ["log_count"]
    assert summary.shares.tolist() == [[0]]


def test_a_category_gives_the_share_of_its_time_and_its_last_value() -> None:
    columns = (Column("awake", "", "state", "onehot"), Column("state mask", "", "state", "mask"))
    summary = series_summary(series([[np.nan, 0], [1, 1], [0, 1], [0, 0]], [4], columns), 48)
    assert summary.quantities.shape == (1, 0)
    assert summary.shares[0].tolist() == pytest.approx([1 / 3, 0, 1])


def test_without_masks_every_known_cell_is_observed() -> None:
    plain = series([[1.0], [np.nan], [3.0]], [3], (Column("x"),))
    assert series_summary(plain, None).quantities[0, 0] == 2


def test_rows_without_time_are_numbered() -> None:
    timed = series([[1.0], [2.0]], [2], (Column("x"),))
    untimed = replace(timed, rows=replace(timed.rows, time=np.full(2, np.nan, "f4")))
    last_time = STATISTICS.index("last_time")
    assert series_summary(untimed, None).quantities[0, last_time] == 2


def test_recency_falls_since_the_last_observation_of_the_same_sample() -> None:
    steps = series_steps(series([[60, 1], [60, 0], [np.nan, 0], [70, 1]], [2, 2]))
    np.testing.assert_allclose(steps[:, 2], [1, np.exp(-2 / 6), 0, 1], rtol=1e-6)


def test_a_series_needs_named_columns() -> None:
    with pytest.raises(InputError, match="named columns"):
        series_summary(series([[1.0]], [1], ()), None)
