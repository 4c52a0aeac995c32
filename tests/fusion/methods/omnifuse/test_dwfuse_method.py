"""DWFuse as a method of its own: only what a sample has takes part, in training, prediction and run folder."""

import math
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score

from ...vectors import changed, dwfuse, noise, step, whole


def test_total_is_equation_14() -> None:
    terms, _ = step(dwfuse(alpha=0.7), whole(noise()))
    torch.testing.assert_close(terms["total"], terms["enc"] + 0.7 * terms["joint"])


def test_absent_slots_change_neither_loss_nor_gradient() -> None:
    inputs, method = noise(share=0.5), dwfuse()
    one, other = step(method, whole(inputs)), step(method, whole(changed(inputs, ~inputs.presence)))
    assert all(one[0][name].equal(other[0][name]) for name in one[0])
    assert all(one[1][name].equal(other[1][name]) for name in one[1])


def test_a_sample_with_one_modality_is_its_head_and_the_joint_head() -> None:
    """One head weighs 1 and the joint head alpha: their logits are averaged so."""
    inputs = noise(share=0.0)  # only ehr
    prediction = dwfuse(alpha=3.0).predict(whole(inputs))
    assert prediction.modality_probability is not None
    own, joint = (torch.logit(p) for p in (prediction.modality_probability[:, 0], prediction.readouts["joint"]))
    torch.testing.assert_close(torch.logit(prediction.probability[:, 0]), (own + 3.0 * joint) / 4.0)


def test_modality_dropout_hides_in_training_only() -> None:
    batch, options = whole(noise(share=1.1)), make_config("dwfuse", "modality-dropout").options
    assert options.modality_dropout == 0.5
    with_dropout, without = (dwfuse(dropout=0.0, modality_dropout=share) for share in (0.5, 0.0))
    assert not step(with_dropout, batch)[0]["total"].equal(step(without, batch)[0]["total"])
    assert with_dropout.predict(batch).probability.equal(without.predict(batch).probability)


def test_noise_predicts_nothing() -> None:
    train_part, test = noise(300, share=0.8), noise(4000, share=0.6, seed=1)
    method = dwfuse()
    config = FitConfig(epochs=4, batch_size=64, learning_rate=1e-2)
    fit(method, train_part, Parts(torch.arange(300), torch.arange(0)), config, seed=0)
    known = ~test.y[:, 0].isnan()
    y = test.y[known, 0]
    probability = predict(method, test, torch.arange(4000)).probability[known, 0]
    error = math.sqrt(1 / (12 * y.mean() * (1 - y.mean()) * len(y)))
    assert abs(roc_auc_score(y, probability) - 0.5) < 3 * error


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_a_run(toy_cache: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    config = make_config("dwfuse", overrides=["fit.epochs=2", "folds=2"])
    train(toy_cache(tmp_path / "cache", kind=kind), config, tmp_path / "run")
    predictions = pl.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert not predictions["ehr.imputed"].any()
    assert ("p[ehr+rep]" in predictions.columns) == (kind == "binary")
    assert not (tmp_path / "run" / "laziness.parquet").exists()
