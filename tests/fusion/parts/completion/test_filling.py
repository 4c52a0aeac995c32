"""Fillers: closed forms, what they never read, and the heads that they serve."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from omnifuse.fusion.inputs.batches import Batch
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.hybrid import Hybrid
from omnifuse.fusion.methods.late import Late
from omnifuse.fusion.methods.omnifuse.dwfuse import DWFuse
from omnifuse.fusion.parts.completion.completion import Completion
from omnifuse.fusion.parts.completion.filling import Filling, MeanFilling, NoFilling, ZeroFilling, new_completion
from omnifuse.fusion.parts.completion.ridge import RidgeImputation
from omnifuse.fusion.parts.encoders import Encoded
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor, nn

from ...vectors import COLUMNS, TARGETS, changed, context_of, noise, spec_of, whole

FILLINGS: list[Filling] = ["zero", "mean", "ridge"]
HEADS = [Concat, Hybrid, Late, DWFuse]
EMBEDDINGS = torch.tensor([[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0], [99.0, 99.0]], [[99.0, 99.0], [4.0, 60.0]]])
PRESENT = torch.tensor([[True, True], [True, False], [False, True]])

every_filling = pytest.mark.parametrize("filling", FILLINGS)
every_head = pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)


def filler(filling: Filling, embeddings: Tensor = EMBEDDINGS) -> Completion:
    made = new_completion(filling, 2, 2)
    made.fit(embeddings, PRESENT)
    return made


def trained(head: type[Method], imputation: str, target: Target = TARGETS[0]) -> Method:
    torch.manual_seed(0)
    method = head(spec_of(target), head.Options(imputation=imputation))  # type: ignore[call-arg]
    fit(method, noise(60, target), Parts(torch.arange(40), torch.arange(0)), FitConfig(epochs=1, batch_size=16), seed=0)
    return method


def test_the_mean_is_taken_over_those_who_have_the_modality() -> None:
    expected = EMBEDDINGS.clone()
    expected[1, 1] = torch.tensor([3.0, 40.0])
    expected[2, 0] = torch.tensor([2.0, 20.0])
    torch.testing.assert_close(filler("mean")(EMBEDDINGS, PRESENT), expected)


def test_zeros_are_zeros_whatever_the_training_samples_are() -> None:
    expected = torch.where(PRESENT[:, :, None], EMBEDDINGS, 0.0)
    assert filler("zero")(EMBEDDINGS, PRESENT).equal(expected)


@every_filling
def test_what_is_absent_is_never_read(filling: Filling) -> None:
    poisoned = torch.where(PRESENT[:, :, None], EMBEDDINGS, torch.nan)
    filled = filler(filling, poisoned)(poisoned, PRESENT)
    assert filled.isfinite().all()
    assert filled.equal(filler(filling)(EMBEDDINGS, PRESENT))


@every_filling
def test_what_is_there_stays(filling: Filling) -> None:
    filled = filler(filling)(EMBEDDINGS, PRESENT)
    assert filled[PRESENT].equal(EMBEDDINGS[PRESENT])


def test_a_modality_that_nobody_has_is_filled_with_zeros() -> None:
    mean = MeanFilling(2, 2)
    nobody = torch.tensor([True, False]).expand(3, 2)
    mean.fit(EMBEDDINGS, nobody)
    assert mean(EMBEDDINGS, nobody)[:, 1].eq(0).all()


def test_batches_are_fitted_as_one() -> None:
    missing = torch.zeros(2, 2)
    batches = [Encoded(EMBEDDINGS[part], missing, PRESENT[part]) for part in (slice(0, 1), slice(1, 3))]
    made = MeanFilling(2, 2)
    made.end(iter(batches))
    assert made.mean.equal(filler("mean").mean)


def test_each_name_has_its_filler() -> None:
    made = map(partial(new_completion, modalities=2, width=2), ("none", *FILLINGS))
    assert [type(one) for one in made] == [NoFilling, ZeroFilling, MeanFilling, RidgeImputation]


class Answers(nn.Module):
    """Stands for encoders: answers with given embeddings."""

    def __init__(self, embeddings: Tensor) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, batch: Batch) -> Encoded:
        return Encoded(self.embeddings, torch.zeros(3, 8), batch.presence)


@pytest.mark.parametrize("head", [Concat, Late, DWFuse], ids=lambda head: head.name)
@every_filling
def test_what_is_filled_in_is_predicted_from_as_if_it_were_there(head: type[Method], filling: Filling) -> None:
    method, batch = trained(head, filling), whole(noise(60))
    assert isinstance(method.filler, nn.Module)
    filled = method.filler(method.encode(batch).embeddings, batch.presence)
    expected = method.predict(batch)
    assert expected.imputed is not None
    assert expected.imputed.equal(~batch.presence)
    method.encoders = Answers(filled)
    complete = replace(batch, presence=torch.ones_like(batch.presence))
    torch.testing.assert_close(method.predict(complete).probability, expected.probability)


@every_head
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_absent_slots_and_those_without_anything_under_every_head(head: type[Method], target: Target) -> None:
    method, inputs, everyone = trained(head, "ridge", target), noise(60, target), torch.arange(60)
    said = predict(method, inputs, everyone).probability
    assert said.isfinite().all()
    assert predict(method, changed(inputs, ~inputs.presence), everyone).probability.equal(said)
    nothing = predict(method, inputs.without(tuple(COLUMNS)), everyone).probability
    torch.testing.assert_close(nothing, target.probabilities(method.prior).expand(60, -1))


@every_head
def test_training_is_the_same_with_imputation_as_without(head: type[Method]) -> None:
    plain, imputing = (trained(head, imputation).state_dict() for imputation in ("none", "ridge"))
    assert all(imputing[name].equal(plain[name]) for name in plain)
    assert plain.keys() != imputing.keys()


def test_imputed_modalities_weigh_in_dwfuse() -> None:
    inputs = noise(60)
    batch = whole(inputs)
    for imputation, weighs in (("none", False), ("mean", True)):
        weight = trained(DWFuse, imputation).predict(batch).weight
        assert weight is not None
        assert weight[~batch.presence].gt(0).all() == weighs


@pytest.mark.parametrize("head", [Concat, DWFuse], ids=lambda head: head.name)
def test_nothing_is_filled_in_before_it_was_fitted(head: type[Method]) -> None:
    inputs = noise(80)
    parts = Parts(torch.arange(60), torch.arange(60, 80))
    histories = []
    for imputation in ("none", "mean"):
        torch.manual_seed(0)
        method = head(spec_of(), head.Options(imputation=imputation))
        histories.append(fit(method, inputs, parts, FitConfig(epochs=2, batch_size=16), seed=0))
    assert histories[0] == histories[1]


@every_filling
def test_nothing_is_filled_in_before_the_end_of_a_training_nor_in_training_mode(filling: Filling) -> None:
    made = filler(filling).eval()
    assert not made.complete(EMBEDDINGS, PRESENT)[0].equal(EMBEDDINGS)
    made.begin()
    embeddings, shown = made.complete(EMBEDDINGS, PRESENT)
    assert embeddings is EMBEDDINGS and shown is PRESENT and made.imputed(PRESENT) is None
    made.end([Encoded(EMBEDDINGS, torch.zeros(2, 2), PRESENT)])
    embeddings, shown = made.complete(EMBEDDINGS, PRESENT)
    assert embeddings.equal(made(EMBEDDINGS, PRESENT)) and shown.all()
    assert made.imputed(PRESENT).equal(~PRESENT)
    assert made.train().imputed(PRESENT) is None


def test_a_late_fusion_that_is_being_trained_asks_no_unfitted_imputation() -> None:
    method, batch = trained(Late, "ridge"), whole(noise(60))
    filled = method.predict(batch).probability
    method.on_fit_start(context_of(noise(60)))
    plain = method.predict(batch)
    assert plain.imputed is None
    assert not plain.probability.equal(filled)
