"""What the printed references must satisfy before anything is compared with them."""

from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema.errors import MissingInputError
from omnifuse.pipeline.synthetic import BestPossible, Law, SynthSettings, best_possible
from omnifuse.pipeline.synthetic.best_possible import references_of, weighted_auroc
from omnifuse.pipeline.synthetic.cohort import plan_cohort


def references(law: Law, stays: int = 1000) -> BestPossible:
    """Of a cohort that is drawn but not written."""
    cohort = plan_cohort(SynthSettings(stays=stays, law=law), np.random.default_rng(0))
    subjects = cohort.stays["subject_id"].rank("dense").to_numpy().astype(np.int64) - 1
    return references_of(cohort.law, cohort.draw, subjects)


@pytest.fixture(scope="module")
def default() -> BestPossible:
    return references(Law())


@pytest.fixture
def small_population(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("omnifuse.pipeline.synthetic.best_possible")  # the package's name is the function's
    monkeypatch.setattr(module, "REPLICATE_SIZE", 512)


def aurocs(best: BestPossible) -> dict[str, float]:
    return {reference.combination: reference.auroc for reference in best.references}


def test_default_law_meets_the_acceptance_conditions(default):
    assert default.acceptance is not None
    assert default.acceptance.dominant == "ehr"
    assert default.acceptance.gain_over_best_single >= 0.05
    assert default.acceptance.gain_of_dominant >= 0.05


def test_monte_carlo_error_is_below_a_thousandth(default):
    assert max(reference.monte_carlo_error for reference in (default.oracle, *default.references)) < 1e-3


def test_more_modalities_are_never_worse_and_the_oracle_is_best(default):
    auroc = aurocs(default)
    for small in auroc:
        for large in auroc:
            if set(small.split("+")) <= set(large.split("+")):
                assert auroc[small] <= auroc[large] + 1e-3
    assert default.oracle.auroc > auroc["cxr+ehr+rep"]


def test_cohort_agrees_with_the_population_within_its_interval(default):
    for reference in default.references:
        low, high = reference.interval
        assert low < reference.auroc_cohort < high
        assert low - 0.02 < reference.auroc < high + 0.02


def test_the_fitted_model_comes_close_to_the_best_possible(default):
    for reference in default.references:
        assert reference.auroc_fitted == pytest.approx(reference.auroc_cohort, abs=0.03)


def test_negative_control_has_no_dominant_modality_and_nothing_missing(small_population):
    control = references(Law(missing=False, imbalance=False, void=False), stays=100)
    auroc = aurocs(control)
    assert auroc["ehr"] == pytest.approx(auroc["cxr"], abs=0.01)
    assert control.acceptance is not None
    assert set(control.acceptance.void_rate.values()) == set(control.acceptance.missing_rate.values()) == {0}


def test_each_problem_costs_something(small_population):
    control = Law(missing=False, imbalance=False, void=False)
    best = aurocs(references(control, stays=100))["cxr+ehr+rep"]
    for problem in ("missing", "void"):
        assert aurocs(references(Law(**{**vars(control), problem: True}), stays=100))["cxr+ehr+rep"] < best - 0.01


def test_a_cohort_with_few_deaths_is_not_scored(small_population):
    few = references(Law(intercept=-7), stays=20)
    for row in few.references:
        assert np.isnan([row.auroc_cohort, *row.interval, row.auroc_fitted]).all()
    assert few.oracle.auroc > 0.8


def test_mimic3_has_the_ehr_and_notes_in_place_of_reports(mimic3, small_population):
    best = best_possible(mimic3)
    assert [reference.combination for reference in best.references] == ["ehr", "rep", "ehr+rep"]
    assert best.acceptance is not None
    assert best.samples == 60


def test_written_cohort_is_the_drawn_one(mimic4, truth, small_population):
    best = best_possible(mimic4)
    assert (best.samples, best.deaths) == (300, truth["y"].sum())
    assert best.acceptance is not None
    assert best.acceptance.missing_rate["cxr"] == pytest.approx(1 - truth["cxr_available"].mean())


def test_other_folders_are_refused(tmp_path: Path):
    with pytest.raises(MissingInputError, match="omnifuse synth"):
        best_possible(tmp_path)


def test_auroc_is_the_share_of_pairs_in_order_with_ties_for_a_half():
    rng = np.random.default_rng(0)
    score, label = rng.integers(0, 5, 40).astype(float), rng.random(40) < 0.4
    pairs = score[label][:, None] - score[~label]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert weighted_auroc(score, label, ~label) == pytest.approx(expected)
    doubled = weighted_auroc(score, np.stack([label, 2 * label]), np.stack([~label, ~label]))
    np.testing.assert_allclose(doubled, expected)


def test_truth_is_one_row_per_cohort_stay(truth: pl.DataFrame):
    assert truth["stay_id"].n_unique() == len(truth) == 300
    assert truth.null_count().sum_horizontal().item() == 0
