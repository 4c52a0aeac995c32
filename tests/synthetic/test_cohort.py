"""Patients and stays: plausible, and silent about the label."""

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema.errors import InputError
from omnifuse.pipeline.synthetic import SynthSettings
from omnifuse.pipeline.synthetic.best_possible import weighted_auroc
from omnifuse.pipeline.synthetic.cohort import Cohort, plan_cohort
from omnifuse.pipeline.synthetic.people import HOUR


def plan(**settings: object) -> Cohort:
    return plan_cohort(SynthSettings(**settings), np.random.default_rng(0))


@pytest.fixture(scope="module")
def large() -> Cohort:
    return plan(stays=10_000)


def test_stays_are_as_many_as_asked_for_and_some_more_to_be_dropped(large):
    counts = dict(large.stays["kind"].value_counts().iter_rows())
    assert counts.pop("cohort") == 10_000
    assert set(counts.values()) == {100}
    assert "minor" in set(plan(stays=100, layout="mimic3").stays["kind"])


@pytest.mark.parametrize(
    "trait", ["age", "gender", "race", "first_careunit", "length", "waited", "hour", "study_after"]
)
def test_nothing_but_the_modalities_tells_the_label(large, trait):
    stays = large.stays.with_columns(
        length=pl.col("outtime") - pl.col("intime"),
        waited=pl.col("intime") - pl.col("admittime"),
        hour=pl.col("intime") // HOUR % 24,
        y=pl.Series(large.draw.label),
    ).filter(pl.col("kind") == "cohort")
    value = stays[trait].rank("dense").to_numpy().astype(float)
    y = stays["y"].to_numpy()
    assert weighted_auroc(value, y, ~y) == pytest.approx(0.5, abs=0.025)  # 3.5 standard errors


def test_the_cohort_lies_and_lives_for_more_than_48_hours(large):
    stays = large.stays.filter(pl.col("kind") == "cohort")
    assert (stays["outtime"] - stays["intime"]).min() > 48 * HOUR
    assert (stays["dischtime"] - stays["intime"]).min() > 48 * HOUR


def test_some_patients_come_again_and_nobody_after_death(large):
    stays = large.stays.filter(pl.col("kind") == "cohort")
    assert stays["subject_id"].n_unique() < 0.9 * len(stays)
    following = stays.with_columns(
        died_before=pl.col("died").shift(1).over("subject_id"), left=pl.col("dischtime").shift(1).over("subject_id")
    ).drop_nulls("left")
    assert not following["died_before"].any()
    assert (following["admittime"] > following["left"]).all()


def test_image_limit_keeps_a_uniform_part_and_the_law_says_which(large):
    limited = plan(stays=10_000, images=1_000)
    frontal, lateral = limited.stays["has_image"].sum(), limited.stays["has_lateral"].sum()
    assert frontal + lateral <= 1_000
    assert lateral > 0
    free, kept = large.draw.available[:, 1], limited.draw.available[:, 1]
    assert not (kept & ~free).any()
    assert limited.law.cxr.kept == pytest.approx(kept.sum() / free.sum())
    assert limited.draw.latent[kept, 0].mean() == pytest.approx(limited.draw.latent[free, 0].mean(), abs=0.1)
    np.testing.assert_array_equal(limited.draw.label, large.draw.label)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layout": "mimic5"}, "mimic5"), ({"stays": 3}, "stays is 3"), ({"images": -1}, "images is -1")],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        SynthSettings(**settings)
