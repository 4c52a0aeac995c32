"""What every fusion method keeps, whatever it does inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from safetensors.torch import load, save
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ..cache_schema import InputError
from ..fusion.inputs.batches import Inputs
from ..fusion.methods import flaw
from ..fusion.methods.base import Method
from ..fusion.methods.fitting import FitConfig
from ..fusion.parts.targets import Target
from ..fusion.training.loop import Parts, fit, predict
from .vectors import COLUMNS, OTHERS, TARGETS, changed, noise, signal, spec_of

TRAIN, TEST = torch.arange(60), torch.arange(60, 80)
SHORT = FitConfig(epochs=2, batch_size=16)
LONG = FitConfig(epochs=10, batch_size=32, learning_rate=1e-2)
FOUND = 0.7
"""AUROC above which a method has found the signal, of which every modality shows a part."""


def check_method(method: type[Method], options: Any = None, *, finds_signal: bool = True) -> None:
    """Hold a method to what every method keeps: on small vectors, in seconds if its options make it quick.

    Parameters
    ----------
    method : the class
    options : an instance of its ``Options``; the defaults if None
    finds_signal : False for a method that is not meant to predict anything

    Raises
    ------
    AssertionError
        If it does not; the message says what it did.
    """
    contract = Contract(method, options)
    for check in CHECKS:
        if finds_signal or check is not finds_the_signal:
            check(contract)


@dataclass
class Contract:
    """A method with options, and its models that were trained for a moment on vectors that mean nothing."""

    method: type[Method]
    options: Any = None
    _trained: dict[Target, tuple[Method, Inputs, Tensor]] = field(default_factory=dict)

    def new(self, target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS), seed: int = 0) -> Method:
        """Return an untrained model, with the same initial weights for the same seed."""
        torch.manual_seed(seed)
        return self.method(spec_of(target, modalities), self.options)

    def trained(
        self, inputs: Inputs, target: Target = TARGETS[0], train: Tensor = TRAIN, config: FitConfig = SHORT
    ) -> Method:
        """Return a model that was trained on some of the inputs."""
        model = self.new(target, tuple(inputs.modalities))
        fit(model, inputs, Parts(train, torch.arange(0)), config, seed=0)
        return model

    def on_noise(self, target: Target = TARGETS[0]) -> tuple[Method, Inputs, Tensor]:
        """Return a trained model with its inputs and what it says of the test samples."""
        if target not in self._trained:
            inputs = noise(80, target)
            model = self.trained(inputs, target)
            self._trained[target] = model, inputs, predict(model, inputs, TEST).probability
        return self._trained[target]


def has_all_parts(contract: Contract) -> None:
    """Set and define what every method does."""
    said = flaw(contract.method)
    assert said is None, f"{contract.method.__qualname__}: {said}"


def predicts_probabilities(contract: Contract) -> None:
    """Predict probabilities, or values, of every kind of target that it serves, whatever labels are unknown."""
    for target in (target for target in (*TARGETS, *OTHERS) if target.kind in contract.method.kinds):
        probability = contract.on_noise(target)[2]
        shape, wanted = tuple(probability.shape), (len(TEST), target.output_size)
        assert shape == wanted, f"{target.kind}: predictions have the shape {shape}, not {wanted}"
        if target.kind == "regression":
            continue  # any finite value is one
        assert ((probability >= 0) & (probability <= 1)).all(), f"{target.kind}: some predictions are no probabilities"
        if target.kind == "multiclass":
            assert _close(probability.sum(1), torch.ones(len(TEST))), "the probabilities of all classes do not sum to 1"


def repeats_itself(contract: Contract) -> None:
    """Give the same digits with the same seed."""
    _, inputs, probability = contract.on_noise()
    again = predict(contract.trained(inputs), inputs, TEST).probability
    assert torch.equal(again, probability), "a second training with the same seed predicts something else"


def predicts_each_sample_alone(contract: Contract) -> None:
    """Predict a sample alone as among others."""
    model, inputs, probability = contract.on_noise()
    alone = torch.cat([predict(model, inputs, sample[None]).probability for sample in TEST])
    assert _close(alone, probability), "a prediction depends on what other samples are in the batch"


def never_reads_what_is_missing(contract: Contract) -> None:
    """Change nothing by what is stored in the place of a missing modality."""
    _, inputs, probability = contract.on_noise()
    other = changed(inputs, ~inputs.presence)
    said = predict(contract.trained(other), other, TEST).probability
    assert torch.equal(said, probability), "what is stored in the place of a missing modality changes predictions"


def never_reads_other_labels(contract: Contract) -> None:
    """Change nothing by labels outside the training part."""
    _, inputs, probability = contract.on_noise()
    y = inputs.y.clone()
    y[TEST] = 1 - y[TEST]
    other = replace(inputs, y=y)
    said = predict(contract.trained(other), other, TEST).probability
    assert torch.equal(said, probability), "labels outside the training part change predictions"


def predicts_the_prior_of_nothing(contract: Contract) -> None:
    """Give a sample without any modality the frequencies of the labels."""
    model, inputs, _ = contract.on_noise()
    nothing = predict(model, inputs.without(tuple(COLUMNS)), TEST).probability
    prior = model.prior.sigmoid().expand(len(TEST), -1)
    assert _close(nothing, prior), "a sample without modalities does not get the frequencies of the labels"


def predicts_from_any_combination(contract: Contract) -> None:
    """Predict from any part of the modalities that the model was trained on."""
    model, inputs, _ = contract.on_noise()
    for hidden in (("cxr",), ("ehr", "rep")):
        said = predict(model, inputs.without(hidden), TEST).probability
        assert said.isfinite().all(), f"without {' and '.join(hidden)} some predictions are not finite"


def is_stored_whole(contract: Contract) -> None:
    """Keep everything learnt in parameters and buffers."""
    model, inputs, probability = contract.on_noise()
    again = contract.new(seed=7)
    again.load_state_dict(load(save(model.state_dict())), strict=True)
    said = predict(again, inputs, TEST).probability
    assert torch.equal(said, probability), "a stored model predicts something else than the one that was trained"


def fuses_two_modalities(contract: Contract) -> None:
    """Fuse two as well as three."""
    inputs = noise(80)
    two = {name: inputs.modalities[name] for name in ("ehr", "cxr")}
    inputs = replace(inputs, presence=inputs.presence[:, :2], modalities=two)
    said = predict(contract.trained(inputs), inputs, TEST).probability
    assert said.isfinite().all(), "of two modalities some predictions are not finite"


def refuses_too_few_modalities(contract: Contract) -> None:
    """Say before a training begins that modalities are too few."""
    method = contract.method
    method.check(tuple(COLUMNS))
    if method.fewest_modalities > 1:
        try:
            method.check(("ehr",))
        except InputError:
            return
        raise AssertionError(f"it needs {method.fewest_modalities} modalities, and takes one")


def finds_the_signal(contract: Contract) -> None:
    """Predict what every modality shows a part of."""
    inputs, test = signal(600), torch.arange(400, 600)
    model = contract.trained(inputs, train=torch.arange(400), config=LONG)
    auroc = float(roc_auc_score(inputs.y[test, 0], predict(model, inputs, test).probability[:, 0]))
    assert auroc > FOUND, f"where every modality shows a part of the label its AUROC is {auroc:.2f}"


CHECKS: tuple[Callable[[Contract], None], ...] = (
    has_all_parts,
    predicts_probabilities,
    repeats_itself,
    predicts_each_sample_alone,
    never_reads_what_is_missing,
    never_reads_other_labels,
    predicts_the_prior_of_nothing,
    predicts_from_any_combination,
    is_stored_whole,
    fuses_two_modalities,
    refuses_too_few_modalities,
    finds_the_signal,
)


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-5, rtol=1e-4)
