"""Patients and stays: plausible, and silent about the label."""

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema.errors import InputError
from omnifuse.pipeline.synthetic import SynthSettings
from omnifuse.pipeline.synthetic.best_possible import weighted_auroc
from omnifuse.pipeline.synthetic.cohort import Cohort, plan_cohort
from omnifuse.pipeline.synthetic.people import HOUR
from omnifuse.pipeline.synthetic.radiology import plan_studies


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


@pytest.mark.parametrize("trait", ["age", "gender", "race", "first_careunit", "length", "waited", "hour"])
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
    studies = plan_studies(limited, 1_000, np.random.default_rng(0))
    assert 990 <= studies["has_image"].sum() + studies["has_lateral"].sum() <= 1_000
    assert studies["has_lateral"].any()
    free, kept = large.draw.available[:, 1], limited.draw.available[:, 1]
    assert not (kept & ~free).any()
    assert 800 < kept.sum() < 1_000
    assert limited.law.cxr.kept == pytest.approx(kept.sum() / free.sum())
    assert limited.draw.latent[kept, 0].mean() == pytest.approx(limited.draw.latent[free, 0].mean(), abs=0.1)
    np.testing.assert_array_equal(limited.draw.label, large.draw.label)


@pytest.fixture(scope="module")
def studies(large) -> pl.DataFrame:
    """The studies with the hours from the begin of their stay, and the stay's draw."""
    made = plan_studies(large, None, np.random.default_rng(0))
    stays, rows = large.stays[made["row"].to_numpy()], made["row"].to_numpy()
    hours = (made["taken"] - stays["intime"]) / HOUR
    drawn = {"y": large.draw.label, "cxr_there": large.draw.available[:, 1], "rep_there": large.draw.available[:, 2]}
    return made.with_columns(
        stays["kind", "died"].get_columns(), hours=hours, length=(stays["outtime"] - stays["intime"]) / HOUR
    ).with_columns(pl.Series(name, values[rows]) for name, values in drawn.items())


@pytest.mark.parametrize("name", ["cxr", "rep"])
def test_the_planted_study_is_the_last_of_the_window_and_is_there_as_the_law_says(large, studies, name):
    file = "has_image" if name == "cxr" else "has_report"
    window = studies.filter(pl.col("hours").is_between(0, 48), file, kind="cohort")
    last = window.sort("hours").unique("row", keep="last")
    assert set(last["period"]) == {"planted"}
    there = large.draw.available[:, 1 if name == "cxr" else 2] & (large.stays["kind"] == "cohort").to_numpy()
    assert set(last["row"]) == set(np.flatnonzero(there))
    shown = last.sort("row")
    drawn = large.draw.statistic[shown["row"].to_numpy(), 1 if name == "cxr" else 2]
    np.testing.assert_array_equal(shown[f"{name}_shared", f"{name}_own"].to_numpy(), drawn)


def test_each_study_lies_in_its_period(studies):
    rules = {
        "planted": pl.col("hours").is_between(1, 47),
        "earlier": pl.col("hours").is_between(0, 47),
        "later": (pl.col("hours") > 48) & (pl.col("hours") <= pl.col("length")),
        "before": pl.col("hours") < 0,
        "after": (pl.col("hours") > pl.col("length")) & ~pl.col("died"),
    }
    assert set(studies["period"]) == set(rules)
    for period, rule in rules.items():
        assert studies.filter(pl.col("period") == period).select(rule.all()).item()
    assert studies.group_by("row").len()["len"].max() == 5
    assert studies["study_id"].is_unique().all()


@pytest.mark.parametrize("modality", ["cxr", "rep"])
@pytest.mark.parametrize(("period", "lowest", "highest"), [("earlier", 0.45, 0.55), ("later", 0.9, 1)])
def test_in_the_window_only_the_planted_study_tells_the_label(studies, modality, period, lowest, highest):
    further = studies.filter(period=period)
    score = (further[f"{modality}_sign"] * (further[f"{modality}_shared"] + further[f"{modality}_own"])).to_numpy()
    y = further["y"].to_numpy()
    assert lowest < weighted_auroc(score, y, ~y) < highest


@pytest.mark.parametrize("value", ["hours", "number"])
def test_when_and_how_often_studies_are_made_in_the_window_tells_nothing(studies, value):
    window = studies.filter(pl.col("hours").is_between(0, 48)).with_columns(number=pl.len().over("row"))
    of_stay = window.filter(period="planted", kind="cohort")
    y = of_stay["y"].to_numpy()
    assert weighted_auroc(of_stay[value].to_numpy().astype(float), y, ~y) == pytest.approx(0.5, abs=0.025)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layout": "mimic5"}, "mimic5"), ({"stays": 3}, "stays is 3"), ({"images": -1}, "images is -1")],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        SynthSettings(**settings)
