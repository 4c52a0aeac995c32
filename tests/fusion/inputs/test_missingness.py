"""Modalities hidden on purpose: exactly as many as asked, never the last one, the same for everybody."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.missingness import MissingConfig, draw_hidden, hidden_in_test, hide
from omnifuse.fusion.inputs.splits import k_folds, strata
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.fold_result import FoldResult
from omnifuse.fusion.training.folds import train_folds

NAMES = ("ehr", "cxr", "rep")
PRESENCE = arrays(bool, st.tuples(st.integers(1, 80), st.just(3)))
RATES = st.floats(0, 1)


@settings(deadline=None, max_examples=60)
@given(PRESENCE, RATES, st.integers(0, 99))
def test_the_share_is_exact_and_nobody_loses_more_than_one_or_the_last(
    presence: np.ndarray, rate: float, seed: int
) -> None:
    hidden = draw_hidden(MissingConfig(rate, seed=seed), presence, NAMES)
    able = presence.sum(1) > 1
    assert hidden.sum() == round(rate * able.sum())
    assert hidden.sum(1).max() <= 1
    assert not (hidden & ~presence).any()
    assert ((presence & ~hidden).any(1) == presence.any(1)).all()


@settings(deadline=None, max_examples=40)
@given(PRESENCE, RATES)
def test_a_named_modality_is_lost_by_those_who_have_it_beside_another(presence: np.ndarray, rate: float) -> None:
    hidden = draw_hidden(MissingConfig(rate, modality="cxr"), presence, NAMES)
    assert hidden[:, 1].sum() == hidden.sum() == round(rate * (presence[:, 1] & (presence.sum(1) > 1)).sum())


@settings(deadline=None, max_examples=40)
@given(PRESENCE, RATES, RATES)
def test_a_higher_rate_hides_the_same_and_more(presence: np.ndarray, one: float, other: float) -> None:
    low, high = sorted((one, other))
    less, more = (draw_hidden(MissingConfig(rate), presence, NAMES) for rate in (low, high))
    assert not (less & ~more).any()


def test_each_modality_is_lost_equally_often() -> None:
    hidden = draw_hidden(MissingConfig(1.0), np.ones((30_000, 3), dtype=bool), NAMES)
    assert np.abs(hidden.mean(0) - 1 / 3).max() < 0.01


def test_draws_differ_by_seed_and_number_and_not_by_order_of_modalities() -> None:
    presence = np.random.default_rng(0).random((50, 3)) < 0.8
    config = MissingConfig(0.5, protocol="test", draws=3)
    first = draw_hidden(config, presence, NAMES)
    assert np.array_equal(draw_hidden(config, presence[:, ::-1], NAMES[::-1])[:, ::-1], first)
    assert not np.array_equal(draw_hidden(replace(config, seed=1), presence, NAMES), first)
    draws = hidden_in_test(config, presence, NAMES)
    assert np.array_equal(draws[0], first) and not np.array_equal(draws[1], first)
    assert len(hidden_in_test(MissingConfig(0.5), presence, NAMES)) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 1.5}, "between 0 and 1"),
        ({"rate": 0.5, "draws": 2}, "needs missing.protocol=test"),
        ({"draws": 0, "protocol": "test"}, ">= 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MissingConfig(**settings)


def test_an_unknown_modality_lists_the_known() -> None:
    with pytest.raises(InputError, match="'mri'; the modalities are: ehr, cxr, rep"):
        draw_hidden(MissingConfig(0.5, modality="mri"), np.ones((2, 3), dtype=bool), NAMES)


def test_hidden_rows_are_gone(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    hidden = draw_hidden(MissingConfig(0.5), cohort.presence, cohort.modalities)
    left = hide(cohort, hidden)
    assert np.array_equal(left.presence, cohort.presence & ~hidden)
    for m, (name, source) in enumerate(left.sources.items()):
        for sample in np.flatnonzero(left.presence[:, m]):
            np.testing.assert_array_equal(source.rows[sample], cohort.sources[name].rows[sample])


def spoilt(cohort: Cohort, hidden: np.ndarray) -> Cohort:
    """Return the cohort with nonsense in all hidden rows."""
    sources = {}
    for m, (name, source) in enumerate(cohort.sources.items()):
        values = source.rows.values.copy()
        values[source.rows_of(np.flatnonzero(hidden[:, m]))] = 7e4 if values.dtype == np.float32 else np.inf
        sources[name] = replace(source, rows=replace(source.rows, values=values))
    return replace(cohort, sources=sources)


def test_hidden_bytes_may_hold_anything(toy_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = toy_cohort()
    hidden = draw_hidden(MissingConfig(0.7), cohort.presence, cohort.modalities)
    config = make_config("omnifuse", overrides=["fit.epochs=1"])
    splits = k_folds(cohort.subject_id, strata(cohort.y, "binary"), 2, 0.0, 0)
    for number, one in enumerate((cohort, spoilt(cohort, hidden))):
        train_folds(hide(one, hidden), dict(enumerate(splits)), config, tmp_path / str(number))
    for fold in "01":
        rows, other = (FoldResult.load(tmp_path / number / fold).rows for number in "01")
        assert rows.equals(other)


OVERRIDES = ["fit.epochs=1", "folds=2", "missing.rate=0.5"]


@pytest.mark.parametrize("protocol", ["train-and-test", "test"])
def test_all_methods_see_the_same_draw(protocol: str, toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache, shown, metrics = toy_cache(tmp_path / "cache"), [], []
    for seed, method in enumerate(("concat", "omnifuse")):
        config = make_config(method, overrides=[*OVERRIDES, f"missing.protocol={protocol}", f"seed={seed}"])
        metrics.append(train(cache, config, tmp_path / method).metrics.missing)
        predictions = pl.read_parquet(tmp_path / method / "predictions.parquet")
        shown.append(predictions.select("sample_id", "^.*present$"))
    assert shown[0].equals(shown[1])
    assert metrics[0].lost == metrics[1].lost and metrics[0].protocol == protocol


def test_a_test_over_draws_reports_each_beside_the_complete_one(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache = toy_cache(tmp_path / "cache")
    complete = train(cache, make_config("concat", overrides=OVERRIDES[:2]), tmp_path / "complete").metrics
    overrides = [*OVERRIDES, "missing.protocol=test", "missing.draws=3", "missing.modality=ehr"]
    metrics = train(cache, make_config("concat", overrides=overrides), tmp_path / "drawn").metrics
    missing = metrics.missing
    assert complete.missing is None
    assert missing is not None and missing.complete is not None and missing.over_draws is not None
    assert missing.complete["auroc"] == replace(complete.auroc, ci=None)
    means = [draw["auroc"].mean for draw in missing.each_draw]
    assert len(means) == 3 and missing.over_draws["auroc"].mean == pytest.approx(np.mean(means))
    assert metrics.auroc.mean == means[0]  # predictions.parquet is the first draw
    assert set(missing.lost) == {"ehr", "rep", "static"} and missing.lost["rep"] == 0
    assert any("lost ehr on purpose, in the test alone" in note for note in metrics.notes)
