"""What predictions reach in groups of patients, and how far groups differ: textbook numbers, coverage, corrections."""

import numpy as np
import pytest
from omnifuse.fusion.scores import intervals
from omnifuse.fusion.scores.fairness import FEWEST_OUTCOMES, by_group, p_value
from omnifuse.fusion.scores.intervals import Measured
from omnifuse.fusion.scores.measures import CONCORDANCE, MAE
from omnifuse.fusion.scores.paired import holm
from omnifuse.fusion.scores.subgroups import Samples
from omnifuse.fusion.scores.survival import SurvivalCurves
from scipy.special import expit
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

SEX = np.array(["F", "F", "M", "M", "M", "unknown"])


def once(groups: dict[str, np.ndarray]) -> Samples:
    """One sample a patient, one fold."""
    count = len(next(iter(groups.values())))
    return Samples(np.arange(count), np.zeros(count), groups)


def drawn(seed: int, count: int = 900, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels [n, 1] and their true probabilities [n, 1]."""
    rng = np.random.default_rng(seed)
    p = expit(slope * rng.normal(size=(count, 1)) - 1)
    return (rng.random((count, 1)) < p).astype(float), p


def test_measures_of_a_group_are_those_of_its_samples() -> None:
    y = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0])[:, None]
    p = np.array([0.8, 0.2, 0.2, 0.6, 0.1, 0.3])[:, None]
    women, men, unknown = by_group("binary", y, p, once({"sex": SEX}), threshold=0.6)
    assert (women["group"], women["value"], women["samples"], women["positives"]) == ("sex", "F", 2, 1)
    assert (women["auroc"], men["auroc"], unknown["auroc"]) == (1, 0.5, None)
    assert (women["sensitivity"], men["sensitivity"], unknown["sensitivity"]) == (1, 0, None)
    assert (women["specificity"], men["specificity"], unknown["specificity"]) == (1, 0.5, 1)
    assert women["observed_expected"] == pytest.approx(1)
    assert men["observed_minus_expected"] == pytest.approx((1 - 0.9) / 3)
    found = intervals.observed_expected(y[2:5, 0], p[2:5, 0], np.arange(3))
    assert (men["observed_expected"], men["observed_expected_ci"]) == (found.value, found.ci)


def test_differences_are_those_of_scikit_learn() -> None:
    y, p = drawn(0)
    sex = np.repeat(["F", "M", "unknown"], [200, 300, 400])
    women, men, unknown = by_group("binary", y, p, once({"sex": sex}), threshold=0.4)
    f, m = sex == "F", sex == "M"

    def between(measure) -> float:  # type: ignore[no-untyped-def]
        return float(measure(y[f, 0], p[f, 0]) - measure(y[m, 0], p[m, 0]))

    assert women["auroc_gap"] == pytest.approx(between(roc_auc_score))
    assert women["sensitivity_gap"] == pytest.approx(between(lambda y, p: recall_score(y, p >= 0.4)))
    assert women["specificity_gap"] == pytest.approx(between(lambda y, p: recall_score(1 - y, p < 0.4)))
    assert women["observed_expected_gap"] == pytest.approx(between(lambda y, p: y.sum() / p.sum()))
    assert women["observed_minus_expected_gap"] == pytest.approx(between(lambda y, p: y.mean() - p.mean()))
    assert (women["reference"], unknown["reference"], men["reference"]) == ("M", "M", "")
    assert {men[f"{name}_gap"] for name in ("auroc", "sensitivity", "observed_expected")} == {None}
    for name in ("auroc", "sensitivity", "observed_expected", "observed_minus_expected"):
        low, high = women[f"{name}_gap_ci"]
        assert low < women[f"{name}_gap"] < high


def test_of_other_patients_a_difference_is_that_of_newcombe() -> None:
    y, p = drawn(1)
    women, men = by_group("binary", y, p, once({"sex": np.repeat(["F", "M"], [400, 500])}), threshold=0.4)
    pair = (Measured(row["sensitivity"], *row["sensitivity_ci"]) for row in (women, men))
    assert women["sensitivity_gap_ci"] == next(pair).minus(next(pair)).ci


def test_p_values_are_corrected_for_all_differences_of_the_run() -> None:
    y, p = drawn(2)
    rng = np.random.default_rng(0)
    groups = {"sex": rng.choice(["F", "M"], 900), "unit": rng.choice(["a", "b", "c"], 900)}
    rows = by_group("binary", y, p, once(groups), threshold=0.4)
    gaps = [(row[f"{name}_gap_p"], Measured(row[f"{name}_gap"], *row[f"{name}_gap_ci"]))
            for row in rows for name in ("auroc", "sensitivity", "specificity", "observed_expected",
                                         "observed_minus_expected") if row["reference"]]  # fmt: skip
    assert len(gaps) == 15
    assert [p for p, _ in gaps] == holm([p_value(gap) for _, gap in gaps])


@pytest.mark.parametrize(
    ("gap", "p"),
    [
        (Measured(0.196, 0.0, 0.5), 0.05), (Measured(-0.196, -0.3, 0.0), 0.05), (Measured(0.0, -0.1, 0.2), 1.0),
        (Measured(0.1, 0.1, 0.1), 0.0),
    ],
)  # fmt: skip
def test_a_p_value_is_below_the_level_where_the_interval_leaves_zero_out(gap: Measured, p: float) -> None:
    assert p_value(gap) == pytest.approx(p, abs=1e-6)


def test_a_group_of_few_outcomes_is_named_and_not_judged() -> None:
    y, p = drawn(3)
    group = np.repeat(["many", "few"], [800, 100])
    y[800:] = 0
    y[800:805] = 1
    few, many = by_group("binary", y, p, once({"unit": group}), threshold=0.4)
    assert few["too_few"] == "5 patients with and 95 without the outcome" and many["too_few"] == ""
    assert few["auroc"] is not None and few["auroc_gap"] is None and few["auroc_gap_p"] is None
    y[800:] = 0
    few, _ = by_group("binary", y, p, once({"unit": group}), threshold=0.4)
    assert (few["sensitivity"], few["auroc"], few["positives"]) == (None, None, 0)


def test_nobody_is_compared_with_a_group_of_few_outcomes() -> None:
    y = np.concatenate([np.zeros(500), np.ones(9), np.tile([0.0, 1.0], 50)])[:, None]
    group = np.repeat(["large", "small"], [509, 100])
    large, small = by_group("binary", y, np.full_like(y, 0.3), once({"unit": group}), threshold=0.4)
    assert large["too_few"] == "9 patients with and 500 without the outcome"
    assert small["too_few"] == f"large has {large['too_few']}" and small["sensitivity_gap"] is None
    assert FEWEST_OUTCOMES == 10


def test_a_group_called_nothing_is_left_out_and_without_a_threshold_nothing_alerts() -> None:
    y, p = np.array([[1.0], [0.0], [1.0]]), np.array([[0.8], [0.2], [0.2]])
    (only,) = by_group("binary", y, p, once({"sex": np.array(["F", "F", ""])}))
    assert (only["value"], only["sensitivity"], only["specificity"]) == ("F", 0, 1)
    assert by_group("binary", y, p, once({"sex": np.array(["", "", ""])})) == []


def test_several_labels_are_compared_over_those_that_both_groups_have() -> None:
    rng = np.random.default_rng(4)
    p = expit(rng.normal(size=(400, 3)))
    y = (rng.random((400, 3)) < p).astype(float)
    group = np.repeat(["a", "b"], [150, 250])
    y[:150, 2] = 0  # nobody of a has the third
    y[:10, 0] = np.nan
    a, b = by_group("multilabel", y, p, once({"unit": group}))
    both = np.mean([roc_auc_score(y[10:150, 0], p[10:150, 0]), roc_auc_score(y[:150, 1], p[:150, 1])])
    reached = np.mean([roc_auc_score(y[150:, k], p[150:, k]) for k in (0, 1)])
    assert a["auroc"] == pytest.approx(both)
    assert a["auroc_gap"] == pytest.approx(both - reached)
    assert a["observed_expected"] == pytest.approx(np.nansum(y[:150]) / p[:150][~np.isnan(y[:150])].sum())
    assert b["auroc"] == pytest.approx(np.mean([roc_auc_score(y[150:, k], p[150:, k]) for k in range(3)]))


def test_of_classes_the_most_probable_one_is_right_or_not() -> None:
    rng = np.random.default_rng(5)
    p = rng.dirichlet([1, 1, 1], 500)
    y = np.array([rng.choice(3, p=row) for row in p], dtype=float)[:, None]
    group = np.repeat(["a", "b"], [200, 300])
    a, b = by_group("multiclass", y, p, once({"unit": group}))
    for row, rows in ((a, slice(200)), (b, slice(200, None))):
        top = p[rows].argmax(axis=1)
        assert row["accuracy"] == pytest.approx(accuracy_score(y[rows, 0], top))
        assert row["observed_expected"] == pytest.approx((y[rows, 0] == top).sum() / p[rows].max(axis=1).sum())
        assert row["auroc"] == pytest.approx(roc_auc_score(y[rows, 0], p[rows], multi_class="ovr"))
    assert a["accuracy_gap"] == pytest.approx(a["accuracy"] - b["accuracy"])
    assert a["observed_expected_ci"][0] < 1 < a["observed_expected_ci"][1]


def test_quantities_have_their_error_and_how_much_too_high_predictions_are() -> None:
    rng = np.random.default_rng(6)
    y = rng.normal(size=(200, 2))
    said = np.add(y, [[0.5, -1.0]])
    said[:100, 0] += 0.25
    who = Samples(np.arange(200), np.arange(200) % 2, {"sex": np.repeat(["F", "M"], 100)})
    women, men = by_group("regression", y[:, :1], said[:, :1], who)
    assert (women["bias"], men["bias"]) == (pytest.approx(0.75), pytest.approx(0.5))
    assert women["bias_gap"] == pytest.approx(0.25) == women["mae_gap"]
    several, _ = by_group("regression", y, said, who)
    assert several["mae"] == pytest.approx(MAE.value(y[:100], said[:100])) and "bias" not in several


def test_the_interval_of_a_bias_counts_patients() -> None:
    off = np.random.default_rng(0).normal(1, 2, (100, 1))
    groups = {"sex": np.repeat("F", 100)}
    (alone,) = by_group("regression", np.zeros((100, 1)), off, once(groups))
    twice = Samples(np.repeat(np.arange(100), 2), np.zeros(200), {"sex": np.repeat("F", 200)})
    (both,) = by_group("regression", np.zeros((200, 1)), np.repeat(off, 2, axis=0), twice)
    assert alone["bias"] == pytest.approx(off.mean()) and alone["bias_ci"] == pytest.approx(both["bias_ci"])
    assert alone["bias_ci"][1] - alone["bias"] == pytest.approx(1.96 * off.std(ddof=1) / 10, rel=1e-3)


def test_times_have_their_concordance_and_the_ratio_of_events() -> None:
    rng = np.random.default_rng(2)
    rate = rng.exponential(1, 200)[:, None] + 0.1
    time, limit = rng.exponential(1 / rate)[:, 0], rng.exponential(2, 200)
    y = np.stack([np.minimum(time, limit), time <= limit], axis=1)
    curves = SurvivalCurves(np.array([0.5, 1.0, 1.5, 2.0]), np.exp(-rate * [0.5, 1.0, 1.5, 2.0]))
    folds = np.arange(200) % 2
    who = Samples(np.arange(200), folds, {"sex": np.repeat(["F", "M"], 100)})
    women, men = by_group("survival", y, curves, who)
    each = [CONCORDANCE.value(y[:100][folds[:100] == k], curves[:100][folds[:100] == k]) for k in (0, 1)]
    assert women["concordance"] == pytest.approx(np.mean(each))
    assert (women["positives"], women["events"], men["concordance_gap"]) == (None, int(y[:100, 1].sum()), None)
    assert women["concordance_gap"] == pytest.approx(women["concordance"] - men["concordance"])
    assert women["observed_expected_gap"] == pytest.approx(women["observed_expected"] - men["observed_expected"])
    y[:100, 1] = 0
    women, _ = by_group("survival", y, curves, who)
    assert women["too_few"] == "0 patients with the event" and women["concordance_gap"] is None


def test_groups_that_share_patients_differ_less_by_chance() -> None:
    """Every patient has a stay in both groups, and stays of a patient are alike: equal but for a little noise."""
    rng = np.random.default_rng(7)
    patient = np.arange(300)
    p = expit(rng.normal(size=300))
    y = (rng.random(300) < p).astype(float)
    again = np.where(rng.random(300) < 0.1, 1 - y, y)
    groups = {"unit": np.repeat(["a", "b"], 300)}
    both = np.concatenate([y, again])[:, None], np.concatenate([p, p])[:, None]
    shared, _ = by_group("binary", *both, Samples(np.tile(patient, 2), np.zeros(600), groups), threshold=0.5)
    apart, _ = by_group("binary", *both, once(groups), threshold=0.5)
    for name in ("auroc", "sensitivity", "observed_expected", "observed_minus_expected"):
        widths = [np.diff(row[f"{name}_gap_ci"])[0] for row in (shared, apart)]
        assert shared[f"{name}_gap"] == apart[f"{name}_gap"] and 0 < widths[0] < 0.7 * widths[1], name


@pytest.mark.parametrize("overlap", [False, True])
def test_intervals_hold_the_true_difference(overlap: bool) -> None:
    """Of 200 cohorts 95 % may, 180 or more in all but one of a thousand such tests; the truth is no difference."""
    rng = np.random.default_rng(8)
    held = {"sensitivity": 0, "observed_minus_expected": 0, "observed_expected": 0}
    for _ in range(200):
        risk = rng.normal(size=150)
        latent = rng.normal(size=(2, 150)) * 0.7 + rng.normal(size=150) * 0.7 if overlap else rng.normal(size=(2, 150))
        p = np.tile(expit(risk), 2)
        y = (latent.ravel() < np.tile(risk, 2) * 0.6).astype(float)
        subjects = np.tile(np.arange(150), 2) if overlap else np.arange(300)
        who = Samples(subjects, np.zeros(300), {"unit": np.repeat(["a", "b"], 150)})
        row, _ = by_group("binary", y[:, None], p[:, None], who, threshold=0.5)
        for name in held:
            low, high = row[f"{name}_gap_ci"]
            held[name] += low <= 0 <= high
    assert min(held.values()) >= 180
