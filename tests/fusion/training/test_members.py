"""Several models of a fold whose answers are averaged."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Cohort, Inputs
from omnifuse.fusion.inputs.normalisation import Normaliser
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.library import load_run, train
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.training.config import TrainConfig, make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from omnifuse.fusion.training.members import Members
from omnifuse.fusion.training.model import new_method
from omnifuse.fusion.training.outcome import fit_outcome

TRAIN, VALIDATION, TEST = torch.arange(30), torch.arange(30, 40), torch.arange(40, 60)
WITHOUT_CHANCE = ("encoder.dropout=0", "encoder.input_dropout=0")


def ready(cohort: Cohort, config: TrainConfig) -> tuple[torch.nn.Module, Inputs]:
    prepared = prepare(cohort, config.encoder)
    normaliser = Normaliser.fit(prepared, TRAIN.numpy())
    method = new_method(config, fit_outcome(cohort.task, cohort.y).target, normaliser.input_specs(prepared), seed=0)
    return method, normaliser.apply(cohort, prepared, torch.device("cpu"))


@pytest.mark.parametrize("method", ["concat", "late", "pmr", "contrastive"])
def test_each_learns_as_it_would_alone(method: str, toy_cohort: Callable[..., Cohort]) -> None:
    overrides = (*WITHOUT_CHANCE, "fit.members=2", "fit.epochs=2", "fit.batch_size=8")
    config = make_config(method, overrides=overrides)
    both, inputs = ready(toy_cohort(), config)
    assert isinstance(both, Members)
    alone = [deepcopy(member) for member in both.members]
    parts = Parts(TRAIN, VALIDATION)
    together = fit(both, inputs, parts, config.fit, 3)
    histories = [fit(member, inputs, parts, config.fit, 3) for member in alone]
    said = [predict(member, inputs, TEST).probability for member in alone]
    assert not torch.allclose(said[0], said[1])
    torch.testing.assert_close(predict(both, inputs, TEST).probability, (said[0] + said[1]) / 2)
    for row, first, second in zip(together, *histories, strict=True):
        if row["part"] == "train":
            assert row["value"] == pytest.approx((first["value"] + second["value"]) / 2, abs=1e-5), row


def test_a_run_keeps_them_all_and_answers_the_same_again(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    settings = {"folds": 2, "fit.epochs": 1, "fit.members": 2, "options.imputation": "forward"}
    cache = toy_cache(tmp_path / "cache")
    run = train(cache, "omnifuse", run=tmp_path / "run", progress=False, **settings)
    again = load_run(run.path).predict(cache)
    tested = run.predictions.sort("sample_id")
    assert again.sort("sample_id")["p"].to_list() == pytest.approx(tested["p"].to_list(), abs=1e-6)
    one = train(cache, "omnifuse", run=tmp_path / "one", progress=False, **{**settings, "fit.members": 1})
    assert one.predictions.sort("sample_id")["p"].to_list() != pytest.approx(tested["p"].to_list(), abs=1e-3)
    assert one.predictions.columns == run.predictions.columns


def test_what_is_fitted_at_once_has_no_initial_weights_to_vary() -> None:
    with pytest.raises(InputError, match="'boosting' is fitted at once"):
        make_config("boosting", overrides=("fit.members=2",))
    assert make_config("boosting").fit == FitConfig()
