"""Errors of a model that answers only where it is most certain."""

import numpy as np
import pytest
from omnifuse.fusion.scores import intervals
from omnifuse.fusion.scores.abstention import abstention
from scipy.special import expit
from sklearn.metrics import roc_auc_score


def test_errors_of_forty_samples_are_as_counted_by_hand() -> None:
    """The less certain half errs in every second sample, the other never."""
    certain = np.concatenate([np.full(20, 0.95), np.linspace(0.6, 0.8, 20)])
    y = np.concatenate([np.ones(20), np.tile([1.0, 0.0], 10)])
    found = abstention("binary", y[:, None], certain[:, None], np.arange(40), np.zeros(40))
    assert found is not None
    shares = [point["share"] for point in found["points"]]
    assert shares == pytest.approx(np.arange(10, 4, -1) / 10)  # below a half fewer than twenty answer
    assert [point["samples"] for point in found["points"]] == [40, 36, 32, 28, 24, 20]
    assert [point["error"] for point in found["points"]] == pytest.approx([10 / 40, 8 / 36, 6 / 32, 4 / 28, 2 / 24, 0])
    first = intervals.share(np.repeat([1.0, 0.0], [10, 30]), np.arange(40))
    assert found["points"][0]["error_ci"] == pytest.approx(first.ci)
    errors = np.concatenate([np.zeros(20), 1 - y[20:][::-1]])  # the most certain first
    assert found["area"] == pytest.approx(np.mean(np.cumsum(errors) / np.arange(1, 41)))
    assert found["random"] == 0.25
    last = np.concatenate([np.zeros(30), np.ones(10)])
    assert found["best"] == pytest.approx(np.mean(np.cumsum(last) / np.arange(1, 41)))


def test_the_auroc_is_that_of_who_is_answered() -> None:
    rng = np.random.default_rng(0)
    p = expit(rng.normal(size=400))
    y = (rng.random(400) < p).astype(float)
    found = abstention("binary", y[:, None], p[:, None], np.arange(400), np.zeros(400))
    assert found is not None
    half = np.argsort(-np.abs(p - 0.5))[:200]
    point = found["points"][5]
    assert (point["share"], point["samples"]) == (0.5, 200)
    assert point["auroc"] == pytest.approx(roc_auc_score(y[half], p[half]))
    assert point["auroc_ci"][0] < point["auroc"] < point["auroc_ci"][1]


def test_who_is_equally_certain_of_all_errs_as_often_at_every_share() -> None:
    y = np.repeat([1.0, 0.0], [30, 70])[:, None]
    found = abstention("binary", y, np.full((100, 1), 0.3), np.arange(100), np.zeros(100))
    assert found is not None
    assert [point["error"] for point in found["points"]] == pytest.approx([0.3] * 9)
    assert found["area"] == pytest.approx(found["random"]) == pytest.approx(0.3)


def test_samples_are_ranked_within_their_fold() -> None:
    """A model that is never certain answers as many as one that always is."""
    p = np.concatenate([np.linspace(0.51, 0.6, 50), np.linspace(0.8, 0.99, 50)])[:, None]
    y, folds = np.ones((100, 1)), np.repeat([0, 1], 50)
    y[:25] = 0
    found = abstention("binary", y, p, np.arange(100), folds)
    assert found is not None and [point["error"] for point in found["points"]][5] == 0


def test_of_classes_the_most_probable_one_answers() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]).repeat([20, 20], axis=0)
    y = np.repeat([1.0, 1.0], 20)[:, None]
    found = abstention("multiclass", y, p, np.arange(40), np.zeros(40))
    assert found is not None
    assert (found["points"][0]["error"], found["points"][-1]["error"]) == (0.5, 0)
    assert "auroc" not in found["points"][0]


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_other_kinds_have_no_such_curve(kind: str) -> None:
    assert abstention(kind, np.zeros((3, 2)), np.zeros((3, 2)), np.arange(3), np.zeros(3)) is None


def test_without_a_label_there_is_no_curve() -> None:
    assert abstention("binary", np.full((3, 1), np.nan), np.zeros((3, 1)), np.arange(3), np.zeros(3)) is None
