"""How long a study may take is added up from what a probe takes, cell by cell."""

from collections.abc import Callable
from math import nan
from pathlib import Path

import pytest
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.study.cell import Scope
from omnifuse.fusion.study.expected import Seconds, added_up, fold_seconds, mean_seconds
from omnifuse.fusion.study.run import plan_study
from omnifuse.fusion.training.config import make_config

from tests.fusion.study.grids import grid


def test_the_expected_time_adds_up_what_a_probe_found(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    """Two cells of two folds on all modalities, each asked something, and the report of both."""
    found = Seconds(first=1000.0, cell=10.0, fold=100.0, epoch=0.0, asked=(40.0,))
    shared = {"kind": "missing", "methods": ["concat", "sum"], "rates": [0, 0.5], "draws": 2}
    plan = plan_study(toy_cache(tmp_path / "cache"), grid(shared), tmp_path / "study")
    cells, folds = len(plan.open), plan.scope.folds
    assert cells == 2 and {len(asked) for asked in plan.open.values()} == {1}
    report = 0.5 * 10 * cells
    assert added_up(plan, 1, found) == pytest.approx(1000 + cells * (10 + folds * (100 + 40)) + report)
    assert added_up(plan, 2, found) == pytest.approx(1000 + (10 + folds * (100 + 40)) + report)


def test_a_fold_of_some_modalities_costs_its_share_and_trees_know_no_epochs() -> None:
    seconds = Seconds(first=0.0, cell=0.0, fold=6.0, epoch=3.0, asked=())
    scope = Scope("died", ("ehr", "cxr", "rep"))
    few = ("fit.epochs=2",)
    assert fold_seconds(make_config("concat", overrides=few), scope, seconds) == 6 + 2 * 3
    assert fold_seconds(make_config("concat", overrides=few, modalities=("ehr",)), scope, seconds) == (6 + 2 * 3) / 3
    trees = fold_seconds(make_config("boosting", overrides=few), scope, seconds)
    assert trees == METHODS.get("boosting").cost * (6 + FitConfig().epochs * 3)


def test_what_the_probe_cannot_be_asked_costs_as_much_as_the_dearest_of_the_rest() -> None:
    found = [Seconds(1.0, 2.0, 3.0, 4.0, (5.0, nan, 7.0)), Seconds(3.0, 2.0, 3.0, 4.0, (7.0, nan, 9.0))]
    assert mean_seconds(found) == Seconds(2.0, 2.0, 3.0, 4.0, (6.0, 8.0, 8.0))
