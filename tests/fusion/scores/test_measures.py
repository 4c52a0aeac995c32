"""The table of measures: ours keep the contract that others are held to, and each is found, tried and evaluated."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.scores import metrics
from omnifuse.fusion.scores.areas import Area
from omnifuse.fusion.scores.measures import (
    AUPRC,
    AUROC,
    BRIER,
    EXAMPLES,
    KINDS,
    MAE,
    MEASURES,
    OWN,
    PRIMARY,
    RMSE,
    TAKEN,
    Measure,
    evaluate,
    evaluate_over_folds,
    flaw,
    guess,
    of_kind,
)

Y = np.array([1.0, 0.0, 1.0, 0.0])
P = np.array([0.9, 0.8, 0.7, 0.1])


@pytest.mark.parametrize("name", OWN)
def test_ours_keep_the_contract(name: str) -> None:
    assert flaw(MEASURES.get(name)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_target_has_our_measures_in_their_order_and_an_area_to_compare_by(kind: str) -> None:
    assert tuple(of_kind(kind))[:4] == ("auroc", "auprc", "log_loss", "brier")
    assert MEASURES.get(PRIMARY[kind]).area is not None and MEASURES.get(PRIMARY[kind]).higher_is_better


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("regression", ("mae", "rmse", "r2")),
        ("survival", ("concordance", "concordance_uno", "integrated_brier", "auroc_horizon")),
    ],
)
def test_quantities_and_times_have_measures_of_their_own_all_of_which_can_be_resampled(
    kind: str, names: tuple[str, ...]
) -> None:
    found = of_kind(kind)
    assert tuple(found) == names and PRIMARY[kind] == names[0]
    assert all(measure.resampled is not None for measure in found.values())


def test_errors_are_lower_the_better_and_are_in_the_unit_of_the_outcome() -> None:
    better = {name: MEASURES.get(name).higher_is_better for name in ("mae", "rmse", "r2", "integrated_brier")}
    assert better == {"mae": False, "rmse": False, "r2": True, "integrated_brier": False}
    assert [name for name in OWN if MEASURES.get(name).in_units] == ["mae", "rmse"]


def test_who_guesses_times_has_half_the_pairs_right() -> None:
    y, _ = EXAMPLES["survival"]
    guesses = {name: measure.guessing(y) for name, measure in of_kind("survival").items()}
    assert guesses == {"concordance": 0.5, "concordance_uno": 0.5, "integrated_brier": None, "auroc_horizon": 0.5}


def test_all_measures_of_some_predictions() -> None:
    y, p = np.array([[1.0], [0.0], [0.0]]), np.array([[0.8], [0.4], [0.9]])
    found = evaluate("binary", y, p)
    assert tuple(found)[:4] == ("auroc", "auprc", "log_loss", "brier")
    assert found["auroc"] == 0.5 and found["brier"] == metrics.brier(y, p)


def test_the_mean_over_labels_leaves_out_those_with_one_class() -> None:
    y, p = np.stack([Y, np.ones(4), 1 - Y], axis=1), np.stack([P, P, P], axis=1)
    assert AUROC.value(y, p) == pytest.approx((0.75 + 0.25) / 2)
    assert AUROC.value(np.ones((4, 2)), p[:, :2]) is None


def test_several_classes_are_each_against_the_rest() -> None:
    y, p = np.array([[0.0], [1.0], [2.0], [1.0]]), np.eye(3)[[0, 1, 2, 0]]
    each = [metrics.auroc((y[:, 0] == k).astype(float), p[:, k]) for k in range(3)]
    assert AUROC.value(y, p) == pytest.approx(np.mean(each))


def test_the_mean_over_folds_is_over_those_that_have_both_classes() -> None:
    y, p = np.concatenate([Y, 1 - Y, np.ones(2)])[:, None], np.concatenate([P, P / 10, [0.5, 0.6]])[:, None]
    found = evaluate_over_folds("binary", y, p, np.repeat([0.0, 1.0, 2.0], [4, 4, 2]))
    assert found["auroc"] == pytest.approx((0.75 + 0.25) / 2)
    assert evaluate_over_folds("binary", y, p, np.full(10, np.nan)) == evaluate("binary", y, p)


def test_who_guesses_has_half_the_pairs_right_and_the_share_of_positives() -> None:
    y = np.array([[1.0], [0.0], [0.0], [np.nan]])
    assert (AUROC.guessing(y), AUPRC.guessing(y), BRIER.guessing(y)) == (0.5, pytest.approx(1 / 3), None)
    assert AUPRC.guessing(np.ones((3, 2))) is None


def test_a_value_that_is_no_number_is_not_defined() -> None:
    MEASURES.register("ratio", Measure("ratio", lambda y, p: float("inf"), higher_is_better=True))
    try:
        assert evaluate("binary", Y[:, None], P[:, None])["ratio"] is None
    finally:
        MEASURES.forget("ratio")


def only_of_few(y: np.ndarray, probability: np.ndarray | None = None) -> float:
    if len(y) > 5:
        raise ZeroDivisionError("too many")
    return 0.25


def test_one_from_elsewhere_that_fails_for_some_samples_is_not_defined_there_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fragile = Measure("fragile", only_of_few, higher_is_better=True, guessing=only_of_few)
    MEASURES.register("fragile", fragile)
    try:
        few, many = (evaluate("binary", np.tile(Y, n)[:, None], np.tile(P, n)[:, None]) for n in (1, 2))
        assert (few["fragile"], many["fragile"], many["auroc"]) == (0.25, None, few["auroc"])
        assert (guess("fragile", fragile, Y[:, None]), guess("fragile", fragile, np.ones((9, 1)))) == (0.25, None)
    finally:
        MEASURES.forget("fragile")
    assert [record.getMessage() for record in caplog.records] == [
        "The measure 'fragile' fails for some samples: ZeroDivisionError: too many. It is left out."
    ]


def test_numbers_of_numpy_are_stored_as_numbers() -> None:
    MEASURES.register("half", Measure("half", lambda y, p: np.float64(0.5), higher_is_better=True))
    try:
        assert type(evaluate("binary", Y[:, None], P[:, None])["half"]) is float
    finally:
        MEASURES.forget("half")


def test_a_title_stands_for_one_measure(caplog: pytest.LogCaptureFixture) -> None:
    MEASURES.register("area", replace(AUROC, area=None))
    try:
        assert "area" not in of_kind("binary")
    finally:
        MEASURES.forget("area")
    assert "The measure 'area' has the title 'AUROC', which is that of 'auroc'. It is left out." in caplog.messages


def broken(*_: np.ndarray) -> float:
    raise ZeroDivisionError("nobody is there")


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (broken, "it is a function, not a Measure"),
        (replace(AUROC, title=None), "its title is None, not a text of one line"),
        (
            replace(AUROC, value=lambda y, p: np.float32(0.5)),
            "on binary labels it gives .*float32.*, not a float or None",
        ),
        (replace(AUROC, kinds=("binary", "weather")), "its kinds have weather; known are binary, multilabel"),
        (replace(AUROC, value=broken), "on binary labels it fails: ZeroDivisionError: nobody is there"),
        (replace(AUROC, guessing=lambda y: y), "on binary labels it gives "),
        (replace(AUROC, value=lambda y, p: "good"), "on binary labels it gives .*good.*, not a float or None"),
        (replace(AUROC, value=lambda y, p: 0.5 if len(y) > 1 else broken(y, p)), "nobody is there"),
        (replace(AUROC, area=Area(broken, broken, broken)), "its area fails: ZeroDivisionError"),
        (replace(AUROC, area=replace(AUROC.area, influence=AUPRC.area.influence)), "under two sets of equal weights"),
        (replace(MAE, under_weights=broken), "on regression labels it fails under weights: ZeroDivisionError"),
        (replace(MAE, under_weights=RMSE.under_weights), r"on regression labels it is 1\.[0-9]+, and .* equal weights"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_the_reason(measure: Measure, reason: str) -> None:
    with pytest.raises(InputError, match=rf"The measure 'mine' cannot be used: .*{reason}"):
        MEASURES.register("mine", measure)


@pytest.mark.parametrize("name", ["auroc", "samples", "auroc_ci"])
def test_no_measure_takes_a_name_of_metrics_json(name: str) -> None:
    with pytest.raises(InputError, match="is taken already"):
        MEASURES.register(name, AUROC)
    assert name in OWN or name in TAKEN


def test_a_package_adds_measures_by_entry_point_alone_and_a_broken_one_stops_nothing(tmp_path: Path) -> None:
    information = tmp_path / "acme-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text(
        "[omnifuse.measures]\naccuracy = acme:ACCURACY\nbroken = acme:NOTHING\nnotes = acme:ACCURACY\n"
    )
    (tmp_path / "acme.py").write_text(
        "import numpy as np\n"
        "from omnifuse.fusion.scores.measures import Measure\n"
        "ACCURACY = Measure('accuracy', lambda y, p: float(np.nanmean((p >= 0.5) == y)), True, kinds=('binary',))\n"
    )
    script = (
        "from omnifuse.fusion.scores.measures import evaluate, of_kind\n"
        "import numpy as np\n"
        "print(*of_kind('binary'), *of_kind('multilabel'))\n"
        "print(evaluate('binary', np.array([[1.0], [0.0]]), np.array([[0.9], [0.8]]))['accuracy'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    ours = " ".join(name for name in OWN if "binary" in MEASURES.get(name).kinds)
    assert done.stdout.splitlines() == [f"{ours} accuracy {ours}", "0.5"]
    assert sorted(line.partition(":")[0] for line in done.stderr.splitlines()) == [
        "The measure 'broken' of the package acme 1.2 cannot be used",
        "acme 1.2 offers the measure 'notes', which is that of OmniFuse. It is left out.",
    ]


def test_an_unknown_measure_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'brier'"):
        MEASURES.get("briar")
