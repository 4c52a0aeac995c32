"""Every method of ours keeps what is asked of those from elsewhere, and what breaks it is said."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Batch
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Method, ModelSpec, Prediction
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import Fitting
from omnifuse.testing import check_method
from omnifuse.testing.method import CHECKS, Contract, finds_the_signal
from omnifuse.testing.vectors import COLUMNS

QUICK: dict[str, dict[str, Any]] = {
    "boosting": {"rounds": 40},
    "lightgbm": {"rounds": 40, "learning_rate": 0.1, "samples_per_leaf": 5, "columns": 1.0},
    "kernel": {"directions": 32},
    "late-weighted": {"folds": 2},
    "mofa": {"factors": 3},
    "ajive": {"draws": 20},
    "mogonet": {"hidden": (16, 16)},
    "stacking": {"folds": 2, "members": ("statistics",)},
    "m3care": {"layers": 1, "width": 16},
    "healnet": {"latents": 4, "width": 16},
    "bottleneck": {"bottlenecks": 2, "width": 16},
    "transformer": {"layers": 1, "width": 16},
    "trimf": {"layers": 1, "width": 16},
}
"""Options of methods that would take long otherwise."""

BLIND = {"prior": "it looks at no modality", "mofa": "it looks for factors, and independent columns have none"}
"""Methods that cannot find the signal, and why."""

every_method = pytest.mark.parametrize("name", METHODS.names())


@cache
def contract_of(name: str) -> Contract:
    method = METHODS.get(name)
    return Contract(method, method.Options(**QUICK.get(name, {})))


@every_method
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract(name: str, check: Callable[[Contract], None]) -> None:
    if (package := METHODS.get(name).package) is not None:
        pytest.importorskip(package)
    if check is finds_the_signal and name in BLIND:
        pytest.skip(BLIND[name])
    check(contract_of(name))


@every_method
def test_too_few_modalities_and_missing_packages_are_said_before_training(name: str) -> None:
    method = METHODS.get(name)
    if method.fewest_modalities > 1:
        with pytest.raises(InputError, match="fuses 2 modalities or more; got ehr"):
            method.check(("ehr",))
    with pytest.raises(InputError, match=r"needs the package no_such_package: pip install 'omnifuse\[no_such_package"):
        type(name, (method,), {"package": "no_such_package"}).check(tuple(COLUMNS))


class Broken(Concat):
    """A method whose predictions a test breaks."""

    name = "broken"

    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        raise NotImplementedError

    def predict(self, batch: Batch) -> Prediction:
        said = super().predict(batch)
        binary = self.target.kind == "binary"
        return replace(said, probability=self.spoil(said.probability, batch)) if binary else said


class Loud(Broken):
    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        return 3 * probability


class Chatty(Broken):
    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        return (probability + probability.mean(0)) / 2


class Peeking(Concat):
    name = "peeking"
    by_gradient = False

    def fit(self, fitting: Fitting) -> None:
        torch.nn.init.constant_(self.head[-1].bias, float(fitting.inputs.y.nanmean()))


class Certain(Broken):
    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        return torch.where(batch.presence.any(1, keepdim=True), probability, 0.5 * probability)


class Whimsical(Broken):
    calls = 0

    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        Whimsical.calls += 1
        return probability / (1 + Whimsical.calls)


class Forgetful(Broken):
    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        self.share = 1.0

    def loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        self.share = 0.9
        return super().loss(batch)

    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        return torch.where(batch.presence.any(1, keepdim=True), self.share * probability, probability)


class Constant(Broken):
    def spoil(self, probability: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.target.probabilities(self.prior.expand(len(batch), -1))


class Greedy(Concat):
    name = "greedy"
    fewest_modalities = 2

    @classmethod
    def check(cls, modalities: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Loud, "some predictions are no probabilities"),
        (Chatty, "depends on what other samples are in the batch"),
        (Peeking, "labels outside the training part change predictions"),
        (Certain, "does not get the frequencies of the labels"),
        (Whimsical, "a second training with the same seed predicts something else"),
        (Forgetful, "a stored model predicts something else"),
        (Constant, "its AUROC is 0.50"),
        (Greedy, "it needs 2 modalities, and takes one"),
        (type("Nameless", (Method,), {"name": "nameless"}), "it does not set 'family' to a text"),
    ],
)
def test_what_breaks_it_is_said(method: type[Method], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_method(method)
