"""Sets hold the truth as often as asked for, in each class and pattern, and it is said where they do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.scores.conformal import coverage, out_of_fold, verdict
from omnifuse.fusion.scores.intervals import wilson
from omnifuse.fusion.scores.subgroups import Samples
from omnifuse.fusion.scores.thresholds import Calibrated, calibrated, of_other_parts, sets, threshold
from scipy.special import expit
from scipy.stats import binom

PATTERNS = {"what is available": np.repeat(["ehr", "cxr+ehr"], 300)}


def cohort(rng: np.random.Generator, count: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels [n, 1], a fifth of them positive, and their true probabilities; of a share the label is the other one."""
    risk = rng.normal(size=(count, 1))
    p = expit(1.5 * risk - 2)
    y = (rng.random((count, 1)) < p).astype(float)
    return np.where(rng.random((count, 1)) < flipped, 1 - y, y), p


@pytest.mark.parametrize(
    ("scores", "level", "expected"),
    [
        ([0.1] * 8, 0.9, np.inf),  # the ninth of eight
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], 0.9, 0.9),  # ceil(10 * 0.9) is the ninth of nine
        ([0.3, 0.1, 0.2], 0.5, 0.2),  # ceil(4 * 0.5) is the second
        ([0.3, 0.1, 0.2], 0.75, 0.3),
        ([], 0.5, np.inf),
        (np.arange(69) / 100, 0.9, 0.62),  # 70 * 0.9 is a little above 63 in floating point
    ],
)  # fmt: skip
def test_the_threshold_is_the_value_of_its_rank(scores: list[float], level: float, expected: float) -> None:
    assert threshold(np.array(scores), level) == expected


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_at_least_so_many_of_the_scores_are_within_the_threshold(scores: list[int], level: float) -> None:
    values = np.array(scores, dtype=float)
    assert (values <= threshold(values, level)).sum() >= min(len(values), (len(values) + 1) * level - 1e-9)


def test_sets_of_a_small_cohort_are_as_counted_by_hand() -> None:
    """At level one half of three positives the second, ceil(4 / 2), counts, and so of the negatives."""
    y = np.array([1, 1, 1, 0, 0, 0], dtype=float)[:, None]
    p = np.array([0.9, 0.7, 0.2, 0.1, 0.4, 0.6])[:, None]
    found = calibrated("binary", y, p, np.arange(6), level=0.5)
    assert found.thresholds == pytest.approx(np.array([[0.4, 0.3]]))
    assert found.patients.tolist() == [[3, 3]]
    new = np.array([0.3, 0.5, 0.8])[:, None]
    assert sets("binary", found.limits(new), new)[:, 0].tolist() == [[True, False], [False, False], [False, True]]


def test_a_class_of_too_few_patients_is_in_every_set() -> None:
    y, p = np.array([[1.0], *[[0.0]] * 20]), np.linspace(0.9, 0.1, 21)[:, None]
    found = calibrated("binary", y, p, np.arange(21))
    assert np.isinf(found.thresholds[0, 1]) and np.isfinite(found.thresholds[0, 0])
    new = np.array([[0.0], [1.0], [np.nan]])
    assert sets("binary", found.limits(new), new)[:, 0, 1].tolist() == [True, True, False]
    said = out_of_fold("binary", ["y"], y, p, Samples(np.arange(21), np.zeros(21), {}))
    assert said is not None
    assert [one["threshold"] is None for one in said["thresholds"]] == [False, True]


def test_in_200_cohorts_sets_hold_the_truth_as_often_as_asked_for_in_each_class_and_pattern() -> None:
    """The mean coverage lies within the binomial error of all samples, and most intervals hold the level."""
    rng = np.random.default_rng(0)
    covered: dict[str, list[float]] = {}
    counted: dict[str, int] = {}
    within = 0
    for _ in range(200):
        y, p = cohort(rng, 600)
        found = out_of_fold("binary", ["y"], y, p, Samples(np.arange(600), np.arange(600) % 5, PATTERNS))
        assert found is not None
        for row in found["coverage"]:
            covered.setdefault(row["name"], []).append(row["covered"] * row["samples"])
            counted[row["name"]] = counted.get(row["name"], 0) + row["samples"]
        low, high = found["coverage"][0]["covered_ci"]
        within += low <= 0.9 <= high
    assert set(covered) == {"all", "negative", "positive", "ehr", "cxr+ehr"}
    for name, hits in covered.items():
        share = sum(hits) / counted[name]
        low, high = binom.ppf([0.001, 0.999], counted[name], 0.9) / counted[name]
        assert low <= share <= high + 1 / 80, name  # a class of n is covered at most 1 / (n + 1) too often
    assert within >= 180


def test_a_rare_class_is_covered_although_thresholds_of_all_would_leave_it_out() -> None:
    y, p = cohort(np.random.default_rng(1), 4000)
    found = out_of_fold("binary", ["y"], y, p, Samples(np.arange(4000), np.arange(4000) % 5, {}))
    assert found is not None
    rows = {row["name"]: row for row in found["coverage"]}
    assert rows["positive"]["covered"] == pytest.approx(0.9, abs=0.03)
    one_for_all = threshold(np.where(y == 1, 1 - p, p).ravel(), 0.9)
    assert (1 - p[y == 1] <= one_for_all).mean() < 0.7


def test_thresholds_of_a_fold_know_nothing_of_it() -> None:
    y, p = cohort(np.random.default_rng(2), 500)
    folds = np.arange(500) % 5
    before = of_other_parts("binary", y, p, np.arange(500), folds)
    changed = np.where((folds == 3)[:, None], 1 - y, y)
    after = of_other_parts("binary", changed, p, np.arange(500), folds)
    assert np.array_equal(before[folds == 3], after[folds == 3]) and not np.array_equal(before, after)
    rest = folds != 3
    alone = calibrated("binary", y[rest], p[rest], np.arange(400)).thresholds
    assert (before[folds == 3] == alone).all()


def test_where_one_model_tested_all_a_patient_never_decides_on_itself() -> None:
    y, p = cohort(np.random.default_rng(3), 300)
    patients = np.arange(300) // 3
    for folds in (np.zeros(300), np.full(300, np.nan)):
        found = of_other_parts("binary", y, p, patients, folds)[:, 0, 0]
        assert 1 < len(np.unique(found)) <= 5
        assert all(len(np.unique(found[patients == patient])) == 1 for patient in range(100))


def test_a_shift_is_reported_and_none_is_not() -> None:
    """Of a tenth of new samples the outcome is another one."""
    rng = np.random.default_rng(4)
    y, p = cohort(rng, 2000)
    stored = calibrated("binary", y, p, np.arange(2000))
    for flipped, expected in ((0.0, "holds"), (0.1, "does not hold")):
        y, p = cohort(rng, 2000, flipped)
        everybody, *_ = coverage("binary", ["y"], stored, y, p, np.arange(2000), {})
        assert verdict(0.9, everybody["covered_ci"]) == expected


def test_a_shift_of_one_pattern_is_reported_of_it_alone() -> None:
    rng = np.random.default_rng(5)
    y, p = cohort(rng, 3000)
    stored = calibrated("binary", y, p, np.arange(3000))
    y, p = cohort(rng, 600)
    y[:300] = np.where(rng.random((300, 1)) < 0.2, 1 - y[:300], y[:300])
    rows = {row["name"]: row for row in coverage("binary", ["y"], stored, y, p, np.arange(600), PATTERNS)}
    assert {rows[name]["by"] for name in ("ehr", "cxr+ehr")} == {"what is available"}
    assert verdict(0.9, rows["ehr"]["covered_ci"]) == "does not hold"
    assert verdict(0.9, rows["cxr+ehr"]["covered_ci"]) == "holds"


def test_a_threshold_of_few_patients_is_not_called_wrong_for_what_chance_did_to_it() -> None:
    """Of 100 sets of thresholds from 40 positives each, judged by many samples: 5 % may be called wrong."""
    rng = np.random.default_rng(6)
    called = 0
    for _ in range(100):
        y, p = cohort(rng, 200)
        stored = calibrated("binary", y, p, np.arange(200))
        y, p = cohort(rng, 4000)
        rows = {row["name"]: row for row in coverage("binary", ["y"], stored, y, p, np.arange(4000), {})}
        called += verdict(0.9, rows["positive"]["covered_ci"]) == "does not hold"
    assert called <= 10


def test_the_interval_of_coverage_is_that_of_a_share_of_samples_and_of_thresholds() -> None:
    """Nine of ten patients, worth nine trials as a variance estimated from ten is, by a threshold from forty."""
    stored = Calibrated(0.9, np.array([[np.inf, 0.5]]), np.array([[160, 40]]))
    y, p = np.ones((10, 1)), np.array([[0.1], *[[0.9]] * 9])
    everybody, positives = coverage("binary", ["y"], stored, y, p, np.arange(10), {})
    assert everybody["covered"] == 0.9
    assert everybody["covered_ci"] == pytest.approx(wilson(0.9, 1 / (1 / 9 + 1 / 40)).ci)
    assert (positives["by"], positives["name"]) == ("class", "positive")
    assert (everybody["empty"], everybody["single"], everybody["several"]) == (0, 0.1, 0.9)


def test_the_interval_counts_patients_and_not_samples() -> None:
    stored = Calibrated(0.9, np.array([[0.5, 0.5]]), np.array([[10**9, 10**9]]))
    y, p = cohort(np.random.default_rng(7), 200)
    (once, *_), (twice, *_) = (
        coverage("binary", ["y"], stored, np.repeat(y, n, 0), np.repeat(p, n, 0), np.repeat(np.arange(200), n), {})
        for n in (1, 2)
    )
    assert once["covered_ci"] == pytest.approx(twice["covered_ci"])
    assert (once["samples"], twice["samples"]) == (200, 400)


def test_each_label_is_a_question_of_its_own() -> None:
    rng = np.random.default_rng(8)
    p = expit(rng.normal(size=(900, 2)) * 2)
    y = (rng.random((900, 2)) < p).astype(float)
    y[:100, 1] = np.nan
    both = out_of_fold("multilabel", ["a", "b"], y, p, Samples(np.arange(900), np.arange(900) % 3, {}))
    one = out_of_fold("binary", ["a"], y[:, :1], p[:, :1], Samples(np.arange(900), np.arange(900) % 3, {}))
    assert both is not None and one is not None
    assert [part["name"] for part in both["thresholds"]] == ["a: negative", "a: positive", "b: negative", "b: positive"]
    assert [part["threshold"] for part in both["thresholds"][:2]] == [part["threshold"] for part in one["thresholds"]]
    rows = {row["name"]: row for row in both["coverage"]}
    assert rows["a: positive"]["covered"] == one["coverage"][2]["covered"]
    assert rows["b: positive"]["samples"] == int(np.nansum(y[:, 1])) and rows["all"]["samples"] == 900


@pytest.mark.parametrize("one_hot", [False, True])
def test_of_several_classes_each_is_covered(one_hot: bool) -> None:
    rng = np.random.default_rng(9)
    p = rng.dirichlet([3, 1, 0.5], 3000)
    y = np.array([rng.choice(3, p=row) for row in p], dtype=float)[:, None]
    given_y = (y == np.arange(3)).astype(float) if one_hot else y
    found = out_of_fold("multiclass", ["a", "b", "c"], given_y, p, Samples(np.arange(3000), np.arange(3000) % 5, {}))
    assert found is not None
    for row in found["coverage"][1:]:
        assert row["by"] == "class" and row["covered"] == pytest.approx(0.9, abs=0.04)
    assert sum(found["coverage"][0][size] for size in ("empty", "single", "several")) == pytest.approx(1)


def test_an_interval_of_a_quantity_reaches_as_far_as_the_errors_of_its_third() -> None:
    """Of nine predictions a third the ninth error, ceil(10 * 0.9), counts."""
    said = np.arange(27.0)[:, None]
    error = np.concatenate([np.arange(1.0, 10) * scale for scale in (1, -2, 3)])[:, None]
    found = calibrated("regression", said + error, said, np.arange(27))
    assert found.thresholds.tolist() == [[9.0, 18.0, 27.0]] and found.patients.tolist() == [[9, 9, 9]]
    assert found.cuts is not None and found.cuts == pytest.approx(np.array([[26 / 3, 52 / 3]]))
    new = np.array([[-50.0], [8.0], [9.0], [17.0], [18.0], [90.0]])
    assert found.limits(new)[:, 0, 0].tolist() == [9, 9, 18, 18, 27, 27]
    everybody, *rows = coverage("regression", ["days"], found, new + 9.5, new, np.arange(6), {})
    assert everybody["covered"] == 4 / 6 and everybody["width"] == 36
    assert [(row["by"], row["name"], row["covered"], row["width"]) for row in rows] == [
        ("predicted value", "lowest third", 0, 18), ("predicted value", "middle third", 1, 36),
        ("predicted value", "highest third", 1, 54),
    ]  # fmt: skip


def test_intervals_of_quantities_are_wider_where_errors_are_larger_and_hold_the_value_everywhere() -> None:
    rng = np.random.default_rng(10)
    said = rng.uniform(1, 10, (3000, 2))
    y = said + said * rng.normal(size=(3000, 2))
    found = out_of_fold(
        "regression", ["days"], y[:, :1], said[:, :1], Samples(np.arange(3000), np.arange(3000) % 5, {})
    )
    assert found is not None
    for row in found["coverage"]:
        assert row["covered"] == pytest.approx(0.9, abs=0.03), row["name"]
    assert found["coverage"][3]["width"] > 2 * found["coverage"][1]["width"]
    several = out_of_fold("regression", ["a", "b"], y, said, Samples(np.arange(3000), np.arange(3000) % 5, {}))
    assert several is not None
    assert [one["name"] for one in several["thresholds"]][2:4] == ["a, highest third", "b, lowest third"]
    assert ["up_to" in one for one in several["thresholds"]] == [True, True, False] * 2
    assert several["thresholds"][0]["threshold"] == found["thresholds"][0]["threshold"]
    assert [row["name"] for row in several["coverage"]] == ["all", "a", "b"]


def test_an_interval_from_too_few_values_has_no_end() -> None:
    y = np.arange(20.0)[:, None]
    found = out_of_fold("regression", ["days"], y, y + 1, Samples(np.arange(20), np.arange(20) % 2, {}))
    assert found is not None
    assert {one["threshold"] for one in found["thresholds"]} == {None}
    assert found["coverage"][0]["covered"] == 1 and "width" not in found["coverage"][0]


def test_unknown_labels_and_probabilities_judge_nothing() -> None:
    y, p = cohort(np.random.default_rng(11), 300)
    spoilt, said = y.copy(), p.copy()
    spoilt[:50], said[50:80] = np.nan, np.nan
    full = out_of_fold("binary", ["y"], y[80:], p[80:], Samples(np.arange(220), np.arange(80, 300) % 5, {}))
    assert out_of_fold("binary", ["y"], spoilt, said, Samples(np.arange(300), np.arange(300) % 5, {})) == full
    nothing = out_of_fold("binary", ["y"], np.full((5, 1), np.nan), p[:5], Samples(np.arange(5), np.zeros(5), {}))
    assert nothing is not None and nothing["coverage"] == []


def test_times_to_an_event_have_no_sets() -> None:
    assert (
        out_of_fold("survival", [], np.zeros((3, 2)), np.zeros((3, 2)), Samples(np.arange(3), np.zeros(3), {})) is None
    )


@pytest.mark.parametrize(
    ("bounds", "said"),
    [((0.8, 0.89), "does not hold"), ((0.8, 0.9), "holds"), ((0.9, 1.0), "holds"), ((0.91, 1.0), "more than needed")],
)
def test_coverage_holds_unless_its_interval_leaves_the_level_out(bounds: tuple[float, float], said: str) -> None:
    assert verdict(0.9, bounds) == said
