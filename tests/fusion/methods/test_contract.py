"""What every method keeps, whatever it does inside."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, changed, noise, signal, spec_of

TRAIN, TEST = torch.arange(60), torch.arange(60, 80)
SHORT = FitConfig(epochs=2, batch_size=16)
LONG = FitConfig(epochs=20, batch_size=64, learning_rate=1e-2)
QUICK: dict[str, dict[str, Any]] = {
    "boosting": {"rounds": 40},
    "late-weighted": {"folds": 2},
    "mofa": {"factors": 3},
    "ajive": {"draws": 20},
    "mogonet": {"hidden": (16, 16)},
    "stacking": {"folds": 2, "members": ("statistics",)},
    "transformer": {"layers": 1, "width": 16},
    "trimf": {"layers": 1, "width": 16},
}
"""Options of methods that would take long otherwise."""

BLIND = {"prior": "it looks at no modality", "mofa": "it looks for factors, and independent columns have none"}
"""Methods that cannot find the signal, and why."""

every_method = pytest.mark.parametrize("name", METHODS.names())


def new(name: str, target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS)) -> Method:
    method = METHODS.get(name)
    if method.package is not None:
        pytest.importorskip(method.package)
    torch.manual_seed(0)
    return method(spec_of(target, modalities), method.Options(**QUICK.get(name, {})))


def trained(name: str, inputs: Inputs, target: Target = TARGETS[0], **how: Any) -> Method:
    method = new(name, target, tuple(inputs.modalities))
    fit(method, inputs, Parts(how.get("train", TRAIN), torch.arange(0)), how.get("config", SHORT), seed=0)
    return method


@cache
def on_noise(name: str, target: Target = TARGETS[0]) -> tuple[Method, Inputs, Tensor]:
    """A method trained for a moment, with what it says of the test samples."""
    inputs = noise(80, target)
    method = trained(name, inputs, target)
    return method, inputs, predict(method, inputs, TEST).probability


@every_method
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_predictions_are_probabilities(name: str, target: Target) -> None:
    probability = on_noise(name, target)[2]
    assert probability.shape == (len(TEST), target.output_size)
    assert ((probability >= 0) & (probability <= 1)).all()
    if target.kind == "multiclass":
        torch.testing.assert_close(probability.sum(1), torch.ones(len(TEST)))


@every_method
def test_the_same_seed_gives_the_same_digits(name: str) -> None:
    _, inputs, probability = on_noise(name)
    assert torch.equal(predict(trained(name, inputs), inputs, TEST).probability, probability)


@every_method
def test_a_sample_is_predicted_alone_as_among_others(name: str) -> None:
    method, inputs, probability = on_noise(name)
    alone = torch.cat([predict(method, inputs, sample[None]).probability for sample in TEST])
    torch.testing.assert_close(alone, probability, atol=1e-5, rtol=1e-4)


@every_method
def test_what_is_missing_may_hold_anything(name: str) -> None:
    _, inputs, probability = on_noise(name)
    other = changed(inputs, ~inputs.presence)
    assert torch.equal(predict(trained(name, other), other, TEST).probability, probability)


@every_method
def test_labels_outside_the_training_part_change_nothing(name: str) -> None:
    _, inputs, probability = on_noise(name)
    y = inputs.y.clone()
    y[TEST] = 1 - y[TEST]
    other = replace(inputs, y=y)
    assert torch.equal(predict(trained(name, other), other, TEST).probability, probability)


@every_method
def test_a_sample_without_modalities_gets_the_frequencies_of_the_labels(name: str) -> None:
    method, inputs, _ = on_noise(name)
    nothing = predict(method, inputs.without(tuple(COLUMNS)), TEST).probability
    torch.testing.assert_close(nothing, method.prior.sigmoid().expand(len(TEST), -1))


@every_method
@pytest.mark.parametrize("hidden", [("cxr",), ("ehr", "rep")], ids="+".join)
def test_any_combination_can_be_predicted(name: str, hidden: tuple[str, ...]) -> None:
    method, inputs, _ = on_noise(name)
    assert predict(method, inputs.without(hidden), TEST).probability.isfinite().all()


@every_method
def test_a_stored_model_predicts_the_same(name: str, tmp_path: Path) -> None:
    method, inputs, probability = on_noise(name)
    save_file(method.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(7)
    again = new(name)
    again.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    assert torch.equal(predict(again, inputs, TEST).probability, probability)


@every_method
def test_two_modalities_are_enough(name: str) -> None:
    inputs = noise(80)
    inputs = replace(
        inputs,
        presence=inputs.presence[:, :2],
        modalities={modality: inputs.modalities[modality] for modality in ("ehr", "cxr")},
    )
    method = trained(name, inputs)
    assert predict(method, inputs, TEST).probability.isfinite().all()


@every_method
def test_signal_is_found(name: str) -> None:
    if name in BLIND:
        pytest.skip(BLIND[name])
    inputs = signal(600)
    method = trained(name, inputs, train=torch.arange(400), config=LONG)
    test = torch.arange(400, 600)
    assert roc_auc_score(inputs.y[test, 0], predict(method, inputs, test).probability[:, 0]) > 0.7


@every_method
def test_too_few_modalities_and_missing_packages_are_said_before_training(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = METHODS.get(name)
    method.check(tuple(COLUMNS))
    if method.fewest_modalities > 1:
        with pytest.raises(InputError, match="fuses 2 modalities or more; got ehr"):
            method.check(("ehr",))
    monkeypatch.setattr(method, "package", "no_such_package")
    with pytest.raises(InputError, match=r"needs the package no_such_package: pip install 'omnifuse\[no_such_package"):
        method.check(tuple(COLUMNS))
